# TLS of the whole suite: stock clients, certificates that change, and where the private keys are.
load ../lib/suite
load ../lib/tls

setup() {
	read -r SUBMISSION_PORT SUBMISSIONS_PORT SECURE_POP3_PORT <<<"$("$TOOLS/free-ports.py" 3)"
	suite_make --submission "127.0.0.1:$SUBMISSION_PORT" --submissions "127.0.0.1:$SUBMISSIONS_PORT" --pop3s "127.0.0.1:$SECURE_POP3_PORT" \
		--set 'smtpd-workers = 2' --set 'pop3d-workers = 2'
	KEYS=$SUITE/etc/keys
	message=$BATS_TEST_TMPDIR/message
	hard_message "$message"
}
teardown() {
	"$TOOLS/free-ports.py" --release "$SUBMISSION_PORT" "$SUBMISSIONS_PORT" "$SECURE_POP3_PORT"
	suite_stop
}
use_certificates() {
	local list='' keys='' name
	for name; do list+=" $SUITE/$name.crt" keys+=" $SUITE/$name.key"; done
	printf 'tls-certificate =%s\ntls-key =%s\n' "$list" "$keys" >>"$SUITE/etc/dawk.conf"
}

arrives_unchanged() {	# [--text]
	wait_until delivered_to alice 1
	same_message "$@" "$message" "$(message_of alice)"
	sed -n '/^Received:/,/^[^[:blank:]R]/p' "$(message_of alice)" | grep -q 'with ESMTPS id'
	empty_mailboxes
}

@test "swaks, curl, msmtp, mutt and python send by STARTTLS, the message arrives unchanged" {
	suite_run
	printf %s "$(cat "$message")" >"$message.data"
	run -0 timeout 60 swaks --server "127.0.0.1:$SMTP_PORT" -tls --from bob@client.example --to alice@local.example \
		--ehlo client.example --data - <"$message.data"
	arrives_unchanged
	run -0 timeout 60 curl -sSk --ssl-reqd "smtp://127.0.0.1:$SMTP_PORT/client.example" --crlf --mail-from bob@client.example \
		--mail-rcpt alice@local.example --upload-file "$message"
	arrives_unchanged
	run -0 timeout 60 msmtp --host=127.0.0.1 "--port=$SMTP_PORT" --auth=off --tls=on --tls-starttls=on --tls-trust-file= \
		--tls-fingerprint="$(tls_fingerprint "$KEYS/self-signed.crt")" --domain=client.example --from=bob@client.example alice@local.example <"$message"
	arrives_unchanged
	sed '1,/^$/d' "$message" >"$message.body"
	run -0 env HOME="$BATS_TEST_TMPDIR" LC_ALL=C.UTF-8 timeout 60 mutt -n -F /dev/null -e "set smtp_url=smtp://127.0.0.1:$SMTP_PORT" \
		-e "set ssl_starttls=yes ssl_force_tls=yes ssl_verify_host=no copy=no from=bob@client.example hostname=client.example charset=utf-8 certificate_file=$KEYS/self-signed.crt" \
		-e 'set smtp_authenticators=""' -s "by mutt" -- alice@local.example <"$message.body"
	arrives_unchanged --text
	run -0 timeout 60 /usr/bin/python3 - "$SMTP_PORT" "$message" "$KEYS/self-signed.crt" <<-'EOT'
		import smtplib, ssl, sys
		context = ssl.create_default_context(cafile=sys.argv[3])
		with smtplib.SMTP("localhost", int(sys.argv[1]), local_hostname="client.example", timeout=60) as s:
		    s._host = "mail.local.example"		# the name that the certificate has to hold
		    s.starttls(context=context)
		    s.sendmail("bob@client.example", ["alice@local.example"], open(sys.argv[2], "rb").read().replace(b"\n", b"\r\n"), ["BODY=8BITMIME"])
	EOT
	arrives_unchanged
}

@test "a message of 20 MB arrives unchanged by STARTTLS" {
	suite_run
	{ sed '/^$/q' "$message"; head -c 15000000 /dev/urandom | base64 -w 76; } >"$message.big"
	run -0 timeout 200 curl -sSk --ssl-reqd "smtp://127.0.0.1:$SMTP_PORT/client.example" --crlf --mail-from bob@client.example \
		--mail-rcpt alice@local.example --upload-file "$message.big"
	wait_until delivered_to alice 1
	same_message "$message.big" "$(message_of alice)"
}

