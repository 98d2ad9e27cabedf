# remoted's TLS, as DANE (RFC 7672), MTA-STS (RFC 8461) and REQUIRETLS (RFC 8689) want it, and what is told for reports (RFC 8460).
load ../lib/suite
load ../lib/certificates
load ../lib/zones
load ../lib/tls-hosts

setup_file() { tls_hosts_make; }
teardown_file() { tls_hosts_end; }
setup() { host_prepare; }
teardown() { host_stop; }

REQUIRETLS=8 TLS_OPTIONAL=16

# ---- DANE ----

@test "TLSA records that fit let the message go, and the log says by which (RFC 7672 3.1)" {
	local row
	host_start "cert=$SUITE/right.pem"
	for row in 'ee 3 1 1' 'whole 3 0 0' 'ta 2 0 1'; do
		send_to "${row%% *}.signed.example"
		taken
		log_has " policy=dane from=dane "
		log_has " verified=\"dane ${row#* }\""
		log_has "site smtp:${row%% *}-mx.signed.example:$HOST_PORT dane"
	done
}

@test "DANE-EE looks at no name and no time, DANE-TA does (RFC 7672 3.1.1, 3.2.2)" {
	certificate_make "$SUITE/elsewhere.pem" "$SUITE/etc/authority" elsewhere.example
	host_start "cert=$SUITE/elsewhere.pem"
	send_to ta.signed.example
	put_off 4.7.5 'the authority of the TLSA record does not vouch for it'
}

@test "a certificate that no TLSA record fits keeps the message from going, an authority's word notwithstanding (RFC 7672 2.2)" {
	local name
	host_start "cert=$SUITE/right.pem"
	for name in wrong stranger-ta; do
		send_to "$name.signed.example"
		log_has ' policy=dane from=dane '
		put_off 4.7.5 'no TLSA record fits its certificate'
	done
}

@test "with TLSA records nothing goes in clear, without STARTTLS or when the handshake fails (RFC 7672 2.2)" {
	host_start
	send_to ee.signed.example
	put_off 4.7.4 'it does not offer STARTTLS'
	host_stop
	host_start "cert=$SUITE/right.pem" garbage
	send_to ee.signed.example
	put_off 4.7.5 'the TLS handshake failed'
}

@test "TLSA records of which none can be used ask for TLS, with anybody (RFC 7672 2.2)" {
	host_start "cert=$SUITE/untrusted.pem"
	send_to odd.signed.example
	taken
	log_has ' policy=encrypt from=dane '
	host_stop
	host_start
	send_to odd.signed.example
	put_off 4.7.4 'it does not offer STARTTLS'
}

@test "TLSA records that can't be validated are no reason to send in clear: the host gets nothing now (RFC 7672 2.1.2)" {
	host_start "cert=$SUITE/right.pem"
	send_to bogus.forged.example
	log_has 'remoted tls-refused '
	put_off 4.7.5 'unable to look up the TLSA records of bogus-mx.forged.example: DNSSEC'
	[[ ! -e $SUITE/host/commands ]]
}

@test "without TLSA records, without DNSSEC for the MX records, or for an insecure address there is no DANE (RFC 7672 2.2.1)" {
	local name
	host_start "cert=$SUITE/untrusted.pem"
	for name in none.signed.example outside.signed.example plain.example; do
		send_to "$name"
		taken
		log_has ' policy=may from=default '
	done
}

@test "TLSA records are found behind an alias, and at a secure alias of an insecure host (RFC 7672 2.2.2, 2.2.3)" {
	local name
	host_start "cert=$SUITE/right.pem"
	for name in linked far; do
		send_to "$name.signed.example"
		taken
		log_has ' verified="dane 3 1 1"'
	done
}

@test "a host in brackets has TLSA records of its own port, too (RFC 7672 2.2.2)" {
	host_start "cert=$SUITE/untrusted.pem"
	route_to x.example "smtp:[ee-mx.signed.example]:$HOST_PORT"
	put_off 4.7.5 'no TLSA record fits its certificate'
}

@test "a host in brackets shares nothing with domains whose unsigned MX records name it: what counts for one does not for the other" {
	local hop="smtp:[wrong-mx.signed.example]:$HOST_PORT"
	host_start "cert=$SUITE/untrusted.pem"
	MORE_ROUTES="lent.plain.example smtp:lent.plain.example:$HOST_PORT" REMOTE_BEFORE=lent.plain.example route_to x.example "$hop"
	log_has "site smtp:wrong-mx.signed.example:$HOST_PORT"
	log_has "site $hop"
	put_off 4.7.5 'no TLSA record fits its certificate'
}

