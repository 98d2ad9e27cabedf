# POP3 before login: pop3d and authd.
load ../lib/suite
export SUITE_SERVICES=pop3d

setup()    { suite_make; }
teardown() { suite_stop; }

pop3() { run -0 talk "$@" pop3d; }
base64_of() { printf '%b' "$1" | base64 -w0; }

@test "CAPA tells what is offered in each state (RFC 2449 5)" {
	suite_run
	pop3 <<-'EOF'
		S: +OK
		C: CAPA
		M: +OK
		S+ USER
		S+ SASL PLAIN LOGIN
		S+ TOP
		S+ UIDL
		S+ RESP-CODES
		S+ AUTH-RESP-CODE
		S+ PIPELINING
		S+ EXPIRE NEVER
		S+ UTF8
		S+ LANG
		S+ IMPLEMENTATION dawk
		S+ STLS
		C: USER alice
		S: +OK
		C: PASS secret
		S: +OK
		C: CAPA
		M: +OK
		S+ TOP
		S+ PIPELINING
		S- SASL
		S- STLS
		C: QUIT
		S: +OK
		E:
	EOF
}

@test "passwords are refused in clear, and not offered, outside clear-login" {
	echo 'clear-login = 192.0.2.0/24' >>"$SUITE/etc/dawk.conf"
	suite_run
	pop3 <<-'EOF'
		S: +OK
		C: CAPA
		M: +OK
		S- USER
		S- SASL
		C: USER alice
		S: -ERR
		C: AUTH PLAIN AGFsaWNlAHNlY3JldA==
		S: -ERR
		C: PASS secret
		S: -ERR
		C: QUIT
		S: +OK
		E:
	EOF
}

@test "AUTH PLAIN and LOGIN work with and without an initial response, byte by byte too (RFC 5034)" {
	suite_run
	pop3 --bytes <<-EOF
		S: +OK
		C: AUTH PLAIN $(base64_of '\0alice\0secret')
		S: +OK
		C: QUIT
		S: +OK
		E:
	EOF
	pop3 --bytes <<-EOF
		S: +OK
		C: AUTH PLAIN
		S: +
		C: $(base64_of 'alice@local.example\0alice@local.example\0secret')
		S: +OK
		C: QUIT
		S: +OK
	EOF
	pop3 <<-EOF
		S: +OK
		C: auth login
		S: +
		C: $(base64_of alice)
		S: +
		C: $(base64_of secret)
		S: +OK
		C: QUIT
		S: +OK
	EOF
	pop3 <<-EOF
		S: +OK
		C: AUTH LOGIN $(base64_of alice)
		S: +
		C: $(base64_of secret)
		S: +OK
		C: QUIT
		S: +OK
	EOF
}

@test "a SASL exchange is cancelled by * and fails on bad base64, and the client may try again (RFC 5034 4)" {
	suite_run
	pop3 <<-EOF
		S: +OK
		C: AUTH PLAIN
		S: +
		C: *
		S: -ERR
		C: AUTH PLAIN
		S: +
		C: AGFsaWNlAHNlY3JldA=
		S: -ERR
		C: AUTH PLAIN QUJ=
		S: -ERR
		C: AUTH PLAIN $(base64_of 'bob\0alice\0secret')
		S: -ERR
		C: AUTH CRAM-MD5
		S: -ERR
		C: AUTH
		M: +OK
		S+ PLAIN
		S+ LOGIN
		C: USER alice
		S: +OK
		C: PASS secret
		S: +OK
		C: QUIT
		S: +OK
	EOF
}

@test "an unknown user and a wrong password get the same words after the same time (RFC 3206)" {
	suite_run
	run -0 /usr/bin/python3 - "$POP3_PORT" <<-'EOF'
		import socket, sys, time
		def login(user, password):
		    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60) as s:
		        f = s.makefile("rb"); f.readline()
		        s.sendall(b"USER " + user + b"\r\n"); f.readline()
		        began = time.monotonic()
		        s.sendall(b"PASS " + password + b"\r\n")
		        return f.readline(), time.monotonic() - began
		answers = set()
		for user, password in (b"alice", b"wrong"), (b"nobody", b"wrong"), (b"alice@elsewhere.example", b"secret"), (b"a b@@", b"x"):
		    for _ in range(10):		# a busy machine adds to the second, never takes from it
		        words, seconds = login(user, password)
		        answers.add(words)
		        assert seconds >= 0.999, (user, seconds)	# its clock counts whole milliseconds
		        if seconds < 2: break
		    else: raise SystemExit("%s never took a second" % user)
		assert answers == {b"-ERR [AUTH] authentication failed\r\n"}, answers
	EOF
	wait_until has_refused 4
	run -1 grep -E 'wrong|secret' "$SUITE/stderr/pop3d"
}
has_refused() { [[ $(grep -c login-refused "$SUITE/stderr/pop3d") -ge $1 ]]; }

