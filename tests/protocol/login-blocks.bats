# Guessed passwords, from addresses that are not exempt: in a network of the test's own (loopback is exempt).
load ../lib/suite
load ../lib/logins
load ../lib/net
export SUITE_SERVICES="smtpd pop3d"

# 192.0.2.1 is the server's, the others are its clients'.
setup_net() {
	net_make
	for address in 192.0.2.1 198.51.100.{7,8,9} 203.0.113.{5,6} 10.{1..12}.0.{1..10}; do in_net ip addr add "$address/32" dev lo; done
}

setup() {
	suite_make --set 'clear-login = any' --set 'pop3d-workers = 1' --set 'login-failure-limit = 3' --set 'login-block = 20s'
	sed -i 's/^listen-pop3 .*/listen-pop3 = 192.0.2.1:110/; s/^listen-smtp .*/listen-smtp = 192.0.2.1:25/' "$SUITE/etc/dawk.conf"
	printf 'alice@local.example:apop:apop:tellnobody\n' >>"$SUITE/etc/secrets"
	$DAWK update
	setup_net
	export SUITE_SERVICES=
	setsid nsenter --net="/proc/$NET_PID/ns/net" "$BIN/pop3d" -c "$SUITE/etc/dawk.conf" </dev/null >>"$SUITE/stderr/pop3d" 2>&1 3>&- 4>&- 5>&- 6>&- &
	echo $! >"$SUITE/pid/pop3d"
	wait_until is_listening
}
is_listening() { in_net grep -q ':006E 0*:0000 0A' /proc/net/tcp; }
teardown() { suite_stop; kill "$NET_PID"; }

# Logs in from an address, prints the last answer and how many seconds it took.
log_in() {	# FROM USER PASSWORD
	in_net timeout 60 /usr/bin/python3 - "$@" <<-'EOF'
		import socket, sys, time
		s = socket.create_connection(("192.0.2.1", 110), 50, (sys.argv[1], 0))
		f = s.makefile("rb"); f.readline()
		s.sendall(b"USER " + sys.argv[2].encode() + b"\r\n"); f.readline()
		began = time.monotonic()
		s.sendall(b"PASS " + sys.argv[3].encode() + b"\r\n")
		print(f.readline().decode().strip(), int(time.monotonic() - began))
	EOF
}
log_in_by_apop() {	# FROM USER SECRET
	in_net timeout 60 /usr/bin/python3 - "$@" <<-'EOF'
		import hashlib, re, socket, sys
		s = socket.create_connection(("192.0.2.1", 110), 50, (sys.argv[1], 0))
		f = s.makefile("rb"); stamp = re.search(rb"<.*>", f.readline()).group()
		digest = hashlib.md5(stamp + sys.argv[3].encode()).hexdigest()
		s.sendall(f"APOP {sys.argv[2]} {digest}\r\n".encode())
		print(f.readline().decode().strip())
	EOF
}
is_right()   { [[ $(log_in "$@") == +OK* ]]; }
is_wrong()   { [[ $(log_in "$@") == '-ERR [AUTH] authentication failed'* ]]; }
is_blocked() { [[ $(log_in "$@") == '-ERR [SYS/TEMP] too many logins failed'* ]]; }

@test "a guesser is slowed, then shut out with the name, and the owner elsewhere is not" {
	is_right 198.51.100.7 alice secret
	[[ $(log_in 203.0.113.5 alice guess1) =~ \ ([0-9]+)$ && ${BASH_REMATCH[1]} -ge 1 ]]
	[[ $(log_in 203.0.113.5 alice guess2) =~ \ ([0-9]+)$ && ${BASH_REMATCH[1]} -ge 2 ]]
	is_wrong 203.0.113.5 alice guess3
	is_blocked 203.0.113.5 alice secret	# the right one is not looked at
	is_blocked 203.0.113.6 alice secret	# his neighbours neither
	is_right 198.51.100.7 alice secret
	is_right 198.51.100.8 alice secret
	is_right 203.0.113.5 bob secret		# another name from there
	wait_until logged pop3d 'authd login-shut-out session=[^ ]* client=203.0.113.5 user=alice@local.example for=pop3 mechanism=USER/PASS by=user-network seconds=20'
	wait_until logged pop3d 'authd login-blocked session=[^ ]* client=203.0.113.6 user=alice@local.example for=pop3 mechanism=USER/PASS by=user-network seconds='
	# a name that does not exist goes the same way
	for guess in a b c; do is_wrong 203.0.113.5 nobody "$guess"; done
	is_blocked 203.0.113.5 nobody d
	wait_until is_right 203.0.113.5 alice secret	# it is over
}

