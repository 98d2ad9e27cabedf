# TLS of pop3d: STLS on the port of POP3, TLS from the first byte on 995.
load ../lib/suite
load ../lib/tls

setup() {
	SECURE_POP3_PORT=$("$TOOLS/free-ports.py" 1)
	export SUITE_SERVICES=pop3d
	suite_make --pop3s "127.0.0.1:$SECURE_POP3_PORT" --set 'pop3d-workers = 2'
}
teardown() {
	"$TOOLS/free-ports.py" --release "$SECURE_POP3_PORT"
	suite_stop
}

# mailbox_of USER MESSAGES: as if so many had been delivered
mailbox_of() {
	local maildir i owner
	maildir=$(maildir_of "$1")
	mkdir -p "$maildir"/{tmp,new,cur}
	for ((i = 0; i < $2; i++)); do printf 'Subject: %s\n\nhello %s\n' "$i" "$i" >"$maildir/new/1.$i.test"; done
	owner=$(id -un)
	[[ $(id -u) != 0 ]] || owner=dawkm
	chown -R "$owner:" "$maildir"
}

@test "STLS is offered, works, and is gone within TLS; passwords are welcome there (RFC 2595 4)" {
	echo 'clear-login = none' >>"$SUITE/etc/dawk.conf"
	mailbox_of alice 1
	suite_run
	run -0 talk pop3d <<-'EOT'
		S: +OK
		C: CAPA
		M: +OK
		S+ STLS
		S- USER
		S- SASL
		C: USER alice
		S: -ERR
		C: STLS now
		S: -ERR
		C: STLS
		S: +OK
		T: mail.local.example
		C: CAPA
		M: +OK
		S- STLS
		S+ USER
		S+ SASL PLAIN LOGIN
		C: STLS
		S: -ERR
		C: USER alice
		S: +OK
		C: PASS secret
		S: +OK
		C: CAPA
		M: +OK
		S- STLS
		C: RETR 1
		M: +OK
		S+ hello 0
		C: QUIT
		S: +OK
		E:
	EOT
	wait_until logged pop3d 'disconnect .*user=alice.* end=closed tls=TLSv1.3 cipher=TLS_.* sni=mail.local.example '
}

@test "pop3s speaks TLS from the first byte and offers no STLS (RFC 8314 3.3)" {
	mailbox_of alice 2
	suite_run
	run -0 talk --tls "$SECURE_POP3_PORT" <<-'EOT'
		S: +OK mail.local.example
		C: CAPA
		M: +OK
		S- STLS
		S+ USER
		C: USER alice
		S: +OK
		C: PASS secret
		S: +OK
		C: STAT
		S: +OK 2
		C: QUIT
		S: +OK
		E:
	EOT
	run -0 talk --bytes --tls "$SECURE_POP3_PORT" <<-'EOT'
		C: USER alice
		C: PASS secret
		C: STAT
		C: QUIT
		S*3: +OK
		S: +OK 2
		S: +OK
		E:
	EOT
}

@test "a user name of before STLS is forgotten (RFC 2595 4)" {
	suite_run
	run -0 talk pop3d <<-'EOT'
		S: +OK
		C: USER alice
		S: +OK
		C: STLS
		S: +OK
		T:
		C: PASS secret
		S: -ERR USER first
		C: QUIT
		S: +OK
		E:
	EOT
}

@test "commands behind STLS in the same packet are never run, and end the session (RFC 2595 4)" {
	suite_run
	run -0 talk pop3d <<-'EOT'
		S: +OK
		C: STLS
		C: USER alice
		C: PASS secret
		S: -ERR
		E:
	EOT
	[[ $output != *"S: +OK send PASS"* ]]
}

@test "bytes in clear between the answer and the handshake make it fail, and are never run" {
	suite_run
	run -0 talk pop3d <<-'EOT'
		S: +OK
		C: STLS
		S: +OK
		C: USER alice
		C: PASS secret
		E:
	EOT
	[[ $output != *"send PASS"* ]]
	wait_until logged pop3d 'tls-failed session=.*why="the TLS handshake failed'
}

offers_no_tls() {
	talk pop3d <<-'EOT'
		S: +OK
		C: CAPA
		M: +OK
		S- STLS
		C: STLS
		S: -ERR
		C: QUIT
		S: +OK
	EOT
}

@test "STLS is not offered while there is no certificate" {
	rm "$SUITE"/etc/keys/self-signed.*
	suite_run
	offers_no_tls
	wait_until logged pop3d 'listener-closed listener=listen-pop3s'
}

