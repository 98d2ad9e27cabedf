# Limits against abuse that loopback is exempt from, in a network of the test's own: floods, clients that vanish, mail that
# goes round between two hosts; and a queue full of files that are not ours.
load ../lib/suite
load ../lib/pair

teardown() {
	pair_stop
	[[ -z ${HERE:-} ]] || SUITE=$HERE SMTP_PORT=0 POP3_PORT=0 suite_stop
}

# here: an instance a.example at 192.0.2.1, for clients at other addresses
here() {
	[[ $(id -u) == 0 ]] || return 1
	pair_net
	for address in 192.0.2.1/32 198.51.100.7/32 198.51.100.8/32; do in_net ip addr add "$address" dev lo; done
	for address in 2001:db8::1/128 2001:db8:1::7/128 2001:db8:1::8/128 2001:db8:2::7/128; do in_net ip addr add "$address" dev lo; done
	pair_make a 192.0.2.1 '[2001:db8::1]' -- --set 'relay-networks = none' --set 'sender-domain-check = no' "$@"
	on a suite_run
}
# shellcheck disable=SC2120
client() { in_net timeout 60 /usr/bin/python3 - "$@"; }
a_logged() { grep -qE -- "$1" "$PAIR/a/stderr/smtpd"; }

@test "client-limit: one address, and one /64, gets so many connections; others are served; each refusal is logged (421 4.7.0)" {
	here --set 'client-limit = 4' --set 'smtpd-workers = 2' || return 0
	run -0 client <<-'EOF'
		import socket, time
		def banner(server, source):
		    s = socket.create_connection((server, 25), 60, (source, 0))
		    return s, s.recv(1000)
		for server, one, twin, other in (("192.0.2.1", "198.51.100.7", "198.51.100.7", "198.51.100.8"),
		                                 ("2001:db8::1", "2001:db8:1::7", "2001:db8:1::8", "2001:db8:2::7")):
		    held = [banner(server, one) for _ in range(4)]
		    assert all(b.startswith(b"220") for _, b in held), held
		    for _ in range(3):
		        s, b = banner(server, twin)
		        assert b.startswith(b"421 4.7.0"), b
		    s, b = banner(server, other)
		    assert b.startswith(b"220"), b
		    held.pop()[0].close()
		    for _ in range(1200):	# its place is free again
		        s, b = banner(server, twin)
		        if b.startswith(b"220"):
		            break
		        s.close()
		        time.sleep(0.05)
		    assert b.startswith(b"220"), b
	EOF
	wait_until refused_thrice 'client=198.51.100.7 .*code=421 status=4.7.0'
	wait_until refused_thrice 'client=2001:db8:1::8 .*code=421'
}
refused_thrice() { [[ $(grep -c "refused .*$1" "$PAIR/a/stderr/smtpd") -ge 3 ]]; }

@test "a flood of connections from one address delays nobody else's letter" {
	here --set 'client-limit = 10' || return 0
	exec_in_net timeout 300 /usr/bin/python3 - <<-'EOF' >/dev/null 2>&1 3>&- &
		import socket
		while True:
		    try:
		        s = socket.create_connection(("192.0.2.1", 25), 5, ("198.51.100.7", 0)); s.settimeout(0.2); s.recv(100); s.close()
		    except OSError:
		        pass
	EOF
	flood=$!
	wait_until a_logged 'client=198.51.100.7'
	run -0 client <<-'EOF'
		import smtplib
		for i in range(20):
		    with smtplib.SMTP("192.0.2.1", 25, "c.example", 60, ("198.51.100.8", 0)) as s:
		        s.sendmail("bob@c.example", ["alice@a.example"], "Subject: a letter %d\r\n\r\nhello\r\n" % i)
	EOF
	kill "$flood"	# it still runs
	on a wait_until delivered_to alice 20
}

@test "clients that vanish without a word give their places back after smtp-timeout, and it is logged" {
	here --set 'client-limit = 5' --set 'smtp-timeout = 8s' || return 0
	exec_in_net timeout 300 /usr/bin/python3 - <<-'EOF' >/dev/null 3>&- &
		import socket, time
		held = [socket.create_connection(("192.0.2.1", 25), 60, ("198.51.100.7", 0)) for _ in range(5)]
		for s in held:
		    s.recv(1000); s.sendall(b"EHLO gone.example\r\n"); s.recv(1000)
		time.sleep(300)
	EOF
	gone=$!
	wait_until in_net_has 5
	in_net ip addr del 198.51.100.7/32 dev lo	# nothing gets there any more, no end comes from there
	wait_until ended_by_timeout 5
	in_net ip addr add 198.51.100.7/32 dev lo
	run -0 client <<-'EOF'
		import socket
		s = socket.create_connection(("192.0.2.1", 25), 60, ("198.51.100.7", 0))
		assert s.recv(1000).startswith(b"220")
	EOF
	kill "$gone" 2>/dev/null || :
}
in_net_has() { [[ $(in_net ss -Htn state established "src 198.51.100.7" | wc -l) -eq $1 ]]; }
ended_by_timeout() { [[ $(grep -c 'session-end .*client=198.51.100.7 .*how=timeout' "$PAIR/a/stderr/smtpd") -ge $1 ]]; }

