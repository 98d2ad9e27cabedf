# A message goes in through each of the usual programs and lies byte-equal in the mailbox.
load ../lib/suite

setup_file()    { suite_start; }
teardown_file() { suite_stop; }
setup() {
	message=$BATS_TEST_TMPDIR/message
	hard_message "$message"
	empty_mailboxes
}

arrives_unchanged() {	# [--text]
	wait_until delivered_to alice 1
	same_message "$@" "$message" "$(message_of alice)"
	wait_until queue_is_empty
}

@test "swaks sends, the message arrives unchanged" {
	# swaks ends the text with a line end of its own
	printf %s "$(cat "$message")" >"$message.data"
	run -0 timeout 60 swaks --server "127.0.0.1:$SMTP_PORT" --from bob@client.example --to alice@local.example \
		--ehlo client.example --data - <"$message.data"
	arrives_unchanged
}

@test "curl sends, the message arrives unchanged" {
	run -0 timeout 60 curl -sS "smtp://127.0.0.1:$SMTP_PORT/client.example" --crlf --mail-from bob@client.example \
		--mail-rcpt alice@local.example --upload-file "$message"
	arrives_unchanged
}

@test "msmtp sends, the message arrives unchanged" {
	run -0 timeout 60 msmtp --host=127.0.0.1 "--port=$SMTP_PORT" --auth=off --tls=off --domain=client.example \
		--from=bob@client.example alice@local.example <"$message"
	arrives_unchanged
}

@test "python3 smtplib sends, the message arrives unchanged" {
	run -0 timeout 60 /usr/bin/python3 - "$SMTP_PORT" "$message" <<-'EOF'
		import smtplib, sys
		with smtplib.SMTP("127.0.0.1", int(sys.argv[1]), local_hostname="client.example", timeout=60) as s:
		    s.sendmail("bob@client.example", ["alice@local.example"], open(sys.argv[2], "rb").read().replace(b"\n", b"\r\n"), ["BODY=8BITMIME"])
	EOF
	arrives_unchanged
}

@test "our sendmail submits by the local socket, the message arrives unchanged" {
	run -0 timeout 60 "$BIN/sendmail" -c "$SUITE/etc/dawk.conf" -i -f bob@client.example alice@local.example <"$message"
	arrives_unchanged
}

@test "a person by telnet sends, the message arrives unchanged" {
	run -0 talk smtpd <<-EOF
		S: 220
		C: helo client.example
		S: 250
		C: mail from: bob@client.example
		S: 250
		C: rcpt to: alice@local.example
		S: 250
		C: data
		S: 354
		D: $message
		S: 250 2.0.0
		C: quit
		S: 221
		E:
	EOF
	arrives_unchanged
}

@test "BDAT in chunks that break lines anywhere carries it unchanged (RFC 3030 2)" {
	run -0 timeout 60 /usr/bin/python3 - "$SMTP_PORT" "$message" <<-'EOF'
		import smtplib, sys
		content = open(sys.argv[2], "rb").read().replace(b"\n", b"\r\n")
		with smtplib.SMTP("127.0.0.1", int(sys.argv[1]), local_hostname="client.example", timeout=60) as s:
		    s.ehlo(); assert s.has_extn("chunking")
		    assert s.mail("bob@client.example", ["BODY=8BITMIME"])[0] == 250
		    assert s.rcpt("alice@local.example")[0] == 250
		    while content:
		        chunk, content = content[:37], content[37:]
		        s.send(b"BDAT %d%s\r\n" % (len(chunk), b"" if content else b" LAST") + chunk)
		        code, words = s.getreply(); assert code == 250, (code, words)
	EOF
	arrives_unchanged
}

@test "s-nail sends, the text arrives unchanged" {
	sed '1,/^$/d' "$message" >"$message.body"
	run -0 env HOME=$BATS_TEST_TMPDIR timeout 60 s-nail -:/ -S v15-compat -S "mta=smtp://127.0.0.1:$SMTP_PORT" -S smtp-auth=none \
		-S hostname=client.example -S from=bob@client.example -S ttycharset=utf-8 -S sendwait \
		-s "by s-nail" alice@local.example <"$message.body"
	arrives_unchanged --text
}

@test "mutt sends, the text arrives unchanged" {
	sed '1,/^$/d' "$message" >"$message.body"
	run -0 env HOME=$BATS_TEST_TMPDIR LC_ALL=C.UTF-8 timeout 60 mutt -n -F /dev/null -e "set smtp_url=smtp://127.0.0.1:$SMTP_PORT" \
		-e 'set ssl_starttls=no ssl_force_tls=no copy=no from=bob@client.example hostname=client.example charset=utf-8 smtp_authenticators=""' \
		-s "by mutt" -- alice@local.example <"$message.body"
	echo "$output"
	arrives_unchanged --text
}

@test "ten messages in one session arrive, each by itself (RFC 5321 3.3)" {
	run -0 timeout 60 /usr/bin/python3 - "$SMTP_PORT" "$message" <<-'EOF'
		import smtplib, sys
		content = open(sys.argv[2], "rb").read().replace(b"\n", b"\r\n")
		with smtplib.SMTP("127.0.0.1", int(sys.argv[1]), local_hostname="client.example", timeout=60) as s:
		    for i in range(10):
		        s.sendmail("bob@client.example", ["alice@local.example"], content, ["BODY=8BITMIME"])
	EOF
	wait_until delivered_to alice 10
	for file in $(messages_of alice); do same_message "$message" "$file"; done
}

@test "a message of 20 MB arrives unchanged" {
	{ sed '/^$/q' "$message"; head -c 15000000 /dev/urandom | base64 -w 76; } >"$message.big"
	run -0 timeout 200 curl -sS "smtp://127.0.0.1:$SMTP_PORT/client.example" --crlf --mail-from bob@client.example \
		--mail-rcpt alice@local.example --upload-file "$message.big"
	message=$message.big
	arrives_unchanged
}

@test "one message for two mailboxes lies in both" {
	run -0 send_message bob@client.example alice@local.example bob@local.example <"$message"
	wait_until delivered_to alice 1
	wait_until delivered_to bob 1
	same_message "$message" "$(message_of alice)"
	same_message "$message" "$(message_of bob)"
}

@test "the trace fields tell the way: Return-Path, Delivered-To, Received (RFC 5321 4.4)" {
	run -0 send_message bob@client.example alice@local.example <"$message"
	wait_until delivered_to alice 1
	run -0 sed '/^$/q' "$(message_of alice)"
	[[ ${lines[0]} == "Return-Path: <bob@client.example>" ]]
	[[ $output == *"Delivered-To: alice@local.example"* ]]
	[[ $output == *"Received: from client.example"*"by mail.local.example"*"with ESMTP"*"for <alice@local.example>"* ]]
}
