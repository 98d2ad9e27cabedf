# Clients of all kinds log in, send and fetch: the mail programs of Debian 12, each by every mechanism of ours that it knows.
# The log has to say that this one was used: a program that quietly takes another would pass otherwise.
load ../lib/suite
load ../lib/logins
load ../lib/tls

setup() {
	logins_make
	logins_judge
	logins_know carol@local.example "$PASSWORD"
	echo "carol@local.example:old:apop:$SHARED" >>"$SUITE/etc/secrets"
	$DAWK update >/dev/null
	SHA=$(tls_fingerprint "$SUITE/etc/keys/self-signed.crt")
	CERTIFICATE=$SUITE/etc/keys/self-signed.crt
	printf 'From: carol@local.example\nSubject: hello\n\nhello\n' >"$SUITE/message"
	export HOME=$BATS_TEST_TMPDIR TERM=vt100
}
teardown() { logins_stop; }

ME=carol@local.example ME_QUOTED=carol%40local.example
PASSWORD=pen=cil,17 PASSWORD_QUOTED=pen%3Dcil%2C17 SHARED=tanstaaf TOKEN=good.token

# A row each: the program, its name for the mechanism, ours. "-": the program's own choice among all that is on offer.
# What is missing here a program does not know, as Debian 12 builds it.
submitting() {
	sed 's/#.*//; /^[[:space:]]*$/d' <<-'TABLE'
		# no SCRAM, no tokens
		swaks		PLAIN		PLAIN
		swaks		LOGIN		LOGIN
		swaks		-		LOGIN
		# built without GNU SASL: no SCRAM. XOAUTH2 only where OAUTHBEARER is not on offer: see below
		curl		AUTH=PLAIN	PLAIN
		curl		AUTH=LOGIN	LOGIN
		curl		AUTH=OAUTHBEARER OAUTHBEARER
		curl		AUTH=*		PLAIN
		# 1.8.23 can't bind channels. By itself it takes PLAIN, since TLS is on
		msmtp		plain		PLAIN
		msmtp		login		LOGIN
		msmtp		scram-sha-256	SCRAM-SHA-256
		msmtp		oauthbearer	OAUTHBEARER
		msmtp		xoauth2		XOAUTH2
		msmtp		on		PLAIN
		# built with GNU SASL, not Cyrus'; it does not give it what a channel is bound by
		mutt		plain		PLAIN
		mutt		login		LOGIN
		mutt		scram-sha-256	SCRAM-SHA-256
		mutt		oauthbearer	OAUTHBEARER
		mutt		xoauth2		XOAUTH2
		mutt		-		SCRAM-SHA-256
		# no SCRAM; what it calls oauthbearer is XOAUTH2 on the wire
		s-nail		plain		PLAIN
		s-nail		login		LOGIN
		s-nail		oauthbearer	XOAUTH2
		s-nail		-		PLAIN
	TABLE
}
fetching() {
	sed 's/#.*//; /^[[:space:]]*$/d' <<-'TABLE'
		# USER only where it knows nothing that is on offer, and APOP is not
		curl		AUTH=+APOP	APOP/MD5
		curl		AUTH=PLAIN	PLAIN
		curl		AUTH=LOGIN	LOGIN
		curl		AUTH=OAUTHBEARER OAUTHBEARER
		curl		AUTH=*		PLAIN
		mpop		user		USER/PASS
		mpop		apop		APOP/MD5
		mpop		plain		PLAIN
		mpop		login		LOGIN
		mpop		scram-sha-256	SCRAM-SHA-256
		mpop		oauthbearer	OAUTHBEARER
		mpop		xoauth2		XOAUTH2
		mpop		on		PLAIN
		# 6.4 knows PLAIN and LOGIN by IMAP and SMTP alone, and no tokens
		fetchmail	POP3		USER/PASS
		fetchmail	APOP		APOP/MD5
		mutt		user		USER/PASS
		mutt		apop		APOP/MD5
		mutt		plain		PLAIN
		mutt		login		LOGIN
		mutt		scram-sha-256	SCRAM-SHA-256
		mutt		oauthbearer	OAUTHBEARER
		mutt		xoauth2		XOAUTH2
		mutt		-		SCRAM-SHA-256
		# no AUTH but for tokens
		s-nail		plain		USER/PASS
		s-nail		apop		APOP/MD5
		s-nail		oauthbearer	XOAUTH2
	TABLE
}

