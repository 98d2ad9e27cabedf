# smtpd alone: greeting, commands, their order, and the ways of old programs.
load ../lib/suite

setup_file() {
	export SUITE_SERVICES=smtpd
	suite_make --set 'expn-networks = 127.0.0.2/32' --set 'bare-newline = reject'
	{
		echo 'team@local.example: alice@local.example, bob@local.example, carol@far.example'
		echo 'accents@local.example: alice@local.example, zoë@far.example'
		printf 'hundred@local.example: %s\n' "$(printf "member-%030d@far.example, " {1..100})"
		printf 'wide@local.example: %s\n' "$(printf "member-%050d@far.$(printf %060d 0).example, " {1..100})"
	} >>"$SUITE/etc/aliases"
	$DAWK update && suite_run
}
teardown_file() { suite_stop; }

@test "EHLO offers what is there, each line with its code and none enhanced (RFC 5321 4.1.1.1, RFC 2034 3)" {
	run -0 talk smtpd <<-'EOF'
		S: 220 mail.local.example ESMTP
		C: EHLO client.example
		S~ ^250-mail\.local\.example$
		S+ 250-PIPELINING
		S+ 250-SIZE 52428800
		S+ 250-8BITMIME
		S+ 250-ENHANCEDSTATUSCODES
		S+ 250-CHUNKING
		S+ 250-SMTPUTF8
		S+ 250-DSN
		S+ 250-LIMITS MAILMAX=10000 RCPTMAX=1000
		S+ 250-STARTTLS
		S+ 250 HELP
		S- 250-BINARYMIME
		S- 250-AUTH
		S- 250-EXPN
		C: QUIT
		S: 221 2.0.0
		E:
	EOF
}

@test "a whole session byte by byte is the same session" {
	run -0 talk --bytes smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<bob@client.example>
		S: 250 2.1.0
		C: RCPT TO:<alice@local.example>
		S: 250 2.1.5
		C: DATA
		S: 354
		C: Subject: slow
		C:
		C: ..dot
		C: .
		S: 250 2.0.0 queued as
		C: QUIT
		S: 221 2.0.0
	EOF
}

@test "commands in any case, with blanks at the end (RFC 5321 2.4, 4.1.1)" {
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: heLO client.example  
		S: 250 mail.local.example
		C: mail from:<bob@client.example> 
		S: 250 2.1.0
		C: Rcpt To:<alice@LOCAL.example>
		S: 250 2.1.5
		C: data
		S: 354
		C: .
		S: 250 2.0.0
		C: quit
		S: 221
	EOF
}

@test "a path without brackets and with a blank, and a source route, are taken (RFC 5321 4.1.2, appendix C)" {
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		C: mail from: test@sample.com
		S: 250 2.1.0
		C: rcpt to: alice@local.example
		S: 250 2.1.5
		C: RCPT TO:<@relay.example,@two.example:bob@local.example>
		S: 250 2.1.5
		C: RSET
		S: 250 2.0.0
		C: MAIL FROM:<@relay.example:fred@somewhere.example>
		S: 250 2.1.0
	EOF
}

@test "commands out of order get 503 5.5.1 and the session goes on (RFC 5321 4.1.4)" {
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: MAIL FROM:<bob@client.example>
		S: 503 5.5.1
		C: EHLO client.example
		S: 250
		C: RCPT TO:<alice@local.example>
		S: 503 5.5.1
		C: DATA
		S: 503 5.5.1
		C: MAIL FROM:<bob@client.example>
		S: 250
		C: MAIL FROM:<bob@client.example>
		S: 503 5.5.1
		C: DATA
		S: 554 5.5.1
		C: RCPT TO:<alice@local.example>
		S: 250
		C: DATA now
		S: 501 5.5.4
		C: DATA
		S: 354
		C: .
		S: 250 2.0.0
	EOF
}

@test "EHLO in a transaction ends it (RFC 5321 4.1.4)" {
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<bob@client.example>
		S: 250
		C: EHLO client.example
		S: 250
		C: RCPT TO:<alice@local.example>
		S: 503 5.5.1
	EOF
}

@test "RSET, NOOP, HELP, VERB, VRFY and QUIT at any time (RFC 5321 4.1.1.5 to 4.1.1.10)" {
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: NOOP
		S: 250 2.0.0
		C: NOOP whatever
		S: 250 2.0.0
		C: RSET
		S: 250 2.0.0
		C: HELP
		S: 214 2.0.0
		C: VERB
		S: 250 2.0.0
		C: VRFY alice
		S: 252 2.5.2
		C: VRFY nobody@local.example SMTPUTF8
		S: 252 2.5.2
		C: VRFY
		S: 501 5.5.4
		C: VRFY two words
		S: 501 5.5.4
		C: EXPN team
		S: 502 5.7.0
		C: QUIT
		S: 221 2.0.0
		E:
	EOF
}

