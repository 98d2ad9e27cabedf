# Reports: who gets one, about what, once.
load ../lib/queued
teardown() { suite_stop; }

@test "a failure is reported to the reverse-path, with the null reverse-path (RFC 5321 4.5.5)" {
	queued_start
	behave 'gone@local.example failed 5.1.1 no such mailbox here'
	put bob@local.example gone@local.example alice@local.example
	wait_until handed_to bob@local.example 1
	wait_until queue_is_empty
	[[ $(line_of bob@local.example) == *" -" ]]
	content_of bob@local.example | grep -qx 'Final-Recipient: rfc822; gone@local.example'
	content_of bob@local.example | grep -qx 'Action: failed'
	content_of bob@local.example | grep -qx 'Diagnostic-Code: X-dawk; no such mailbox here'
	run ! grep -q alice@local.example <<<"$(content_of bob@local.example)"
}

@test "NOTIFY: NEVER is silent, SUCCESS is told, DELAY alone hears no failure (RFC 3461 4.1)" {
	queued_start
	behave 'gone@local.example failed 5.1.1 no such mailbox' 'lost@local.example failed 5.1.1 no such mailbox'
	put bob@local.example 'gone@local.example|notify NEVER' 'lost@local.example|notify DELAY' \
		'alice@local.example|notify SUCCESS|orcpt rfc822;Alice+2B@local.example' carol@local.example
	wait_until handed_to bob@local.example 1
	wait_until queue_is_empty
	handed_to bob@local.example 1
	report=$(content_of bob@local.example)
	grep -qx 'Action: delivered' <<<"$report"
	grep -qx 'Original-Recipient: rfc822; Alice+@local.example' <<<"$report"
	run ! grep -qE 'gone@|lost@|carol@' <<<"$report"
}

@test "failures are grouped by the owner of the list (RFC 3461 5.2.7)" {
	queued_start
	behave 'g1@local.example failed 5.1.1 gone' 'g2@local.example failed 5.1.1 gone' \
		'g3@local.example failed 5.1.1 gone'
	put bob@local.example 'g1@local.example|owner owner-list@local.example' g2@local.example 'g3@local.example|owner owner-list@local.example'
	wait_until handed_to bob@local.example 1
	wait_until handed_to owner-list@local.example 1
	wait_until queue_is_empty
	[[ $(content_of owner-list@local.example | grep -c '^Final-Recipient: ') == 2 ]]
	content_of bob@local.example | grep -qx 'Final-Recipient: rfc822; g2@local.example'
}

@test "a report that fails goes to the postmaster, one to the postmaster that fails is held" {
	queued_start --set 'retry = 1s'
	behave 'gone@local.example failed 5.1.1 gone' 'bob@local.example failed 5.1.1 gone too'
	put bob@local.example gone@local.example
	wait_until handed_to postmaster@local.example 1
	wait_until queue_is_empty
	behave '*local.example failed 5.3.0 nothing works'
	put bob@local.example gone@local.example
	wait_until logged queued report-undeliverable
	wait_until only_one_is_left_held
	id=$(ls "$QUEUE/hold")
	$DAWK queue show "$id" | grep '^recipient .*<postmaster@local.example> waits'
	run -0 $DAWK queue list --to postmaster
	[[ $output == "$id held "*'<> -> <postmaster@local.example>'* ]]
	behave
	$DAWK queue release --to postmaster --yes
	wait_until handed_to postmaster@local.example 2
	wait_until queue_is_empty
}

only_one_is_left_held() { [[ $(cd "$QUEUE" && find new cur hold -type f) =~ ^hold/[^/]*$ ]]; }

@test "a report to the postmaster that his mailbox or a list forwards, and that fails there, is held; it makes no other report" {
	queued_start
	behave 'gone@local.example failed 5.1.1 gone' 'postmaster@local.example forward second@local.example' \
		'second@local.example forward away@local.example' 'away@local.example failed 5.7.1 we take no spam'
	put '' gone@local.example >/dev/null
	held() { [[ $(find "$QUEUE/hold" -type f | wc -l) == 1 ]]; }
	wait_until held
	wait_until logged queued report-undeliverable
	[[ -z $(find "$QUEUE/new" "$QUEUE/cur" -type f) && $(grep -c 'queued message-made' "$SUITE/stderr/queued") == 3 ]]
}