@test "ten thousand recipients in one session: each beyond recipient-limit gets 452 4.5.3, the session lives, and others do too" {
	here || return 0
	run -0 client <<-'EOF'
		import socket, collections
		s = socket.create_connection(("192.0.2.1", 25), 30, ("198.51.100.7", 0))
		f = s.makefile("rb"); f.readline()
		def ask(line):
		    s.sendall(line + b"\r\n")
		    while True:
		        reply = f.readline()
		        if reply[3:4] != b"-":
		            return reply
		ask(b"EHLO c.example")
		assert ask(b"MAIL FROM:<bob@c.example>").startswith(b"250")
		codes = collections.Counter()
		for start in range(0, 10000, 500):
		    s.sendall(b"".join(b"RCPT TO:<alice+%d@a.example>\r\n" % i for i in range(start, start + 500)))
		    for _ in range(500):
		        codes[f.readline()[:9]] += 1
		assert codes[b"250 2.1.5"] == 1000 and codes[b"452 4.5.3"] == 9000, codes
		assert ask(b"RSET").startswith(b"250")
	EOF
	wait_until a_logged 'refused .*code=452 status=4.5.3'
}

@test "mail that goes round between two hosts stops at received-limit, and its sender hears of it once (RFC 5321 6.3)" {
	[[ $(id -u) == 0 ]] || return 0
	pair_net
	pair_names <<-'EOF'
		a.example. MX 10 mail.a.example.
		b.example. MX 10 mail.b.example.
		mail.a.example. A 127.0.0.11
		mail.b.example. A 127.0.0.12
	EOF
	for name in a b; do
		pair_make "$name" "127.0.0.1$([[ $name == a ]] && echo 1 || echo 2)" -- --set 'relay-domains = round.example' --set 'received-limit = 20'
		echo "round.example smtp:[127.0.0.1$([[ $name == a ]] && echo 2 || echo 1)]" >>"$PAIR/$name/etc/routes"
		dawk_on "$name" update >/dev/null
		on "$name" suite_run
	done
	send a alice@a.example someone@round.example	# the call-ahead goes round too: it ends after CALL_SECONDS
	wait_until on a delivered_to alice 1
	grep -q 'someone@round.example' "$(on a message_of alice)"
	grep -qE '5\.4\.6' "$(on a message_of alice)"
	wait_until grep -qE 'refused .*status=5.4.6' "$PAIR"/?/stderr/smtpd
	on a wait_until queue_is_empty
	on b wait_until queue_is_empty
	[[ $(grep -c 'smtpd accepted .*from=alice@a.example' <(cat "$PAIR"/?/stderr/smtpd)) -le 22 ]]
}

@test "a queue full of files that are not ours: left alone, named, and mail goes on" {
	suite_make
	HERE=$SUITE
	for place in new cur tmp hold state; do
		/usr/bin/python3 -c 'import os, sys
for i in range(2000):
    open("%s/foreign-%d" % (sys.argv[1], i), "w").write("x" * 100)
os.mkdir(sys.argv[1] + "/1ezn3v0c4hk7x2m9q0aa"); os.symlink("/etc/passwd", sys.argv[1] + "/1ezn3v0c4hk7x2m9q0ab"); os.mkfifo(sys.argv[1] + "/1ezn3v0c4hk7x2m9q0ac")' "$SUITE/queue/$place"
	done
	suite_here_run
	printf 'Subject: hi\n\nhello\n' | "$TOOLS/queue-put" "$SUITE/queue" bob@client.example alice@local.example >/dev/null
	wait_until delivered_there
	wait_until grep -q 'foreign-file directory=.* name=foreign-' "$SUITE/stderr/queued"
	[[ $(grep -c foreign-file "$SUITE/stderr/queued") -lt 1000 ]]	# each is said once, and not without end
	for place in new cur tmp hold state; do [[ $(find "$SUITE/queue/$place" -name 'foreign-*' | wc -l) == 2000 ]]; done
	[[ -z $(find "$SUITE/queue/corrupt" -type f) ]]
	run timeout 60 "$BIN/dawk" -c "$SUITE/etc/dawk.conf" queue list
	[[ $status == 0 || $status == 74 ]]	# it tells of what it can't read, and does not wait for it
}
delivered_there() { [[ $(find "$HERE/mail/local.example/alice/new" -type f 2>/dev/null | wc -l) == 1 ]]; }
suite_here_run() {
	setsid "$BIN/queued" -c "$HERE/etc/dawk.conf" </dev/null >>"$HERE/stderr/queued" 2>&1 3>&- 4>&- 5>&- 6>&- &
	echo $! >"$HERE/pid/queued"
	wait_until test -S "$HERE/run/queued"
}
