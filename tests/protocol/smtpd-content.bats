# smtpd alone: content by DATA and BDAT, smuggling, sizes, loops, what stands in the queue.
load ../lib/suite

setup_file() {
	export SUITE_SERVICES=smtpd
	suite_start --set 'relay-networks = 127.0.0.2/32' --set 'message-size-limit = 100k' --set 'error-limit = 100'
}
teardown_file() { suite_stop; }
setup()         { rm -f "$SUITE"/queue/new/*; }

queued()  { find "$SUITE/queue/new" -type f; }
content() { sed -e '1,/^Received:/{/^Received:/!d}' -e '/^length [0-9]*$/,$d' "$(queued)"; }

# The dialog up to 354, then what stands on standard input.
send_content() {	# [--source ADDRESS]
	{
		printf 'S: 220\nC: EHLO client.example\nS: 250\nC: MAIL FROM:<bob@client.example>\nS: 250\n'
		printf 'C: RCPT TO:<alice@local.example>\nS: 250\nC: DATA\nS: 354\n'
		cat
	} | talk "$@" smtpd
}

@test "the envelope and the content stand in the queue as they came, dots unstuffed (RFC 5321 4.5.2)" {
	run -0 send_content <<-'EOF'
		C: Subject: dots
		C:
		C: ..one
		C: ...two
		C: .x
		C: .
		S: 250 2.0.0 queued as
	EOF
	run -0 cat "$(queued)"
	[[ $output == "dawk 1 "*$'\nfrom bob@client.example\n'*$'\nrecipient alice@local.example\n'* ]]
	[[ $output == *$'\r\n.one\r\n..two\r\nx\r\n\nlength 0'*$'\nend dawk' ]]
}

@test "the trace header names client, HELO, protocol, ID and the only recipient (RFC 5321 4.4, RFC 3848)" {
	run -0 send_content <<-'EOF'
		C: Subject: x
		C:
		C: .
		S: 250 2.0.0
	EOF
	local id
	id=$(basename "$(queued)")
	run -0 content
	[[ $output == "Received: from client.example ([127.0.0.1])"*"by mail.local.example with ESMTP id $id"*"for <alice@local.example>;"* ]]
}

@test "with several recipients the trace header names none of them (RFC 5321 7.6)" {
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: HELO client.example
		S: 250
		C: MAIL FROM:<bob@client.example>
		S: 250
		C: RCPT TO:<alice@local.example>
		S: 250
		C: RCPT TO:<bob@local.example>
		S: 250
		C: DATA
		S: 354
		C: .
		S: 250
	EOF
	run -0 content
	[[ $output == *"with SMTP id"* && $output != *"for <"* ]]
}

@test "a recipient reached twice gets one copy" {
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<bob@client.example>
		C: RCPT TO:<alice@local.example>
		C: RCPT TO:<Alice@LOCAL.example>
		C: DATA
		S*3: 250
		S: 354
		C: .
		S: 250
	EOF
	[[ $(grep -c '^recipient ' "$(queued)") == 1 ]]
}

@test "no bare newline ends a message or smuggles another: 550 5.6.11 and the end of the session (RFC 5321 2.3.8)" {
	local end
	for end in '\n.\n' '\n.\r\n' '\r\n.\n' '\r.\r' '\r.\r\n' '\r\n.\r' '\r\r\n.\r\r\n' '\n\n.\r\n'; do
		run -0 send_content <<-EOF
			X: Subject: a\r\n\r\none$end
			C: MAIL FROM:<eve@client.example>
			C: RCPT TO:<bob@local.example>
			C: DATA
			C: smuggled
			C: .
			S: 550 5.6.11
			E:
		EOF
		[[ -z $(queued) ]]
	done
}

@test "a bare CR or LF anywhere refuses the whole message" {
	run -0 send_content <<-'EOF'
		X: Subject: a\r\n\r\none\ntwo\r\n.\r\n
		S: 550 5.6.11
		E:
	EOF
	run -0 send_content <<-'EOF'
		X: Subject: a\rb\r\n\r\none\r\n.\r\n
		S: 550 5.6.11
		E:
	EOF
	[[ -z $(queued) ]]
}

@test "for relay-networks bare newlines become CRLF, and still do not end a message" {
	run -0 send_content --source 127.0.0.2 <<-'EOF'
		X: Subject: a\n\none\n.\ntwo\rthree\r\n.\r\n
		S: 250 2.0.0
	EOF
	run -0 content
	[[ $output == *$'Subject: a\r\n\r\none\r\n.\r\ntwo\r\nthree\r'* ]]
}

@test "BDAT: chunks are joined as they came, replies count them (RFC 3030 2)" {
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<bob@client.example>
		C: RCPT TO:<alice@local.example>
		C: BDAT 13
		X: Subject: a\r\n\r
		C: BDAT 0
		C: BDAT 7 LAST
		X: \n.\r\n.\r\n
		S: 250 2.1.0
		S: 250 2.1.5
		S: 250 2.0.0 13
		S: 250 2.0.0 13
		S: 250 2.0.0 queued as
		C: NOOP
		S: 250
	EOF
	run -0 content
	[[ $output == *$'Subject: a\r\n\r\n.\r\n.\r'* ]]
}

@test "a chunk without a transaction that has no end in sight ends the session (RFC 3030 2)" {
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		C: BDAT 18446744073709551615
		S: 503 5.5.1
		E:
	EOF
}

@test "BDAT with a bare newline is refused as DATA is" {
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<bob@client.example>
		C: RCPT TO:<alice@local.example>
		C: BDAT 3 LAST
		X: a\nb
		S*2: 250
		S: 550 5.6.11
		E:
	EOF
}

@test "BDAT from relay-networks: a bare newline becomes CRLF as in DATA; text without a header gets the empty line" {
	run -0 talk --source 127.0.0.2 smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<bob@client.example>
		C: RCPT TO:<alice@local.example>
		C: BDAT 14
		X: Subject: a\n\nb\r
		C: BDAT 3 LAST
		X: .\n\r
		S*2: 250
		S*2: 250 2.0.0
		C: QUIT
		S: 221
	EOF
	run -0 content
	[[ $output == *$'Subject: a\r\n\r\nb\r\n.\r\n\r'* ]]
	rm "$SUITE"/queue/new/*
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<bob@client.example>
		C: RCPT TO:<alice@local.example>
		C: BDAT 11 LAST
		X: hello world
		S*2: 250
		S: 250 2.0.0
		C: QUIT
		S: 221
	EOF
	run -0 content
	[[ $output == *$'\r\n\r\nhello world'* ]]
}

@test "a chunk that nobody wants is read and refused, never run as commands (RFC 3030 2)" {
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		C: BDAT 6 LAST
		X: QUIT\r\n
		S: 503 5.5.1
		C: MAIL FROM:<bob@client.example>
		C: RCPT TO:<nobody@local.example>
		C: BDAT 6 LAST
		X: QUIT\r\n
		S: 250
		S: 550 5.1.1
		S: 554 5.5.1
		C: BDAT x
		S: 501 5.5.4
		C: NOOP
		S: 250
	EOF
}

@test "DATA, MAIL and RCPT have no place between chunks, RSET has (RFC 3030 2)" {
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<bob@client.example>
		C: RCPT TO:<alice@local.example>
		C: BDAT 2
		X: a\n
		S*2: 250
		S: 550 5.6.11
		E:
	EOF
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<bob@client.example>
		C: RCPT TO:<alice@local.example>
		C: BDAT 3
		X: a\r\n
		S*3: 250
		C: DATA
		S: 503 5.5.1
		C: MAIL FROM:<bob@client.example>
		S: 503 5.5.1
		C: RCPT TO:<alice@local.example>
		S: 503 5.5.1
		C: RSET
		S: 250
		C: MAIL FROM:<bob@client.example>
		S: 250
	EOF
	[[ -z $(queued) && -z $(find "$SUITE/queue/tmp" -type f) ]]
}

@test "a message over the limit: 552 5.3.4 at MAIL, after the dot, after the chunk; the session goes on (RFC 1870 6)" {
	local big="$BATS_TEST_TMPDIR/big"
	for ((i = 0; i < 2000; i++)); do printf '%078d\n' "$i"; done >"$big"
	run -0 talk smtpd <<-EOF
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<bob@client.example> SIZE=102401
		S: 552 5.3.4
		C: MAIL FROM:<bob@client.example> SIZE=102400
		S: 250
		C: RCPT TO:<alice@local.example>
		S: 250
		C: DATA
		S: 354
		D: $big
		S: 552 5.3.4
		C: MAIL FROM:<bob@client.example>
		C: RCPT TO:<alice@local.example>
		C: DATA
		S*2: 250
		S: 354
		C: small
		C: .
		S: 250 2.0.0
	EOF
	[[ $(queued | wc -l) == 1 && -z $(find "$SUITE/queue/tmp" -type f) ]]
}

@test "a message that streams to disk is the same as one that does not" {
	local large="$BATS_TEST_TMPDIR/large" i
	{ printf 'Subject: large\n\n'; for ((i = 0; i < 1250; i++)); do printf '.%070d\n' "$i"; done; } >"$large"
	run -0 send_content <<-EOF
		D: $large
		S: 250 2.0.0
	EOF
	content | sed '1,/^Subject: large/{/^Subject/!d}' | tr -d '\r' | sed '$d' | cmp - "$large"
}

@test "a line of 998 bytes and one of 60,000 arrive whole, one over 64 kB gets 500 5.6.0 (RFC 5321 4.5.3.1.6)" {
	local long
	long=$(head -c 60000 /dev/zero | tr '\0' x)
	run -0 send_content <<-EOF
		C: Subject: long
		C:
		C: $long
		C: .
		S: 250 2.0.0
	EOF
	content | grep -q "^$(printf 'x%.0s' {1..60})"
	[[ $(content | tr -d '\r' | awk '{ if (length > n) n = length } END { print n }') == 60000 ]]
	rm "$(queued)"
	run -0 send_content <<-EOF
		C: Subject: longer
		C:
		C: $long${long:0:10000}
		C: .
		S: 500 5.6.0
		C: NOOP
		S: 250
	EOF
	[[ -z $(queued) ]]
}

@test "a message with too many Received fields goes in circles: 554 5.4.6 (RFC 5321 6.3)" {
	local received
	received=$(for i in {1..101}; do echo "C: Received: from $i"; done)
	run -0 send_content <<-EOF
		$received
		C: Subject: loop
		C:
		C: .
		S: 554 5.4.6
		C: NOOP
		S: 250
	EOF
}

@test "a message without a header gets the line that ends one" {
	run -0 send_content <<-'EOF'
		C: hello
		C: .
		S: 250
	EOF
	run -0 content
	[[ $output == *$'\r\n\r\nhello\r'* ]]
}

@test "DSN parameters are kept as given for the reports (RFC 3461 4)" {
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<bob@client.example> RET=HDRS ENVID=QQ314159
		S: 250
		C: RCPT TO:<alice@local.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Alice+2Bx@orig.example
		S: 250
		C: DATA
		S: 354
		C: .
		S: 250
	EOF
	run -0 cat "$(queued)"
	[[ $output == *"QQ314159"* && $output == *"rfc822;Alice+2Bx@orig.example"* ]]
}

@test "a connection that goes away in the middle leaves nothing behind" {
	local large="$BATS_TEST_TMPDIR/large" i
	run -0 talk smtpd <<-EOF
		S: 220
		C: EHLO client.example
		C: MAIL FROM:<bob@client.example>
		C: RCPT TO:<alice@local.example>
		C: BDAT 90000
		X: $(head -c 80000 /dev/zero | tr '\0' x)\r\n
		S*3: 250
	EOF
	nothing_in_tmp() { [[ -z $(find "$SUITE/queue/tmp" -type f) ]]; }
	wait_until nothing_in_tmp
	[[ -z $(queued) ]]
}

@test "UTF-8 in addresses needs SMTPUTF8: 553 5.6.7, and is kept with it (RFC 6531 3.5)" {
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<jürgen@client.example>
		S: 553 5.6.7
		C: MAIL FROM:<bob@client.example>
		S: 250
		C: RCPT TO:<jürgen@local.example>
		S: 553 5.6.7
		C: RSET
		S: 250
		C: MAIL FROM:<jürgen@client.example> SMTPUTF8
		S: 250
		C: RCPT TO:<alice@local.example>
		S: 250
		C: DATA
		S: 354
		C: .
		S: 250
	EOF
	grep -q '^from jürgen@client.example' "$(queued)"
	run -0 content
	[[ $output == *"with UTF8SMTP id"* ]]
}

@test "messages by BDAT, pipelined without waiting, are taken one after the other (RFC 3030 4.2, RFC 2920)" {
	run -0 /usr/bin/python3 - "$SMTP_PORT" <<-'EOF'
		import socket, sys
		content = b"Subject: x\r\n\r\n" + b"y" * 900 + b"\r\n"
		content += content[14:] * 20
		one = b"MAIL FROM:<b@c.example>\r\nRCPT TO:<alice@local.example>\r\nBDAT %d LAST\r\n%s" % (len(content), content)
		s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60)
		s.recv(1000)	# a stranger waits for the greeting
		s.sendall(b"EHLO c.example\r\n" + one * 30 + b"QUIT\r\n")
		got = b""
		while more := s.recv(65536):
		    got += more
		assert got.count(b"250 2.0.0 queued as") == 30 and b"221 2.0.0" in got, got
	EOF
	[[ $(queued | wc -l) == 30 ]]
}
