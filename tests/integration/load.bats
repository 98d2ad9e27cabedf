# Many recipients, many messages: fair, complete, also across a restart.
load ../lib/suite

teardown() { suite_stop; }

list_copies() { find "$SUITE/mail/local.example" -path '*/list*/new/*' -type f | wc -l; }
copies_are() { [[ $(list_copies) -eq $1 ]]; }

@test "a message to 10,000 recipients does not delay the letter that comes after it" {
	suite_make
	for ((i = 0; i < 20; i++)); do suite_add_mailbox "list$i"; done
	for ((i = 0; i < 10000; i++)); do echo "list$((i % 20))+$i@local.example"; done >"$SUITE/etc/members"
	echo "everybody@local.example: :include:$SUITE/etc/members" >>"$SUITE/etc/aliases"
	$DAWK update
	suite_run
	# in one session, so that the letter comes right behind the list however slowly a client starts
	{
		printf 'S: 220\nC: EHLO client.example\nS: 250\n'
		for name in everybody alice; do
			printf 'C: MAIL FROM:<bob@client.example>\nC: RCPT TO:<%s@local.example>\nC: DATA\nS*2: 250\nS: 354\nC: Subject: to %s\nC:\nC: hello\nC: .\nS: 250 2.0.0\n' $name $name
		done
	} | talk smtpd
	wait_until delivered_to alice 1
	wait_until copies_are 10000
	before=$(find "$SUITE/mail/local.example" -path '*/list*/new/*' -type f ! -newer "$(message_of alice)" | wc -l)
	echo "the letter arrived after $before copies of the list"
	[ "$before" -lt 5000 ]
	wait_until queue_is_empty
	copies_are 10000
}

@test "a thousand messages that wait when queued starts are all delivered, once each" {
	SUITE_SERVICES=smtpd suite_start
	run -0 "$TOOLS/flood.py" "$SMTP_PORT" 1000 "$BATS_TEST_TMPDIR/answered"
	queue_holds 1000
	SUITE_SERVICES='smtpd queued' suite_run
	wait_until queue_is_empty
	delivered_to alice 500
	delivered_to bob 500
	[[ $(find "$SUITE/mail/local.example" -path '*/new/*' -type f -exec grep -h '^number ' {} + | sort -u | wc -l) -eq 1000 ]]
}

@test "fifty messages that were deferred wait across a restart and are delivered when flushed" {
	suite_make --set 'retry = 1h'
	mkdir "$SUITE/mail/switch"
	! id dawkx >/dev/null 2>&1 || chown dawkx: "$SUITE/mail/switch"
	echo "later@local.example: |test -e $SUITE/mail/switch/open || exit 75; cat >>$SUITE/mail/switch/out" >>"$SUITE/etc/aliases"
	$DAWK update
	suite_run
	run -0 "$TOOLS/flood.py" "$SMTP_PORT" 50 "$BATS_TEST_TMPDIR/answered" later@local.example
	wait_until deferred 50
	suite_restart queued
	touch "$SUITE/mail/switch/open"
	run -0 $DAWK queue flush
	wait_until queue_is_empty
	[[ $(grep -c '^number ' "$SUITE/mail/switch/out") -eq 50 ]]
}
deferred() { [[ $(find "$SUITE/queue/cur" -type f | wc -l) -eq $1 ]]; }
