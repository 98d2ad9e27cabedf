# TLS where there is nothing but IPv6: clients at ::1, and another host that has an AAAA record alone.
load ../lib/suite
load ../lib/pair
load ../lib/certificates

setup_file() {
	pair_net
	in_net ip addr add 2001:db8::1/128 dev lo
	in_net ip addr add 2001:db8::2/128 dev lo
	pair_names <<-'EOF'
		a.example MX 10 mail.a.example
		mail.a.example AAAA 2001:db8::1
		b.example MX 10 mail.b.example
		mail.b.example AAAA 2001:db8::2
	EOF
	cd "$PAIR" || return 1
	authority_make authority
	certificate_make right.pem authority mail.b.example,IP:2001:db8::2
	openssl pkey -in right.pem -out right.key
	sed '/-----BEGIN CERT/,$!d' right.pem >right.crt
	pair_start b '[2001:db8::2]' -- --set "tls-certificate = $PAIR/right.crt" --set "tls-key = $PAIR/right.key" --set 'domains = b.example c.example d.example'
	pair_make a '[2001:db8::1]' '[::1]' -- --set "tls-authorities = $PAIR/authority.crt" --set 'retry = 1s' \
		--set 'listen-submission = [::1]:587' --set 'listen-submissions = [::1]:465' --set 'listen-pop3 = [::1]:110' --set 'listen-pop3s = [::1]:995'
	echo '@c.example: alice@b.example' >>"$PAIR/b/etc/aliases"
	echo 'c.example smtp:[2001:db8::2]:25 tls=verify' >>"$PAIR/a/etc/routes"
	echo 'b.example tls=verify source=2001:db8::1' >>"$PAIR/a/etc/site"
	dawk_on a update
	dawk_on b update
	SUITE_SERVICES='queued smtpd pop3d' on a suite_run
	wait_until net_listens '[::1]' 995
	SHA=$(openssl x509 -in "$PAIR/a/etc/keys/self-signed.crt" -noout -fingerprint -sha256 | sed 's/.*=//')
	export SHA
}
setup() { on a empty_mailboxes; on b empty_mailboxes; }
teardown() { [[ -n ${BATS_TEST_COMPLETED:-} ]] || tail -n 20 "$PAIR"/[ab]/stderr/*; }
teardown_file() { pair_stop; }

a_says() { on a logged "$@"; }

@test "openssl and gnutls-cli shake hands at ::1, by STARTTLS, STLS and from the first byte" {
	local how
	for how in '25 smtp' '587 smtp' '465' '110 pop3' '995'; do
		# shellcheck disable=SC2086
		set -- $how
		run -0 in_net timeout 60 openssl s_client -connect "[::1]:$1" ${2:+-starttls "$2"} -ign_eof -CAfile "$PAIR/a/etc/keys/self-signed.crt" \
			-verify_return_error -verify_hostname mail.a.example < <(printf 'QUIT\r\n')
		[[ $output == *'New, TLSv1.3'* && $output == *'Verification: OK'* ]]
		run -0 in_net timeout 60 gnutls-cli --x509cafile "$PAIR/a/etc/keys/self-signed.crt" --verify-hostname mail.a.example --port "$1" \
			${2:+--starttls-proto "$2"} ::1 < <(printf 'QUIT\r\n')
		[[ $output == *'Handshake was completed'* ]]
	done
	wait_until a_says smtpd 'session-end .*client=::1 .*tls=TLSv1.3'
	wait_until a_says pop3d 'disconnect .*client=::1 .*tls=TLSv1.3'
}

# swaks would need a module more for IPv6. msmtp, mpop and fetchmail ask for the certificate of "::1" when that is the host, which
# GnuTLS refuses (RFC 6066 3; smtpd(8)): they are given the name.
@test "curl, msmtp, mpop and fetchmail submit and fetch at ::1, both ways" {
	echo '::1 mail.a.example' >"$PAIR/hosts"
	printf 'From: alice@a.example\nSubject: by IPv6\n\nhello\n' >"$PAIR/message"
	local how
	for how in 'smtp://[::1]:587' 'smtps://[::1]:465'; do
		run -0 in_net timeout 60 curl -sSk --ssl-reqd --url "$how" -u alice@a.example:secret --crlf --mail-from alice@a.example --mail-rcpt alice@a.example -T "$PAIR/message"
	done
	for how in '--port=587 --tls-starttls=on' '--port=465 --tls-starttls=off'; do
		# shellcheck disable=SC2086
		run -0 in_net timeout 60 msmtp --host=::1 $how --tls-host-override=mail.a.example --tls=on --tls-trust-file= --tls-fingerprint="$SHA" --auth=plain --user=alice@a.example \
			--passwordeval='echo secret' --from=alice@a.example alice@a.example <"$PAIR/message"
	done
	wait_until on a delivered_to alice 4
	wait_until logins_are 4 submission smtpd
	for how in 'pop3://[::1]:110' 'pop3s://[::1]:995'; do
		run -0 in_net timeout 60 curl -sSk --ssl-reqd --url "$how/1" -u alice@a.example:secret
		[[ $output == *'Subject: '* ]]
	done
	for how in '--port=110 --tls-starttls=on' '--port=995 --tls-starttls=off'; do
		# shellcheck disable=SC2086
		run -0 in_net timeout 60 mpop -q --host=::1 $how --tls-host-override=mail.a.example --tls=on --tls-trust-file= --tls-fingerprint="$SHA" --auth=plain --user=alice@a.example \
			--passwordeval='echo secret' --delivery="mbox,$PAIR/fetched" --keep=on --uidls-file="$PAIR/uidls.${how//[^0-9]/}"
	done
	for how in "service 110 sslproto TLS1.2+" "service 995 ssl"; do
		(umask 077; printf 'poll mail.a.example %s protocol POP3 username alice@a.example password secret %s no sslcertck keep fetchall mda "/bin/cat >>%s"\n' \
			"$(cut -d' ' -f1,2 <<<"$how")" "${how#service * }" "$PAIR/fetched" >"$PAIR/fetchmailrc")
		run -0 in_net env FETCHMAILHOME="$PAIR" LD_PRELOAD=libnss_wrapper.so NSS_WRAPPER_HOSTS="$PAIR/hosts" timeout 60 fetchmail -f "$PAIR/fetchmailrc" -i "$PAIR/ids" --pidfile "$PAIR/fetchmail.pid"
	done
	[[ $(grep -c '^Subject: ' "$PAIR/fetched") == 16 ]]
	wait_until logins_are 6 pop3 pop3d
}
logins_are() { [[ $(grep -c "authd login .*client=::1 user=alice@a.example for=$2 " "$PAIR/a/stderr/$3") == "$1" ]]; }

@test "remoted finds the host by AAAA, verifies its name, and the message says where it came from" {
	hard_message "$PAIR/hard"
	send a alice@a.example alice@b.example <"$PAIR/hard"
	wait_until on b delivered_to alice 1
	same_message "$PAIR/hard" "$(on b message_of alice)"
	tr -d '\r' <"$(on b message_of alice)" | grep -q '^Received: from mail.a.example .*\[IPv6:2001:db8::1\]'
	wait_until a_says queued 'tls .*host=mail.b.example\[2001:db8::2\]:25 .*policy=verify from=site tls=TLSv1.3 .*verified=authority'
	wait_until on b logged smtpd 'session-end .*client=2001:db8::1 .*tls=TLSv1.3'
}

@test "a route to an IPv6 address is verified by the address in the certificate" {
	send a alice@a.example alice@c.example
	wait_until on b delivered_to alice 1
	wait_until a_says queued 'tls .*2001:db8::2.* policy=verify from=route tls=TLSv1.3 .*verified=authority'
}
