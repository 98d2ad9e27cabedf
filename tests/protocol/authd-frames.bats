# authd alone, between an opener and workers that send what no worker of ours would.
load ../lib/suite

setup()    { export SUITE_SERVICES=; suite_make; }
teardown() { suite_stop; }

@test "hostile frames cost their sender the pipe, never authd its life" {
	cat >"$SUITE/hostile.py" <<-'EOF'
		import os, random, select, socket, struct, subprocess, sys, time
		CHANNEL, RECIPIENT_ASK, RECIPIENT_TELL, LOGIN_ASK, LOGIN_TELL, OFFER, START, LOGIN_NEXT = 1, 2, 3, 4, 5, 21, 17, 41
		def number(n): return struct.pack("=Q", n)
		def text(b): return struct.pack("=I", len(b)) + b
		def frame(kind, *fields, descriptors=0, version=1):
		    body = b"".join(fields)
		    return struct.pack("=IBBB", len(body) + 3, version, kind, descriptors) + body
		def login(serial, user=b"alice@local.example", secret=b"wrong", client=b"127.0.0.1", mechanism=b"PLAIN", response=None, purpose=2, flags=1):
		    response = b"\0" + user + b"\0" + secret if response is None else response
		    return frame(LOGIN_ASK, number(serial), number(purpose), number(flags), text(mechanism), text(client), text(b"s1"), text(b""), text(response))
		def follow(serial, exchange, response=b"", flags=1): return frame(LOGIN_NEXT, number(serial), number(exchange), number(flags), text(response))
		def rcpt(serial, address): return frame(RECIPIENT_ASK, number(serial), text(address))

		ours, theirs = socket.socketpair()
		def low():
		    os.dup2(theirs.fileno(), 3)
		authd = subprocess.Popen([sys.argv[1], "-c", sys.argv[2]], preexec_fn=low, pass_fds=(3,), stdin=subprocess.DEVNULL)
		theirs.close()

		def worker(index=0):
		    a, b = socket.socketpair()
		    socket.send_fds(ours, [frame(CHANNEL, text(b"worker"), number(index), descriptors=1)], [b.fileno()])
		    b.close()
		    a.settimeout(60)
		    return a
		def answers(s, count):
		    data, got = b"", {}
		    while len(got) < count:
		        part = s.recv(65536)
		        assert part, "authd closed the pipe after %d answers" % len(got)
		        data += part
		        while len(data) >= 4 and len(data) >= 4 + struct.unpack("=I", data[:4])[0]:
		            size = 4 + struct.unpack("=I", data[:4])[0]
		            if data[5] in (RECIPIENT_TELL, LOGIN_TELL):
		                serial, verdict = struct.unpack("=QQ", data[7:23])
		                got[serial] = verdict
		            data = data[size:]
		    return got
		def closed(s):
		    try:
		        while s.recv(65536): pass
		    except ConnectionResetError:
		        pass
		    return True
		def alive():
		    s = worker()
		    s.sendall(rcpt(1, b"alice@local.example") + rcpt(2, b"ghost@local.example"))
		    assert answers(s, 2) == {1: 1, 2: 2}
		    s.close()

		alive()
		bad = [
		    b"\xff" * 64, frame(99), frame(RECIPIENT_ASK, version=9), frame(RECIPIENT_ASK, number(1)),
		    frame(RECIPIENT_ASK, number(1), struct.pack("=I", 1 << 31), b"x"), struct.pack("=I", 0), struct.pack("=I", 1 << 20),
		    rcpt(1, b"x" * 400), rcpt(1, b"a") [:-1] + b"", frame(RECIPIENT_ASK, number(1), text(b"a"), b"more"),
		    frame(START, number(0), number(0), text(b"/"), text(b""), text(b"u"), text(b"s"), text(b"c"), descriptors=1),
		]
		for bytes_ in bad:
		    s = worker()
		    s.sendall(bytes_)
		    s.shutdown(socket.SHUT_WR)
		    assert closed(s)
		    alive()

		# odd, but frames: each is answered
		s = worker()
		odd = [b"", b"\0", b"a\0b@local.example", b"x" * 320, b"@", b"@local.example", b'"', b"\xff\xfe@local.example", b"a@" + b"b." * 150]
		for i, address in enumerate(odd): s.sendall(rcpt(i, address))
		assert len(answers(s, len(odd))) == len(odd)
		for i, user in enumerate(odd): s.sendall(login(i, user=user, secret=user[:300], client=b"not an address", purpose=i))
		assert all(v in (2, 3, 5) for v in answers(s, len(odd)).values())
		for i, name in enumerate([b"", b"\0", b"PLAIN\0", b"EXTERNAL", b"SCRAM-SHA-256", b"SCRAM-SHA-256-PLUS", b"XOAUTH2", b"x" * 20]):
		    s.sendall(login(i, mechanism=name))
		assert set(answers(s, 8).values()) == {6}, "mechanisms that are not offered"
		for i, response in enumerate([b"", b"\0", b"\0\0\0", b"a\0b", b"a\0b\0c", b"\0a\0b\r\n", b"\0a\0" + b"x" * 1025, b"\0" * 9216]):
		    s.sendall(login(i, response=response))
		assert set(answers(s, 8).values()) == {5}, "no messages of PLAIN"

		# exchanges: whose they are not, twice, cancelled
		def challenged(s, serial):
		    s.sendall(login(serial, mechanism=b"LOGIN", flags=0))
		    data = b""
		    while len(data) < 31 or len(data) < 4 + struct.unpack("=I", data[:4])[0] or data[5] != LOGIN_TELL:
		        if len(data) >= 4 and len(data) >= 4 + struct.unpack("=I", data[:4])[0]: data = data[4 + struct.unpack("=I", data[:4])[0]:]
		        else: data += s.recv(65536)
		    assert struct.unpack("=QQ", data[7:23]) == (serial, 4), data
		    return struct.unpack("=Q", data[23:31])[0]
		other = worker(2)
		exchange = challenged(s, 1)
		other.sendall(follow(2, exchange, b"alice"))
		assert answers(other, 1) == {2: 3}, "another worker's exchange"
		s.sendall(follow(3, exchange, b"alice"))
		assert answers(s, 1) == {3: 4}
		s.sendall(follow(4, exchange, b"alice"))
		assert answers(s, 1) == {4: 3}, "an exchange that was answered"
		exchange = challenged(s, 5)
		s.sendall(follow(0, exchange, flags=4) + follow(6, exchange, b"alice") + follow(0, exchange, flags=4))
		assert answers(s, 1) == {6: 3}, "an exchange that was cancelled"
		for wild in (0, 1, 4096, 1 << 32, (1 << 64) - 1): s.sendall(follow(wild, wild, b"x"))
		answers(s, 5)
		for i in range(5000): s.sendall(login(i, mechanism=b"LOGIN", flags=0))
		assert set(answers(s, 5000).values()) == {4}, "who waits longest makes room"
		other.close()

		# descriptors without frames
		null = os.open("/dev/null", os.O_RDONLY)
		try:
		    for i in range(10): socket.send_fds(s, [b"\x20"], [null] * 200)
		except OSError:
		    pass
		assert closed(s)
		alive()

		# more logins at once than there is room for: everyone hears something
		s = worker(1)
		s.settimeout(60)
		many = b"".join(login(i, user=b"ghost%d@local.example" % i) for i in range(4500))
		sent, data = 0, b""
		s.setblocking(False)
		got = {}
		deadline = time.monotonic() + 100
		while len(got) < 4500:
		    assert time.monotonic() < deadline, len(got)
		    r, w, _ = select.select([s], [s] if sent < len(many) else [], [], 5)
		    if w: sent += s.send(many[sent:sent + 65536])
		    if r:
		        data += s.recv(1 << 20)
		        while len(data) >= 4 and len(data) >= 4 + struct.unpack("=I", data[:4])[0]:
		            size = 4 + struct.unpack("=I", data[:4])[0]
		            if data[5] == LOGIN_TELL: got[struct.unpack("=Q", data[7:15])[0]] = struct.unpack("=Q", data[15:23])[0]
		            data = data[size:]
		assert set(got.values()) == {2, 3}
		alive()

		random.seed(1)
		for i in range(300):
		    s = worker(random.randrange(8))
		    good = bytearray(random.choice([login(i), rcpt(i, b"alice@local.example")]) * 3)
		    for _ in range(random.randrange(1, 4)): good[random.randrange(len(good))] = random.randrange(256)
		    s.sendall(bytes(good))
		    s.close()
		alive()
		assert authd.poll() is None
		ours.close()
		assert authd.wait(100) == 0, authd.returncode
	EOF
	timeout 400 /usr/bin/python3 "$SUITE/hostile.py" "$BIN/authd" "$SUITE/etc/dawk.conf" 2>"$SUITE/stderr/authd"
	run -1 grep -E 'AddressSanitizer|runtime error' "$SUITE/stderr/authd"
}
