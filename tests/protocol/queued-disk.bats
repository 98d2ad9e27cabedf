# The disk is slow, or refuses, while deliveries, commands and the scan go on.
load ../lib/queued
load ../lib/odd-disk
teardown() { suite_stop; }

in_flight() { status_says "transport=locald .* in-flight=$1 "; }

@test "a flooded mailbox does not drop a message whose results are being recorded" {
	export FAKE_FAST=1
	odd_start --set 'local-concurrency = 30'
	behave 'alice@local.example until go-a' '*@local.example hang'
	put_content news@local.example alice@local.example </dev/null >/dev/null
	wait_until in_flight 1
	behave 'alice@local.example hang' '*c@local.example until go-c' '*e@local.example until go-e' 'bob@local.example delivered 2.0.0 saved' '*@local.example hang'
	put_content --count 300 news@local.example alice+{1..3}@local.example </dev/null >/dev/null
	many_parked() { (($($DAWK status | sed -n 's/.* parked=\([0-9]*\) .*/\1/p') >= 500)); }
	wait_until many_parked
	m=$(put_content news@local.example {1..7}c@local.example alice@local.example </dev/null)
	wait_until in_flight 27
	put_content --count 60 --numbered eve@local.example %de@local.example </dev/null >/dev/null
	wait_until in_flight 30
	trouble slow
	touch "$FAKE/go-c"
	wait_until test -s "$QUEUE/state/$m"	# written, and not durable
	touch "$FAKE/go-e"
	eve_has_all() { [[ $(grep -c ' eve@' "$FAKE/delivered") -eq 60 ]]; }
	wait_until eve_has_all
	touch "$FAKE/go-a"
	wait_until in_flight 20			# the message had its turn for alice
	no_trouble slow
	put bob@local.example bob@local.example
	wait_until logged queued 'message-done .*from=bob@'
	wait_until state_says "$m" '^6 delivered'
}

# A message that was put off, delivered to b@ already.
put_off_message() {
	behave 'a@local.example deferred 4.2.0 no' 'busy@local.example deferred 4.2.0 no'
	m=$(put carol@local.example a@local.example b@local.example)
	wait_until test -e "$QUEUE/cur/$m"
	wait_until status_says '^waiting=1 new=0 loaded=0 '
}
# The commands have arrived, and what they wait for is the disk.
ask_while_busy() {
	ask "$@" status >"$BATS_TEST_TMPDIR/said" 3>&- &
	asking=$!
	wait_until grep -qx '0 ' "$BATS_TEST_TMPDIR/said"
}
answers() {
	no_trouble slow
	wait "$asking"
	said=$(grep -vx '0 ' "$BATS_TEST_TMPDIR/said" | sort)
}

@test "while a message is being held its removal is asked to come again, and no history is lost" {
	odd_start --set 'retry = 1h'
	put_off_message
	busy
	ask_while_busy "hold $m" "remove $m"
	answers
	[[ $said == "0 $m is held"$'\n'"75 $m is being changed by another command; try again" ]]
	[[ -e $QUEUE/hold/$m && -e $QUEUE/state/$m ]]
	behave
	$DAWK queue release "$m"
	wait_until handed_to a@local.example 1
	wait_until test ! -e "$QUEUE/state/$m"
	handed_to b@local.example 1
}

@test "while a message is being released its removal is asked to come again" {
	odd_start --set 'retry = 1h'
	put_off_message
	$DAWK queue hold "$m"
	busy
	behave
	ask_while_busy "release $m" "remove $m"
	answers
	[[ $said == "0 $m is due at once"$'\n'"75 $m is being changed by another command; try again" ]]
	run ! logged queued "message-removed id=$m"
	wait_until handed_to a@local.example 1
	wait_until test ! -e "$QUEUE/state/$m"
	handed_to b@local.example 1
}

