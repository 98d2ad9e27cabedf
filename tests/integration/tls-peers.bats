# Other hosts that send to us by TLS: Postfix, and what scanners see.
load ../lib/suite
load ../lib/tls
load ../lib/peers

setup() {
	read -r SUBMISSION_PORT SUBMISSIONS_PORT SECURE_POP3_PORT <<<"$("$TOOLS/free-ports.py" 3)"
	suite_make --submission "127.0.0.1:$SUBMISSION_PORT" --submissions "127.0.0.1:$SUBMISSIONS_PORT" --pop3s "127.0.0.1:$SECURE_POP3_PORT"
	suite_run
	KEYS=$SUITE/etc/keys
}
teardown() {
	"$TOOLS/free-ports.py" --release "$SUBMISSION_PORT" "$SUBMISSIONS_PORT" "$SECURE_POP3_PORT"
	suite_stop
}

@test "Postfix sends by TLS and nothing else, verifying our certificate; its TLS log and ours agree" {
	[[ $(id -u) == 0 ]] || return 0		# namespaces of its own need root
	peer_fetch postfix
	printf 'From: bob@client.example\nSubject: by Postfix\n\nhello\n' >"$SUITE/message"
	AUTHORITIES=$(<"$KEYS/self-signed.crt")
	export AUTHORITIES
	cd "$ROOT"
	run -0 timeout 200 tests/tool/fresh-host --network tests/tool/postfix-sends "$PEERS/postfix" "$SMTP_PORT" mail.local.example bob@client.example alice@local.example <"$SUITE/message"
	[[ $output == *"Verified TLS connection established to 127.0.0.1[127.0.0.1]:$SMTP_PORT: TLSv1.3 with cipher TLS_"* ]]
	[[ $output == *"status=sent (250 2.0.0 queued as "* ]]
	wait_until delivered_to alice 1
	grep -q 'with ESMTPS id' "$(message_of alice)"
	wait_until logged smtpd 'session-end .*helo=postfix.example tls=TLSv1.3'
}

@test "posttls-finger of Postfix finds TLS with a certificate for our name, trusted and verified" {
	peer_fetch postfix
	mkdir "$SUITE/postfix"
	printf '%s\n' 'mail_owner = daemon' 'setgid_group = mail' 'compatibility_level = 3.6' >"$SUITE/postfix/main.cf"
	export LD_LIBRARY_PATH=$PEERS/postfix/usr/lib/postfix MAIL_CONFIG=$SUITE/postfix
	run -0 timeout 60 "$PEERS/postfix/usr/sbin/posttls-finger" -c -l secure -F "$KEYS/self-signed.crt" -P "" \
		"[127.0.0.1]:$SMTP_PORT" mail.local.example
	[[ $output == *"Verified TLS connection established"* ]]
	run timeout 60 "$PEERS/postfix/usr/sbin/posttls-finger" -c -l secure -F "$KEYS/self-signed.crt" -P "" \
		"[127.0.0.1]:$SMTP_PORT" other.example
	[[ $output != *"Verified TLS"* ]]
}

@test "sslscan sees TLS 1.2 and 1.3 alone, curves alone, no renegotiation, no compression, on every port" {
	local how
	for how in "--starttls-smtp 127.0.0.1:$SMTP_PORT" "--starttls-smtp 127.0.0.1:$SUBMISSION_PORT" "127.0.0.1:$SUBMISSIONS_PORT" \
		"--starttls-pop3 127.0.0.1:$POP3_PORT" "127.0.0.1:$SECURE_POP3_PORT"; do
		# shellcheck disable=SC2086
		run -0 timeout 60 sslscan --no-colour $how
		for version in SSLv2 SSLv3 TLSv1.0 TLSv1.1; do grep -qE "^$version +disabled" <<<"$output"; done
		for version in TLSv1.2 TLSv1.3; do grep -qE "^$version +enabled" <<<"$output"; done
		grep -q 'Session renegotiation not supported' <<<"$output"
		run ! grep -E '(Accepted|Preferred) .*(RC4|3DES|DES-|NULL|EXP|ADH|AECDH|MD5| DHE-|SEED|IDEA)|ffdhe|[^t] vulnerable' <<<"$output"
	done
}
