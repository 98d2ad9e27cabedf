# REQUIRETLS between two instances, and where the next one can't do it: RFC 8689.
load ../lib/suite
load ../lib/pair
load ../lib/certificates

setup_file() {
	pair_net
	pair_names <<-'EOF'
		a.example MX 10 mail.a.example
		mail.a.example A 127.0.0.2
		b.example MX 10 mail.b.example
		mail.b.example A 127.0.0.3
		c.example MX 10 mail.c.example
		mail.c.example A 127.0.0.4
	EOF
	cd "$PAIR" || return 1
	authority_make authority
	certificate_make b.pem authority mail.b.example
	openssl pkey -in b.pem -out b.key && openssl crl2pkcs7 -nocrl -certfile b.pem | openssl pkcs7 -print_certs >b.crt
	chmod 600 b.key
	cd /
	pair_start a 127.0.0.2 -- --set "tls-authorities = $PAIR/authority.crt"
	on a routes_name_the_hosts
	pair_start b 127.0.0.3 -- --set "tls-certificate = $PAIR/b.crt" --set "tls-key = $PAIR/b.key"
	pair_start c 127.0.0.4	# its certificate is signed by itself
}
routes_name_the_hosts() {
	printf '%s.example smtp:[mail.%s.example]\n' b b c c >"$SUITE/etc/routes"
	$DAWK update
}
# Nothing vouches for the hosts that the unsigned DNS names: the routes of a do (RFC 8689 4.2.1).
setup() { on a empty_mailboxes; on b empty_mailboxes; on c empty_mailboxes; }
teardown() { [[ -n ${BATS_TEST_COMPLETED:-} ]] || tail -n 20 "$PAIR"/[abc]/stderr/*; }
teardown_file() { pair_stop; }

a_says() { on a logged queued "$1"; }
say_mail() {	# PARAMETERS RECIPIENT [HEADER-LINE]
	on a talk <<-EOF
		S: 220
		C: EHLO client.example
		S: 250
		S+ 250-REQUIRETLS
		C: MAIL FROM:<alice@a.example>$1
		S: 250
		C: RCPT TO:<$2>
		S: 250
		C: DATA
		S: 354
		C: Subject: private
		C: ${3:-X-Plain: yes}
		C:
		C: a secret word
		C: .
		S: 250
	EOF
}

@test "a message that requires TLS goes on only under TLS that is verified, and still requires it there (RFC 8689 4.2.1)" {
	say_mail ' REQUIRETLS' alice@b.example
	wait_until on b delivered_to alice 1
	wait_until a_says 'tls .*host=mail.b.example.* policy=verify from=requiretls .* verified=authority'
	grep -q 'with ESMTPS id' "$(on b message_of alice)"
}

@test "where that can't be, its sender gets a report, without the text and as closely kept (RFC 8689 5)" {
	say_mail ' REQUIRETLS' alice@c.example
	wait_until on a delivered_to alice 1
	grep -q '^Status: 5.7.30' "$(on a message_of alice)"
	run ! grep -q 'a secret word' "$(on a message_of alice)"
	on c delivered_to alice 0
	wait_until on a queue_is_empty
}

@test "the same message without REQUIRETLS goes as it can" {
	say_mail '' alice@c.example
	wait_until on c delivered_to alice 1
	wait_until a_says 'tls .*host=mail.c.example.* policy=may from=default .* verified=no'
}

@test "the queue keeps what was asked for, and shows it" {
	local id
	"$BIN/dawk" -c "$PAIR/a/etc/dawk.conf" queue list >/dev/null
	on a suite_end queued
	say_mail ' REQUIRETLS' alice@b.example 'TLS-Required: No'
	id=$(basename "$(find "$PAIR/a/queue/new" -type f)")
	run -0 dawk_on a queue show "$id"
	[[ $output == *"requiretls"*yes* && $output == *"tls-optional"*yes* ]] || { echo "$output"; false; }
	on a suite_run
	wait_until on b delivered_to alice 1
	on b suite_end queued
	say_mail ' REQUIRETLS' bob@b.example
	wait_until at_b
	grep -q '^requiretls$' "$(find "$PAIR/b/queue/new" -type f)"
	on b suite_run
	wait_until on b delivered_to bob 1
}
at_b() { [[ -n $(find "$PAIR/b/queue/new" -type f) ]]; }

@test "REQUIRETLS is offered and taken only where the session is under TLS (RFC 8689 2)" {
	in_net "$TOOLS/talk.py" 127.0.0.3:25 <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		S- 250-REQUIRETLS
		C: MAIL FROM:<alice@client.example> REQUIRETLS
		S: 555 5.5.4
	EOF
}