@test "APOP is offered, and works, only where a secret is stored for it (RFC 1939 7)" {
	echo 'alice@local.example:old:apop:tanstaaf' >>"$SUITE/etc/secrets"
	chmod 600 "$SUITE/etc/secrets"
	$DAWK update
	suite_run
	run -0 /usr/bin/python3 - "$POP3_PORT" <<-'EOF'
		import poplib, sys
		box = poplib.POP3("127.0.0.1", int(sys.argv[1]), timeout=60)
		box.apop("alice", "tanstaaf")
		assert box.stat() == (0, 0)
		box.quit()
		for user, secret in (("alice", "secret"), ("bob", "tanstaaf"), ("nobody", "x")):
		    box = poplib.POP3("127.0.0.1", int(sys.argv[1]), timeout=60)
		    try:
		        box.apop(user, secret)
		    except poplib.error_proto as e:
		        assert e.args[0] == b"-ERR [AUTH] authentication failed", e
		    else:
		        raise SystemExit("logged in as " + user)
		    box.quit()
	EOF
}

@test "without a stored secret the banner has no time stamp and APOP is refused" {
	suite_run
	pop3 <<-'EOF'
		S~ ^\+OK [^<]*$
		C: APOP alice c4c9334bac560ecc979e58001b3e22fb
		S: -ERR
		C: QUIT
		S: +OK
	EOF
}

@test "an app password opens the mailbox beside the first password" {
	grep '^alice' "$SUITE/etc/users" | cut -d: -f2 | sed 's/^/bob@local.example:phone:crypt:/' >>"$SUITE/etc/secrets"
	sed -i 's/^bob@local.example:[^:]*/bob@local.example:/' "$SUITE/etc/users"
	chmod 600 "$SUITE/etc/secrets"
	$DAWK update
	suite_run
	pop3 <<-'EOF'
		S: +OK
		C: USER bob
		S: +OK
		C: PASS secret
		S: +OK
		C: QUIT
		S: +OK
	EOF
}

@test "hashes that a guess finds are refused: DES and MD5" {
	local name
	printf '%s\n' "md5@local.example:$(openssl passwd -1 -salt abcdefgh secret):::" "des@local.example:abNANd1rDfiNc:::" \
		>>"$SUITE/etc/users"
	(umask 077 && echo "bob@local.example:phone:crypt:$(openssl passwd -1 phone)" >>"$SUITE/etc/secrets")
	$DAWK update
	suite_run
	for name in 'md5 secret' 'des secret' 'bob phone'; do
		pop3 <<-EOF
			S: +OK
			C: USER ${name% *}
			S: +OK
			C: PASS ${name#* }
			S: -ERR [AUTH]
		EOF
	done
}

@test "a login pipelined with what follows it is answered in order (RFC 2449 6.6)" {
	suite_run
	pop3 <<-'EOF'
		S: +OK
		C: CAPA
		C: USER alice
		C: PASS wrong
		C: USER alice
		C: PASS secret
		C: STAT
		C: NOOP
		C: QUIT
		H:
		M: +OK
		S: +OK
		S: -ERR [AUTH]
		S: +OK
		S: +OK
		S: +OK 0 0
		S: +OK
		S: +OK
		E:
	EOF
}

@test "a line too long, and too many bad commands, end nothing but that client" {
	suite_run
	run -0 /usr/bin/python3 - "$POP3_PORT" <<-'EOF'
		import socket, sys
		with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60) as s:
		    f = s.makefile("rb"); f.readline()
		    s.sendall(b"X" * 100000 + b"\r\nCAPA\r\n")
		    assert f.readline() == b"-ERR line too long\r\n"
		    assert f.readline() == b"+OK\r\n"
		with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60) as s:
		    f = s.makefile("rb"); f.readline()
		    s.sendall(b"GET / HTTP/1.0\r\n" * 12)
		    lines = f.read().splitlines()
		    assert lines[-1] == b"-ERR too many errors" and len(lines) == 11, lines
		with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60) as s:
		    f = s.makefile("rb"); f.readline()
		    s.sendall(b"USER a\0b\r\nQUIT\r\n")
		    assert f.read().startswith(b"-ERR"), "a NUL"
	EOF
	pop3 <<-'EOF'
		S: +OK
		C: QUIT
		S: +OK
		E:
	EOF
}