@test "mpop, fetchmail, curl and mutt fetch by POP3 over TLS, both ways" {
	suite_run
	send_message bob@client.example alice@local.example <"$message"
	wait_until delivered_to alice 1
	for tls in "--port=$POP3_PORT --tls-starttls=on" "--port=$SECURE_POP3_PORT --tls-starttls=off"; do
		mkdir -p "$BATS_TEST_TMPDIR/into"/{tmp,new,cur}
		# shellcheck disable=SC2086
		run -0 env HOME="$BATS_TEST_TMPDIR" timeout 60 mpop --host=127.0.0.1 $tls --tls=on --tls-trust-file= \
			--tls-fingerprint="$(tls_fingerprint "$KEYS/self-signed.crt")" --auth=user --user=alice --passwordeval='echo secret' \
			--delivery="maildir,$BATS_TEST_TMPDIR/into" --received-header=off --keep=on --uidls-file="$BATS_TEST_TMPDIR/uidls"
		same_message "$message" "$BATS_TEST_TMPDIR"/into/new/*
		rm -r "$BATS_TEST_TMPDIR/into" "$BATS_TEST_TMPDIR/uidls"
	done
	curl -sSk --ssl-reqd -u alice:secret "pop3://127.0.0.1:$POP3_PORT/1" >"$BATS_TEST_TMPDIR/got"
	curl -sSk -u alice:secret "pop3s://127.0.0.1:$SECURE_POP3_PORT/1" | cmp - "$BATS_TEST_TMPDIR/got"
	tr -d '\r' <"$BATS_TEST_TMPDIR/got" >"$BATS_TEST_TMPDIR/text"
	same_message "$message" "$BATS_TEST_TMPDIR/text"
	for how in "sslproto TLS1.2+ port $POP3_PORT" "ssl port $SECURE_POP3_PORT"; do
		(umask 077; echo "poll 127.0.0.1 proto POP3 ${how#*port }" >/dev/null
		echo "poll 127.0.0.1 service ${how##* } proto POP3 user alice password secret ${how% port *} no sslcertck keep fetchall mda \"cat >>$BATS_TEST_TMPDIR/mda\"" \
			>"$BATS_TEST_TMPDIR/fetchmailrc")
		run -0 env HOME="$BATS_TEST_TMPDIR" FETCHMAILHOME="$BATS_TEST_TMPDIR" timeout 60 fetchmail -v -f "$BATS_TEST_TMPDIR/fetchmailrc" \
			--pidfile "$BATS_TEST_TMPDIR/fetchmail.pid"	# root's is the host's
	done
	[[ $(grep -c '^Subject: hard to carry' "$BATS_TEST_TMPDIR/mda") == 2 ]]
	wait_until logged pop3d 'disconnect .*tls=TLSv1.[23]'
}

@test "an ECDSA and an RSA certificate side by side, and names choose, on every port (RFC 6066 3)" {
	tls_certificate one one.example ec -pkeyopt ec_paramgen_curve:P-256
	tls_certificate two two.example ec -pkeyopt ec_paramgen_curve:P-384
	tls_certificate rsa one.example rsa:2048
	use_certificates one two rsa
	suite_run
	local how
	for how in "$SMTP_PORT -starttls smtp" "$SUBMISSION_PORT -starttls smtp" "$SUBMISSIONS_PORT" "$POP3_PORT -starttls pop3" "$SECURE_POP3_PORT"; do
		# shellcheck disable=SC2086
		{
			set -- $how
			tls_serves "$1" "$(tls_fingerprint "$SUITE/one.crt")" "${@:2}" -servername one.example
			tls_serves "$1" "$(tls_fingerprint "$SUITE/two.crt")" "${@:2}" -servername two.example
			tls_serves "$1" "$(tls_fingerprint "$SUITE/rsa.crt")" "${@:2}" -servername one.example -sigalgs rsa_pss_rsae_sha256
			tls_serves "$1" "$(tls_fingerprint "$SUITE/rsa.crt")" "${@:2}" -servername one.example -tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256
			tls_serves "$1" "$(tls_fingerprint "$SUITE/one.crt")" "${@:2}" -servername elsewhere.example
			tls_serves "$1" "$(tls_fingerprint "$SUITE/one.crt")" "${@:2}" -noservername
		}
	done
}

@test "a certificate is replaced under load, key first, then certificate: no handshake fails, the new one is served" {
	suite_run
	local old new pids=()
	old=$(openssl x509 -in "$KEYS/self-signed.crt" -outform DER | sha256sum | cut -d' ' -f1)
	"$TOOLS/tls-load.py" "$SMTP_PORT" --starttls --until "$SUITE/stop" >"$SUITE/load.smtp" 2>&1 &
	pids+=($!)
	"$TOOLS/tls-load.py" "$SECURE_POP3_PORT" --until "$SUITE/stop" >"$SUITE/load.pop3s" 2>&1 &
	pids+=($!)
	wait_until sessions_are smtpd 1
	wait_until sessions_are pop3d 1
	tls_certificate new mail.local.example ec -pkeyopt ec_paramgen_curve:P-256
	new=$(openssl x509 -in "$SUITE/new.crt" -outform DER | sha256sum | cut -d' ' -f1)
	install -m 600 "$SUITE/new.key" "$KEYS/new.key" && mv "$KEYS/new.key" "$KEYS/self-signed.key"
	install -m 644 "$SUITE/new.crt" "$KEYS/new.crt" && mv "$KEYS/new.crt" "$KEYS/self-signed.crt"
	wait_until tls_serves "$SMTP_PORT" "$(tls_fingerprint "$SUITE/new.crt")" -starttls smtp
	wait_until tls_serves "$SECURE_POP3_PORT" "$(tls_fingerprint "$SUITE/new.crt")"
	wait_until all_workers_have 2
	for name in smtpd pop3d; do wait_until sessions_are $name $(($(sessions_of $name) + 10)); done	# some of them begun since
	touch "$SUITE/stop"
	wait "${pids[@]}"
	cat "$SUITE"/load.*
	for load in "$SUITE"/load.*; do
		grep -qx 'failed 0' "$load"
		grep -q " $old\$" "$load"
		grep -q " $new\$" "$load" || [[ $load == *none ]]
	done
}
sessions_of() { grep -cE '(session-end|disconnect) .* tls=TLSv' "$SUITE/stderr/$1" || :; }
sessions_are() { [[ $(sessions_of "$1") -ge $2 ]]; }
# each of the two workers of each service has put COUNT sets in force
all_workers_have() { [[ $(cat "$SUITE"/stderr/{smtpd,pop3d} | grep -c ' certificates count=') -ge $((4 * $1)) ]]; }

@test "files that do not fit, or can't be read, leave what was in force; dawk cert, check and status say so" {
	suite_run
	local old
	old=$(tls_fingerprint "$KEYS/self-signed.crt")
	echo broken >"$KEYS/self-signed.crt"
	wait_until logged smtpd 'certificates-refused why="the certificates of before stay in force'
	tls_serves "$SUBMISSIONS_PORT" "$old"
	run -78 $DAWK cert
	run $DAWK check
	[[ $output == *"wrong: $KEYS/self-signed.crt: "*" mend: "* ]]
	run $DAWK status
	[[ $output == *"tls      BAD  $KEYS/self-signed.crt: "* ]]
}

@test "a certificate that has expired or soon will is told by dawk cert, check and status" {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$KEYS/self-signed.key" -out "$KEYS/self-signed.crt" \
		-days 5 -subj /CN=mail.local.example -addext subjectAltName=DNS:mail.local.example 2>/dev/null
	run -0 $DAWK cert
	[[ $output == *'days left: renew it'* ]]
	run $DAWK check
	[[ $output == *"wrong: $KEYS/self-signed.crt: "[45]" days are left"* ]]
	run $DAWK status
	[[ $output == *"tls      SOON $KEYS/self-signed.crt, "[45]" days, signs itself: it expires soon"* ]]
	[[ $($DAWK status --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["certificates"][0]["days"])') == [45] ]]
	printf '%s\n' 'cn = mail.local.example' 'dns_name = mail.local.example' 'activation_date = "2020-01-01 00:00:00 UTC"' \
		'expiration_date = "2020-02-01 00:00:00 UTC"' >"$SUITE/template"
	certtool --generate-self-signed --load-privkey "$KEYS/self-signed.key" --template "$SUITE/template" \
		--outfile "$KEYS/self-signed.crt" 2>/dev/null
	run -78 $DAWK cert
	[[ $output == *EXPIRED* ]]
	run $DAWK check
	[[ $output == *"wrong: $KEYS/self-signed.crt: it has expired"* ]]
	run $DAWK status
	[[ $output == *"tls      BAD  $KEYS/self-signed.crt, "*": it has expired"* ]]
}

@test "dawk status asks the ports with TLS from the first byte for their banner, within it" {
	suite_run
	run -0 $DAWK status
	[[ $output == *"smtpd    up   127.0.0.1:$SUBMISSIONS_PORT"* && $output == *"pop3d    up   127.0.0.1:$SECURE_POP3_PORT"* ]]
	[[ $output == *"tls      ok   $KEYS/self-signed.crt, 82"*" days, signs itself"* ]]
	run ! logged smtpd tls-failed
	run ! logged pop3d tls-failed
}

@test "dawk init makes a certificate for the hostname, its key for root alone; another init keeps it" {
	openssl x509 -in "$KEYS/self-signed.crt" -noout -checkhost mail.local.example | grep -q 'does match'
	[[ $(stat -c %a "$KEYS") == 700 && $(stat -c %a:%u "$KEYS/self-signed.key") == "600:$(id -u)" ]]
	grep -q 'certificate that signs itself' "$SUITE/init.out"
}

@test "no process but keyd has a private key in reach: not open, not by its rights, not in its memory" {
	suite_run
	tls_client "$SUBMISSIONS_PORT" >/dev/null
	tls_client "$SECURE_POP3_PORT" >/dev/null
	send_message bob@client.example alice@local.example <"$message"
	wait_until delivered_to alice 1
	# the key's own 32 bytes are looked for in the memory of every process
	local needle service pid fd uid
	needle=$(openssl pkey -in "$KEYS/self-signed.key" -text -noout | sed -n '/priv:/,/pub:/p' | grep '^ ' | tr -d ' :\n')
	[[ ${#needle} -ge 64 ]]
	for service in smtpd queued pop3d; do
		for pid in $(group_members "$(suite_pid $service)"); do
			for fd in /proc/"$pid"/fd/*; do
				fd=$(readlink "$fd" || :)
				[[ $fd != *"/keys"* && $fd != *.key ]] || { echo "$service $pid has $fd open"; return 1; }
			done
			[[ $(id -u) == 0 ]] || continue	# only root may look on
			if [[ $pid == "$(pid_of_part $service keyd)" ]]; then
				"$TOOLS/memory-holds.py" "$pid" "$needle"
			else
				run -1 "$TOOLS/memory-holds.py" "$pid" "$needle"
			fi
			# the folder is root's alone: whoever is not root can't get there. Root's own read no network.
			uid=$(awk '/^Uid:/ { print $3 }' "/proc/$pid/status")
			[[ $uid == 0 ]] || run ! setpriv --reuid "$uid" --clear-groups test -r "$KEYS/self-signed.key"
			# root's own: openers, authd, locald and its helpers; they read no network
			[[ $uid != 0 || $(cat "/proc/$pid/comm") =~ ^(smtpd|queued|pop3d|authd.*|locald.*|names|folders)$ ]] ||
				{ echo "$service $pid is root: $(cat "/proc/$pid/comm")"; return 1; }
		done
	done
	[[ $(id -u) != 0 ]] || [[ $(awk '/^Uid:/ { print $2 }' "/proc/$(pid_of_part smtpd keyd)/status") == "$(id -u dawkk)" ]]
}

@test "keyd that dies ends the service, which its supervisor starts afresh" {
	suite_run
	kill -KILL "$(pid_of_part smtpd keyd)"
	wait_until suite_has_ended smtpd
	wait_until logged smtpd 'ended part=keyd .*killed by signal 9'
	rm "$SUITE/pid/smtpd"
	suite_run
	tls_client "$SUBMISSIONS_PORT" | grep -q '^New, TLS'
}