@test "tls=dane wants TLSA records, tls=may does without, dane = no looks at none" {
	echo '* tls=dane' >"$SUITE/etc/site"
	host_start "cert=$SUITE/right.pem"
	send_to ee.signed.example
	taken
	host_stop
	host_start "cert=$SUITE/right.pem"
	for name in plain.example none.signed.example odd.signed.example; do
		send_to "$name"
		put_off 4.7.5 'and tls=dane wants one'
	done
	echo '* tls=may' >"$SUITE/etc/site"
	send_to wrong.signed.example
	taken
	: >"$SUITE/etc/site"
	cp "$SUITE/etc/dawk.conf" "$SUITE/dawk.conf.kept"
	echo 'dane = no' >>"$SUITE/etc/dawk.conf"
	send_to wrong.signed.example
	cp "$SUITE/dawk.conf.kept" "$SUITE/etc/dawk.conf"
	taken
	log_has ' policy=may from=default '
}

# ---- MTA-STS ----

@test "an enforced policy wants a host that it names and a certificate for that host (RFC 8461 4)" {
	host_start "cert=$SUITE/right.pem"
	REMOTE_STS='enforce *.plain.example' send_to plain.example
	taken
	log_has ' policy=verify from=mta-sts '
	log_has ' verified=authority'
	log_has "site smtp:mx.plain.example:$HOST_PORT mta-sts=enforce"
	log_has 'fact plain.example 2 mx.plain.example 1 127.0.0.1 -'
	host_stop
	host_start "cert=$SUITE/domain.pem"
	REMOTE_STS='enforce mx.plain.example' send_to plain.example
	log_has 'fact plain.example 2 mx.plain.example 3 127.0.0.1 mx.plain.example: The certificate is NOT trusted'
	put_off 4.7.5 'mx.plain.example: The certificate is NOT trusted'
	host_stop
	host_start "cert=$SUITE/expired.pem"
	REMOTE_STS='enforce mx.plain.example' send_to plain.example
	log_has 'fact plain.example 2 mx.plain.example 4 '
	put_off 4.7.5 ''
	host_stop
	host_start
	REMOTE_STS='enforce mx.plain.example' send_to plain.example
	log_has 'fact plain.example 2 mx.plain.example 2 '
	put_off 4.7.4 'it does not offer STARTTLS'
}

@test "a host that the enforced policy does not name gets nothing (RFC 8461 4.1)" {
	host_start "cert=$SUITE/right.pem"
	REMOTE_STS='enforce mx.else.example *.mx.plain.example plain.example' send_to plain.example
	log_has 'fact plain.example 2 mx.plain.example 6 '
	put_off 4.7.5 'mx.plain.example is not a host that the MTA-STS policy of plain.example names'
	[[ ! -e $SUITE/host/commands ]]
}

@test "a policy that is being tested is told about, and keeps nothing from going (RFC 8461 5)" {
	host_start "cert=$SUITE/untrusted.pem"
	REMOTE_STS='testing mx.plain.example' send_to plain.example
	taken
	log_has 'fact plain.example 2 mx.plain.example 5 '
	log_has ' policy=may from=default '
	host_stop
	host_start "cert=$SUITE/right.pem"
	REMOTE_STS='testing mx.else.example' send_to plain.example
	taken
	log_has 'fact plain.example 2 mx.plain.example 6 127.0.0.1 the MTA-STS policy, which is being tested, does not name it'
	host_stop
	host_start
	REMOTE_STS='testing mx.plain.example' send_to plain.example
	taken
	host_saw '^clear MAIL'
}

@test "without a policy, or while nobody knows it, TLS is as it is offered (RFC 8461 3.3)" {
	local answer
	host_start "cert=$SUITE/untrusted.pem"
	for answer in none later; do
		REMOTE_STS=$answer send_to plain.example
		taken
		log_has ' policy=may from=default '
		log_has 'fact plain.example 1 mx.plain.example 1 127.0.0.1 -'
	done
}

@test "what is told is told of the domain whose mail it is, also where another one of the same hosts came first (RFC 8460 4.2)" {
	host_start "cert=$SUITE/untrusted.pem"
	MORE_ROUTES="plain.example smtp:plain.example:$HOST_PORT" REMOTE_BEFORE=plain.example REMOTE_STS=none send_to other.plain.example
	taken
	log_has 'fact other.plain.example 1 mx.plain.example 1 127.0.0.1 -'
	log_has ' domain=other.plain.example '
}

@test "a stsd that dies is waited for until there is the next one: no mail passes its policies by meanwhile (RFC 8461 5)" {
	host_start
	REMOTE_STS='enforce mx.plain.example' REMOTE_STS_DIES=yes send_to plain.example
	log_has "site smtp:mx.plain.example:$HOST_PORT mta-sts=enforce"
	put_off 4.7.4 'it does not offer STARTTLS'
}

