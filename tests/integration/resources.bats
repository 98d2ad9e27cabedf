# What connections and large messages cost; of the plain build, since sanitizers multiply memory.
DAWK_BIN=${DAWK_PLAIN_BIN:-${DAWK_BIN:-}}
load ../lib/suite

setup()    { suite_start; }
teardown() { suite_stop; }

# KB over all processes of the instance; the second: the highest that any one of them ever had.
private_kb() { for pid in $(suite_processes); do cat "/proc/$pid/smaps_rollup"; done | awk '/^Private_(Clean|Dirty):/ { t += $2 } END { print t }'; }
peak_kb() { for pid in $(suite_processes); do sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$pid/status"; done | sort -n | tail -n 1; }

@test "a message of 48 MB takes no more memory than one of 5 KB, anywhere on its way" {
	{ printf 'Subject: small\n\n'; head -c 3700 /dev/urandom | base64; } >"$BATS_TEST_TMPDIR/small"
	{ printf 'Subject: large\n\n'; head -c 35000000 /dev/urandom | base64; } >"$BATS_TEST_TMPDIR/large"
	curl -sS "smtp://127.0.0.1:$SMTP_PORT" --crlf --mail-from bob@client.example --mail-rcpt alice@local.example -T "$BATS_TEST_TMPDIR/small"
	wait_until delivered_to alice 1
	curl -sS --user alice@local.example:secret "pop3://127.0.0.1:$POP3_PORT/1" -o "$BATS_TEST_TMPDIR/got"
	before=$(peak_kb)
	curl -sS "smtp://127.0.0.1:$SMTP_PORT" --crlf --mail-from bob@client.example --mail-rcpt alice@local.example -T "$BATS_TEST_TMPDIR/large"
	wait_until delivered_to alice 2
	curl -sS --user alice@local.example:secret "pop3://127.0.0.1:$POP3_PORT/2" -o "$BATS_TEST_TMPDIR/got"
	same_message "$BATS_TEST_TMPDIR/large" "$BATS_TEST_TMPDIR/got"
	after=$(peak_kb)
	echo "highest memory of a process: $before KB, after the large message $after KB"
	[ "$after" -lt $((before + 1500)) ]
}

# What is the same twice is no longer growing: the processes have begun.
is_settled() { local last=${settled:-}; settled=$(private_kb); [[ $settled == "$last" ]]; }

@test "a thousand idle SMTP connections take at most 4 KB of private memory each" {
	/usr/bin/python3 - "$SMTP_PORT" "$BATS_TEST_TMPDIR" 3>&- <<-'EOF' &
		import os, socket, sys, time
		held = []
		def more(count, name):
		    for i in range(count):
		        s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60)
		        s.recv(1000); s.sendall(b"EHLO client.example\r\n"); s.recv(1000)
		        held.append(s)
		    os.mknod(os.path.join(sys.argv[2], name))
		more(100, "some")	# every worker has had its first ones
		while not os.path.exists(os.path.join(sys.argv[2], "go")):
		    time.sleep(0.05)
		more(1000, "all")
		time.sleep(300)
	EOF
	holder=$!
	wait_until test -e "$BATS_TEST_TMPDIR/some"
	wait_until is_settled
	before=$settled
	touch "$BATS_TEST_TMPDIR/go"
	wait_until test -e "$BATS_TEST_TMPDIR/all"
	after=$(private_kb)
	kill "$holder"
	wait "$holder" || :
	echo "private memory: $before KB, with 1,000 connections more $after KB"
	[ $((after - before)) -le 4000 ]
}