@test "a new message that is being held is not tried, whoever names it meanwhile" {
	odd_start --set 'retry = 1h'
	behave 'busy@local.example deferred 4.2.0 no'
	busy
	m=$(put_content --no-trigger bob@local.example m@local.example </dev/null)
	ask_while_busy "hold $m"
	echo "$m" >"$QUEUE/trigger"
	put bob@local.example after@local.example
	wait_until handed_to after@local.example 1
	answers
	[[ $said == "0 $m is held" && -e $QUEUE/hold/$m ]]
	handed_to m@local.example 0
	$DAWK queue release "$m"
	wait_until handed_to m@local.example 1
	wait_until test ! -e "$QUEUE/new/$m"
	handed_to m@local.example 1
}

@test "a message whose hold fails for want of a disk is not forgotten" {
	odd_start --set 'retry = 1h'
	put_off_message
	rmdir "$QUEUE/hold"
	run -75 $DAWK queue hold "$m"
	[[ $output == *"unable to move $m from cur to hold"* ]]
	behave
	$DAWK queue flush
	wait_until handed_to a@local.example 1
}

@test "a broken message that can't be moved to corrupt/ comes back until it can" {
	odd_start --set 'retry = 1h'
	put_off_message
	echo nonsense >"$QUEUE/cur/$m"
	trouble unmovable
	$DAWK queue flush
	wait_until logged queued "unable-to-record id=$m .*from cur to corrupt"
	[[ -e $QUEUE/cur/$m ]]
	no_trouble unmovable
	status_says '^waiting=1 '
	$DAWK queue flush
	wait_until test -e "$QUEUE/corrupt/$m"
	wait_until logged_times "message-corrupt id=$m" 2
	wait_until status_says '^waiting=0 '
}

# Twenty deliveries to alice hang, and what comes for her then is loaded, and waits.
parked_message() {
	behave 'busy@local.example deferred 4.2.0 no' '*@local.example hang'
	put_content --count 20 zoe@local.example alice@local.example </dev/null >/dev/null
	wait_until in_flight 20
	m=$(put bob@local.example alice@local.example)
	wait_until status_says ' parked=1 '
}

@test "a hold of a message whose end is being recorded is answered" {
	odd_start --set 'retry = 1h'
	behave 'busy@local.example deferred 4.2.0 no' 'm@local.example until go'
	m=$(put bob@local.example m@local.example)
	wait_until in_flight 1
	busy
	touch "$FAKE/go"
	wait_until logged queued "message-done id=$m"
	ask_while_busy "hold $m" "remove $m" "hold $m"
	answers
	[[ $said == "65 $m is being removed"$'\n'"65 $m is done: nothing of it is left to hold or remove"$'\n'"65 $m is done: nothing of it is left to hold or remove" ]]
	[[ ! -e $QUEUE/new/$m && ! -e $QUEUE/hold/$m ]]
}

@test "what was delivered and can't be unlinked yet is not held, to be delivered again by a release" {
	odd_start --set 'retry = 1h'
	trouble stuck
	m=$(put bob@local.example a@local.example)
	wait_until logged queued "unable-to-record id=$m .*unlink"
	ask_while_busy "hold $m"
	no_trouble stuck
	wait "$asking"
	grep -qx "65 $m is done: .*" "$BATS_TEST_TMPDIR/said"
	[[ ! -e $QUEUE/hold/$m ]]
	handed_to a@local.example 1
}

@test "each of two commands on a loaded message has its answer" {
	odd_start --set 'retry = 1h'
	parked_message
	run -0 ask "remove $m" "remove $m"
	[[ $output == "0 $m is removed"$'\n'"0 $m is removed" && ! -e $QUEUE/new/$m ]]
}

@test "a loaded message that is removed while its hold is recorded is removed" {
	odd_start --set 'retry = 1h'
	parked_message
	busy
	ask_while_busy "hold $m" "release $m" "remove $m"
	answers
	[[ $said == "0 $m is removed"$'\n'"0 $m is removed"$'\n'"75 $m is being changed by another command; try again" ]]
	[[ ! -e $QUEUE/new/$m && ! -e $QUEUE/hold/$m ]]
}

