# TLS of smtpd: STARTTLS on the ports of hosts and of submission, TLS from the first byte on 465.
load ../lib/suite
load ../lib/tls

setup() {
	read -r SUBMISSION_PORT SUBMISSIONS_PORT <<<"$("$TOOLS/free-ports.py" 2)"
	SUITE_SERVICES=smtpd suite_make --submission "127.0.0.1:$SUBMISSION_PORT" --submissions "127.0.0.1:$SUBMISSIONS_PORT" \
		--set 'smtpd-workers = 2'
	export SUITE_SERVICES=smtpd
}
teardown() {
	"$TOOLS/free-ports.py" --release "$SUBMISSION_PORT" "$SUBMISSIONS_PORT"
	suite_stop
}

received_of_new() { sed -n '/^Received:/,/^[^[:blank:]R]/p' "$SUITE"/queue/new/*; }
envelope_of_new() { head -c 400 "$SUITE"/queue/new/*; }

@test "STARTTLS is offered, works on both ports, and is gone within TLS (RFC 3207 4, 4.2)" {
	suite_run
	for port in "$SMTP_PORT" "$SUBMISSION_PORT"; do
		run -0 talk "$port" <<-'EOT'
			S: 220
			C: EHLO client.example
			S: 250
			S+ 250-STARTTLS
			C: STARTTLS
			S: 220 2.0.0
			T: mail.local.example
			C: EHLO client.example
			S: 250
			S- 250-STARTTLS
			S+ 250-SIZE
			C: STARTTLS
			S: 503 5.5.1
			C: QUIT
			S: 221
			E:
		EOT
	done
	wait_until logged smtpd 'session-end .*helo=client.example tls=TLSv1.3 cipher=TLS_.* sni=mail.local.example'
}

@test "submissions speaks TLS from the first byte, greets within it and offers no STARTTLS (RFC 8314 3.3)" {
	suite_run
	run -0 talk --tls "$SUBMISSIONS_PORT" <<-'EOT'
		S: 220 mail.local.example ESMTP
		C: EHLO client.example
		S: 250
		S- 250-STARTTLS
		C: MAIL FROM:<alice@local.example>
		S: 530 5.7.0
		C: STARTTLS
		S: 503
		C: QUIT
		S: 221
		E:
	EOT
	run -0 talk --bytes --tls "$SUBMISSIONS_PORT" <<-'EOT'
		C: EHLO client.example
		S: 220
		S: 250
		C: QUIT
		S: 221
		E:
	EOT
}

@test "a message that came by TLS says so in envelope and Received (RFC 3848, RFC 8314 4.3)" {
	suite_run
	run -0 talk smtpd <<-'EOT'
		S: 220
		C: EHLO client.example
		S: 250
		C: STARTTLS
		S: 220
		T: mail.local.example
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<bob@client.example>
		C: RCPT TO:<alice@local.example>
		C: DATA
		S*2: 250
		S: 354
		C: Subject: hi
		C:
		C: hello
		C: .
		S: 250 2.0.0
		C: QUIT
		S: 221
	EOT
	received_of_new | grep -qE 'by mail.local.example with ESMTPS id '
	received_of_new | grep -qE '^	tls TLS_[A-Z0-9_]+ \(TLSv1\.3\);'
	envelope_of_new | grep -qa '^protocol ESMTPS$'
}

@test "HELO, transaction and counters of before STARTTLS are forgotten (RFC 3207 4.2)" {
	suite_run
	run -0 talk smtpd <<-'EOT'
		S: 220
		C: EHLO before.example
		S: 250
		C: STARTTLS
		S: 220
		T:
		C: MAIL FROM:<bob@client.example>
		S: 503 5.5.1
		C: EHLO after.example
		S: 250
		C: MAIL FROM:<bob@client.example>
		S: 250
		C: STARTTLS
		S: 503
		C: QUIT
		S: 221
	EOT
	wait_until logged smtpd 'session-end .*helo=after.example tls='
}

@test "STARTTLS has its place: after EHLO, outside a transaction, without an argument (RFC 3207 4)" {
	suite_run
	run -0 talk smtpd <<-'EOT'
		S: 220
		C: STARTTLS
		S: 503 5.5.1
		C: EHLO client.example
		S: 250
		C: STARTTLS now
		S: 501 5.5.4
		C: MAIL FROM:<bob@client.example>
		S: 250
		C: STARTTLS
		S: 503
		C: RSET
		S: 250
		C: STARTTLS
		S: 220
		T:
		C: QUIT
		S: 221
		E:
	EOT
	run -0 talk local <<-'EOT'
		S: 220
		C: EHLO client.example
		S: 250
		S- 250-STARTTLS
		C: STARTTLS
		S: 500
		C: QUIT
		S: 221
	EOT
}

@test "commands behind STARTTLS in the same packet are never run, and end the session (RFC 3207 6)" {
	suite_run
	run -0 talk smtpd <<-'EOT'
		S: 220
		C: EHLO client.example
		S: 250
		C: STARTTLS
		C: MAIL FROM:<mallory@client.example>
		C: RCPT TO:<alice@local.example>
		S: 554 5.5.1
		E:
	EOT
	[[ $output != *2.1.0* ]]
	wait_until logged smtpd 'session-end .*how=hung-up commands=2 '
}

@test "bytes in clear between the answer and the handshake make it fail, and are never run (RFC 3207 6)" {
	suite_run
	run -0 talk smtpd <<-'EOT'
		S: 220
		C: EHLO client.example
		S: 250
		C: STARTTLS
		S: 220
		C: MAIL FROM:<mallory@client.example>
		E:
	EOT
	[[ $output != *"S: 250 2.1.0"* ]]
	wait_until logged smtpd 'tls-failed session=.*why="the TLS handshake failed'
	wait_until logged smtpd 'session-end .* commands=2 '
}

@test "STARTTLS is not advertised, and refused with 454, while there is no certificate" {
	rm "$SUITE"/etc/keys/self-signed.*
	suite_run
	run -0 talk smtpd <<-'EOT'
		S: 220
		C: EHLO client.example
		S: 250
		S- 250-STARTTLS
		C: STARTTLS
		S: 454 4.7.0
		C: QUIT
		S: 221
	EOT
	wait_until logged smtpd 'listener-closed listener=listen-submissions why="there is no certificate'
	run ! port_is_open "$SUBMISSIONS_PORT"
}

@test "TLS 1.2 and 1.3 are spoken on every port by openssl and gnutls, nothing older (RFC 8996)" {
	suite_run
	for port in "$SMTP_PORT smtp" "$SUBMISSION_PORT smtp" "$SUBMISSIONS_PORT"; do
		# shellcheck disable=SC2086
		tls_versions_are_right $port
	done
}

@test "tickets resume with every worker, in TLS 1.2 and 1.3, and are off where tls-tickets leaves a port out" {
	echo 'tls-tickets = submissions' >>"$SUITE/etc/dawk.conf"
	suite_run
	for version in tls1_2 tls1_3; do
		tls_client "$SUBMISSIONS_PORT" -$version -sess_out "$SUITE/session" | grep -q '^New, TLS'
		for _ in 1 2 3 4 5 6; do
			tls_client "$SUBMISSIONS_PORT" -$version -sess_in "$SUITE/session" | grep -q '^Reused, TLS'
		done
		rm "$SUITE/session"
		tls_client "$SMTP_PORT" -starttls smtp -$version -sess_out "$SUITE/session" | grep -q '^New, TLS'
		[[ ! -s $SUITE/session ]] || tls_client "$SMTP_PORT" -starttls smtp -$version -sess_in "$SUITE/session" | grep -q '^New, TLS'
		rm -f "$SUITE/session"
	done
	wait_until logged smtpd 'session-end .*resumed=yes'
	sed 's/^tls-tickets.*/tls-tickets = imap/' "$SUITE/etc/dawk.conf" >"$SUITE/etc/wrong.conf"
	run -78 "$BIN/smtpd" -c "$SUITE/etc/wrong.conf"
	[[ $output == *'tls-tickets: expected names among smtp submission submissions pop3 pop3s, or none, found '* ]]
}

