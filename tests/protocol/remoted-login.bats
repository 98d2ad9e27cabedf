# remoted's logins at next hops: AUTH as a client (RFC 4954), with SCRAM-SHA-256 (RFC 7677), PLAIN, LOGIN.
load ../lib/suite
load ../lib/certificates
load ../lib/zones
load ../lib/tls-hosts

setup_file() {
	tls_hosts_make
	printf 'route:smart:customer=17,a:open: sesame\nroute:wrong:customer:nonsense\n' >>"$SUITE/etc/secrets"
	chmod 600 "$SUITE/etc/secrets"
}
teardown_file() { tls_hosts_end; }
setup() { host_prepare; }
teardown() { host_stop; }

log_in() {	# [ROUTE-OPTIONS]
	REMOTE_LOGINS=$SUITE/etc/secret/routes.cdb route_to x.example "smtp:[mx.plain.example]:$HOST_PORT" "$@"
}
RIGHT='login=customer=17,a:open: sesame'

@test "each mechanism logs in, the best that is offered first, and the mail goes (RFC 4954 4)" {
	local row
	for row in 'SCRAM-SHA-256 LOGIN,PLAIN,SCRAM-SHA-256,SCRAM-SHA-256-PLUS' 'PLAIN LOGIN,PLAIN,CRAM-MD5' 'LOGIN CRAM-MD5,LOGIN'; do
		host_start "cert=$SUITE/right.pem" "auth=${row#* }" "$RIGHT"
		JOBS=3 log_in secret=smart
		taken
		[[ $(grep -c ' relayed ' <<<"$output") == 3 ]]
		host_saw "^tls AUTH ${row%% *}\$"
		log_has ' policy=verify from=route '
		log_has "site smtp:[mx.plain.example]:$HOST_PORT tls=verify login=smart"
		host_stop
	done
}

@test "no password goes without TLS, nor to a host that is not verified, unless that is asked for" {
	host_start "$RIGHT" auth=PLAIN
	log_in secret=smart
	put_off 4.7.4 'it does not offer STARTTLS'
	host_stop
	host_start "cert=$SUITE/untrusted.pem" "$RIGHT" auth=PLAIN
	log_in secret=smart
	put_off 4.7.5 'The certificate is NOT trusted'
	run ! grep -q AUTH "$SUITE/host/commands"
	log_in secret=smart tls=encrypt
	taken
	host_stop
	host_start "cert=$SUITE/right.pem" wrapped "$RIGHT" auth=PLAIN
	REMOTE_LOGINS=$SUITE/etc/secret/routes.cdb route_to x.example "smtps:[mx.plain.example]:$HOST_PORT" secret=smart
	taken
}

@test "a refused login puts the mail off, says so loudly, and is not tried again with each message" {
	host_start "cert=$SUITE/right.pem" "$RIGHT" auth=PLAIN
	JOBS=5 REMOTE_PAUSE=10 log_in secret=wrong
	log_has 'remoted login-failed host=mx.plain.example[127.0.0.1]:'
	log_has ' login=wrong mechanism=PLAIN words="535 5.7.8 no" advice='
	[[ $(grep -c 'deferred 4.7.8 .*login wrong: 535 5.7.8 no' <<<"$output") == 5 ]] || { echo "$output"; false; }
	[[ $(times_seen AUTH) == 1 ]]
	[[ $output != *nonsense* ]]
	nothing_went
}

@test "a host that can't judge logins for the moment says nothing against this one: no advice, and the next message tries again (RFC 4954 6)" {
	local reply
	for reply in '454 4.7.0 try later' '421 4.3.2 going down'; do
		host_start "cert=$SUITE/right.pem" "$RIGHT" auth=PLAIN "busy=$reply"
		JOBS=2 REMOTE_PAUSE=10 log_in secret=smart
		log_has "deferred ${reply:4:5} mx.plain.example"
		log_has "login smart: $reply"
		log_has 'result 1 0 relayed 2.0.0'
		run ! grep login-failed <<<"$output"
		host_stop
	done
}

@test "a host that can't show that it knows the password gets no mail (RFC 5802 3)" {
	host_start "cert=$SUITE/right.pem" "$RIGHT" auth=SCRAM-SHA-256 liar
	log_in secret=smart
	put_off 4.7.8 'the host does not know the password'
}

@test "a login that the secrets do not have, and a host without AUTH, put the mail off" {
	host_start "cert=$SUITE/right.pem" "$RIGHT" auth=PLAIN
	log_in secret=missing
	put_off 4.7.8 'the secrets have no line route:missing'
	host_stop
	host_start "cert=$SUITE/right.pem"
	log_in secret=smart
	put_off 4.7.8 'it offers no AUTH with SCRAM-SHA-256, PLAIN or LOGIN'
}
