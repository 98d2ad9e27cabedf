# Mail in chunks to Postfix and Exim, LMTP to Dovecot, SMTP to OpenSMTPD, and a gateway that asks Exim who exists.
load ../lib/suite
load ../lib/pair
load ../lib/peers
load ../lib/certificates
load ../lib/tls-peers

setup_file() {
	peer_fetch postfix exim4-daemon-light dovecot-core dovecot-lmtpd opensmtpd
	pair_net
	pair_names <<-'EOF'
		a.example MX 10 mail.a.example
		mail.a.example A 127.0.0.2
		postfix.example MX 10 mail.postfix.example
		mail.postfix.example A 127.0.0.11
		exim.example MX 10 mail.exim.example
		exim.example MX 20 mail.g.example
		mail.exim.example A 127.0.0.12
		mail.g.example A 127.0.0.5
		opensmtpd.example MX 10 mail.opensmtpd.example
		mail.opensmtpd.example A 127.0.0.14
	EOF
	hard_message "$PAIR/hard"
	(cd "$PAIR" && authority_make authority && certificate_make postfix.pem authority mail.postfix.example)
	pair_make a 127.0.0.2
	printf '%s\n' 'dovecot.example lmtp:[127.0.0.13]' "socket.dovecot.example lmtp:unix:$PAIR/dovecot/lmtp.socket" >>"$PAIR/a/etc/routes"
	dawk_on a update
	on a suite_run
}
setup() { on a empty_mailboxes; }
teardown() { [[ -n ${BATS_TEST_COMPLETED:-} ]] || tail -n 20 "$PAIR"/[ag]/stderr/* "$PAIR"/*.out "$PAIR"/exim/exim.*log "$PAIR"/{postfix,dovecot}/log; }
teardown_file() { pair_stop; }

letters() { "$TOOLS/queue-put" "$PAIR/a/queue" "$@"; }
holds() { [[ $(find "$1" -path '*/new/*' -type f 2>/dev/null | wc -l) -ge $2 ]]; }
large() { hard_message "$1" && yes '.a line that begins with a dot' | head -n 20000 >>"$1"; }
a_says() { on a logged queued "$1"; }

@test "Postfix takes small and large messages in chunks, byte by byte (RFC 3030)" {
	peer_postfix 127.0.0.11 "$PAIR/postfix" "$PAIR/postfix.pem"
	send a alice@a.example x@postfix.example <"$PAIR/hard"
	wait_until holds "$PAIR/postfix/mail" 1
	same_message "$PAIR/hard" "$(find "$PAIR/postfix/mail" -path '*/new/*' -type f)"
	find "$PAIR/postfix/mail" -path '*/new/*' -type f -delete
	large "$PAIR/large"
	letters alice@a.example x@postfix.example <"$PAIR/large"
	wait_until holds "$PAIR/postfix/mail" 1
	same_message "$PAIR/large" "$(find "$PAIR/postfix/mail" -path '*/new/*' -type f)"
	on a suite_restart queued		# the connections end, and Postfix counts
	wait_until grep -qE 'disconnect from .* bdat=[0-9]{2}' "$PAIR/postfix/log"
	run ! grep -qE 'disconnect from .* data=' "$PAIR/postfix/log"
}

@test "Exim takes small and large messages in chunks, byte by byte (RFC 3030)" {
	peer_exim 127.0.0.12 "$PAIR/exim"
	large "$PAIR/large"
	letters alice@a.example x@exim.example <"$PAIR/large"
	letters alice@a.example y@exim.example <"$PAIR/hard"
	wait_until holds "$PAIR/exim/mail" 2
	same_message "$PAIR/large" "$(find "$PAIR/exim/mail/new" -size +100k)"
	same_message "$PAIR/hard" "$(find "$PAIR/exim/mail/new" -size -100k -type f)"
	[[ $(grep -c ' <= alice@a.example .* P=esmtp K ' "$PAIR/exim/exim.mainlog") == 2 ]]
}

rcpt_at_gateway() {	# ADDRESS REPLY
	run -0 in_net "$TOOLS/talk.py" --timeout 60 --source 127.0.0.77 127.0.0.5:25 <<-END
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<bob@a.example>
		S: 250
		C: RCPT TO:<$1>
		S: $2
	END
}

@test "a backup MX asks Exim who exists, takes what it takes, and all the mail while it is down (RFC 5321 3.6.2)" {
	pair_start g 127.0.0.5 -- --set 'relay-domains = exim.example' --set 'relay-networks = none'
	rcpt_at_gateway x@exim.example '250 2.1.5'
	rcpt_at_gateway nobody@exim.example '550 5.1.1 the host of this domain refuses the recipient: 550 no such user in Exim'
	kill -KILL -- "-$(cat "$PAIR/pids/exim")"
	no_exim() { ! net_listens 127.0.0.12 25; }
	wait_until no_exim
	rcpt_at_gateway other@exim.example '250 2.1.5'
	rcpt_at_gateway nobody@exim.example '550 5.1.1'
}

@test "Dovecot by LMTP, over TCP and a socket: each recipient has its own answer (RFC 2033)" {
	local at
	peer_dovecot 127.0.0.13 "$PAIR/dovecot"
	for at in alice bob full; do printf '%s@socket.dovecot.example::60903:60903::%s::\n' $at "$PAIR/dovecot/mail/socket-$at"; done |
		sed '/^full/s/$/userdb_quota_rule=*:storage=1B/' >>"$PAIR/dovecot/users"
	for at in dovecot.example socket.dovecot.example; do
		letters carol@a.example alice@$at nobody@$at full@$at bob@$at <"$PAIR/hard"
		wait_until a_says "delivered .*to=alice@$at .*Saved"
		wait_until a_says "delivered .*to=bob@$at "
		wait_until a_says "failed .*to=nobody@$at status=5.1.1 .*550 5.1.1 "
		wait_until a_says "(failed|deferred) .*to=full@$at status=[45].2.2 "
	done
	wait_until holds "$PAIR/dovecot/mail/alice" 1
	same_message "$PAIR/hard" "$(find "$PAIR/dovecot/mail/alice/new" -type f)"
	holds "$PAIR/dovecot/mail/socket-bob" 1
}

@test "OpenSMTPD as the next hop takes a message as it is, and its refusal comes back with its words" {
	peer_opensmtpd 127.0.0.14 "$PAIR/opensmtpd"
	letters alice@a.example alice@opensmtpd.example nobody@opensmtpd.example <"$PAIR/hard"
	wait_until holds "$PAIR/opensmtpd/mail" 1
	same_message "$PAIR/hard" "$(find "$PAIR/opensmtpd/mail" -path '*/new/*' -type f)"
	wait_until on a delivered_to alice 1
	grep -q 'Remote-MTA: dns; *mail.opensmtpd.example' "$(on a message_of alice)"
	grep -qE 'Diagnostic-Code: smtp; *5[0-9]{2} ' "$(on a message_of alice)"
}