@test "a ticket of before a restart does not resume, and costs nothing but a whole handshake" {
	suite_run
	tls_client "$SUBMISSIONS_PORT" -sess_out "$SUITE/session" | grep -q '^New, TLS'
	suite_restart smtpd
	tls_client "$SUBMISSIONS_PORT" -sess_in "$SUITE/session" | grep -q '^New, TLS'
}

@test "a certificate that is named and not there: mail in clear goes on, TLS comes when the file does" {
	printf 'tls-certificate = %s/late.crt\ntls-key = %s/late.key\n' "$SUITE" "$SUITE" >>"$SUITE/etc/dawk.conf"
	suite_run
	run -0 talk smtpd <<-'EOT'
		S: 220
		C: EHLO client.example
		S: 250
		S- 250-STARTTLS
		C: QUIT
		S: 221
	EOT
	run ! talk --tls "$SUBMISSIONS_PORT" <<<'S: 220'
	wait_until logged smtpd 'certificate-refused file=.*late.crt why="unable to open'
	wait_until logged smtpd 'tls-failed session=.* why="there is no certificate"'
	run -78 $DAWK cert
	tls_certificate late mail.local.example ec -pkeyopt ec_paramgen_curve:P-256
	wait_until tls_serves "$SUBMISSIONS_PORT" "$(tls_fingerprint "$SUITE/late.crt")"
	wait_until tls_serves "$SMTP_PORT" "$(tls_fingerprint "$SUITE/late.crt")" -starttls smtp
}

