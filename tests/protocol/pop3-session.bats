# POP3 after login: pop3-session on a maildir that the test has made.
load ../lib/suite
export SUITE_SERVICES=pop3d

setup() {
	suite_make
	box=$(maildir_of alice)
	mkdir -p "$box"/{new,cur,tmp}
}
teardown() { suite_stop; }

# put FOLDER/NAME: a message from standard input
put() { cat >"$box/$1"; }
begin() {
	[[ $(id -u) != 0 ]] || chown -R dawkm:dawkm "$SUITE/mail/local.example/alice"
	suite_run
}
# As talk, after a login as alice. TALK: its options.
session() {
	# shellcheck disable=SC2086
	{ printf 'S: +OK\nC: USER alice\nS: +OK\nC: PASS secret\nS: +OK\n'; cat; } | talk $TALK pop3d
}
TALK=
three_messages() {
	printf 'Subject: one\n\nfirst\n' | put "new/1795300001.M1P1.host,S=20,W=23"
	printf 'Subject: two\n\n.dot\nlast' | put "cur/1795300002.M1P1.host:2,S"
	printf 'Subject: three\r\n\r\ncrlf\r\n' | put "new/1795300003.M1P1.host,S=24"
}

@test "STAT, LIST, UIDL, RETR, TOP say what lies in new and cur, in order of delivery (RFC 1939 5, 7)" {
	three_messages
	begin
	run -0 session <<-'EOF'
		C: STAT
		S: +OK 3 75
		C: LIST
		M: +OK
		S+ 1 23
		S+ 2 28
		S+ 3 24
		C: LIST 2
		S: +OK 2 28
		C: UIDL
		M: +OK
		S+ 1 1795300001.M1P1.host,S=20,W=23
		S+ 2 1795300002.M1P1.host
		C: UIDL 3
		S: +OK 3 1795300003.M1P1.host,S=24
		C: RETR 2
		M: +OK 28 octets
		S+ Subject: two
		S+ .dot
		S+ last
		C: TOP 1 0
		M: +OK
		S+ Subject: one
		S- first
		C: TOP 1 1
		M: +OK
		S+ first
		C: RETR 3
		M: +OK 24 octets
		S+ crlf
		C: QUIT
		S: +OK
		E:
	EOF
}

@test "what it can't do is answered by -ERR, and the session goes on" {
	three_messages
	begin
	run -0 session <<-'EOF'
		C: RETR 4
		S: -ERR
		C: RETR 0
		S: -ERR
		C: RETR -1
		S: -ERR
		C: RETR 99999999999999999999
		S: -ERR
		C: LIST x
		S: -ERR
		C: TOP 1
		S: -ERR
		C: DELE
		S: -ERR
		C: STAT 1
		S: -ERR
		C: LAST
		S: -ERR
		C: USER alice
		S: -ERR
		C: NOOP
		S: +OK
		C: QUIT
		S: +OK
	EOF
}

@test "DELE without QUIT deletes nothing, RSET takes it back, QUIT removes (RFC 1939 6)" {
	three_messages
	begin
	session <<-'EOF'
		C: DELE 1
		S: +OK
		C: DELE 1
		S: -ERR
		C: RETR 1
		S: -ERR
		C: STAT
		S: +OK 2
	EOF
	wait_until logged pop3d 'session-end .*end=hung-up'
	delivered_to alice 3
	session <<-'EOF'
		C: DELE 1
		S: +OK
		C: DELE 2
		S: +OK
		C: RSET
		S: +OK
		C: DELE 3
		S: +OK
		C: QUIT
		S: +OK
		E:
	EOF
	delivered_to alice 2
	[[ ! -e $box/new/1795300003.M1P1.host,S=24 ]]
	wait_until logged pop3d 'session-end .*end=quit.* deleted=1'
}

@test "a session is killed: nothing is deleted, and the next one finds the mailbox free" {
	three_messages
	begin
	session <<-'EOF'
		C: DELE 1
		S: +OK
	EOF
	wait_until logged pop3d 'session-end .*end=hung-up'
	session <<-'EOF'
		C: STAT
		S: +OK 3
		C: QUIT
		S: +OK
		E:
	EOF
}

@test "a second session of a mailbox is told [IN-USE], and may log in elsewhere (RFC 2449 8.1.2)" {
	begin
	run -0 /usr/bin/python3 - "$POP3_PORT" <<-'EOF'
		import poplib, sys
		first, second = (poplib.POP3("127.0.0.1", int(sys.argv[1]), timeout=60) for _ in range(2))
		first.user("alice"); first.pass_("secret")
		second.user("alice")
		try:
		    second.pass_("secret")
		    raise SystemExit("two sessions")
		except poplib.error_proto as e:
		    assert e.args[0].startswith(b"-ERR [IN-USE]"), e
		second.user("bob"); second.pass_("secret"); second.quit()
		first.quit()
		again = poplib.POP3("127.0.0.1", int(sys.argv[1]), timeout=60)
		again.user("alice"); again.pass_("secret"); again.quit()
	EOF
}

