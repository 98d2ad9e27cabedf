# A message lies in the mailbox and comes out byte-equal through each of the usual programs.
load ../lib/suite

setup_file()    { suite_start; }
teardown_file() { suite_stop; }
setup() {
	message=$BATS_TEST_TMPDIR/message
	got=$BATS_TEST_TMPDIR/got
	hard_message "$message"
	empty_mailboxes
	send_message bob@client.example alice@local.example <"$message"
	wait_until delivered_to alice 1
}

@test "curl fetches the message unchanged" {
	run -0 --separate-stderr timeout 60 curl -sS --user alice@local.example:secret "pop3://127.0.0.1:$POP3_PORT/1" -o "$got"
	same_message "$message" "$got"
	delivered_to alice 1
}

@test "python3 poplib fetches the message unchanged and deletes it (RFC 1939 6)" {
	run -0 timeout 60 /usr/bin/python3 - "$POP3_PORT" "$got" <<-'EOF'
		import poplib, sys
		box = poplib.POP3("127.0.0.1", int(sys.argv[1]), timeout=60)
		box.user("alice@local.example"); box.pass_("secret")
		count, octets = box.stat()
		_, lines, size = box.retr(1)
		assert count == 1 and size >= octets, (count, octets, size)
		assert sum(len(line) + 2 for line in lines) == octets, (octets, size)
		open(sys.argv[2], "wb").write(b"\n".join(lines) + b"\n")
		box.dele(1); box.quit()
	EOF
	same_message "$message" "$got"
	wait_until delivered_to alice 0
}

@test "mpop fetches the message unchanged and deletes it" {
	run -0 timeout 60 mpop --host=127.0.0.1 "--port=$POP3_PORT" --tls=off --auth=user --user=alice@local.example \
		--passwordeval='echo secret' "--uidls-file=$BATS_TEST_TMPDIR/uidls" --received-header=off --keep=off \
		--delivery=mda,"cat >$got"
	same_message "$message" "$got"
	wait_until delivered_to alice 0
}

@test "fetchmail fetches the message unchanged and deletes it" {
	cat >"$BATS_TEST_TMPDIR/rc" <<-EOF
		set no bouncemail
		set invisible
		poll 127.0.0.1 service $POP3_PORT protocol pop3 auth password timeout 60 uidl
			user "alice@local.example" password "secret" fetchall no rewrite sslproto '' mda "cat >$got"
	EOF
	chmod 600 "$BATS_TEST_TMPDIR/rc"
	run -0 env HOME=$BATS_TEST_TMPDIR FETCHMAILHOME=$BATS_TEST_TMPDIR timeout 60 fetchmail -f "$BATS_TEST_TMPDIR/rc" \
		-i "$BATS_TEST_TMPDIR/ids" --pidfile "$BATS_TEST_TMPDIR/pid"
	same_message "$message" "$got"
	wait_until delivered_to alice 0
}

@test "s-nail fetches the message unchanged" {
	run -0 env HOME=$BATS_TEST_TMPDIR LC_ALL=C.UTF-8 timeout 60 s-nail -:/ -S v15-compat -S noheader -S pop3-auth=plain -S pop3-no-apop \
		-R -f "pop3://alice%40local.example:secret@127.0.0.1:$POP3_PORT" <<-EOF
		copy 1 $got.mbox
		xit
	EOF
	# an mbox: From_ lines of the body are quoted
	/usr/bin/python3 - "$message" "$got.mbox" <<-'EOF'
		import sys
		sent, got = (open(name, "rb").read().rstrip(b"\n") for name in sys.argv[1:])
		body = sent.partition(b"\n\n")[2]
		assert got.partition(b"\n\n")[2].replace(b">From", b"From") == body.replace(b">From", b"From")
	EOF
}

@test "mutt fetches the message unchanged" {
	run env HOME=$BATS_TEST_TMPDIR TERM=vt100 LC_ALL=C.UTF-8 timeout 60 script -qec "mutt -n -F /dev/null \
		-e 'set ssl_starttls=no ssl_force_tls=no pop_authenticators=user pop_delete=no delete=no quit=yes confirmappend=no confirmcreate=no mbox_type=Maildir folder=$BATS_TEST_TMPDIR record= check_new=no' \
		-e 'push \"<copy-message>$got.d/<enter>y<quit>\"' \
		-f pop://alice%40local.example:secret@127.0.0.1:$POP3_PORT/" /dev/null </dev/null
	echo "$output" | tail -n 5
	file=$(find "$got.d" -type f | head -n 1)
	sed -e '/^Status: /d' -e '/^Content-Length: /d' -e '/^Lines: /d' "$file" >"$got"
	same_message "$message" "$got"
}

@test "a person by telnet reads the message unchanged (RFC 1939 5)" {
	run -0 talk pop3d <<-'EOF'
		S: +OK
		C: USER alice@local.example
		S: +OK
		C: PASS secret
		S: +OK
		C: STAT
		S: +OK 1
		C: RETR 1
		M: +OK
		S+ Subject: hard to carry
		S+ .end
		C: QUIT
		S: +OK
		E:
	EOF
	sed -n '/^C: RETR 1/,/^S: \.$/p' <<<"$output" | sed -e 1,2d -e '$d' -e 's/^S: //' -e 's/^\.\././' >"$got"
	same_message "$message" "$got"
	delivered_to alice 1
}