@test "a start amid a renewal, key and certificate of two pairs: mail in clear goes on, TLS comes when they fit" {
	tls_certificate half mail.local.example ec -pkeyopt ec_paramgen_curve:P-256
	cp "$SUITE/half.crt" "$SUITE/etc/keys/self-signed.crt"
	suite_run
	run -0 talk smtpd <<-'EOT'
		S: 220
		C: EHLO client.example
		S: 250
		S- 250-STARTTLS
		C: STARTTLS
		S: 454 4.7.0
		C: MAIL FROM:<bob@client.example>
		S: 250
		C: RCPT TO:<alice@local.example>
		S: 250
		C: QUIT
		S: 221
	EOT
	wait_until logged smtpd 'certificates-refused why="there is no TLS"'
	run ! logged smtpd 'stay in force'
	cp "$SUITE/half.key" "$SUITE/etc/keys/self-signed.key"
	wait_until tls_serves "$SUBMISSIONS_PORT" "$(tls_fingerprint "$SUITE/half.crt")"
	wait_until tls_serves "$SMTP_PORT" "$(tls_fingerprint "$SUITE/half.crt")" -starttls smtp
}

@test "a client that hangs in its handshake is cut off in time, another is served meanwhile" {
	echo 'tls-handshake-timeout = 4s' >>"$SUITE/etc/dawk.conf"
	suite_run
	exec {silent}<>"/dev/tcp/127.0.0.1/$SUBMISSIONS_PORT"
	exec {half}<>"/dev/tcp/127.0.0.1/$SUBMISSIONS_PORT"
	printf '\x16\x03\x01\x00\xf4\x01\x00' >&"$half"
	run -0 talk --tls "$SUBMISSIONS_PORT" <<<'S: 220'
	for client in "$silent" "$half"; do
		run -0 timeout 60 cat <&"$client"
		[[ -z $output ]]
	done
	wait_until cut_off 2
	exec {silent}>&- {half}>&-
}
cut_off() { [[ $(grep -c 'session-end .*how=timeout commands=0' "$SUITE/stderr/smtpd") == "$1" ]]; }

@test "garbage in place of a handshake costs its client the connection, and is logged" {
	suite_run
	run -0 talk "$SUBMISSIONS_PORT" <<-'EOT'
		C: EHLO client.example
		E:
	EOT
	wait_until logged smtpd 'tls-failed session=[^ ]* client=127.0.0.1.* why="the TLS handshake failed'
	[[ $output != *"S: 250"* ]]
}

@test "the handshake's time does not count as silence, and a session in TLS times out like any other" {
	echo 'smtp-timeout = 3s' >>"$SUITE/etc/dawk.conf"
	suite_run
	run -0 talk smtpd <<-'EOT'
		S: 220
		C: EHLO client.example
		S: 250
		C: STARTTLS
		S: 220
		T:
		S: 421 4.4.2
		E:
	EOT
}

@test "when the service ends, sessions in TLS get 421 within it, those in their handshake are closed" {
	suite_run
	PYTHONUNBUFFERED=1 talk --tls "$SUBMISSIONS_PORT" <<<$'S: 220\nS: 421 4.3.2\nE:' >"$SUITE/talk.out" 3>&- &
	local pid=$!
	wait_until grep -q '^S: 220' "$SUITE/talk.out"
	exec {silent}<>"/dev/tcp/127.0.0.1/$SUBMISSIONS_PORT"
	suite_end smtpd
	wait "$pid"
	run timeout 60 cat <&"$silent"	# by a reset where no worker had taken it yet
	[[ $status != 124 && ( -z $output || $output == *'reset by peer' ) ]]
	exec {silent}>&-
}
session_is_there() { [[ $(ss -tnH state established "( sport = :$SUBMISSIONS_PORT )" | wc -l) -ge 1 ]]; }

