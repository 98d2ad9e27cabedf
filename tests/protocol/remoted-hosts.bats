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
	suite_stop
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

@test "a host that is lost before its greeting counts as lost, whatever another one has said before" {
	host 1 'at=greet:554 5.7.1 not you'
	host 2 drop=greet
	send_it 1 alice@odd.example
	told '0 0 deferred 4.4.2 mx2.odd.example mx2.odd.example[127.0.1.2]:'
	told 'connection lost while waiting for the greeting'
}

@test "a host that refuses for good has the last word only when no other one may come back" {
	host 2 'at=greet:554 5.7.1 not you'
	send_it 1 alice@odd.example	# mx1 is away
	told '0 0 deferred 4.4.1 '
	host 1 'at=greet:554 5.7.1 nor me'
	send_it 1 alice@odd.example
	told '0 0 failed 5.7.1 '
}

@test "a host that ends, or puts the message off, before it has the content leaves it to the next one (RFC 5321 5.1)" {
	local habit
	for habit in 'dsn drop=ehlo' 'chunking drop=mail' 'no-pipelining drop=rcpt' 'dsn drop=data' 'dsn at=mail:421 closing' 'chunking at=mail:451 4.3.0 later' \
		'chunking at=rcpt:421 4.7.0 closing' 'dsn at=data:421 4.7.0 closing'; do
		host 1 "${habit%% *}" "${habit#* }"
		host 2
		send_it 1 alice@odd.example bob@odd.example
		told '0 0 relayed 2.0.0 mx2.odd.example 250'
		told '0 1 relayed 2.0.0 mx2.odd.example 250'
		[[ $(grep -c ^result <<<"$output") == 2 ]]
		hosts_stop
	done
}

@test "the next host gets those recipients alone that have no result yet" {
	host 1 'rcpt=nobody:550 5.1.1 no such user' drop=data
	host 2
	send_it 1 nobody@odd.example alice@odd.example
	told '0 0 failed 5.1.1 mx1.odd.example 550'
	told '0 1 relayed 2.0.0 mx2.odd.example 250'
	[[ $(grep '^RCPT' "$SUITE/mx2/commands") == 'RCPT TO:<alice@odd.example>' ]]
}

@test "a host that says nothing is left after the timeout, and is not the first for a while" {
	local state
	printf 'greeting-timeout = 5s\ncommand-timeout = 5s\n' >>"$SUITE/etc/dawk.conf"
	for state in greet ehlo mail; do
		host 1 mute=$state
		host 2
		REMOTE_PAUSE=closed send_it 2 alice@odd.example
		told '0 0 relayed 2.0.0 mx2.odd.example 250'
		told '1 0 relayed 2.0.0 mx2.odd.example 250'
		[[ $(connections 1) == 1 && $(connections 2) == 2 ]]
		hosts_stop
	done
}

@test "once the content may have been taken no other host gets it: the message waits" {
	local offer
	for offer in dsn chunking; do
		host 1 $offer drop=dot
		host 2
		send_it 1 alice@odd.example
		told '0 0 deferred 4.4.2 mx1.odd.example mx1.odd.example[127.0.1.1]:'
		[[ $(connections 2) == 0 ]]
		hosts_stop
	done
}

@test "what a host has answered to MAIL is told, not that the next one can't be reached or turns us away" {
	host 1 'at=mail:451 4.7.1 come back later'
	send_it 1 alice@odd.example
	told '0 0 deferred 4.7.1 mx1.odd.example 451 4.7.1 come back later'
	host 2 'at=greet:554 5.7.1 not you'
	send_it 1 alice@odd.example
	told '0 0 deferred 4.7.1 mx1.odd.example 451 4.7.1 come back later'
}

@test "a kept connection that has had enough messages is left for a fresh one to the same host" {
	local reply
	for reply in '421 too many messages' '451 4.7.0 too many messages' '452 too many messages'; do
		host 1 "per=3:$reply"
		REMOTE_PAUSE=0 send_it 12 alice@odd.example
		[[ $(grep -c ' relayed 2.0.0 mx1.odd.example' <<<"$output") == 12 ]] || { echo "$reply: $output"; false; }
		hosts_stop
	done
}

@test "a connection whose recipients were refused is there for the next message at once, with RSET before it (RFC 5321 4.1.1.5)" {
	host 1 'at=rcpt:550 5.1.1 no such user'
	REMOTE_PAUSE=0 send_it 10 alice@odd.example
	[[ $(grep -c ' failed 5.1.1 mx1.odd.example' <<<"$output") == 10 ]]
	[[ $(connections 1) == 1 && $(grep -c ^RSET "$SUITE/mx1/commands") == 9 ]]
}

@test "a host that does not answer RSET, or refuses it, gets a fresh connection" {
	local habit
	for habit in mute=rset drop=rset 'at=rset:500 what?'; do
		host 1 "$habit" 'at=rcpt:550 5.1.1 no such user'
		REMOTE_PAUSE=0 send_it 2 alice@odd.example
		[[ $(grep -c ' failed 5.1.1 mx1.odd.example' <<<"$output") == 2 && $(connections 1) == 2 ]]
		hosts_stop
	done
}

@test "what this host lacks for a connection is told as its own trouble" {
	host 1
	run -0 strace -f -o "$SUITE/trace" -e trace=connect -e inject=connect:error=ENOBUFS \
		"${BIN%/bin}/tool/remote_driver" "$BIN" "$SUITE/etc/dawk.conf" '[127.0.1.1]' bob@client.example "$SUITE/message" 1 alice@odd.example
	told '0 0 deferred 4.3.0 - unable to connect: No buffer space available'
}

@test "an orderly end waits for the answer to content that is out: the message is not sent twice" {
	local offer SUITE_SERVICES='smtpd queued'
	for offer in size=99999 chunking; do
		host 1 $offer wait=dot
		suite_run
		send_message bob@local.example alice@odd.example <"$SUITE/message" >/dev/null
		wait_until test -e "$SUITE/mx1/message.1"
		suite_begin_end queued TERM
		wait_until logged queued 'ended part=dnsd'
		touch "$SUITE/mx1/go"
		suite_await_end queued TERM
		logged queued 'relayed .*to=alice@odd.example ' || { suite_log queued; false; }
		run ! logged queued ' deferred '
		suite_run
		wait_until queue_is_empty
		hosts_stop
		suite_end smtpd
		suite_end queued
		: >"$SUITE/stderr/queued"
	done
}