secret_of() {
	case $1 in
	*OAUTH*) echo "$TOKEN" ;;
	APOP*)	 echo "$SHARED" ;;
	*)	 echo "$PASSWORD" ;;
	esac
}

# ---- who submits: HOW (tls, starttls) OPTION SECRET ----

submit_by_swaks() {
	local how=(--tls --port "$SUBMISSION_PORT") auth=(--auth "$2")
	[[ $1 != tls ]] || how=(--tlsc --port "$SMTPS_PORT")
	[[ $2 != - ]] || auth=(--auth)
	timeout 60 swaks --server 127.0.0.1 "${how[@]}" "${auth[@]}" --auth-user "$ME" --auth-password "$3" --from "$ME" --to "$ME" --silent 2
}
submit_by_curl() {
	local how=(--ssl-reqd --url "smtp://127.0.0.1:$SUBMISSION_PORT") secret=(-u "$ME:$3")
	[[ $1 != tls ]] || how=(--url "smtps://127.0.0.1:$SMTPS_PORT")
	[[ $3 != "$TOKEN" ]] || secret=(-u "$ME:" --oauth2-bearer "$3")
	timeout 60 curl -sSk "${how[@]}" --login-options "$2" "${secret[@]}" --crlf --mail-from "$ME" --mail-rcpt "$ME" -T "$SUITE/message"
}
submit_by_msmtp() {
	local how=(--port="$SUBMISSION_PORT" --tls-starttls=on)
	[[ $1 != tls ]] || how=(--port="$SMTPS_PORT" --tls-starttls=off)
	timeout 60 msmtp --host=127.0.0.1 "${how[@]}" --tls=on --tls-trust-file= --tls-fingerprint="$SHA" --auth="$2" --user="$ME" \
		--passwordeval="echo $3" --from="$ME" "$ME" <"$SUITE/message"
}
submit_by_mutt() {
	local url="smtp://$ME_QUOTED@127.0.0.1:$SUBMISSION_PORT" by=''
	[[ $1 != tls ]] || url="smtps://$ME_QUOTED@127.0.0.1:$SMTPS_PORT"
	[[ $2 == - ]] || by="set smtp_authenticators=\"$2\""
	timeout 60 mutt -n -F /dev/null -e "set smtp_url=\"$url\" smtp_pass=\"$3\" smtp_oauth_refresh_command=\"echo $3\"" -e "$by" \
		-e "set ssl_starttls=yes ssl_force_tls=yes ssl_verify_host=no certificate_file=$CERTIFICATE from=$ME envelope_from=yes copy=no" \
		-e "set tmpdir=$SUITE" \
		-s hello "$ME" <"$SUITE/message"
}
submit_by_s-nail() {
	local url="smtp://$ME_QUOTED:${3//$PASSWORD/$PASSWORD_QUOTED}@127.0.0.1:$SUBMISSION_PORT" auth=(-S "smtp-auth=$2")
	[[ $1 != tls ]] || url="smtps://$ME_QUOTED:${3//$PASSWORD/$PASSWORD_QUOTED}@127.0.0.1:$SMTPS_PORT"
	[[ $2 != - ]] || auth=()
	timeout 60 s-nail -:/ -S v15-compat -S smtp-use-starttls -S tls-verify=ignore -S "mta=$url" "${auth[@]}" -S "from=$ME" \
		-s hello "$ME" <"$SUITE/message"
}
# It speaks SMTP up to the login and no further, by STARTTLS alone, and knows no tokens.
login_by_gsasl() {
	local option=()
	[[ $1 != SCRAM-SHA-256 ]] || option=(--no-cb)
	timeout 60 gsasl --smtp --connect="127.0.0.1:$SUBMISSION_PORT" --x509-ca-file= -d -m "$1" "${option[@]}" -a "$ME" -p "$2"
}

# ---- who fetches, into $SUITE/fetched ----

