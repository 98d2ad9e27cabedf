# Clients of all kinds log in, send and fetch: the mail programs of Debian, each by every mechanism it knows.
load ../lib/suite
load ../lib/logins

setup() {
	logins_make
	echo "oauth-checker = $SUITE/judge" >>"$SUITE/etc/dawk.conf"
	# Who has the token "good" is who he says he is, or carol; "later" can't be judged.
	cat >"$SUITE/judge" <<-'EOF'
		#!/usr/bin/python3
		import os, sys
		user, token, rest = os.read(3, 65536).split(b"\0")
		assert rest == b"" and len(sys.argv) == 1
		if token == b"later": sys.exit(111)
		if not token.startswith(b"good"): sys.exit(1)
		print(user.decode() or "carol@local.example")
	EOF
	chmod 755 "$SUITE/judge"
	logins_know carol@local.example 'pen=cil,17'
	suite_run
	export HOME=$BATS_TEST_TMPDIR
}
teardown() { logins_stop; }

sent=0
arrives() { sent=$((sent + 1)); wait_until delivered_to carol "$sent" || { echo "by $*"; return 1; }; }
logins_by() { [[ $(grep -c "authd login .*user=carol@local.example for=$1 mechanism=$2 *" "$SUITE"/stderr/"${3:-smtpd}") -ge 1 ]] || { echo "no login by $2"; return 1; }; }

@test "swaks, curl, msmtp, gsasl, mutt and smtplib submit by every mechanism they know" {
	for mechanism in PLAIN LOGIN; do
		for how in "--tls --port $SUBMISSION_PORT" "--tlsc --port $SMTPS_PORT"; do
			# shellcheck disable=SC2086
			timeout 60 swaks --server 127.0.0.1 $how --auth "$mechanism" --auth-user carol@local.example --auth-password 'pen=cil,17' \
				--from carol@local.example --to carol@local.example --silent 2
			arrives swaks "$mechanism" "$how"
		done
	done
	run -28 timeout 60 swaks --server 127.0.0.1 --port "$SUBMISSION_PORT" --auth PLAIN --auth-user carol --auth-password 'pen=cil,17' --from carol@local.example --to carol@local.example
	run -28 timeout 60 swaks --server 127.0.0.1 --tlsc --port "$SMTPS_PORT" --auth PLAIN --auth-user carol --auth-password wrong --from carol@local.example --to carol@local.example

	printf 'Subject: curl\r\n\r\nhello\r\n' >"$SUITE/message"
	for option in AUTH=PLAIN AUTH=LOGIN 'AUTH=*'; do
		timeout 60 curl -sSk --url "smtps://127.0.0.1:$SMTPS_PORT" --login-options "$option" -u 'carol@local.example:pen=cil,17' \
			--mail-from carol@local.example --mail-rcpt carol@local.example -T "$SUITE/message"
		arrives curl "$option"
	done
	for option in AUTH=OAUTHBEARER AUTH=XOAUTH2; do
		timeout 60 curl -sSk --ssl-reqd --url "smtp://127.0.0.1:$SUBMISSION_PORT" --login-options "$option" -u carol@local.example: --oauth2-bearer good.token \
			--mail-from carol@local.example --mail-rcpt carol@local.example -T "$SUITE/message"
		arrives curl "$option"
		run -67 timeout 60 curl -sSk --ssl-reqd --url "smtp://127.0.0.1:$SUBMISSION_PORT" --login-options "$option" -u carol@local.example: --oauth2-bearer bad \
			--mail-from carol@local.example --mail-rcpt carol@local.example -T "$SUITE/message"
	done

	for mechanism in plain login scram-sha-256 oauthbearer xoauth2 on; do
		secret='pen=cil,17'
		[[ $mechanism != *oauth* ]] || secret=good.token
		printf 'account default\nhost 127.0.0.1\nport %s\ntls on\ntls_starttls on\ntls_certcheck off\nfrom carol@local.example\nuser carol@local.example\npassword "%s"\nauth %s\n' \
			"$SUBMISSION_PORT" "$secret" "$mechanism" >"$SUITE/msmtprc"
		chmod 600 "$SUITE/msmtprc"
		timeout 60 msmtp -C "$SUITE/msmtprc" carol@local.example <"$SUITE/message"
		arrives msmtp "$mechanism"
		sed -i 's/^password.*/password bad/' "$SUITE/msmtprc"
		run -77 timeout 60 msmtp -C "$SUITE/msmtprc" carol@local.example <"$SUITE/message"
	done

	printf 'set smtp_url="smtps://carol%%40local.example@127.0.0.1:%s"\nset smtp_pass="pen=cil,17"\nset ssl_verify_host=no ssl_verify_dates=no\nset certificate_file="%s"\nset from=carol@local.example\nset envelope_from=yes\nset copy=no\n' \
		"$SMTPS_PORT" "$SUITE/etc/keys/self-signed.crt" >"$SUITE/muttrc"
	echo hello | timeout 60 mutt -n -F "$SUITE/muttrc" -s mutt carol@local.example
	arrives mutt

	echo 'auth-mechanisms = auto scram-sha-256-plus' >>"$SUITE/etc/dawk.conf"
	suite_restart smtpd
	# gsasl speaks SMTP up to the login, and -PLUS: its own tls-exporter against ours
	for mechanism in PLAIN LOGIN 'SCRAM-SHA-256 --no-cb' SCRAM-SHA-256-PLUS; do
		# shellcheck disable=SC2086
		: | timeout 60 gsasl --smtp --connect="127.0.0.1:$SUBMISSION_PORT" --x509-ca-file= -m $mechanism -a carol@local.example -p 'pen=cil,17' >"$SUITE/gsasl.out" 2>&1 || :
		grep -q '^235 2.7.0' "$SUITE/gsasl.out" || { cat "$SUITE/gsasl.out"; return 1; }
	done

	run -0 /usr/bin/python3 - "$SUBMISSION_PORT" "$SMTPS_PORT" <<-'EOF'
		import smtplib, ssl, sys
		context = ssl._create_unverified_context()
		for port in sys.argv[1:]:
		    if port == sys.argv[1]:
		        s = smtplib.SMTP("127.0.0.1", int(port), timeout=20)
		        s.starttls(context=context)
		    else:
		        s = smtplib.SMTP_SSL("127.0.0.1", int(port), context=context, timeout=20)
		    try:
		        s.login("carol@local.example", "wrong")
		        raise SystemExit("logged in")
		    except smtplib.SMTPAuthenticationError as e:
		        assert e.smtp_code == 535, e
		    s.login("carol@local.example", "pen=cil,17")
		    s.sendmail("carol@local.example", ["carol@local.example"], "Subject: smtplib\r\n\r\nhello\r\n")
		    s.quit()
	EOF
	sent=$((sent + 1)); arrives smtplib
	for mechanism in PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS OAUTHBEARER XOAUTH2; do logins_by submission "$mechanism"; done
}

