# smtpd and dnsd: the domains of strangers' reverse-paths.
load ../lib/suite
load ../lib/names

setup_file() {
	export SUITE_SERVICES=smtpd
	names_port
	suite_make --set 'relay-networks = 127.0.0.20/32' --set 'relay-domains = inner.example' --set 'relay-check = table' --set 'dnssec = no' \
		--set 'error-limit = 100' --resolver "127.0.0.1@$DNS_PORT"
	names_serve <<-'EOF'
		mx.example MX 10 host.mx.example
		a.example A 192.0.2.1
		aaaa.example AAAA 2001:db8::1
		alias.example CNAME a.example
		null.example MX 0 .
		two.example MX 0 .
		two.example MX 10 host.mx.example
		text.example TXT nothing-else
		broken.example servfail
		silent.example silent
		xn--bcher-kva.example A 192.0.2.1
	EOF
	echo 'from:friend@gone.example allow' >>"$SUITE/etc/access"
	$DAWK update && suite_run
}
teardown_file() {
	names_stop
	suite_stop
}

# sender ADDRESS REPLY [PARAMETERS]: what a stranger's MAIL gets, and that the session goes on.
sender() {
	run -0 talk --source 127.0.0.2 smtpd <<-EOF
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<$1>${3:+ $3}
		S: $2
		C: NOOP
		S: 250
	EOF
}

@test "a sender's domain with MX, A or AAAA records is one" {
	sender bob@mx.example '250 2.1.0'
	sender bob@a.example '250 2.1.0'
	sender bob@AAAA.example '250 2.1.0'
	sender bob@alias.example '250 2.1.0'
	sender bob@two.example '250 2.1.0'
	sender bob@bücher.example '250 2.1.0' SMTPUTF8
}
@test "a sender's domain that does not exist is refused (RFC 3463 5.1.8)" {
	sender bob@gone.example "550 5.1.8 the sender's domain gone.example does not exist"
	sender bob@text.example '550 5.1.8'
}
@test "a sender's domain with a null MX is refused (RFC 7505 4.2)" {
	sender bob@null.example '550 5.7.27'
}
@test "a look-up that fails defers" {
	sender bob@broken.example '451 4.4.3'
}
@test "a look-up without an answer defers after 20 seconds, and the session goes on" {
	SECONDS=0
	sender bob@silent.example '451 4.4.3'
	((SECONDS < 60))
}
@test "the null reverse-path, literals, our own and relay domains, and what the access table allows are not asked about" {
	sender '' '250 2.1.0'
	sender 'bob@[192.0.2.1]' '250 2.1.0'
	sender nobody@local.example '250 2.1.0'
	sender bob@inner.example '250 2.1.0'
	sender friend@gone.example '250 2.1.0'
}
@test "our own clients and local programs may say what they like" {
	run -0 talk --source 127.0.0.20 smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		C: MAIL FROM:<bob@gone.example>
		S*2: 250
	EOF
	run -0 talk local <<-'EOF'
		S: 220
		C: EHLO client.example
		C: MAIL FROM:<bob@gone.example>
		S*2: 250
	EOF
}
@test "a pipelined group is answered in order while the domain is looked up (RFC 2920 3.2)" {
	run -0 talk --source 127.0.0.2 smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		C: MAIL FROM:<bob@gone.example>
		C: RCPT TO:<alice@local.example>
		C: RSET
		C: MAIL FROM:<bob@mx.example>
		C: RCPT TO:<alice@local.example>
		C: RCPT TO:<nobody@local.example>
		C: DATA
		S: 250
		S: 550 5.1.8
		S: 503
		S: 250
		S: 250 2.1.0
		S: 250 2.1.5
		S: 550 5.1.1
		S: 354
		C: .
		S: 250 2.0.0
	EOF
}
@test "a client that goes while its sender is looked up leaves nothing behind" {
	run -0 talk --source 127.0.0.2 smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		C: MAIL FROM:<bob@silent.example>
		S: 250
	EOF
	sender bob@mx.example '250 2.1.0'
}
@test "while dnsd is away a stranger's mail is deferred, and taken once it is back" {
	local pid asking
	pid=$(pgrep -f -- "dnsd -c $SUITE/")
	( sender bob@silent.example '451 4.4.3' ) & asking=$!
	kill -KILL "$pid"
	wait "$asking"
	wait_until sender bob@mx.example '250 2.1.0'
	wait_until logged smtpd 'event=started .*part=dnsd|started part=dnsd'
}
@test "sender-domain-check = no: any domain will do" {
	echo 'sender-domain-check = no' >>"$SUITE/etc/dawk.conf"
	suite_restart smtpd
	sender bob@gone.example '250 2.1.0'
}
