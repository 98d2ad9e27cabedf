# From new/ to the deliverers, and what results make of a message.
load ../lib/queued
teardown() { suite_stop; }

@test "a message is handed over once and leaves nothing behind" {
	queued_start
	put bob@client.example alice@local.example
	wait_until handed_to alice@local.example 1
	wait_until queue_is_empty
	[[ $(content_of alice@local.example) == $'Subject: test\nFrom: bob\n\nhello' ]]
	wait_until logged queued 'delivered id=.* to=alice@local.example status=2.0.0'
	wait_until logged queued 'message-done id='
}

@test "what lies in new/ at the start is delivered without a trigger" {
	queued_make
	put --no-trigger bob@client.example alice@local.example bob@local.example
	suite_run
	wait_until handed_to alice@local.example 1
	wait_until handed_to bob@local.example 1
	wait_until queue_is_empty
}

@test "garbage in the trigger costs nothing but itself" {
	queued_start
	printf 'garbage\n\n%s\n../../etc/passwd000\n' 00000000000000000000 >"$QUEUE/trigger"
	head -c 3000 /dev/zero >"$QUEUE/trigger"
	printf 'cut off' >"$QUEUE/trigger"
	put bob@client.example alice@local.example
	put bob@client.example bob@local.example
	wait_until handed_to bob@local.example 1
	suite_restart queued
	wait_until handed_to alice@local.example 1
	wait_until queue_is_empty
}

@test "a deferred recipient is tried again, a delivered one is not" {
	queued_start --set 'retry = 2s'
	behave 'alice@local.example deferred 4.2.2 mailbox is full'
	id=$(put bob@client.example alice@local.example bob@local.example)
	wait_until test -e "$QUEUE/cur/$id"
	state_says "$id" '^sites local.example$'
	state_says "$id" '^0 deferred [0-9]{16} 4\.2\.2 - mailbox is full$'
	state_says "$id" '^1 delivered [0-9]{16} 2\.0\.0 - saved$'
	behave
	wait_until queue_is_empty
	handed_to alice@local.example 1
	handed_to bob@local.example 1
}

@test "what a crash left of an append to a state is passed over, the next begins on a fresh line" {
	queued_start --set 'retry = 1s'
	behave 'alice@local.example deferred 4.2.2 mailbox is full'
	id=$(put bob@client.example alice@local.example bob@local.example)
	wait_until test -e "$QUEUE/cur/$id"
	suite_end queued
	printf '0 deliv' >>"$QUEUE/state/$id"
	suite_run
	tried_again() { [[ $(grep -c '^0 deferred' "$QUEUE/state/$id") -ge 2 ]]; }
	wait_until tried_again
	state_says "$id" '^0 deliv$'
	behave
	$DAWK queue flush
	wait_until queue_is_empty
	handed_to bob@local.example 1
}

@test "a file that is no message goes to corrupt/ and is kept, foreign names are left alone and named once" {
	queued_make
	id=$(put --no-trigger bob@client.example alice@local.example)
	short=$(put --no-trigger bob@client.example alice@local.example)
	other=$(put --no-trigger bob@client.example alice@local.example)
	truncate -s -1 "$QUEUE/new/$short"
	mv "$QUEUE/new/$other" "$QUEUE/new/00000000000000000000"
	ln -s /etc/passwd "$QUEUE/new/00000000000000000001"
	mkdir "$QUEUE/new/00000000000000000002"
	: >"$QUEUE/new/README"
	suite_run
	wait_until handed_to alice@local.example 1
	[[ $(line_of alice@local.example) == "$id "* ]]
	wait_until test -e "$QUEUE/corrupt/$short"
	wait_until test -e "$QUEUE/corrupt/00000000000000000000"
	wait_until logged_times 'message-corrupt' 2
	for name in README 00000000000000000001 00000000000000000002; do
		[[ -e $QUEUE/new/$name ]]
		wait_until logged_times "foreign-file .*$name" 1
	done
}

