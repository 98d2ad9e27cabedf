# remoted where two hosts take the mail for a domain: which one gets it, and what is told when neither does.
load ../lib/suite
load ../lib/names

setup() {
	names_port
	SUITE_SERVICES="" suite_make --resolver "127.0.0.1@$DNS_PORT" --set 'dnssec = no' --set 'dane = no' --set 'mta-sts = no'
	names_serve <<-'END'
		odd.example MX 10 mx1.odd.example
		odd.example MX 20 mx2.odd.example
		mx1.odd.example A 127.0.1.1
		mx2.odd.example A 127.0.1.2
	END
	read -r PORT <<<"$("$TOOLS/free-ports.py" 1)"
	echo "odd.example smtp:odd.example:$PORT" >"$SUITE/etc/routes"
	$DAWK update >/dev/null
	printf 'Subject: hi\r\n\r\nhello\r\n' >"$SUITE/message"
}
teardown() {
	hosts_stop
	names_stop
	"$TOOLS/free-ports.py" --release "$PORT"
	rm -rf "$SUITE"
}

host() {	# 1|2 HABIT..: mx1 or mx2, with its folder of that name
	local folder=$SUITE/mx$1 at=127.0.1.$1:$PORT
	shift
	mkdir "$folder"
	"$TOOLS/odd-server.py" "$folder" "listen=$at" "$@" </dev/null >/dev/null 2>&1 3>&- 4>&- &
	echo $! >"$folder/pid"
	wait_until test -e "$folder/port"
}
hosts_stop() {
	local file
	for file in "$SUITE"/mx*/pid; do
		[[ ! -e $file ]] || { kill "$(cat "$file")" 2>/dev/null; wait "$(cat "$file")" 2>/dev/null || :; }
	done
	rm -rf "$SUITE"/mx?
}
drive() { "${BIN%/bin}/tool/remote_driver" "$BIN" "$SUITE/etc/dawk.conf" odd.example bob@client.example "$SUITE/message" "$@"; }
send_it() { run -0 drive "$@"; }	# COUNT RCPT..: its lines about results in $output
told() { [[ $output == *"$1"* ]] || { echo "$output"; false; }; }
connections() { if [[ -e $SUITE/mx$1/connections ]]; then wc -l <"$SUITE/mx$1/connections"; else echo 0; fi; }

attempts() { grep -ci " 0${1}01007F:$(printf %04X "$PORT") 02 " /proc/net/tcp || :; }	# 1|2: that hang
more_attempts() { (($(attempts "$1") > $2)); }

@test "the host whose connection lost a race is tried when the winner turns us away (RFC 5321 5.1, RFC 8305 5)" {
	local before1 before2 driver
	host 1 full 'at=greet:554 5.7.1 not you'
	host 2 full
	before1=$(attempts 1) before2=$(attempts 2)
	drive 1 alice@odd.example >"$SUITE/out" 2>&1 3>&- 4>&- &
	driver=$!
	wait_until more_attempts 1 "$before1"
	wait_until more_attempts 2 "$before2"
	touch "$SUITE/mx1/go"
	wait_until test -s "$SUITE/mx1/commands"
	touch "$SUITE/mx2/go"
	wait $driver
	output=$(cat "$SUITE/out")
	told '0 0 relayed 2.0.0 mx2.odd.example 250'
}