@test "a message that got flags or moved meanwhile is found, one that vanished fails alone" {
	three_messages
	begin
	run -0 /usr/bin/python3 - "$POP3_PORT" "$box" <<-'EOF'
		import os, poplib, sys
		box = sys.argv[2]
		pop = poplib.POP3("127.0.0.1", int(sys.argv[1]), timeout=60)
		pop.user("alice"); pop.pass_("secret")
		before = pop.uidl()[1]
		os.rename(box + "/new/1795300001.M1P1.host,S=20,W=23", box + "/cur/1795300001.M1P1.host,S=20,W=23:2,FS")
		os.unlink(box + "/cur/1795300002.M1P1.host:2,S")
		assert pop.retr(1)[1] == [b"Subject: one", b"", b"first"]
		try:
		    pop.retr(2)
		    raise SystemExit("retrieved what is not there")
		except poplib.error_proto as e:
		    assert e.args[0].startswith(b"-ERR"), e
		assert pop.retr(3)[1][0] == b"Subject: three"
		assert pop.uidl()[1] == before
		pop.dele(1); pop.dele(2)
		assert pop.quit().startswith(b"+OK")
		assert os.listdir(box + "/cur") == [], os.listdir(box + "/cur")
	EOF
	delivered_to alice 1
}

@test "messages are right in whatever order they are taken, also the one that was read ahead" {
	for i in 1 2 3 4 5 6; do printf 'Subject: %d\n\n%d%70000s\n' $i $i end | put "new/179530000$i.M1P1.host"; done
	begin
	run -0 /usr/bin/python3 - "$POP3_PORT" "$box" <<-'EOF'
		import os, poplib, sys
		box = sys.argv[2]
		def text(i):
		    return [b"Subject: %d" % i, b"", b"%d" % i + b"end".rjust(70000)]
		poplib._MAXLINE = 100000
		pop = poplib.POP3("127.0.0.1", int(sys.argv[1]), timeout=60)
		pop.user("alice"); pop.pass_("secret")
		for i in (1, 2, 4, 3, 3, 4, 5, 6, 6, 1, 2, 5):
		    assert pop.retr(i)[1] == text(i), i
		for i in range(1, 5):	# as most clients do
		    assert pop.retr(i)[1] == text(i), i
		    pop.dele(i)
		os.rename(box + "/new/1795300005.M1P1.host", box + "/cur/1795300005.M1P1.host:2,S")
		assert pop.top(5, 0)[1] == text(5)[:2]
		assert pop.retr(5)[1] == text(5)
		pop.rset()
		pop.retr(1), pop.dele(2)
		try:
		    pop.retr(2)
		    raise SystemExit("retrieved what is marked as deleted")
		except poplib.error_proto as e:
		    assert e.args[0].startswith(b"-ERR"), e
		assert pop.retr(3)[1] == text(3)
		pop.quit()
	EOF
	[[ $(find "$box" -type f -name '179*' | wc -l) == 5 ]]
}

@test "UIDLs stay when flags change, and are short whatever the file name is (RFC 1939 7)" {
	long=1795300009.M1P1.$(printf 'h%.0s' {1..120})
	three_messages
	echo "Subject: long" | put "new/$long"
	echo "Subject: odd" | put "cur/a name with blanks"
	begin
	uidls() { session <<<$'C: UIDL\nM: +OK\nC: QUIT\nS: +OK\nE:' | sed -n '/^C: UIDL/,/^S: \.$/p'; }
	uidls >"$SUITE/before"
	mv "$box/new/$long" "$box/cur/$long:2,RS"
	mv "$box/cur/1795300002.M1P1.host:2,S" "$box/cur/1795300002.M1P1.host:2,"
	uidls >"$SUITE/after"
	diff "$SUITE/before" "$SUITE/after"
	grep -Eq '^S: [0-9] :[0-9a-f]{64}$' "$SUITE/after"
	run -1 grep -E '^S: [0-9]+ .{71}' "$SUITE/after"
}

@test "sizes of files that do not tell are read once and remembered" {
	three_messages
	begin
	session <<<$'C: STAT\nS: +OK 3 75\nC: QUIT\nS: +OK\nE:'
	diff - "$box/dawk-pop3.sizes" <<-'EOF'
		28 1795300002.M1P1.host
		24 1795300003.M1P1.host,S=24
	EOF
	# what is remembered is believed
	sed -i 's/^28 /1000 /' "$box/dawk-pop3.sizes"
	session <<<$'C: STAT\nS: +OK 3 1047\nC: QUIT\nS: +OK\nE:'
}

@test "a mailbox that no mail came to yet is empty, and so is one without new or cur" {
	rm -r "$box"
	suite_run
	session <<<$'C: STAT\nS: +OK 0 0\nC: LIST\nM: +OK\nC: QUIT\nS: +OK\nE:'
	mkdir -p "$box"
	[[ $(id -u) != 0 ]] || chown -R dawkm:dawkm "$box"
	session <<<$'C: STAT\nS: +OK 0 0\nC: QUIT\nS: +OK\nE:'
}