@test "a loaded message that is released before it is held is delivered, and both commands are answered" {
	odd_start --set 'retry = 1h'
	behave 'a@local.example delivered 2.0.0 yes' '*@local.example until go'
	put_content --count 20 zoe@local.example alice@local.example </dev/null >/dev/null
	wait_until in_flight 20
	trouble slow
	m=$(put bob@local.example a@local.example alice@local.example)
	wait_until test -s "$QUEUE/state/$m"	# what was delivered is being recorded
	run -0 ask "hold $m" "release $m"
	[[ $output == "65 $m is not held: it was released meanwhile"$'\n'"0 $m is due at once" ]]
	no_trouble slow
	touch "$FAKE/go"
	wait_until handed_to alice@local.example 21
	wait_until queue_is_empty
}

@test "a new message with a state that could not be opened is not forgotten" {
	odd_start --set 'retry = 1h'
	behave 'b@local.example hang'
	m=$(put carol@local.example a@local.example b@local.example)
	wait_until state_says "$m" '^0 delivered'
	suite_kill queued
	trouble "unreadable-$m"
	behave
	odd_run
	wait_until logged queued "unable-to-load id=$m"
	$DAWK queue retry "$m"
	wait_until logged_times "unable-to-load id=$m" 2
	no_trouble "unreadable-$m"
	$DAWK queue flush
	wait_until handed_to b@local.example 1
	wait_until queue_is_empty
	handed_to a@local.example 1
}

@test "a state that can't be read is not written anew without its history" {
	odd_start --set 'retry = 1h'
	behave 'a@local.example until go' 'd@local.example hang' 'e@local.example deferred 4.2.0 no'
	m=$(put carol@local.example a@local.example b@local.example d@local.example)
	wait_until state_says "$m" '^1 delivered'
	after=$(put carol@local.example e@local.example)
	wait_until test -e "$QUEUE/cur/$after"	# recorded later
	trouble unsure
	trouble "unreadable-$m"
	touch "$FAKE/go"
	wait_until logged queued "unable-to-record id=$m .*durable"
	no_trouble unsure
	wait_until logged queued "unable-to-record id=$m .*unable to open state"
	no_trouble "unreadable-$m"
	all_recorded() { state_says "$m" '^0 delivered' && state_says "$m" '^1 delivered'; }
	wait_until all_recorded
	behave
	suite_restart queued
	wait_until handed_to d@local.example 1
	handed_to b@local.example 1
	handed_to a@local.example 1
}

@test "a message that is announced while the scheduler ends is no harm" {
	odd_start --set 'retry = 1h'
	behave 'h@local.example hang' 'gone@local.example failed 5.1.1 no'
	put carol@local.example h@local.example
	wait_until in_flight 1
	trouble slow
	m=$(put bob@local.example gone@local.example)
	wait_until state_says "$m" '^0 report'	# announced, not durable
	scheduler=$(scheduler_pid)
	suite_begin_end queued TERM
	waits_for_recorder() { grep -q futex "/proc/$scheduler/wchan"; }
	wait_until waits_for_recorder		# five seconds later
	no_trouble slow
	suite_await_end queued TERM
	behave
	suite_run
	wait_until handed_to bob@local.example 1
	wait_until queue_is_empty
}

@test "a message is removed though the disk is too full for the forward that it owes" {
	odd_start
	behave 'a@local.example forward b@local.example'
	trouble full
	m=$(put carol@local.example a@local.example)
	wait_until logged queued unable-to-make-a-message
	run -0 $DAWK queue remove "$m"
	[[ $output == "$m is removed" && ! -e $QUEUE/new/$m ]]
}

@test "a message is held between two parts of a list, also while the disk is too full for the next one" {
	odd_make
	{
		printf 'big@local.example: '
		seq -s ', ' -f 'm%.0f@local.example' 2500
	} >>"$SUITE/etc/aliases"
	$DAWK update
	odd_run
	trouble full
	m=$(put carol@local.example big@local.example)
	wait_until logged queued unable-to-make-a-message
	run -0 $DAWK queue hold "$m"
	[[ $output == "$m is held" && -e $QUEUE/hold/$m ]]
	no_trouble full
	run -0 $DAWK queue list
	[[ $output == "$m held "*'-> <big@local.example>'*'1 message' && ! -s $FAKE/delivered ]]
	$DAWK queue release "$m"
	wait_until queue_is_empty
	[[ $(sort -u -k2,2 "$FAKE/delivered" | wc -l) -eq 2500 ]]
}
