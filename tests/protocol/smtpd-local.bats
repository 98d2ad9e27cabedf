# smtpd alone: the local socket, which knows the caller's uid, and the submission port.
load ../lib/suite

setup()  { SUITE_SERVICES=smtpd suite_start "$@"; }
teardown() { suite_stop; }

queued() { find "$SUITE/queue/new" -type f; }

@test "a local program may relay, the envelope and the trace header know its uid" {
	run -0 talk local <<-'EOF'
		S: 220
		C: EHLO localhost
		S: 250
		C: MAIL FROM:<alice@local.example>
		S: 250
		C: RCPT TO:<x@far.example>
		S: 250
		C: DATA
		S: 354
		C: Subject: x
		C:
		C: body
		C: .
		S: 250 2.0.0
	EOF
	run -0 cat "$(queued)"
	[[ $output == *$'\nclient local\n'* && $output == *"uid $(id -u)"* ]]
	[[ $output == *"Received: from local (uid $(id -u))"* ]]
}
@test "submitted mail gets the Date, From and Message-ID that it lacks, and no second ones (RFC 6409 8)" {
	run -0 talk local <<-'EOF'
		S: 220
		C: EHLO localhost
		S: 250
		C: MAIL FROM:<alice@local.example>
		C: RCPT TO:<bob@local.example>
		C: DATA
		S*2: 250
		S: 354
		C: Subject: x
		C: date: Sat, 21 Nov 2026 10:00:00 +0000
		C:
		C: body
		C: .
		S: 250 2.0.0
	EOF
	run -0 cat "$(queued)"
	[[ $output == *$'\nFrom: <alice@local.example>\r\nMessage-ID: <'*'@mail.local.example>'* ]]
	[[ $(grep -ci '^date:' "$(queued)") == 1 ]]
}
@test "mail by port 25 is not touched" {
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<alice@local.example>
		C: RCPT TO:<bob@local.example>
		C: DATA
		S*2: 250
		S: 354
		C: Subject: x
		C:
		C: body
		C: .
		S: 250 2.0.0
	EOF
	run ! grep -i '^message-id:\|^date:\|^from:' "$(queued)"
}
@test "relay-networks = none: nor may local programs relay" {
	suite_stop
	setup --set 'relay-networks = none'
	run -0 talk local <<-'EOF'
		S: 220
		C: EHLO localhost
		S: 250
		C: MAIL FROM:<alice@local.example>
		S: 250
		C: RCPT TO:<x@far.example>
		S: 550 5.7.1
		C: RCPT TO:<bob@local.example>
		S: 250
	EOF
}
@test "the submission port asks for a login: 530 5.7.0 (RFC 6409 4.3)" {
	local port
	read -r port <<<"$("$TOOLS/free-ports.py" 1)"
	suite_stop
	setup --submission "127.0.0.1:$port"
	run -0 talk "$port" <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<alice@local.example>
		S: 530 5.7.0
		C: NOOP
		S: 250
	EOF
	"$TOOLS/free-ports.py" --release "$port"
}
