# dawk explain and dawk check ask the DNS as remoted does.
load ../lib/suite
load ../lib/names

setup_file() {
	names_port
	suite_make --domain second.example --domain null.example --domain far.example --set 'dnssec = no' --resolver "127.0.0.1@$DNS_PORT"
	names_serve <<-'EOF'
		mail.local.example A 192.0.2.9
		local.example MX 5 mail.local.example
		second.example A 192.0.2.77
		null.example MX 0 .
		far.example MX 10 mx.far.example
		mx.far.example A 192.0.2.5
		else.example MX 20 b.else.example
		else.example MX 10 a.else.example
		a.else.example A 192.0.2.1
		a.else.example AAAA 2001:db8::1
		b.else.example A 192.0.2.2
		implicit.example A 192.0.2.3
		xn--bcher-kva.example MX 10 a.else.example
		nothing.example MX 0 .
		broken.example servfail
		ours.example MX 10 mail.local.example
		ours.example MX 20 a.else.example
		backup.example MX 5 a.else.example
		backup.example MX 10 mail.local.example
		silent.example silent
	EOF
	printf 'routed.example smtp:[b.else.example]:2525\nsocket.example lmtp:unix:/run/x.sock\naddress.example smtp:[192.0.2.8]\n' \
		>>"$SUITE/etc/routes"
	$DAWK update
}
teardown_file() {
	names_stop
	suite_stop
}

# explains ADDRESS PATTERN: bash's, of the whole answer
explains() {
	run -0 $DAWK explain "$1"
	# shellcheck disable=SC2053
	[[ $output == $2 ]]
}

@test "explain shows mail exchangers and their addresses in the order to try them (RFC 5321 5.1)" {
	explains x@else.example '*mail exchangers of else.example: 10 a.else.example, 20 b.else.example
*  2001:db8::1 port 25, a.else.example
*  192.0.2.1 port 25, a.else.example
*  192.0.2.2 port 25, b.else.example*'
}
@test "explain shows the address of a domain without MX (RFC 5321 5.1)" {
	explains x@implicit.example '*mail exchangers of implicit.example: 0 implicit.example
*  192.0.2.3 port 25, implicit.example*'
}
@test "explain asks for the A-labels of an international domain (RFC 6531 3.2)" {
	explains x@bücher.example '*mail exchangers of xn--bcher-kva.example: 10 a.else.example
*  192.0.2.1 port 25, a.else.example*'
}
@test "explain knows a null MX, a domain that does not exist and a look-up that fails (RFC 7505)" {
	explains x@nothing.example '*undeliverable, its mail would be reported: 5.1.10 nothing.example accepts no mail (null MX)*'
	explains x@gone.example '*undeliverable*5.1.2 the domain gone.example does not exist*'
	explains x@broken.example '*would be deferred: 4.4.3 *broken.example*'
}
@test "explain leaves this host and all behind it out (RFC 5321 5.1)" {
	explains x@ours.example '*undeliverable*5.4.6 *'
	explains x@backup.example '*mail exchangers of backup.example: 5 a.else.example
*192.0.2.1 port 25*'
	[[ $output != *192.0.2.9* ]]
}
@test "explain follows the routes" {
	explains x@routed.example '*  192.0.2.2 port 2525, b.else.example*'
	[[ $output != *'mail exchangers of'*:* ]]
	explains x@address.example '*  192.0.2.8 port 25, 192.0.2.8*'
	explains x@socket.example '*next hop lmtp:unix:/run/x.sock*'
}
@test "explain waits for a DNS without answers a few seconds at most, and no dnsd stays" {
	SECONDS=0
	explains x@silent.example '*did not answer within*'
	((SECONDS < 40))
	wait_until eval '! pgrep -f -- "dnsd -c $SUITE/"'
}
@test "check tells what the DNS says of this host and its domains" {
	run -0 $DAWK check
	[[ $output == *"all is well"* && $output != *"mail.local.example has no address"* ]]
	[[ $output != *"mail for local.example"* ]]
	[[ $output == *"mail for second.example goes to second.example first, not to mail.local.example"* ]]
	[[ $output == *"nobody else can send mail to null.example: null.example accepts no mail (null MX)"* ]]
	[[ $output == *"mail for far.example goes to mx.far.example first"* ]]
}
@test "check and explain say when a name server strips DNSSEC (RFC 4035 4.3)" {
	printf '%s. IN DS 12345 13 2 %064d\n' local.example 1 else.example 1 >"$SUITE/etc/anchors"
	sed 's/^dnssec.*/trust-anchor = anchors/' "$SUITE/etc/dawk.conf" >"$SUITE/etc/strict.conf"
	run -0 "$BIN/dawk" -c "$SUITE/etc/strict.conf" check
	[[ $output == *"DNSSEC fails ("*"strips signatures"* ]]
	run -0 "$BIN/dawk" -c "$SUITE/etc/strict.conf" explain x@else.example
	[[ $output == *"would be deferred: 4.4.3 "*DNSSEC* ]]
}
@test "check does not wait long for a DNS without answers, and finds nothing wrong" {
	echo 'mail.local.example silent' >>"$SUITE/names"
	SECONDS=0
	run -0 $DAWK check
	[[ $output == *"the DNS does not answer"*"all is well"* ]]
	((SECONDS < 40))
}