@test "a start amid a renewal, key and certificate of two pairs: POP3 in clear goes on, TLS comes when they fit" {
	tls_certificate half mail.local.example ec -pkeyopt ec_paramgen_curve:P-256
	cp "$SUITE/half.crt" "$SUITE/etc/keys/self-signed.crt"
	suite_run
	offers_no_tls
	wait_until logged pop3d 'certificates-refused why="there is no TLS"'
	run ! logged pop3d 'stay in force'
	cp "$SUITE/half.key" "$SUITE/etc/keys/self-signed.key"
	wait_until tls_serves "$SECURE_POP3_PORT" "$(tls_fingerprint "$SUITE/half.crt")"
	wait_until tls_serves "$POP3_PORT" "$(tls_fingerprint "$SUITE/half.crt")" -starttls pop3
}

@test "TLS 1.2 and 1.3 are spoken on both ports by openssl and gnutls, nothing older (RFC 8996)" {
	suite_run
	tls_versions_are_right "$POP3_PORT" pop3
	tls_versions_are_right "$SECURE_POP3_PORT"
}

@test "a big mailbox comes whole through TLS, to a client that reads slowly too" {
	mailbox_of alice 0
	head -c 12000000 /dev/urandom | base64 -w 76 >"$SUITE/body"
	{ printf 'Subject: big\n\n'; cat "$SUITE/body"; } >"$(maildir_of alice)/new/1.big"
	chmod 644 "$(maildir_of alice)/new/1.big"
	[[ $(id -u) != 0 ]] || chown dawkm: "$(maildir_of alice)/new/1.big"
	suite_run
	curl -sSk --tlsv1.2 --limit-rate 8M -u alice:secret "pop3s://127.0.0.1:$SECURE_POP3_PORT/1" | tr -d '\r' | sed '1,/^$/d' | cmp - "$SUITE/body"
	curl -sSk --ssl-reqd -u alice:secret "pop3://127.0.0.1:$POP3_PORT/1" | tr -d '\r' | sed '1,/^$/d' | cmp - "$SUITE/body"
}

@test "a client that hangs in its handshake is cut off in time, in the log too" {
	echo 'tls-handshake-timeout = 4s' >>"$SUITE/etc/dawk.conf"
	suite_run
	exec {silent}<>"/dev/tcp/127.0.0.1/$SECURE_POP3_PORT"
	run -0 talk --tls "$SECURE_POP3_PORT" <<<'S: +OK'
	run -0 timeout 60 cat <&"$silent"
	[[ -z $output ]]
	wait_until logged pop3d 'disconnect .*end=timeout'
	exec {silent}>&-
}

@test "when the service ends, a session in TLS is closed in order" {
	mailbox_of alice 1
	suite_run
	PYTHONUNBUFFERED=1 talk --tls "$SECURE_POP3_PORT" <<<$'S: +OK\nC: USER alice\nS: +OK\nC: PASS secret\nS: +OK\nE:' >"$SUITE/talk.out" 3>&- &
	local pid=$!
	wait_until is_logged_in
	suite_end pop3d
	wait "$pid"
}
is_logged_in() { [[ $(grep -c '^S: +OK' "$SUITE/talk.out") == 3 ]]; }

every_worker_has_certificates() {	# without them no handshake begins
	[[ $(grep -c '^pop3d certificates ' "$SUITE/stderr/pop3d") == $(grep -c '^pop3d started part=worker ' "$SUITE/stderr/pop3d") ]]
}
fails_and_refuses() {	# within the pause after a handshake that failed
	! talk --tls "$SECURE_POP3_PORT" <<<'S: +OK' || return 1
	printf '%s\n' 'S: +OK' 'C: STLS' 'S: -ERR [SYS/TEMP]' 'C: CAPA' 'M: +OK' 'S+ STLS' | talk pop3d
}

@test "while keyd hangs STLS is refused for now, and TLS is back with keyd (RFC 2595 4, RFC 3206 4)" {
	sed -i 's/^pop3d-workers.*/pop3d-workers = 1/' "$SUITE/etc/dawk.conf"
	suite_run
	local keyd
	wait_until every_worker_has_certificates
	keyd=$(pid_of_part pop3d keyd)
	kill -STOP "$keyd"
	wait_until fails_and_refuses
	kill -CONT "$keyd"
	wait_until talk --tls "$SECURE_POP3_PORT" <<<'S: +OK'
	run -0 talk pop3d <<<$'S: +OK\nC: STLS\nS: +OK\nT:\nC: QUIT\nS: +OK'
}
