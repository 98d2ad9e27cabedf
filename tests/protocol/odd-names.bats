# Accounts of the system while their directory service hangs or fails (tests/tool/odd_names.c): authd and locald ask
# helpers, so that everybody else's mail and logins go on. The helpers' time is ten seconds.
load ../lib/suite
load ../lib/locald

setup_file() {
	locald_make --set 'relay-networks = none' --set 'error-limit = 100' --set 'system-users = yes'
	local name uid=61001
	for name in fred gina; do
		home_is "$name" "$uid"
		uid=$((uid + 1))
	done
	export ODD="$BIN/../tool/odd_names.so" SUITE_SERVICES='smtpd pop3d'
	export ODD_PASSWD=$SUITE/passwd ODD_SHADOW=$SUITE/shadow
	LD_PRELOAD=$ODD ASAN_OPTIONS=$ASAN_OPTIONS:verify_asan_link_order=0 suite_run
}
teardown_file() { suite_stop; }

home_is() {	# NAME UID
	[[ $(id -u) == 0 ]] || set -- "$1" "$(id -u)"
	mkdir -p "$SUITE/home/$1"
	printf '%s:x:%s:%s::%s:/bin/sh\n' "$1" "$2" "$2" "$SUITE/home/$1" >>"$SUITE/passwd"
	printf '%s:%s:19000:0:99999:7:::\n' "$1" "$SECRET_HASH" >>"$SUITE/shadow"
	chown "$2:$2" "$SUITE/home/$1"
}

rcpt() {	# RECIPIENT REPLY
	talk --timeout 60 smtpd <<-EOF
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<bob@client.example>
		S: 250
		C: RCPT TO:<$1>
		S: $2
	EOF
}
login() {	# USER REPLY
	talk --timeout 60 pop3d <<-EOF
		S: +OK
		C: USER $1
		S: +OK
		C: PASS secret
		S: $2
	EOF
}
calls() { cat "$SUITE"/stderr/* | sed -n 's/^call //p'; }
asked() { calls | grep -c " $1\$"; }
is_asked() { [[ $(asked "$1") -ge 1 ]]; }

@test "an account of the system is found by a helper, its password too" {
	run -0 rcpt fred@local.example '250 2.1.5'
	run -0 login fred@local.example '+OK'
	run -0 login gina '+OK'
	calls | grep ' names getpwnam_r fred$'
	calls | grep ' names getspnam_r fred$'
}

@test "while the look-up of one name hangs, other recipients and logins are answered; then it gets 4xx and [SYS/TEMP]" {
	local try
	for try in {1..10}; do	# a busy machine may take the ten seconds for the others
		rcpt "hang1.$try@local.example" '451' >"$SUITE/hang1" 3>&- & first=$!
		login "hang2.$try@local.example" '-ERR [SYS/TEMP]' >"$SUITE/hang2" 3>&- & second=$!
		wait_until is_asked "hang1.$try"
		wait_until is_asked "hang2.$try"
		run -0 rcpt "gina+$try@local.example" '250 2.1.5'
		run -0 rcpt alice@local.example '250 2.1.5'
		run -0 rcpt "nobody-of-ours$try@local.example" '550 5.1.1'
		run -0 login alice@local.example '+OK'
		run -0 login gina@local.example '+OK'
		hang=0
		kill -0 "$first" 2>/dev/null && kill -0 "$second" 2>/dev/null || hang=$?
		wait "$first"
		wait "$second"
		wait_until logged smtpd "lookup-stuck name=hang1.$try"
		wait_until logged pop3d "lookup-stuck name=hang2.$try"
		[[ $hang != 0 ]] || break
	done
	[[ $hang == 0 ]]
}

@test "many who ask for one name that hangs take one helper" {
	# all of them ask at one time
	/usr/bin/python3 - "$SMTP_PORT" 3>&- <<-'EOF' &
		import smtplib, sys
		clients = [smtplib.SMTP("127.0.0.1", int(sys.argv[1]), "client.example", 60) for _ in range(8)]
		for client in clients:
		    client.ehlo(); client.mail("bob@client.example")
		for i, client in enumerate(clients): client.putcmd("rcpt", "TO:<hang3+%d@local.example>" % i)
		replies = [client.getreply()[0] for client in clients]
		assert replies == [451] * 8, replies
	EOF
	clients=$!
	wait_until is_asked hang3
	run -0 rcpt fred+y@local.example '250 2.1.5'
	run -0 rcpt fred+z@local.example '250 2.1.5'
	wait "$clients"
	[[ $(asked hang3) == 1 ]]
}

@test "a helper whose time is over is gone, though no signal that can be kept out ends it" {
	pid=$(calls | sed -n 's/^\([0-9]*\) names getpwnam_r hang1\.1$/\1/p')
	[[ -n $pid ]]
	wait_until not_running "$pid"
}
not_running() { [[ ! -r /proc/$1/stat || $(cut -d' ' -f3 "/proc/$1/stat") == Z ]]; }

@test "a directory service that fails defers: 451 at RCPT, [SYS/TEMP] at login" {
	run -0 rcpt broken@local.example '451'
	run -0 login broken@local.example '-ERR [SYS/TEMP]'
	run -0 login broken2@local.example '-ERR [SYS/TEMP]'
	wait_until logged pop3d 'login-deferred .*user=broken@local.example'
}

@test "an unknown name is refused, and slowly, like a wrong password" {
	run -0 login ghost@local.example '-ERR [AUTH]'
}

@test "no process but the helpers asks for a name" {
	[[ -n $(calls) ]]
	run -1 grep -vE ' (names getpwnam_r|names getspnam_r) |getpwnam_r (dawk[a-z]|nobody|root)$' <(calls)
}

@test "locald delivers to others while the account of one recipient hangs, which is deferred" {
	LD_PRELOAD=$ODD ASAN_OPTIONS=$ASAN_OPTIONS:verify_asan_link_order=0 timeout 60 "$BIN/../tool/locald_driver" "$BIN/locald" \
		"$SUITE/etc/dawk.conf" "$SUITE/message" hang4@local.example alice@local.example fred@local.example broken3@local.example \
		ghost@local.example >"$SUITE/results" 2>>"$SUITE/stderr/locald" 3>&- 4>&-
	[[ $(tail -n 1 "$SUITE/results") == '0 deferred 4.3.0 '*'takes too long'* ]]
	grep -q '^1 delivered' "$SUITE/results"
	grep -q '^2 delivered' "$SUITE/results"
	grep -q '^3 deferred 4.3.0 .*account broken3' "$SUITE/results"
	grep -q '^4 failed 5.1.1' "$SUITE/results"
	wait_until logged locald 'lookup-stuck name=hang4'
	[[ $(find "$SUITE/home/fred/Maildir/new" -type f | wc -l) == 1 ]]
}
