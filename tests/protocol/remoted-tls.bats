# remoted's TLS, as it is offered and as the site table and the routes want it. RFC 3207.
load ../lib/suite
load ../lib/certificates
load ../lib/zones
load ../lib/tls-hosts

setup_file() { tls_hosts_make; }
teardown_file() { tls_hosts_end; }
setup() { host_prepare; }
teardown() { host_stop; }

# ---- as it is offered ----

@test "TLS is used where it is offered, and what was said in clear is asked anew (RFC 3207 4.2)" {
	host_start "cert=$SUITE/other.pem"
	send_to plain.example
	taken
	[[ $(grep -vc '^tls' "$SUITE/host/commands") == 2 ]]	# EHLO and STARTTLS
	host_saw '^tls EHLO mail.local.example$'
	host_saw '^tls MAIL FROM:<bob@client.example>'
	log_has 'remoted tls '
	log_has 'host=mx.plain.example[127.0.0.1]:'
	log_has ' policy=may from=default tls=TLSv1.3 cipher='
	log_has ' verified=no'
}

@test "a host without STARTTLS gets the message in clear (RFC 3207)" {
	host_start
	send_to plain.example
	taken
	host_saw '^clear MAIL'
}

@test "TLS that fails is told, remembered, and the message goes on in clear in the same attempt (RFC 7435)" {
	local habit
	for habit in refuse garbage drop old inject hang; do
		host_start "cert=$SUITE/other.pem" "$habit"
		JOBS=2 REMOTE_PAUSE=closed send_to plain.example
		[[ $output == *"result 0 0 relayed"*"result 1 0 relayed"* ]] || { echo "$habit: $output"; false; }
		log_has 'remoted tls-failed '
		log_has ' then=clear why='
		[[ $(times_seen STARTTLS) == 1 && $(times_seen '^clear MAIL') == 2 ]] || { echo "$habit"; cat "$SUITE/host/commands"; false; }
		host_stop
	done
}

@test "a reply in clear behind that to STARTTLS is taken for what it may be: forged (RFC 3207 6)" {
	host_start "cert=$SUITE/right.pem" inject
	echo '* tls=encrypt' >"$SUITE/etc/site"
	send_to plain.example
	put_off 4.7.5 'bytes in clear behind the answer to STARTTLS'
}

@test "tls=none does without, whatever is offered" {
	host_start "cert=$SUITE/right.pem"
	echo 'plain.example tls=none' >"$SUITE/etc/site"
	send_to plain.example
	taken
	run ! grep -q STARTTLS "$SUITE/host/commands"
}

# ---- as the site table wants it ----

@test "tls=encrypt sends nothing in clear, whatever fails, and says what" {
	local habit
	echo 'plain.example tls=encrypt' >"$SUITE/etc/site"
	host_start
	send_to plain.example
	log_has ' policy=encrypt from=site '
	put_off 4.7.4 'it does not offer STARTTLS'
	host_stop
	host_start no-ehlo
	send_to plain.example
	put_off 4.7.4 'it does not offer STARTTLS'
	for habit in refuse garbage drop old hang; do
		host_stop
		host_start "cert=$SUITE/other.pem" "$habit"
		send_to plain.example
		log_has ' then=another-host '
		put_off 4.7.5 ''
	done
}

@test "tls=encrypt takes any certificate" {
	echo '.example tls=encrypt' >"$SUITE/etc/site"
	host_start "cert=$SUITE/untrusted.pem" tls12
	send_to plain.example
	taken
	host_saw '^tls MAIL'
	log_has ' tls=TLSv1.2 '
}

@test "tls=verify wants a certificate for the host or the domain from an authority that is trusted" {
	local file
	echo 'plain.example tls=verify' >"$SUITE/etc/site"
	for file in right domain; do
		host_start "cert=$SUITE/$file.pem"
		send_to plain.example
		taken
		log_has ' policy=verify from=site '
		log_has ' verified=authority'
		host_stop
	done
	for file in other expired untrusted; do
		host_start "cert=$SUITE/$file.pem"
		send_to plain.example
		put_off 4.7.5 'mx.plain.example: The certificate is NOT trusted'
		host_stop
	done
	host_start
	send_to plain.example
	put_off 4.7.4 'it does not offer STARTTLS'
}