@test "a failure of a report to the owner of a list goes to the postmaster, not to the list again" {
	queued_make
	printf 'team@local.example: a@local.example, away@local.example\nowner-team@local.example: team@local.example\n' >>"$SUITE/etc/aliases"
	$DAWK update
	suite_run
	behave 'away@local.example failed 5.7.1 no'
	put bob@local.example 'a@local.example|owner owner-team@local.example' 'away@local.example|owner owner-team@local.example' >/dev/null
	wait_until handed_to postmaster@local.example 1
	wait_until queue_is_empty
	handed_to a@local.example 2
	handed_to postmaster@local.example 1
	[[ $(grep -c 'queued message-made' "$SUITE/stderr/queued") == 2 ]]
}

@test "a message older than its lifetime still gets an attempt, and expires when that is deferred" {
	queued_start --set 'queue-lifetime = 1d'
	behave 'full@local.example deferred 4.2.2 mailbox is full'
	put --age 200000 bob@local.example alice@local.example full@local.example
	wait_until handed_to bob@local.example 1
	wait_until queue_is_empty
	handed_to alice@local.example 1
	content_of bob@local.example | grep -qx 'Status: 4.4.7'
	content_of bob@local.example | grep -qx 'Diagnostic-Code: X-dawk; mailbox is full'
}

@test "a message that came while the clock was a year ahead expires its lifetime after its first attempt" {
	queued_make --set 'queue-lifetime = 1d'
	behave 'full@local.example deferred 4.2.2 mailbox is full'
	new=$(put --no-trigger --age -31536000 zoe@local.example full@local.example)
	old=$(put --no-trigger --age -31536000 bob@local.example full@local.example)
	printf '0 deferred %d000000 4.2.2 - mailbox is full\n' "$(($(date +%s) - 200000))" >"$QUEUE/state/$old"
	chown --reference="$QUEUE/state" "$QUEUE/state/$old"
	suite_run
	wait_until handed_to bob@local.example 1
	content_of bob@local.example | grep -qx 'Status: 4.4.7'
	wait_until test -e "$QUEUE/cur/$new"
	gone() { [[ ! -e $QUEUE/new/$old && ! -e $QUEUE/cur/$old ]]; }
	wait_until gone
	handed_to zoe@local.example 0
}

@test "a delay is told once, to who wants to hear it (RFC 3461 4.1)" {
	queued_start --set 'delay-warning = 1h' --set 'retry = 1s'
	behave 'full@local.example deferred 4.2.2 mailbox is full' 'silent@local.example deferred 4.2.2 mailbox is full'
	id=$(put --age 4000 bob@local.example full@local.example 'silent@local.example|notify FAILURE')
	wait_until handed_to bob@local.example 1
	content_of bob@local.example | grep -qx 'Action: delayed'
	content_of bob@local.example | grep -q '^Will-Retry-Until: '
	run ! grep -q silent@ <<<"$(content_of bob@local.example)"
	third_attempt() { [[ $(grep -c '^0 deferred' "$QUEUE/state/$id") -ge 3 ]]; }
	wait_until third_attempt
	suite_restart queued
	fifth_attempt() { [[ $(grep -c '^0 deferred' "$QUEUE/state/$id") -ge 5 ]]; }
	wait_until fifth_attempt
	handed_to bob@local.example 1
}

# The two sides of a crash between a report's announcement and its record, see dawk-queue(5).
crashed_with_report() {
	queued_make
	parent=$(put --no-trigger bob@local.example gone@local.example)
	child=$(printf 'Subject: the report\n\n' | put_content --no-trigger --line "parent $parent" --line report '' bob@local.example)
	printf 'sites local.example\n0 failed 1795300000000000 5.1.1 - gone\n0 report 1795300000000001 %s\n' "$child" >"$QUEUE/state/$parent"
	chown --reference="$QUEUE/state" "$QUEUE/state/$parent"
}

@test "a crash after a report was committed does not make a second one" {
	crashed_with_report
	suite_run
	wait_until queue_is_empty
	handed_to bob@local.example 1
	content_of bob@local.example | grep -qx 'Subject: the report'
}

@test "a crash after a report was announced, before it was committed, makes one" {
	crashed_with_report
	rm "$QUEUE/new/$child"
	suite_run
	wait_until queue_is_empty
	handed_to bob@local.example 1
	content_of bob@local.example | grep -qx 'Final-Recipient: rfc822; gone@local.example'
}

@test "a report whose parent's record is open is settled there before it is delivered" {
	crashed_with_report
	mv "$QUEUE/new/$parent" "$QUEUE/hold/$parent"
	suite_run
	wait_until handed_to bob@local.example 1
	wait_until state_says "$parent" "^0 made [0-9]+ $child\$"
	$DAWK queue release "$parent"
	wait_until queue_is_empty
	handed_to bob@local.example 1
}