@test "an idle client is cut off without a word after pop3-timeout, nothing is deleted (RFC 1939 3)" {
	mkdir -p "$(maildir_of alice)"/{new,cur,tmp}
	echo "Subject: a" >"$(maildir_of alice)/new/1795300000.M1P1.host,S=11,W=12"
	chown -R --reference="$SUITE/mail" "$(maildir_of alice)"
	[[ $(id -u) != 0 ]] || chown -R dawkm:dawkm "$(maildir_of alice)"
	echo 'pop3-timeout = 3s' >>"$SUITE/etc/dawk.conf"
	suite_run
	pop3 <<-'EOF'
		S: +OK
		E:
	EOF
	pop3 <<-'EOF'
		S: +OK
		C: USER alice
		S: +OK
		C: PASS secret
		S: +OK
		C: DELE 1
		S: +OK
		E:
	EOF
	wait_until logged pop3d 'session-end .*end=timeout'
	delivered_to alice 1
}

@test "LANG and UTF8 are understood (RFC 6856)" {
	suite_run
	pop3 <<-'EOF'
		S: +OK
		C: LANG
		M: +OK
		S+ en
		C: LANG en
		S: +OK en
		C: LANG *
		S: +OK
		C: LANG fr
		S: -ERR
		C: UTF8
		S: +OK
		C: NOOP
		S: +OK
		C: STAT
		S: -ERR
		C: QUIT
		S: +OK
	EOF
}

@test "a checker that dies is started again and its login judged" {
	suite_run
	login_once
	for pid in $(pgrep -f -- "-c $SUITE/etc/dawk.conf" | while read -r p; do grep -qx authd:checker "/proc/$p/comm" && echo "$p"; done); do
		kill -KILL "$pid"
	done
	login_once
	wait_until logged pop3d checker-lost
}
login_once() {
	talk pop3d <<-'EOF'
		S: +OK
		C: USER alice
		S: +OK
		C: PASS secret
		S: +OK
		C: QUIT
		S: +OK
		E:
	EOF
}

@test "a checkpassword program judges whom the tables do not know" {
	[[ $(id -u) == 0 ]] || return 0	# the program has to change its uid
	cat >"$SUITE/check" <<-'EOF'
		#!/usr/bin/python3
		import os, sys
		user, password, stamp = os.read(3, 512).split(b"\0")[:3]
		if (user, password) == (b"carol", b"later"):
		    sys.exit(111)
		if (user, password) != (b"carol", b"sesame"):
		    sys.exit(1)
		home = os.path.dirname(sys.argv[0]) + "/home"
		os.environ["HOME"] = home
		os.setgid(12345); os.setuid(12345)
		os.execv(sys.argv[1], sys.argv[1:])
	EOF
	chmod 755 "$SUITE/check"
	mkdir -p "$SUITE/home/Maildir"/{new,cur,tmp}
	echo "Subject: for carol" >"$SUITE/home/Maildir/new/1795300000.M1P1.host"
	chown -R 12345:12345 "$SUITE/home"
	echo "checkpassword = $SUITE/check" >>"$SUITE/etc/dawk.conf"
	suite_run
	pop3 <<-'EOF'
		S: +OK
		C: USER carol
		S: +OK
		C: PASS sesame
		S: +OK
		C: STAT
		S: +OK 1 20
		C: DELE 1
		S: +OK
		C: QUIT
		S: +OK
		E:
	EOF
	[[ -z $(ls "$SUITE/home/Maildir/new") ]]
	pop3 <<-'EOF'
		S: +OK
		C: USER carol
		S: +OK
		C: PASS wrong
		S: -ERR [AUTH]
		C: USER carol
		S: +OK
		C: PASS later
		S: -ERR [SYS/TEMP]
	EOF
}
