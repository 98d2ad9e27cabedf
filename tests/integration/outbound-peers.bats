# Mail to other servers than our own: Postfix's smtp-sink, Exim, aiosmtpd's LMTP.
load ../lib/suite
load ../lib/pair
load ../lib/peers

setup_file() {
	peer_fetch postfix exim4-daemon-light python3-aiosmtpd python3-attr python3-public
	pair_net
	pair_names <<-'EOF'
		a.example MX 10 mail.a.example
		mail.a.example A 127.0.0.2
		sink.example MX 10 mail.sink.example
		mail.sink.example A 127.0.0.11
		exim.example MX 10 mail.exim.example
		mail.exim.example A 127.0.0.12
	EOF
	pair_make a 127.0.0.2
	printf '%s\n' 'helo.example smtp:[127.0.0.13]' 'single.example smtp:[127.0.0.14]' 'seven.example smtp:[127.0.0.15]' \
		'lmtp.example lmtp:[127.0.0.16]' "unix.example lmtp:unix:$PAIR/lmtp.socket" >>"$PAIR/a/etc/routes"
	dawk_on a update
	on a suite_run
}
setup() { on a empty_mailboxes; }
teardown() { [[ -n ${BATS_TEST_COMPLETED:-} ]] || tail -n 20 "$PAIR"/a/stderr/* "$PAIR"/*.out "$PAIR"/exim/exim.*log; }
teardown_file() { pair_stop; }

files_in() { [[ $(find "$1" -type f | wc -l) -eq $2 ]]; }
alice_at() { on "$1" message_of alice | xargs cat | tr -d '\r'; }

@test "smtp-sink takes 500 messages over few connections" {
	peer_sink 127.0.0.11:25 "$PAIR/sink"
	printf 'Subject: letter\n\nhello\n' | "$TOOLS/queue-put" "$PAIR/a/queue" --count 500 alice@a.example x@sink.example >/dev/null
	wait_until on a queue_is_empty
	[[ $(grep -c ' forwarded .*to=x@sink.example .*host=mail.sink.example' "$PAIR/a/stderr/queued") == 500 ]]
	[[ $(find "$PAIR/sink" -type f -exec grep -h '^hello' {} + | wc -l) == 500 ]]
	on a suite_restart queued	# so that all sessions are logged
	[[ $(grep -c 'session-end host=mail.sink.example' "$PAIR/a/stderr/queued") -le 20 ]]
}

@test "smtp-sink without ESMTP, without PIPELINING, without 8BITMIME" {
	local name
	peer_sink 127.0.0.13:25 "$PAIR/helo" -e
	peer_sink 127.0.0.14:25 "$PAIR/single" -p
	peer_sink 127.0.0.15:25 "$PAIR/seven" -8
	for name in helo single seven; do send a alice@a.example "x@$name.example" "y@$name.example" <<<$'Subject: hi\n\nplain'; done
	wait_until on a queue_is_empty
	for name in helo single seven; do grep -rq plain "$PAIR/$name" || { echo "$name"; false; }; done
	hard_message "$PAIR/hard"
	send a alice@a.example x@single.example x@seven.example <"$PAIR/hard"
	wait_until on a delivered_to alice 1
	grep -q '^Status: 5.6.3' "$(on a message_of alice)"
	grep -c '^Final-Recipient' "$(on a message_of alice)" | grep -qx 1
	grep -rq 'Zürich' "$PAIR/single"
	run ! grep -rq 'Zürich' "$PAIR/seven"
}

@test "Exim takes a message as it is, and its refusal of a recipient is reported with its words" {
	peer_exim 127.0.0.12 "$PAIR/exim"
	hard_message "$PAIR/hard"
	send a alice@a.example x@exim.example nobody@exim.example <"$PAIR/hard"
	wait_until files_in "$PAIR/exim/mail/new" 1
	same_message "$PAIR/hard" "$PAIR"/exim/mail/new/*
	wait_until on a delivered_to alice 1
	alice_at a | grep -q '^Diagnostic-Code: smtp; *550 .*no such user in Exim'
	alice_at a | grep -q '^Remote-MTA: dns; *mail.exim.example'
	wait_until on a queue_is_empty
}

@test "and one over its size is reported, without being sent (RFC 1870)" {
	"$TOOLS/queue-put" "$PAIR/a/queue" --size 1200000 alice@a.example x@exim.example
	wait_until on a delivered_to alice 1
	alice_at a | grep -q '^Status: 5.3.4'
	wait_until on a queue_is_empty
}

@test "aiosmtpd by LMTP: each recipient has its own answer, over TCP and a Unix socket (RFC 2033)" {
	local name
	peer_lmtp 127.0.0.16:24 "$PAIR/tcp"
	peer_lmtp "$PAIR/lmtp.socket" "$PAIR/unix"
	for name in lmtp unix; do
		on a empty_mailboxes
		send a alice@a.example "one@$name.example" "nobody@$name.example" "two@$name.example" "never@$name.example" "full@$name.example" \
			<<<$'Subject: hi\n\nto each'
		wait_until on a logged queued "deferred .*to=full@$name.example status=4.2.2 .*452 4.2.2 mailbox full"
		wait_until on a logged queued "delivered .*to=one@$name.example "
		wait_until on a logged queued "delivered .*to=two@$name.example "
		wait_until on a logged queued "failed .*to=nobody@$name.example status=5.1.1 .*550 5.1.1 no such mailbox"
		wait_until on a logged queued "failed .*to=never@$name.example status=5.7.1 .*550 5.7.1 not wanted"
	done
	files_in "$PAIR/tcp" 2
	files_in "$PAIR/unix" 2
	on a queue_holds 2
}