fetch_by_curl() {
	local url="pop3://127.0.0.1:$POP3_PORT/1" secret=(-u "$ME:$3")
	[[ $1 != tls ]] || url="pop3s://127.0.0.1:$POP3S_PORT/1"
	[[ $3 != "$TOKEN" ]] || secret=(-u "$ME:" --oauth2-bearer "$3")
	timeout 60 curl -sSk --ssl-reqd --url "$url" --login-options "$2" "${secret[@]}" -o "$SUITE/fetched"
}
fetch_by_mpop() {
	local how=(--port="$POP3_PORT" --tls-starttls=on)
	[[ $1 != tls ]] || how=(--port="$POP3S_PORT" --tls-starttls=off)
	rm -f "$SUITE/uidls"	# or it fetches nothing that it knows
	timeout 60 mpop -q --host=127.0.0.1 "${how[@]}" --tls=on --tls-trust-file= --tls-fingerprint="$SHA" --auth="$2" --user="$ME" \
		--passwordeval="echo $3" --delivery="mbox,$SUITE/fetched" --keep=on --uidls-file="$SUITE/uidls"
}
fetch_by_fetchmail() {
	local port=$POP3_PORT tls='sslproto TLS1.2+'
	[[ $1 != tls ]] || port=$POP3S_PORT tls=ssl
	(umask 077; printf 'poll 127.0.0.1 service %s protocol %s username %s password "%s" %s no sslcertck keep fetchall mda "/bin/cat >>%s"\n' \
		"$port" "$2" "$ME" "$3" "$tls" "$SUITE/fetched" >"$SUITE/fetchmailrc")
	FETCHMAILHOME=$SUITE timeout 60 fetchmail -f "$SUITE/fetchmailrc" -i "$SUITE/fetchids" --pidfile "$SUITE/fetchmail.pid"
}
fetch_by_mutt() {
	local url="pop://$ME_QUOTED@127.0.0.1:$POP3_PORT" by=''
	[[ $1 != tls ]] || url="pops://$ME_QUOTED@127.0.0.1:$POP3S_PORT"
	[[ $2 == - ]] || by="set pop_authenticators=\"$2\""
	cat >"$SUITE/muttrc" <<-RC
		set pop_pass="$3" pop_oauth_refresh_command="echo $3" ssl_starttls=yes ssl_force_tls=yes ssl_verify_host=no certificate_file=$CERTIFICATE
		set pop_delete=no delete=no quit=yes confirmappend=no confirmcreate=no mbox_type=mbox folder=$SUITE record= check_new=no
		$by
		push "<copy-message>$SUITE/fetched<enter>y<quit>"
	RC
	timeout 60 script -qec "mutt -n -F $SUITE/muttrc -f $url/" /dev/null </dev/null
}
fetch_by_s-nail() {
	local url="pop3://$ME_QUOTED:${3//$PASSWORD/$PASSWORD_QUOTED}@127.0.0.1:$POP3_PORT" auth=(-S pop3-auth="$2" -S pop3-no-apop)
	[[ $1 != tls ]] || url="pop3s://$ME_QUOTED:${3//$PASSWORD/$PASSWORD_QUOTED}@127.0.0.1:$POP3S_PORT"
	[[ $2 != apop ]] || auth=(-S pop3-auth=plain)
	printf 'copy 1 %s\nxit\n' "$SUITE/fetched" | timeout 60 s-nail -:/ -S v15-compat -S noheader -S pop3-use-starttls -S tls-verify=ignore "${auth[@]}" -R -f "$url"
}

# ---- the rows ----

logins_for() { sed -n "s/^.*authd login .* user=$ME for=$1 mechanism=\([^ ]*\).*/\1/p" "$SUITE/stderr/$2"; }

# MECHANISM SERVICE DAEMON COMMAND..: it succeeds, with one login, by this mechanism.
logs_in_by() {
	local before after
	before=$(logins_for "$2" "$3" | wc -l)
	"${@:4}" "$(secret_of "$1")" </dev/null >"$SUITE/output" 2>&1 || { echo "${*:4}: exit code $?"; tail -n 5 "$SUITE/output"; return 1; }
	wait_until has_logins "$2" "$3" $((before + 1)) || { echo "${*:4}: logged in by nothing"; tail -n 5 "$SUITE/output"; return 1; }
	after=$(logins_for "$2" "$3" | tail -n "+$((before + 1))")
	[[ $after == "$1" ]] || { echo "${*:4}: logged in by \"$after\""; tail -n 5 "$SUITE/output"; return 1; }
}
has_logins() { [[ $(logins_for "$1" "$2" | wc -l) -ge $3 ]]; }

