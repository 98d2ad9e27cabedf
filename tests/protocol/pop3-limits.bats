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
		    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=60)
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
	wait_until logged pop3d short-of-descriptors
	run -1 logged pop3d no-authd
}

@test "a byte now and then is no command: the time-out goes on (RFC 1939 3)" {
	run -0 /usr/bin/python3 - "$POP3_PORT" <<-'EOF'
		import socket, sys, time
		s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=0.25)
		began = time.monotonic()
		while time.monotonic() < began + 60:
		    try:
		        s.sendall(b"N")
		        if s.recv(1000) == b"": sys.exit(0)
		    except TimeoutError:
		        pass
		    except OSError:
		        sys.exit(0)
		sys.exit("it is still there")
	EOF
	wait_until logged pop3d 'end=timeout'
}

# The processor time of PID, in hundredths of a second.
ticks_of() { local stat; read -ra stat < <(sed 's/.*) //' "/proc/$1/stat"); echo $((stat[11] + stat[12])); }

@test "a session that dies while its client takes nothing costs the worker no processor" {
	mkdir -p "$SUITE/mail/local.example/alice"/{tmp,new,cur}
	{ printf 'Subject: large\n\n'; head -c 30000000 /dev/zero | tr '\0' 'x' | fold -w 70; } >"$SUITE/mail/local.example/alice/new/1.large"
	[[ $(id -u) != 0 ]] || chown -R dawkm: "$SUITE/mail/local.example/alice"
	exec {client}<>"/dev/tcp/127.0.0.1/$POP3_PORT"
	printf 'USER alice@local.example\r\nPASS secret\r\nRETR 1\r\n' >&"$client"
	wait_until has_session
	wait_until is_blocked
	kill -KILL "$(session_pid)"
	wait_until has_no_session
	worker=$(sed -n 's/.*started part=worker index=0 pid=\([0-9]*\).*/\1/p' "$SUITE/stderr/pop3d" | tail -n 1)
	before=$(ticks_of "$worker")
	sleep 2		# the time that is measured
	after=$(ticks_of "$worker")
	echo "$((after - before)) ticks in two seconds"
	[[ $((after - before)) -lt 50 ]]
	exec {client}>&-
}
session_pid() { pgrep -x pop3-session -s "$(suite_pid pop3d)" | tail -n 1; }
has_session() { [[ -n $(session_pid) ]]; }
has_no_session() { [[ -z $(session_pid) ]]; }
is_blocked() { [[ $(cut -d' ' -f3 "/proc/$(session_pid)/stat" 2>/dev/null) == S && $(cat "/proc/$(session_pid)/wchan" 2>/dev/null) =~ (sock|unix|poll|wait) ]]; }

# Its owner may do that, and remove the lock: each would keep a place for good.
@test "a session that stands still longer than the time-out is ended, stopped or not" {
	exec {client}<>"/dev/tcp/127.0.0.1/$POP3_PORT"
	printf 'USER alice@local.example\r\nPASS secret\r\n' >&"$client"
	for i in 1 2 3; do IFS= read -r -t 100 line <&"$client"; done
	[[ $line == '+OK maildrop'* ]]
	kill -STOP "$(session_pid)"
	exec {client}>&-
	wait_until has_no_session
}