@test "a mailbox that can't be opened is [SYS/...], and the client may go on (RFC 3206)" {
	[[ $(id -u) == 0 ]] || return 0	# another account's folder
	suite_run
	chown -R root:root "$box"
	chmod -R 700 "$box"
	talk pop3d <<-'EOF'
		S: +OK
		C: USER alice
		S: +OK
		C: PASS secret
		S: -ERR [SYS/
		C: USER bob
		S: +OK
		C: PASS secret
		S: +OK
		C: QUIT
		S: +OK
		E:
	EOF
}

@test "an mbox mailbox is refused in words" {
	suite_add_mailbox dave "::dave.mbox:"
	$DAWK update
	suite_run
	talk pop3d <<-'EOF'
		S: +OK
		C: USER dave
		S: +OK
		C: PASS secret
		S~ -ERR .*mbox
		C: QUIT
		S: +OK
	EOF
}

@test "so is one that the name does not tell" {
	suite_add_mailbox dave "::$SUITE/mail/dave:"
	: >"$SUITE/mail/dave"
	[[ $(id -u) != 0 ]] || chown dawkm: "$SUITE/mail/dave"
	$DAWK update
	suite_run
	talk pop3d <<-'EOF'
		S: +OK
		C: USER dave
		S: +OK
		C: PASS secret
		S: -ERR [SYS/PERM] this mailbox is an mbox file
		C: QUIT
		S: +OK
	EOF
}

@test "links and folders in a mailbox are not followed" {
	[[ $(id -u) == 0 ]] || return 0
	echo "not yours" >"$SUITE/other"
	ln -s "$SUITE/other" "$box/new/1795300001.M1P1.host,S=1,W=1"
	mkdir "$box/cur/1795300002.M1P1.host"
	begin
	session <<-'EOF'
		C: LIST
		M: +OK
		S- 2
		C: RETR 1
		S: -ERR
		C: QUIT
		S: +OK
	EOF
}

@test "pipelined commands are answered in order, byte by byte too (RFC 2449 6.6)" {
	three_messages
	begin
	for TALK in "" --bytes; do
		run -0 session <<-'EOF'
			C: RETR 1
			C: RETR 2
			C: UIDL 3
			C: RETR 9
			C: NOOP
			C: QUIT
			M: +OK 23
			M: +OK
			S: +OK 3
			S: -ERR
			S: +OK
			S: +OK
			E:
		EOF
	done
}

@test "a large message goes to a client that reads slowly, unchanged, without filling memory" {
	seq -f 'line %.0f of a large message, which the client reads slowly' 200000 | put new/1795300001.M1P1.host
	begin
	run -0 /usr/bin/python3 - "$POP3_PORT" "$box/new/1795300001.M1P1.host" <<-'EOF'
		import socket, sys, time
		want = open(sys.argv[2], "rb").read().replace(b"\n", b"\r\n")
		s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60)
		f = s.makefile("rb"); f.readline()
		s.sendall(b"USER alice\r\nPASS secret\r\n"); f.readline(); f.readline()
		s.sendall(b"RETR 1\r\nQUIT\r\n"); s.shutdown(socket.SHUT_WR)
		got = bytearray(f.readline()); assert got.startswith(b"+OK"), got
		got = bytearray()
		for i in range(20):
		    got += f.read(10000); time.sleep(0.01)
		got += f.read()
		assert bytes(got) == want + b".\r\n+OK bye\r\n", (len(got), len(want))
	EOF
	wait_until logged pop3d 'session-end .*end=quit.* retrieved=1'
}

@test "a mailbox over its quota has room again once messages are deleted (Maildir++)" {
	sed -i '/^alice/d' "$SUITE/etc/users"
	suite_add_mailbox alice ":::100"
	$DAWK update
	three_messages
	printf '100S\n44 2\n' >"$box/maildirsize"
	begin
	session <<<$'C: DELE 1\nS: +OK\nC: QUIT\nS: +OK\nE:'
	grep -Eq -- '^ *-20 +-1$' "$box/maildirsize" || { cat "$box/maildirsize"; false; }
}

@test "what was marked as trashed, and so did not count, is not taken from the quota (Maildir++)" {
	sed -i '/^alice/d' "$SUITE/etc/users"
	suite_add_mailbox alice ":::100"
	$DAWK update
	three_messages
	printf 'Subject: trash\n\n' | put "cur/1795399999.M1P1.host,S=16,W=18:2,ST"
	printf '100S\n44 3\n' >"$box/maildirsize"
	begin
	session <<<$'C: DELE 4\nS: +OK\nC: QUIT\nS: +OK\nE:'
	[[ $(tail -n +2 "$box/maildirsize") == "44 3" ]] || { cat "$box/maildirsize"; false; }
}

@test "a mailbox on a full disk can be read and made room in" {
	[[ $(id -u) == 0 ]] || return 0	# mounts
	three_messages
	mount_small "$box" 1m nr_inodes=7	# the folder, new, cur, tmp and three messages
	begin
	run -1 touch "$box/one-more"
	session <<-'EOF'
		C: STAT
		S: +OK 3 75
		C: DELE 1
		S: +OK
		C: DELE 2
		S: +OK
		C: QUIT
		S: +OK
		E:
	EOF
	delivered_to alice 1
}