@test "what is no command gets 500 5.5.1, control characters and bare newlines 500 5.5.2" {
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: FOO bar
		S: 500 5.5.1
		C:
		S: 500 5.5.1
		C: HELO
		S: 501 5.5.4
		X: NO\x00OP\r\n
		S: 500 5.5.2
		X: NO\rOP\r\n
		S: 500 5.5.2
		C: NOOP
		S: 250
	EOF
	run -0 talk --source 127.0.0.1 smtpd <<-'EOF'
		S: 220
		X: NOOP\n
		S: 250 2.0.0
	EOF
}

@test "bad arguments get 501 or 555 with the right enhanced code (RFC 5321 4.2.2, RFC 3463)" {
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL bob@client.example
		S: 501 5.5.4
		C: MAIL FROM:<bob@client.example
		S: 501 5.1.7
		C: MAIL FROM:<bob@client.example> FOO=bar
		S: 555 5.5.4
		C: MAIL FROM:<bob@client.example> BODY=BINARYMIME
		S: 501 5.5.4
		C: MAIL FROM:<bob@client.example>
		S: 250
		C: RCPT TO:<alice@loc al.example>
		S: 501 5.1.3
		C: RCPT TO:<>
		S: 501 5.1.3
		C: RCPT TO:<alice@local.example> SIZE=1
		S: 555 5.5.4
		C: RCPT TO:<alice@local.example> NOTIFY=NEVER
		S: 250 2.1.5
	EOF
}

@test "a pipelined group is answered in order (RFC 2920 3.2)" {
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<bob@client.example>
		C: RCPT TO:<nobody@local.example>
		C: RCPT TO:<alice@local.example>
		C: DATA
		S: 250 2.1.0
		S: 550 5.1.1
		S: 250 2.1.5
		S: 354
		C: one
		C: .
		C: MAIL FROM:<bob@client.example>
		C: RCPT TO:<bob@local.example>
		C: DATA
		S: 250 2.0.0
		S: 250 2.1.0
		S: 250 2.1.5
		S: 354
		C: two
		C: .
		C: QUIT
		S: 250 2.0.0
		S: 221
		E:
	EOF
}

@test "a message sent blindly after a DATA that failed is not run as commands" {
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		C: MAIL FROM:<bob@client.example>
		C: RCPT TO:<nobody@local.example>
		C: DATA
		C: MAIL FROM:<eve@client.example>
		S: 250
		S: 250
		S: 550 5.1.1
		S: 554 5.5.1
		E:
	EOF
}

@test "EXPN shows the members to the networks it is for, and is offered to them (RFC 5321 3.5, 3.5.2)" {
	run -0 talk --source 127.0.0.2 smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		S+ 250-EXPN
		C: EXPN team@local.example
		S: 250-2.1.5 <alice@local.example>
		S+ 250-2.1.5 <bob@local.example>
		S+ 250 2.1.5 <carol@far.example>
		C: EXPN nobody@local.example
		S: 550 5.1.1
		C: EXPN team nobody
		S: 501 5.5.4
		C: EXPN "team@local.example" SMTPUTF8
		S: 250-2.1.5 <alice@local.example>
		C: EXPN accents
		S: 550 5.6.8
		C: EXPN accents SMTPUTF8
		S: 250-2.1.5 <alice@local.example>
		S+ 250 2.1.5 <zoë@far.example>
	EOF
}

@test "EXPN shows all members, or says that it does not (RFC 5321 3.5.1)" {
	run -0 talk --source 127.0.0.2 smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		C: EXPN hundred
		S: 250-2.1.5 <member-000000000000000000000000000001@far.example>
		C: EXPN wide
		S: 252 2.5.2
	EOF
	[[ $(grep -c '<member-0' <<<"$output") -eq 100 ]]
}

@test "a line of 4,096 bytes is taken, a longer one gets 500 5.5.2 and the session goes on (RFC 5321 4.5.3.1.4)" {
	local fits long
	fits="NOOP $(head -c 4000 /dev/zero | tr '\0' x)"
	long="NOOP $(head -c 100000 /dev/zero | tr '\0' x)"
	run -0 talk smtpd <<-EOF
		S: 220
		C: $fits
		S: 250
		C: $long
		S: 500 5.5.2
		C: NOOP
		S: 250
	EOF
}
