# Where mail goes: aliases, lists, extensions, catch-all, programs, quota, what is refused.
load ../lib/suite

setup_file() {
	suite_make --domain second.example
	cat >>"$SUITE/etc/aliases" <<-EOF
		info@local.example: alice@local.example
		team@local.example: alice@local.example, bob@local.example
		nested@local.example: team@local.example, info@local.example
		list@local.example: :include:$SUITE/etc/members
		owner-list@local.example: bob@local.example
		@second.example: bob@local.example
		shout@local.example: |cat >$SUITE/mail/out/program
		fail@local.example: |exit 67
		file@local.example: $SUITE/mail/out/box
		folder@local.example: $SUITE/mail/out/folder/
	EOF
	local i
	for ((i = 0; i < 150; i++)); do
		suite_add_mailbox "m$i"
		echo "m$i@local.example"
	done >"$SUITE/etc/members"
	suite_add_mailbox small ":::50M,1"
	mkdir "$SUITE/mail/out"
	! id dawkx >/dev/null 2>&1 || chown dawkx: "$SUITE/mail/out"
	$DAWK update
	suite_run
}
teardown_file() { suite_stop; }
setup() { empty_mailboxes; }

send_short() {	# TO..
	printf 'Subject: short\n\nhello\n' | send_message bob@client.example "$@"
}

@test "an alias delivers to its member" {
	run -0 send_short info@local.example
	wait_until delivered_to alice 1
	wait_until queue_is_empty
}

@test "an alias of two members delivers to both, a nested one once each" {
	run -0 send_short nested@local.example
	wait_until delivered_to alice 1
	wait_until delivered_to bob 1
	wait_until queue_is_empty
	delivered_to alice 1
	delivered_to bob 1
}

@test "a list of 150 members delivers to each" {
	run -0 send_short list@local.example
	for i in 0 1 75 149; do wait_until delivered_to "m$i" 1; done
	wait_until queue_is_empty
	count=$(find "$SUITE/mail/local.example/" -path '*/new/*' -type f | wc -l)
	[ "$count" -eq 150 ]
}

@test "an extension reaches the mailbox without it (RFC 5233)" {
	run -0 send_short alice+shop@local.example
	wait_until delivered_to alice 1
	grep -q '^Delivered-To: alice+shop@local.example' "$(message_of alice)"
}

@test "letters of the other case reach the same mailbox" {
	run -0 send_short ALICE@Local.Example
	wait_until delivered_to alice 1
}

@test "a catch-all takes what nobody else has" {
	run -0 send_short whoever@second.example
	wait_until delivered_to bob 1
}

@test "postmaster without a domain is always accepted and delivered (RFC 5321 4.5.1)" {
	run -0 send_short postmaster
	wait_until delivered_to postmaster 1
}

@test "a program gets the message" {
	run -0 send_short shout@local.example
	wait_until grep -q '^hello' "$SUITE/mail/out/program"
	wait_until queue_is_empty
}

@test "a program that exits 67 fails the recipient, and the sender is told" {
	printf 'Subject: to a program\n\nhello\n' | send_message alice@local.example fail@local.example
	wait_until delivered_to alice 1
	grep -q '^Content-Type: multipart/report' "$(message_of alice)"
	wait_until queue_is_empty
}

@test "an alias with a path writes an mbox, one with a slash at its end a maildir" {
	run -0 send_short file@local.example folder@local.example
	wait_until grep -qs '^hello' "$SUITE/mail/out/box"
	wait_until queue_is_empty
	[[ $(head -c 5 "$SUITE/mail/out/box") == "From " ]]
	[[ $(find "$SUITE/mail/out/folder/new" -type f | wc -l) -eq 1 ]]
}

@test "an unknown recipient is refused at RCPT with 550 5.1.1, the others go on (RFC 5321 3.3)" {
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<bob@client.example>
		S: 250
		C: RCPT TO:<nobody-here@local.example>
		S: 550 5.1.1
		C: RCPT TO:<alice@local.example>
		S: 250
		C: DATA
		S: 354
		C: Subject: one of two
		C:
		C: hello
		C: .
		S: 250 2.0.0
	EOF
	wait_until delivered_to alice 1
}

@test "a full mailbox is told at RCPT (RFC 3463 x.2.2), and taken again once its owner deleted something" {
	send_short small@local.example
	wait_until delivered_to small 1
	# authd's answers are remembered for some seconds
	wait_until rcpt_says small '452 4.2.2'
	run -0 talk pop3d <<-'EOF'
		S: +OK
		C: USER small@local.example
		S: +OK
		C: PASS secret
		S: +OK
		C: DELE 1
		S: +OK
		C: QUIT
		S: +OK
	EOF
	wait_until rcpt_says small 250
	send_short small@local.example
	wait_until delivered_to small 1
}
rcpt_says() {	# USER CODE
	talk smtpd <<-EOF
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<bob@client.example>
		S: 250
		C: RCPT TO:<$1@local.example>
		S: $2
	EOF
}

@test "the compiled tables change while the services run: a new mailbox is known at once" {
	suite_add_mailbox carol
	$DAWK update
	run -0 send_short carol@local.example
	wait_until delivered_to carol 1
}

@test "a broken table is an error with file and line, the last good one stays in force" {
	cp "$SUITE/etc/aliases" "$BATS_TEST_TMPDIR/aliases"
	echo 'info@local.example: info@local.example' >>"$SUITE/etc/aliases"
	run $DAWK update
	[ "$status" -ne 0 ]
	[[ $output == *aliases:*info@local.example* ]]
	cp "$BATS_TEST_TMPDIR/aliases" "$SUITE/etc/aliases"
	run -0 send_short info@local.example
	wait_until delivered_to alice 1
}

@test "neither log nor process list holds a password or content" {
	printf 'Subject: confidential-subject\n\nconfidential-body\n' | send_message bob@client.example alice@local.example
	wait_until delivered_to alice 1
	talk pop3d <<-'EOF'
		S: +OK
		C: USER alice@local.example
		S: +OK
		C: PASS secret
		S: +OK
		C: QUIT
		S: +OK
	EOF
	talk pop3d <<-'EOF'
		S: +OK
		C: USER alice@local.example
		S: +OK
		C: PASS wrong-but-close
		S: -ERR
	EOF
	wait_until logged pop3d alice
	run ! grep -rE 'confidential|wrong-but-close|secret($|[^=])|[^ ]secret' "$SUITE/stderr"	# the password is "secret"; " secret=" names which one it was
}