@test "a client over its limit gets no handshake on 465, and 421 on 587" {
	echo 'client-limit = 1' >>"$SUITE/etc/dawk.conf"
	sed -i "s/127.0.0.1:$SUBMISSIONS_PORT/0.0.0.0:$SUBMISSIONS_PORT/; s/127.0.0.1:$SUBMISSION_PORT/0.0.0.0:$SUBMISSION_PORT/" "$SUITE/etc/dawk.conf"
	local address
	address=$(ip -4 -o addr show scope global | awk '{ sub("/.*", "", $4); print $4; exit }')
	[[ -n $address ]] || { echo "this host has no address but loopback"; return 0; }
	suite_run
	exec {first}<>"/dev/tcp/$address/$SUBMISSIONS_PORT"
	wait_until session_is_there
	run ! talk --tls "$address:$SUBMISSIONS_PORT" <<<'S: 220'
	run -0 talk "$address:$SUBMISSION_PORT" <<<$'S: 421 4.7.0\nE:'
	exec {first}>&-
}

every_worker_has_certificates() {	# without them no handshake begins
	[[ $(grep -c '^smtpd certificates ' "$SUITE/stderr/smtpd") == $(grep -c '^smtpd started part=worker ' "$SUITE/stderr/smtpd") ]]
}

@test "keyd gone or stuck fails the handshake after a second, as the log tells; the clear ports go on" {
	suite_run
	local keyd
	wait_until every_worker_has_certificates
	keyd=$(pid_of_part smtpd keyd)
	kill -STOP "$keyd"
	run ! talk --tls "$SUBMISSIONS_PORT" <<<'S: 220'
	run -0 talk smtpd <<<$'S: 220\nC: NOOP\nS: 250'
	kill -CONT "$keyd"
	wait_until logged smtpd 'signature-failed why="no signature: keyd did not answer within 1000 ms'
	wait_until talk --tls "$SUBMISSIONS_PORT" <<<'S: 220'
}

questions() { grep -c 'signature-failed why="no signature: keyd did not answer' "$SUITE/stderr/smtpd" || :; }
fails_and_refuses() {	# within the pause after a handshake that failed
	! talk --tls "$SUBMISSIONS_PORT" <<<'S: 220' || return 1
	printf '%s\n' 'S: 220' 'C: EHLO client.example' 'S: 250' 'S+ 250-STARTTLS' 'C: STARTTLS' 'S: 454 4.7.0' 'C: NOOP' 'S: 250' | talk smtpd
}

@test "a keyd that hangs is not asked by each handshake: they fail at once, the worker serves on, and TLS is back with keyd (RFC 3207 4)" {
	sed -i 's/^smtpd-workers.*/smtpd-workers = 1/' "$SUITE/etc/dawk.conf"
	suite_run
	local keyd begin=$SECONDS
	wait_until every_worker_has_certificates
	exec {clear}<>"/dev/tcp/127.0.0.1/$SMTP_PORT"
	IFS= read -r -t 100 answer <&"$clear"
	keyd=$(pid_of_part smtpd keyd)
	kill -STOP "$keyd"
	for _ in {1..20}; do
		run ! talk --tls "$SUBMISSIONS_PORT" <<<'S: 220'
		printf 'NOOP\r\n' >&"$clear"
		IFS= read -r -t 100 answer <&"$clear"
		[[ $answer == '250 '* ]]
	done
	# one question now, and one each HUNG_MS
	[[ $(questions) -ge 1 && $(questions) -le $((1 + (SECONDS - begin + 1) / 15)) ]]
	wait_until fails_and_refuses
	kill -CONT "$keyd"
	wait_until talk --tls "$SUBMISSIONS_PORT" <<<'S: 220'
	run -0 talk smtpd <<<$'S: 220\nC: EHLO client.example\nS: 250\nC: STARTTLS\nS: 220\nT:\nC: QUIT\nS: 221'
	exec {clear}>&-
}