@test "DANE goes before MTA-STS, for better and worse (RFC 8461 2)" {
	host_start "cert=$SUITE/right.pem"
	REMOTE_STS='enforce mx.else.example' send_to ee.signed.example
	taken
	log_has ' verified="dane 3 1 1"'
	log_has 'fact ee.signed.example 3 ee-mx.signed.example 1 '
	host_stop
	host_start "cert=$SUITE/right.pem"
	REMOTE_STS='enforce wrong-mx.signed.example' send_to wrong.signed.example
	log_has 'fact wrong.signed.example 3 wrong-mx.signed.example 7 '
	put_off 4.7.5 'no TLSA record fits its certificate'
}

@test "tls=encrypt is the least: a policy's or TLSA records' demand for more holds" {
	echo '* tls=encrypt' >"$SUITE/etc/site"
	host_start "cert=$SUITE/untrusted.pem"
	REMOTE_STS='enforce mx.plain.example' send_to plain.example
	log_has ' policy=verify from=mta-sts '
	put_off 4.7.5 ''
	send_to ee.signed.example
	put_off 4.7.5 'no TLSA record fits its certificate'
}

# ---- REQUIRETLS ----

@test "a message that requires TLS goes to a host that is verified and offers REQUIRETLS (RFC 8689 4.2.1)" {
	host_start "cert=$SUITE/right.pem" requiretls
	REMOTE_STS='enforce mx.plain.example' REMOTE_FLAGS=$REQUIRETLS send_to plain.example
	taken
	log_has ' policy=verify from=requiretls '
	host_saw '^tls MAIL FROM:<bob@client.example>.* REQUIRETLS$'
	rm "$SUITE/host/commands"
	REMOTE_FLAGS=$REQUIRETLS send_to ee.signed.example
	taken
	log_has ' policy=dane from=dane '
	host_saw ' REQUIRETLS$'
	rm "$SUITE/host/commands"
	send_to plain.example
	taken
	run ! grep -q ' REQUIRETLS$' "$SUITE/host/commands"
}

@test "a certificate does not do where neither DNSSEC nor MTA-STS vouches for the hosts: 5.7.30 (RFC 8689 4.2.1)" {
	local policy
	host_start "cert=$SUITE/right.pem" requiretls
	for policy in '' 'testing mx.plain.example'; do
		REMOTE_STS=$policy REMOTE_FLAGS=$REQUIRETLS send_to plain.example
		[[ $output == *"result 0 0 failed 5.7.30 "*"neither DNSSEC nor an MTA-STS policy vouches"* ]] || { echo "$output"; false; }
	done
	[[ ! -s $SUITE/host/commands ]]
	REMOTE_FLAGS=$REQUIRETLS send_to none.signed.example	# signed: what is judged is the certificate
	log_has ' policy=verify from=requiretls then=another-host'
	REMOTE_FLAGS=$REQUIRETLS route_to x.example "smtp:[mx.plain.example]:$HOST_PORT"	# the admin vouches
	taken
}

@test "and is reported where there is no such host: 5.7.30 (RFC 8689 4.2.1)" {
	local manner
	for manner in "cert=$SUITE/right.pem" "cert=$SUITE/untrusted.pem requiretls" ''; do
		# shellcheck disable=SC2086	# two words
		host_start $manner
		REMOTE_STS='enforce mx.plain.example' REMOTE_FLAGS=$REQUIRETLS send_to plain.example
		[[ $output == *"result 0 0 failed 5.7.30 "*"REQUIRETLS"* ]] || { echo "$output"; false; }
		nothing_went
		host_stop
	done
	REMOTE_STS='enforce mx.plain.example' REMOTE_FLAGS=$REQUIRETLS send_to plain.example	# nobody there: later
	[[ $output == *"result 0 0 deferred 4.4.1 "* ]]
}

@test "TLS-Required: No goes before what the recipient's side wants, not before the site table (RFC 8689 3, 4.2.2)" {
	host_start "cert=$SUITE/untrusted.pem"
	REMOTE_FLAGS=$TLS_OPTIONAL REMOTE_STS='enforce mx.plain.example' send_to plain.example
	taken
	host_saw '^tls MAIL'
	REMOTE_FLAGS=$TLS_OPTIONAL send_to wrong.signed.example
	taken
	REMOTE_FLAGS=$TLS_OPTIONAL send_to bogus.forged.example
	taken
	rm "$SUITE"/host/commands "$SUITE"/host/message.*
	echo 'plain.example tls=verify' >"$SUITE/etc/site"
	REMOTE_FLAGS=$TLS_OPTIONAL send_to plain.example
	put_off 4.7.5 ''
}
