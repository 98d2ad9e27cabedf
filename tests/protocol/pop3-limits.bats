# pop3d short of descriptors and of patience: clients wait, logins go on, who only dribbles has to go.
load ../lib/suite

setup() {
	export SUITE_SERVICES=pop3d
	suite_make --set 'pop3d-workers = 1' --set "pop3-timeout = $([[ $BATS_TEST_DESCRIPTION == *time-out* ]] && echo 3s || echo 1m)"
	for ((i = 0; i < 60; i++)); do suite_add_mailbox "u$i"; done
	$DAWK update
	(ulimit -n 64 && suite_run)
}
teardown() { suite_stop; }

@test "with more clients than descriptors, those beyond wait, and later logins succeed" {
	run -0 /usr/bin/python3 - "$POP3_PORT" <<-'EOF'
		import socket, sys, time
		def client(name):
		    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=15)
		    s.sendall(b"USER %s@local.example\r\nPASS secret\r\n" % name)
		    return s.makefile("rb", buffering=0), s
		crowd = [client(b"u%d" % i) for i in range(60)]
		first = crowd[0][0]
		for want in b"+OK mail", b"+OK send", b"+OK maildrop":
		    line = first.readline()
		    assert line.startswith(want), line
		for f, s in crowd[:30]:
		    f.close()
		    s.close()
		# room again: who waited gets in
		f = crowd[45][0]
		for want in b"+OK mail", b"+OK send", b"+OK maildrop":
		    line = f.readline()
		    assert line.startswith(want), line
		for f, s in crowd[30:]:
		    f.close()
		    s.close()
		f, s = client(b"alice")
		for want in b"+OK mail", b"+OK send", b"+OK maildrop":
		    line = f.readline()
		    assert line.startswith(want), line
	EOF
	logged pop3d short-of-descriptors
	run -1 logged pop3d no-authd
}

@test "a byte now and then is no command: the time-out goes on (RFC 1939 3)" {
	run -0 /usr/bin/python3 - "$POP3_PORT" <<-'EOF'
		import socket, sys, time
		s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=0.25)
		began = time.monotonic()
		while time.monotonic() < began + 15:
		    try:
		        s.sendall(b"N")
		        if s.recv(1000) == b"": sys.exit(0)
		    except TimeoutError:
		        pass
		    except OSError:
		        sys.exit(0)
		sys.exit("it is still there")
	EOF
	logged pop3d 'end=timeout'
}