@test "curl, mpop, fetchmail and poplib fetch by every mechanism they know" {
	echo 'carol@local.example:old:apop:tanstaaf' >>"$SUITE/etc/secrets"
	$DAWK update
	suite_restart pop3d
	refill() {
		local i
		empty_mailboxes
		for i in 1 2; do printf 'From: a@b.example\nSubject: number %s\n\nhello\n' "$i" | "$BIN/sendmail" -C "$SUITE/etc/dawk.conf" carol@local.example; done
		wait_until delivered_to carol 2
	}
	refill
	for option in AUTH=PLAIN AUTH=LOGIN AUTH=+APOP 'AUTH=*'; do
		secret='pen=cil,17'
		[[ $option != *APOP ]] || secret=tanstaaf
		run -0 timeout 60 curl -sSk --url "pop3s://127.0.0.1:$POP3S_PORT" --login-options "$option" -u "carol@local.example:$secret"
		[[ $output == *"1 "*"2 "* ]]
	done
	for option in AUTH=OAUTHBEARER AUTH=XOAUTH2; do
		run -0 timeout 60 curl -sSk --ssl-reqd --url "pop3://127.0.0.1:$POP3_PORT" --login-options "$option" -u carol@local.example: --oauth2-bearer good.token
		[[ $output == *"1 "*"2 "* ]]
		run -67 timeout 60 curl -sSk --ssl-reqd --url "pop3://127.0.0.1:$POP3_PORT" --login-options "$option" -u carol@local.example: --oauth2-bearer bad
	done
	for mechanism in user plain login scram-sha-256 oauthbearer xoauth2 apop; do
		secret='pen=cil,17'
		case $mechanism in *oauth*) secret=good.token ;; apop) secret=tanstaaf ;; esac
		rm -f "$SUITE/fetched"
		printf 'account default\nhost 127.0.0.1\nport %s\ntls on\ntls_starttls off\ntls_certcheck off\nuser carol@local.example\npassword "%s"\nauth %s\nkeep on\nuidls_file %s\ndelivery mbox %s\n' \
			"$POP3S_PORT" "$secret" "$mechanism" "$SUITE/uidls.$mechanism" "$SUITE/fetched" >"$SUITE/mpoprc"
		chmod 600 "$SUITE/mpoprc"
		timeout 60 mpop -q -C "$SUITE/mpoprc"
		[[ $(grep -c '^Subject:' "$SUITE/fetched") == 2 ]]
	done
	printf 'poll 127.0.0.1 service %s protocol pop3 username carol@local.example password "pen=cil,17" ssl no sslcertck keep fetchall mda "/bin/cat >>%s"\n' \
		"$POP3S_PORT" "$SUITE/fetched.fm" >"$SUITE/fetchmailrc"
	chmod 600 "$SUITE/fetchmailrc"
	FETCHMAILHOME=$SUITE timeout 60 fetchmail -s -f "$SUITE/fetchmailrc" -i "$SUITE/fetchids" --pidfile "$SUITE/fetchmail.pid"
	[[ $(grep -c '^Subject:' "$SUITE/fetched.fm") == 2 ]]
	run -0 /usr/bin/python3 - "$POP3S_PORT" <<-'EOF'
		import poplib, ssl, sys
		box = poplib.POP3_SSL("127.0.0.1", int(sys.argv[1]), context=ssl._create_unverified_context(), timeout=20)
		box.user("carol@local.example")
		try:
		    box.pass_("wrong")
		    raise SystemExit("logged in")
		except poplib.error_proto:
		    pass
		box.user("carol@local.example")
		box.pass_("pen=cil,17")
		assert box.stat()[0] == 2
		box.quit()
	EOF
	for mechanism in USER/PASS PLAIN LOGIN SCRAM-SHA-256 OAUTHBEARER XOAUTH2 APOP/MD5; do logins_by pop3 "$mechanism" pop3d; done
}
