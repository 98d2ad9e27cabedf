# Relaying is for relay-networks only; no trick gets through.
load ../lib/suite

setup_file()    { SUITE_SERVICES=smtpd; export SUITE_SERVICES; suite_start --set 'relay-networks = none'; }
teardown_file() { suite_stop; }

refused() {	# RECIPIENT CODE
	run -0 talk smtpd <<-EOF
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<bob@client.example>
		S: 250
		C: RCPT TO:$1
		S: $2
	EOF
}

@test "a foreign domain is refused (RFC 5321 3.6.1)" {
	refused '<someone@elsewhere.example>' '550 5.7.1'
}
@test "the percent hack is no way out" {
	refused '<someone%elsewhere.example@local.example>' 550
}
@test "a bang path is no way out" {
	refused '<elsewhere.example!someone@local.example>' 550
}
@test "a quoted address is no way out" {
	refused '<"someone@elsewhere.example"@local.example>' 550
}
@test "a quoted foreign address is refused" {
	refused '<"someone"@elsewhere.example>' 550
}
@test "a bare quoted address is no way out" {
	refused '<"someone@elsewhere.example">' 55
}
@test "a source route through us is stripped, not followed" {
	refused '<@local.example:someone@elsewhere.example>' '550 5.7.1'
}
@test "two at-signs are a syntax error" {
	refused '<someone@elsewhere.example@local.example>' 5
}
@test "a foreign address literal is refused" {
	refused '<someone@[192.0.2.1]>' 550
}
