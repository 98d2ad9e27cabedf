# TLS with other servers than our own, as the whole suite does it: Postfix by MX, Exim as a smart host with a login.
load ../lib/suite
load ../lib/pair
load ../lib/peers
load ../lib/certificates
load ../lib/tls-peers

setup_file() {
	peer_fetch postfix exim4-daemon-light
	pair_net
	pair_names <<-'EOF'
		a.example MX 10 mail.a.example
		mail.a.example A 127.0.0.2
		postfix.example MX 10 mail.postfix.example
		mail.postfix.example A 127.0.0.11
		smart.exim.example A 127.0.0.12
	EOF
	cd "$PAIR" || return 1
	authority_make authority
	authority_make stranger
	certificate_make postfix.pem authority mail.postfix.example
	certificate_make exim.pem authority smart.exim.example
	certificate_make bad.pem stranger mail.postfix.example
	pair_make a 127.0.0.2 -- --set "tls-authorities = $PAIR/authority.crt" --set 'retry = 1s'
	cd / && peer_postfix 127.0.0.11 "$PAIR/postfix" "$PAIR/postfix.pem"
	peer_exim_tls 127.0.0.12 587 "$PAIR/exim" "$PAIR/exim.pem"
	on a suite_run
}
setup() { : >"$PAIR/a/etc/site"; : >"$PAIR/a/etc/routes"; dawk_on a update; }
teardown() { [[ -n ${BATS_TEST_COMPLETED:-} ]] || tail -n 20 "$PAIR"/a/stderr/* "$PAIR"/*.out "$PAIR"/exim/exim.*log "$PAIR/postfix/log"; }
teardown_file() { pair_stop; }

a_says() { on a logged queued "$1"; }
holds() { [[ $(find "$1" -path '*/new/*' -type f 2>/dev/null | wc -l) -ge $2 ]]; }
at_postfix() { find "$PAIR/postfix/mail" -path '*/new/*' -type f -exec grep -l "$1" {} + | head -n 1; }
came() { [[ -n $(at_postfix "$1") ]]; }
table() { printf '%s\n' "$2" >"$PAIR/a/etc/$1"; dawk_on a update; }

@test "Postfix gets mail under TLS as a matter of course, byte by byte (RFC 3207)" {
	hard_message "$PAIR/hard"
	send a alice@a.example x@postfix.example <"$PAIR/hard"
	wait_until holds "$PAIR/postfix/mail" 1
	same_message "$PAIR/hard" "$(at_postfix 'hard to carry')"
	grep -q 'using TLSv1.3 with cipher' "$(at_postfix 'hard to carry')"
	wait_until a_says 'tls .*host=mail.postfix.example.* policy=may from=default tls=TLSv1.3 .* verified=no'
	grep -q 'Anonymous TLS connection established from .*127.0.0.*TLSv1.3' "$PAIR/postfix/log"
}

@test "and with tls=verify, against the authority that is trusted here" {
	table site 'postfix.example tls=verify'
	on a suite_restart queued	# it knew the site already
	send a alice@a.example x@postfix.example <<<$'Subject: verified\n\nhello'
	wait_until came 'Subject: verified'
	wait_until a_says 'tls .*host=mail.postfix.example.* policy=verify from=site .* verified=authority'
}

@test "a second connection resumes the session, and Postfix says so" {
	local before
	before=$(times_resumed)
	send a alice@a.example x@postfix.example <<<$'Subject: one\n\nhello'
	wait_until came 'Subject: one'
	wait_until session_is_over
	send a alice@a.example x@postfix.example <<<$'Subject: two\n\nhello'
	wait_until came 'Subject: two'
	wait_until is_resumed "$before"
}
times_resumed() { grep -c 'resumed=yes' "$PAIR/a/stderr/queued" || :; }
is_resumed() { [[ $(times_resumed) -gt $1 ]]; }
session_is_over() { [[ $(grep -c 'remoted tls .*host=mail.postfix' "$PAIR/a/stderr/queued") == $(grep -c 'session-end host=mail.postfix' "$PAIR/a/stderr/queued") ]]; }

@test "a smart host with a login: PLAIN under TLS to a verified Exim (RFC 4954)" {
	(umask 077 && echo 'route:smart:customer:open sesame' >"$PAIR/a/etc/secrets")
	table routes '* smtp:[smart.exim.example]:587 secret=smart'
	wait_until wait_for_logins
	hard_message "$PAIR/hard"
	send a alice@a.example somebody@anywhere.example <"$PAIR/hard"
	wait_until at_exim 'hard to carry'
	same_message "$PAIR/hard" "$(grep -l 'hard to carry' "$PAIR"/exim/mail/new/*)"
	grep -q ' A=plain:customer ' "$PAIR"/exim/exim.mainlog
	wait_until a_says 'tls .*host=smart.exim.example.* policy=verify from=route .* verified=authority'
	wait_until a_says '(forwarded|relayed) .*to=somebody@anywhere.example'
}
at_exim() { grep -qs "$1" "$PAIR"/exim/mail/new/*; }
# The opener looks every five seconds: until then the login is not known, and the mail waits.
wait_for_logins() { send a alice@a.example probe@anywhere.example <<<$'Subject: probe\n\n' && sleep 1 && grep -qs 'A=plain' "$PAIR"/exim/exim.mainlog; }

@test "a wrong password puts mail off, loudly; the right one, once it is there, sends it" {
	(umask 077 && echo 'route:smart:customer:nonsense' >"$PAIR/a/etc/secrets")
	table routes '* smtp:[smart.exim.example]:587 secret=smart'
	on a suite_restart queued	# no connection is left that is logged in
	wait_until refused
	wait_until a_says 'deferred .*to=wrong@anywhere.example status=4.7.8 .*login smart: 535'
	wait_until is_listed
	run ! grep -r nonsense "$PAIR/a/stderr"
	(umask 077 && echo 'route:smart:customer:open sesame' >"$PAIR/a/etc/secrets")
	dawk_on a update
	wait_until on a queue_is_empty
	wait_until a_says '(forwarded|relayed) .*to=wrong@anywhere.example'
}
is_listed() { dawk_on a queue list | grep -q 'login smart: 535'; }
refused() { send a alice@a.example wrong@anywhere.example <<<$'Subject: wrong\n\n' && sleep 1 && a_says 'login-failed host=smart.exim.example.* login=smart mechanism=PLAIN words="535'; }

@test "remoted has the logins of routes in reach, and neither the other secrets nor a private key" {
	local pid files
	pid=$(sed -n 's/.*started part=remoted index=0 pid=\([0-9]*\).*/\1/p' "$PAIR/a/stderr/queued" | tail -n 1)
	files=$(cat "/proc/$pid/maps"; ls -l "/proc/$pid/fd")
	grep -q 'secret/routes.cdb' <<<"$files"
	run ! grep -E 'secret/(secrets|users)|etc/keys|\.key' <<<"$files"
	grep -q '^Seccomp:.*2' "/proc/$pid/status"
	# the scheduler, which is forked from the opener, has nothing of it
	pid=$(sed -n 's/.*started part=scheduler index=0 pid=\([0-9]*\).*/\1/p' "$PAIR/a/stderr/queued" | tail -n 1)
	run ! grep -E 'secret/' <<<"$(cat "/proc/$pid/maps"; ls -l "/proc/$pid/fd")"
}