@test "a host whose TLS does not do is not asked anew for each message that waits" {
	host_start "cert=$SUITE/untrusted.pem"
	echo 'plain.example tls=verify' >"$SUITE/etc/site"
	JOBS=20 REMOTE_PAUSE=1 send_to plain.example
	[[ $(grep -c 'deferred 4.7.5 .*NOT trusted' <<<"$output") == 20 ]]
	[[ $(times_seen STARTTLS) -le 3 ]]
}

@test "tls= of a route goes before that of the site, and a name in brackets is the one to be verified" {
	echo '* tls=none' >"$SUITE/etc/site"
	host_start "cert=$SUITE/right.pem"
	route_to x.example "smtp:[mx.plain.example]:$HOST_PORT" tls=verify
	taken
	log_has ' policy=verify from=route '
	host_stop
	host_start "cert=$SUITE/domain.pem"
	route_to x.example "smtp:[mx.plain.example]:$HOST_PORT" tls=verify
	put_off 4.7.5 'mx.plain.example: The certificate is NOT trusted'
}

@test "smtps: TLS from the first byte, never without (RFC 8314 3)" {
	host_start "cert=$SUITE/other.pem" wrapped
	route_to x.example "smtps:[mx.plain.example]:$HOST_PORT"
	taken
	[[ $(grep -vc '^tls' "$SUITE/host/commands") == 0 ]]
	log_has ' policy=encrypt from=route '
	host_stop
	host_start
	route_to x.example "smtps:[mx.plain.example]:$HOST_PORT"
	put_off 4.7.5 'the TLS handshake failed'
}

@test "dawk update refuses what can't work: SMTP to port 465, a weak smtps, a password without TLS" {
	local line
	for line in 'smtp:[h.example]:465' 'smtp:h.example:465' 'smtps:[h.example] tls=may' 'smtp:[h.example]:587 secret=x tls=none' 'smtp:[h.example] tls=strong'; do
		echo "x.example $line" >"$SUITE/etc/routes"
		run ! $DAWK update
		[[ $output == *"routes:1:"* ]] || { echo "$output"; false; }
	done
	: >"$SUITE/etc/routes"
	$DAWK update
}

@test "a large message goes whole under TLS, by versions 1.2 and 1.3" {
	local version
	{ printf 'Subject: large\r\n\r\n'; head -c 1500000 /dev/urandom | base64 -w 900 | sed 's/$/\r/'; } >"$SUITE/message"
	for version in tls12 tls13; do
		host_start "cert=$SUITE/other.pem" "$version"
		send_to plain.example
		taken
		cmp "$SUITE/host/message.1" <(cat "$SUITE/message"; printf '.\r\n')
		host_stop
	done
	printf 'Subject: hi\r\n\r\nhello\r\n' >"$SUITE/message"
}

@test "a session is resumed by the next connection (RFC 8446 2.2)" {
	local version
	for version in tls12 tls13; do
		host_start "cert=$SUITE/other.pem" "$version"
		JOBS=2 REMOTE_PAUSE=closed send_to plain.example
		[[ $output == *"result 0 0 relayed"*"result 1 0 relayed"* ]]
		host_saw '^tls MAIL'
		host_saw '^tls+resumed MAIL'
		log_has ' resumed=yes '
		host_stop
	done
}

@test "a session that was verified is verified again when it is resumed" {
	echo 'plain.example tls=verify' >"$SUITE/etc/site"
	host_start "cert=$SUITE/right.pem"
	JOBS=2 REMOTE_PAUSE=closed send_to plain.example
	[[ $output == *"result 0 0 relayed"*"result 1 0 relayed"* ]]
	log_has ' resumed=yes verified=authority'
}