submits() {	# HOW PROGRAM OPTION MECHANISM
	logs_in_by "$4" submission smtpd "submit_by_$2" "$1" "$3" || return 1
	wait_until delivered_to carol 1 || { echo "by $*"; return 1; }
	empty_mailboxes
}
fetches() {
	rm -f "$SUITE/fetched"
	logs_in_by "$4" pop3 pop3d "fetch_by_$2" "$1" "$3" || return 1
	[[ $(grep -c '^Subject: hello' "$SUITE/fetched") == 1 ]] || { echo "$*: fetched nothing"; return 1; }
}
one_waits() {
	send_message bob@client.example "$ME" <"$SUITE/message" >/dev/null
	wait_until delivered_to carol 1
}

each_row() {	# TABLE DOES
	local how program option mechanism failed=0
	for how in tls starttls; do
		while read -r program option mechanism; do
			"$2" "$how" "$program" "$option" "$mechanism" || failed=1
		done < <("$1")
	done
	return $failed
}

@test "submission: each program by each mechanism that it knows, by TLS and STARTTLS" {
	suite_run
	each_row submitting submits
}

@test "POP3: each program by each mechanism that it knows, by TLS and STLS" {
	suite_run
	one_waits
	each_row fetching fetches
}

# With -PLUS on offer, which mutt takes by itself, and fails by (authd(8)).
@test "gsasl logs in by PLAIN, LOGIN, SCRAM-SHA-256 and, bound to the channel, SCRAM-SHA-256-PLUS" {
	echo 'auth-mechanisms = auto scram-sha-256-plus' >>"$SUITE/etc/dawk.conf"
	suite_run
	local mechanism
	for mechanism in PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS; do logs_in_by "$mechanism" submission smtpd login_by_gsasl "$mechanism"; done
	submits tls mutt scram-sha-256 SCRAM-SHA-256
	submits tls msmtp scram-sha-256 SCRAM-SHA-256
}

@test "curl submits and fetches by XOAUTH2 where OAUTHBEARER is not on offer" {
	echo 'auth-mechanisms = xoauth2 scram-sha-256' >>"$SUITE/etc/dawk.conf"
	suite_run
	submits tls curl AUTH=XOAUTH2 XOAUTH2
	submits starttls curl AUTH=XOAUTH2 XOAUTH2
	one_waits
	fetches tls curl AUTH=XOAUTH2 XOAUTH2
	fetches starttls curl AUTH=XOAUTH2 XOAUTH2
}

# Each is told so, and says so: by its own words or exit code.
@test "a wrong password or token is refused, whatever the mechanism; without TLS there is none" {
	suite_run
	local mechanism wrong=${PASSWORD}x
	run -28 timeout 60 swaks --server 127.0.0.1 --port "$SUBMISSION_PORT" --auth PLAIN --auth-user "$ME" --auth-password "$PASSWORD" --from "$ME" --to "$ME"
	for mechanism in PLAIN LOGIN; do
		run -28 submit_by_swaks tls "$mechanism" "$wrong"
		run -67 submit_by_curl tls "AUTH=$mechanism" "$wrong"
		run -67 fetch_by_curl starttls "AUTH=$mechanism" "$wrong"
	done
	run -67 fetch_by_curl tls AUTH=+APOP "$wrong"
	for mechanism in AUTH=OAUTHBEARER AUTH=XOAUTH2; do
		TOKEN=bad run -67 submit_by_curl starttls "$mechanism" bad
		TOKEN=bad run -67 fetch_by_curl tls "$mechanism" bad
	done
	for mechanism in plain login scram-sha-256 oauthbearer xoauth2; do
		run -77 submit_by_msmtp starttls "$mechanism" bad
		run -77 fetch_by_mpop tls "$mechanism" bad
		run -1 submit_by_mutt tls "$mechanism" bad
	done
	for mechanism in user apop; do run -77 fetch_by_mpop starttls "$mechanism" bad; done
	for mechanism in plain login oauthbearer; do run -4 submit_by_s-nail tls "$mechanism" bad; done
	for mechanism in POP3 APOP; do run -3 fetch_by_fetchmail tls "$mechanism" bad; done
	[[ -z $(logins_for submission smtpd)$(logins_for pop3 pop3d) ]]
	delivered_to carol 0
}

@test "smtplib and poplib of Python log in, send and fetch, and are told of a wrong password" {
	suite_run
	run -0 timeout 60 /usr/bin/python3 - "$SUBMISSION_PORT" "$SMTPS_PORT" <<-'EOT'
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
	EOT
	wait_until delivered_to carol 2
	run -0 timeout 60 /usr/bin/python3 - "$POP3S_PORT" <<-'EOT'
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
	EOT
}