@test "a deliverer that dies defers what it had, and has it again soon" {
	queued_start --set 'retry = 1s'
	behave 'alice@local.example die'
	put bob@client.example alice@local.example
	wait_until logged queued 'deferred .* status=4.3.0'
	behave
	wait_until handed_to alice@local.example 1
	wait_until queue_is_empty
	wait_until logged queued 'transport-lost transport=locald'
}

@test "a scheduler that is killed begins where it was" {
	queued_start --set 'retry = 1s'
	behave 'alice@local.example hang'
	put bob@client.example alice@local.example bob@local.example
	wait_until handed_to bob@local.example 1
	id=$(find "$QUEUE/new" -type f -printf %f)
	wait_until state_says "$id" '^1 delivered'
	kill -KILL "$(scheduler_pid)"
	behave
	wait_until queue_is_empty
	handed_to alice@local.example 1
	handed_to bob@local.example 1
}

@test "one message to 5,000 recipients does not delay a letter that comes after it" {
	queued_make
	mapfile -t many < <(seq -f 'u%.0f@local.example' 5000)
	put --no-trigger bob@client.example "${many[@]}"
	put --no-trigger bob@client.example alice@local.example
	suite_run
	wait_until handed_to alice@local.example 1
	at=$(grep -n ' alice@local.example ' "$FAKE/delivered" | cut -d: -f1)
	echo "the letter came as number $at"
	[[ $at -lt 3000 ]]
	wait_until queue_is_empty
	[[ $(wc -l <"$FAKE/delivered") -eq 5001 ]]
	[[ $(sort -u -k2,2 "$FAKE/delivered" | wc -l) -eq 5001 ]]
}

@test "a mailbox that does not answer holds up nobody else, however much it gets" {
	queued_start
	behave 'alice@local.example hang'
	put_content --size 100 --count 1500 bob@client.example alice@local.example >"$BATS_TEST_TMPDIR/ids"
	put bob@client.example bob@local.example
	wait_until handed_to bob@local.example 1
	wait_until twenty_are_on_their_way
	behave
	kill -KILL "$(scheduler_pid)"
	wait_until queue_is_empty
	[[ $(grep ' alice@local.example ' "$FAKE/delivered" | sort -u | wc -l) -eq 1500 ]]
}
twenty_are_on_their_way() { $DAWK status | grep -q 'in-flight=20 '; }

@test "remote recipients wait, local ones of the same message do not" {
	queued_start
	id=$(put bob@client.example alice@local.example zoe@elsewhere.example)
	wait_until handed_to alice@local.example 1
	wait_until test -e "$QUEUE/cur/$id"
	state_says "$id" '^1 deferred [0-9]+ 4\.4\.'
	state_says "$id" '^sites local.example elsewhere.example$'
}

@test "a deferred message whose state was taken away is tried anew, never forgotten" {
	queued_start
	behave 'alice@local.example deferred 4.2.2 mailbox is full'
	id=$(put bob@client.example alice@local.example)
	wait_until test -e "$QUEUE/cur/$id"
	suite_end queued
	rm "$QUEUE/state/$id"
	behave
	suite_run
	wait_until handed_to alice@local.example 1
	wait_until queue_is_empty
	wait_until logged queued "state-missing id=$id"
}

@test "old mail that no program delivers is not bounced without an attempt" {
	queued_start --set 'retry = 1h'
	m=$(put_content --age 600000 bob@local.example x@far.example </dev/null)
	wait_until logged queued "deferred id=$m .*status=4.4.0"
	wait_until test -e "$QUEUE/cur/$m"
	run ! logged queued "failed id=$m"
}

@test "old mail whose deliverer dies has another attempt; when that one dies, too, it is bounced" {
	queued_start --set 'retry = 1h'
	behave 'alice@local.example die'
	m=$(put_content --age 600000 bob@local.example alice@local.example </dev/null)
	wait_until test -e "$QUEUE/cur/$m"
	run ! logged queued "failed id=$m"
	$DAWK queue retry "$m"
	wait_until logged queued "failed id=$m .*status=4.4.7 .*ended unexpectedly"
}
