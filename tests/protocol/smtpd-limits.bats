# smtpd alone: what ends a session before the client wants it.
load ../lib/suite

teardown() { suite_stop; }
start()    { SUITE_SERVICES=smtpd suite_start "$@"; }

@test "error-limit: the errors are answered, then 421 4.7.0 and the end" {
	start --set 'error-limit = 3'
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: FOO
		S: 500
		C: FOO
		S: 500
		C: FOO
		S: 500
		S: 421 4.7.0
		E:
	EOF
}
@test "commands without result do not go on for ever" {
	start
	run -0 talk smtpd <<-'EOF'
		S: 220
		C*120: NOOP
		S*109: 250
		S: 250
		S: 421 4.7.0
		E:
	EOF
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		C*1000: EHLO client.example
		E:
	EOF
	[[ $output == *"421 4.7.0"* ]]
}
@test "HTTP is cut off at the first word" {
	start
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: POST / HTTP/1.1
		C: Host: mail.local.example
		C:
		C: EHLO client.example
		S: 521 5.5.1
		E:
	EOF
	[[ $output != *"250"* ]]
}
@test "greet-delay: who speaks first gets 554 and no more, who waits is served; our own networks do not wait" {
	start --set 'greet-delay = 3s' --set 'relay-networks = 127.0.0.2/32'
	run -0 talk smtpd <<-'EOF'
		C: EHLO client.example
		C: MAIL FROM:<bob@client.example>
		S: 554 5.5.1
		E:
	EOF
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: QUIT
		S: 221
	EOF
	run -0 talk --source 127.0.0.2 smtpd <<-'EOF'
		C: QUIT
		S: 220
		S: 221
	EOF
}
@test "smtp-timeout: a silent client gets 421 4.4.2, dripping bytes do not help" {
	start --set 'smtp-timeout = 1s'
	run -0 talk smtpd <<-'EOF'
		S: 220
		S: 421 4.4.2
		E:
	EOF
	run -0 /usr/bin/python3 - "$SMTP_PORT" <<-'EOF'
		import socket, sys, time
		s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60)
		s.recv(1000)
		start = time.monotonic()
		s.settimeout(0.1)
		got = b""
		while b"421 4.4.2" not in got and time.monotonic() - start < 60:
		    s.send(b"N")
		    try:
		        got += s.recv(1000)
		    except TimeoutError:
		        pass
		assert b"421 4.4.2" in got, got
	EOF
}
@test "message-timeout: content that only drips is cut off, nothing stays behind" {
	start --set 'message-timeout = 2s'
	run -0 /usr/bin/python3 - "$SMTP_PORT" <<-'EOF'
		import socket, sys, time
		s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60)
		s.sendall(b"EHLO c.example\r\nMAIL FROM:<b@c.example>\r\nRCPT TO:<alice@local.example>\r\nDATA\r\n")
		start = time.monotonic()
		s.settimeout(0.1)
		got = b""
		while b"421 4.4.2" not in got and time.monotonic() - start < 60:
		    s.send(b"drip\r\n")
		    try:
		        got += s.recv(1000)
		    except TimeoutError:
		        pass
		assert b"354" in got and b"421 4.4.2" in got, got
	EOF
	[[ -z $(find "$SUITE/queue/new" "$SUITE/queue/tmp" -type f) ]]
}
@test "client-limit counts over all workers and spares our own networks" {
	start --set 'client-limit = 3' --set 'smtpd-workers = 3' --set 'relay-networks = 192.0.2.0/24'
	run -0 /usr/bin/python3 - "$SMTP_PORT" "$SUITE/run/submit" <<-'EOF'
		import os, socket, sys
		# loopback is exempt over TCP; the local socket counts per uid, root is exempt
		def banner(path=None):
		    s = socket.socket(socket.AF_UNIX) if path else socket.socket()
		    s.settimeout(60)
		    s.connect(path or ("127.0.0.1", int(sys.argv[1])))
		    return s, s.recv(1000)
		held = [banner() for _ in range(8)] + [banner(sys.argv[2]) for _ in range(8)]
		assert all(b.startswith(b"220") for _, b in held), held
		if os.getuid() == 0:
		    os.setgid(65534); os.setuid(65534)
		    held = [banner(sys.argv[2]) for _ in range(4)]
		    assert all(b.startswith(b"220") for _, b in held[:3]), held
		    assert held[3][1].startswith(b"421 4.7.0"), held[3]
		    held.pop(0)[0].close()
		    import time
		    for _ in range(1200):
		        s, b = banner(sys.argv[2])
		        if b.startswith(b"220"):
		            break
		        time.sleep(0.05)
		    assert b.startswith(b"220"), b
	EOF
}
@test "a stream of noise ends only its own session" {
	start
	head -c 300000 /dev/urandom >"$BATS_TEST_TMPDIR/noise"
	run -0 /usr/bin/python3 - "$SMTP_PORT" "$BATS_TEST_TMPDIR/noise" <<-'EOF'
		import socket, sys
		noise = open(sys.argv[2], "rb").read()
		for start in (b"", b"EHLO c\r\nMAIL FROM:<b@c.example>\r\nRCPT TO:<alice@local.example>\r\nDATA\r\n", b"BDAT 100000\r\n"):
		    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60)
		    try:
		        s.sendall(start + noise)
		        s.shutdown(socket.SHUT_WR)
		        while s.recv(65536):
		            pass
		    except (ConnectionError, BrokenPipeError):
		        pass
	EOF
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: QUIT
		S: 221
	EOF
}
@test "an ending service says 421 4.3.2 and loses nothing that it has answered" {
	start
	/usr/bin/python3 - "$SMTP_PORT" >"$SUITE/idle.out" <<-'EOF' 3>&- &
		import socket, sys
		s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60)
		print(s.recv(1000).decode(), end="", flush=True)
		print(s.recv(1000).decode(), end="", flush=True)
	EOF
	wait_until grep -q ^220 "$SUITE/idle.out"
	suite_end smtpd
	wait
	grep -q '^421 4.3.2' "$SUITE/idle.out"
}
@test "connections go round the workers, in smtpd and in pop3d" {
	SUITE_SERVICES="smtpd pop3d" suite_start --set 'smtpd-workers = 2' --set 'pop3d-workers = 2'
	for name in smtpd pop3d; do
		mapfile -t workers < <(sed -n 's/.*started part=worker .* pid=\([0-9]*\).*/\1/p' "$SUITE/stderr/$name")
		[[ ${#workers[@]} == 2 ]]
		run -0 /usr/bin/python3 - "$([[ $name == smtpd ]] && echo "$SMTP_PORT" || echo "$POP3_PORT")" "${workers[@]}" <<-'EOF'
			import os, socket, sys
			def open_files():
			    return [len(os.listdir("/proc/%s/fd" % pid)) for pid in sys.argv[2:]]
			def client():
			    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 30)
			    assert s.recv(1000)
			    return s
			first = client()	# the workers are ready
			before = open_files()
			held = [client() for _ in range(24)]
			more = [now - then for now, then in zip(open_files(), before)]
			assert sum(more) == 24 and min(more) >= 4, more
		EOF
	done
}