@test "an address that guesses many names is shut out as a whole; one wrong password said often is not a guess" {
	for ((i = 0; i < 5; i++)); do is_wrong 198.51.100.9 alice stale; done
	is_right 198.51.100.9 alice secret
	in_net timeout 100 /usr/bin/python3 - <<-'EOF'
		import socket
		all = []
		for i in range(9):	# at once, so that nobody waits for the delays one by one
		    s = socket.create_connection(("192.0.2.1", 110), 50, ("203.0.113.6", 0))
		    f = s.makefile("rb"); f.readline()
		    s.sendall(b"USER user%d\r\nPASS guess\r\n" % i)
		    all.append((s, f))
		for s, f in all:
		    f.readline()
		    assert f.readline().startswith(b"-ERR [AUTH]")
	EOF
	is_blocked 203.0.113.6 bob secret
	is_right 203.0.113.5 bob secret
	wait_until logged pop3d 'login-shut-out .*client=203.0.113.6 .*by=address'
}

# How long a program has to wait between its polls tests/unit/guard.c tells.
@test "an old APOP secret is no further password of a program that then says its old one; many at once are guesses" {
	[[ $(log_in_by_apop 198.51.100.7 alice tellnobody) == +OK* ]]
	is_wrong 198.51.100.9 alice stale
	[[ $(log_in_by_apop 198.51.100.9 alice stale) == '-ERR [AUTH]'* ]]
	is_wrong 198.51.100.9 alice stale
	is_right 198.51.100.8 alice secret
	for guess in a b c; do [[ $(log_in_by_apop 203.0.113.5 alice "$guess") == '-ERR [AUTH]'* ]]; done
	[[ $(log_in_by_apop 203.0.113.6 alice tellnobody) == '-ERR [SYS/TEMP] too many logins failed'* ]]
	is_blocked 203.0.113.6 alice secret
	logged pop3d 'login-shut-out .*client=203.0.113.5 .*mechanism=APOP/MD5 by=user-network'
}

@test "many hosts that guess one name shut it out everywhere but where its owner was before" {
	is_right 198.51.100.7 alice secret
	in_net timeout 100 /usr/bin/python3 - <<-'EOF'
		import socket
		all = []
		for i in range(30):
		    s = socket.create_connection(("192.0.2.1", 110), 50, ("10.%d.0.%d" % (i % 12 + 1, i // 12 + 1), 0))
		    f = s.makefile("rb"); f.readline()
		    s.sendall(b"USER alice\r\nPASS guess%d\r\n" % i)
		    all.append((s, f))
		for s, f in all:
		    f.readline(); f.readline()
	EOF
	wait_until logged pop3d 'login-shut-out .*user=alice@local.example .*by=user '
	is_blocked 203.0.113.5 alice secret
	is_right 198.51.100.8 alice secret
	is_right 203.0.113.5 bob secret
}

@test "what fail2ban reads: the filter of authd(8) finds each failure and its client" {
	filter=$(sed -n 's/^failregex = //p' "$ROOT/man/authd.8" | sed 's/\\e/\\/g')
	[[ -n $filter ]]
	is_wrong 203.0.113.5 alice 'x client=1.2.3.4'
	is_wrong 203.0.113.5 'client=1.2.3.4' x
	is_right 198.51.100.7 alice secret
	regex=${filter//<HOST>/([0-9a-f.:]+)}
	run -0 /usr/bin/python3 - "$regex" "$SUITE/stderr/pop3d" <<-'EOF'
		import re, sys
		print(*[m.group(1) for m in (re.search(sys.argv[1], line) for line in open(sys.argv[2])) if m])
	EOF
	[[ $output == "203.0.113.5 203.0.113.5" ]]
}
