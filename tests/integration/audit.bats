# dawk audit: what was accepted is delivered, relayed, reported, waiting or removed by hand, at any moment, and each
# message that is not is named.
load ../lib/suite
load ../lib/odd-disk

setup() {
	suite_make
	cat >>"$SUITE/etc/aliases" <<-EOF
		team@local.example: alice@local.example, bob@local.example
		fails@local.example: |exit 69
		later@local.example: |exit 75
		out@local.example: |cat >/dev/null
	EOF
	$DAWK update
	suite_run
}
teardown() { suite_stop; }

audit() { $DAWK audit "$@" "$SUITE/stderr/smtpd" "$SUITE/stderr/queued"; }
# number GROUP KEY: of the JSON form
number() { audit --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]][sys.argv[2]])' "$@"; }
broken() { audit --json | python3 -c 'import json, sys; a = json.load(sys.stdin); print(a["proven"], *[m["id"] for m in a["named"] if m["what"] == "broken"])'; }
send() { printf 'Subject: audit\n\nhello\n' | send_message "$@"; }
last_id() { sed -n 's/.*smtpd accepted id=\([^ ]*\) .*/\1/p' "$SUITE/stderr/smtpd" | tail -n 1; }
# A message whose state is written has been tried; a kill before its renaming leaves it in new/ until the next time.
all_is_quiet() {
	local file
	for file in "$SUITE"/queue/new/*; do [[ ! -e $file || -e $SUITE/queue/state/${file##*/} ]] || return 1; done
}

@test "delivered, expanded, failed and reported, deferred and removed recipients are all accounted for" {
	send bob@client.example alice@local.example
	send bob@client.example team@local.example
	send alice@local.example fails@local.example out@local.example
	send bob@client.example later@local.example
	send bob@client.example later@local.example alice@local.example
	removed=$(last_id)
	wait_until all_is_quiet
	$DAWK queue remove "$removed"
	wait_until delivered_to alice 4
	wait_until queue_holds 1	# and each of the others' outcome is told
	run -0 audit
	[[ $output == *'Every recipient is accounted for.'* ]]
	[[ $(number recipients reported) == 1 ]]
	[[ $(number recipients waiting) == 1 ]]
	[[ $(number recipients removed) == 1 ]]
	[[ $(number messages accepted) == 5 ]]
	[[ $(number messages made) == 1 ]]
	[[ $(number recipients lost) == 0 ]]
}

@test "a message that is deleted behind our back is named, and so is one that is done without a report" {
	send bob@client.example later@local.example
	first=$(last_id)
	send bob@client.example later@local.example
	wait_until all_is_quiet
	rm "$SUITE/queue/cur/$first"
	run -1 audit
	[[ $output == *"$first left the queue without a word, with 1 recipient"* ]]
	[[ $output == *'1 MESSAGES ARE NOT ACCOUNTED FOR'* ]]
	[[ $(broken) == "False $first" ]]
}

@test "lines that contradict what is promised are named: no outcome, no report, no message for a forward" {
	cat >"$SUITE/made-up" <<-'EOF'
		smtpd accepted id=1ezn3v0c4hk7x2m9q0aa session=a client=127.0.0.1 from=bob@client.example recipients=2 bytes=10
		queued delivered id=1ezn3v0c4hk7x2m9q0aa index=0 to=a@x status=2.0.0 words="" delay=0.010
		queued message-done id=1ezn3v0c4hk7x2m9q0aa from=bob@client.example size=10 recipients=2 delay=0.010
		smtpd accepted id=1ezn3v0c4hk7x2m9q0ab session=a client=127.0.0.1 from=bob@client.example recipients=1 bytes=10
		queued failed id=1ezn3v0c4hk7x2m9q0ab index=0 report=0 to=a@x status=5.1.1 words="smtpd accepted id=1ezn3v0c4hk7x2m9q0zz" delay=0.010
		queued message-done id=1ezn3v0c4hk7x2m9q0ab from=bob@client.example size=10 recipients=1 delay=0.010
		smtpd accepted id=1ezn3v0c4hk7x2m9q0ac session=a client=127.0.0.1 from=bob@client.example recipients=1 bytes=10
		queued forwarded id=1ezn3v0c4hk7x2m9q0ac index=0 to=a@x status=2.0.0 words=forwarded delay=0.010
		queued message-done id=1ezn3v0c4hk7x2m9q0ac from=bob@client.example size=10 recipients=1 delay=0.010
		smtpd accepted id=1ezn3v0c4hk7x2m9q0ad session=a client=127.0.0.1 from=bob@client.example recipients=1 bytes=10
		queued failed id=1ezn3v0c4hk7x2m9q0ad index=0 report=unwanted to=a@x status=5.1.1 words="" delay=0.010
		queued message-done id=1ezn3v0c4hk7x2m9q0ad from=bob@client.example size=10 recipients=1 delay=0.010
		smtpd accepted id=1ezn3v0c4hk7x2m9q0ae session=a client=127.0.0.1 from=bob@client.example recipients=1 bytes=10
		queued message-done id=1ezn3v0c4hk7x2m9q0ae from=bob@client.example size=10 recipients=3 delay=0.010
		locald smtpd accepted id=1ezn3v0c4hk7x2m9q0af recipients=1
	EOF
	run -1 $DAWK audit "$SUITE/made-up"
	[[ $output == *'0aa is done, but of 1 of its 2 recipients no line tells what became of them'* ]]
	[[ $output == *'0ab is done, but its recipient 0 failed and no report was made'* ]]
	[[ $output == *'0ac is done, but of 1 of its 1 recipients'* ]]
	[[ $output == *"0ae the log's lines disagree"* ]]
	[[ $output != *0ad* && $output != *0af* && $output != *0zz* ]]
}

@test "the logs of multilog and svlogd are read in order, turned over or not; what came before them is named as that" {
	id=1ezn3v0c4hk7x2m9q0aa
	mkdir -p "$SUITE/l/smtpd" "$SUITE/l/queued"
	printf '2026-11-22_01:02:03.12345 smtpd accepted id=%s recipients=1\n' "$id" >"$SUITE/l/smtpd/@4000000069a0.s"
	printf '2026-11-22_01:02:04.12345 smtpd session-end session=x\n' >"$SUITE/l/smtpd/current"
	printf '@400000006920f5f00a0b0c0d queued delivered id=%s index=0 to=a@x\n' "$id" >"$SUITE/l/queued/@4000000069a1.s"
	printf '@400000006920f5f10a0b0c0d queued message-done id=%s recipients=1\n' "$id" >"$SUITE/l/queued/current"
	printf '@400000006920f5f10a0b0c0d queued message-done id=1bzn3v0c4hk7x2m9q0aa recipients=1\n' >>"$SUITE/l/queued/current"
	run -0 $DAWK audit "$SUITE/l"
	[[ $output == *'1bzn3v0c4hk7x2m9q0aa was accepted before the log begins'* ]]
	[[ $output == *'Every recipient is accounted for.'* ]]
	printf '<6>Nov 22 01:02:03 host dawk[12]: smtpd accepted id=1ezn3v0c4hk7x2m9q0ab recipients=1\n' >"$SUITE/journal"
	run -1 $DAWK audit - <"$SUITE/journal"
	[[ $output == *'0ab left the queue without a word'* ]]
	run -65 $DAWK audit "$SUITE/no-such-log"
	[[ $output == *"unable to open $SUITE/no-such-log: No such file"* ]]
}

@test "what is removed while no scheduler runs is accounted for at once, and when one runs again" {
	send bob@client.example later@local.example
	id=$(last_id)
	wait_until all_is_quiet
	suite_end queued
	$DAWK queue remove "$id"
	run -0 audit
	[[ $(number recipients removed) == 1 ]]
	suite_run
	wait_until logged queued "message-removed id=$id"
	run -0 audit
	[[ $(number recipients removed) == 1 && ! -s $SUITE/queue/removed ]]
}

put_off_two() {	# into ids
	for i in 0 1; do
		send bob@client.example later@local.example
		ids[i]=$(last_id)
		wait_until test -e "$SUITE/queue/cur/${ids[i]}"
	done
}

@test "what the disk does not let be removed while no scheduler runs is not told as removed by the next one" {
	put_off_two
	wait_until all_is_quiet
	suite_end queued
	export ODD_DISK=$SUITE/trouble
	mkdir "$ODD_DISK"
	trouble stuck
	LD_PRELOAD=$ODD_DISK_LIBRARY ASAN_OPTIONS=$ASAN_OPTIONS:verify_asan_link_order=0 run -75 $DAWK queue remove "${ids[0]}"
	$DAWK queue remove "${ids[1]}"
	suite_run
	wait_until logged queued "message-removed id=${ids[1]}"
	run ! logged queued "message-removed id=${ids[0]}"
	run -0 audit
	[[ $(number recipients waiting) == 1 && $(number recipients removed) == 1 ]]
}

@test "what the disk does not let be removed waits, and is named when it goes without a word" {
	put_off_two
	suite_end queued
	export ODD_DISK=$SUITE/trouble
	mkdir "$ODD_DISK"
	odd_run
	trouble stuck
	run -75 $DAWK queue remove "${ids[@]}"
	[[ $output == *"unable to unlink cur/${ids[0]}"* ]]
	for id in "${ids[@]}"; do
		wait_until logged queued "message-kept id=$id"
	done
	run -0 audit
	[[ $(number recipients waiting) == 2 && $(number recipients removed) == 0 ]]
	no_trouble stuck
	$DAWK queue remove "${ids[0]}"
	run -0 audit
	[[ $(number recipients waiting) == 1 && $(number recipients removed) == 1 ]]
	rm "$SUITE/queue/cur/${ids[1]}"
	run -1 audit
	[[ $output == *"${ids[1]} left the queue without a word, with 1 recipient"* ]]
	[[ $(broken) == "False ${ids[1]}" ]]
}

load_runs() {	# mail of all kinds until the file goes
	while [[ -e $SUITE/go ]]; do
		send bob@client.example alice@local.example bob@local.example || true
		send alice@local.example fails@local.example later@local.example || true
		send bob@client.example team@local.example out@local.example || true
	done >/dev/null 2>&1 3>&-
}

@test "under load, and over kill -9 of each service and of each process of queued, nothing is named" {
	touch "$SUITE/go"
	load_runs & first=$!
	load_runs & second=$!
	for round in 1 2 3; do
		for name in smtpd queued; do
			wait_until more_is_accepted 8
			run audit
			[[ $status == 0 ]] || { echo "while all runs, round $round: $output"; return 1; }
			suite_kill "$name"
			run audit
			[[ $status == 0 ]] || { echo "$name is dead, round $round: $output"; return 1; }
			suite_run
		done
		wait_until more_is_accepted 4
		wait_until kill_scheduler
		run audit
		[[ $status == 0 ]] || { echo "the scheduler is dead, round $round: $output"; return 1; }
	done
	rm "$SUITE/go"
	wait "$first" "$second"
	wait_until all_is_quiet
	run -0 audit
	[[ $(number recipients lost) == 0 ]]
	[[ $(number recipients delivered) -gt 50 ]]
}
kill_scheduler() { kill -KILL "$(sed -n 's/.*started part=scheduler.* pid=\([0-9]*\).*/\1/p' "$SUITE/stderr/queued" | tail -n 1)" 2>/dev/null; }
more_is_accepted() {	# N more than at the last call that held
	local now
	now=$(grep -c 'smtpd accepted' "$SUITE/stderr/smtpd")
	[[ $now -ge $(($(cat "$SUITE/seen" 2>/dev/null || echo 0) + $1)) ]] && echo "$now" >"$SUITE/seen"
}

@test "a million messages are audited" {
	awk 'BEGIN {
		for (i = 0; i < 1000000; i++) {
			id = sprintf("1ezn3v0c4hk%09d", i)
			print "smtpd accepted id=" id " session=abcdefgh client=127.0.0.1 from=bob@client.example recipients=1 bytes=5000"
			print "queued delivered id=" id " index=0 to=alice@local.example status=2.0.0 words=\"delivered to maildir\" delay=0.012"
			print "queued message-done id=" id " from=bob@client.example size=5000 recipients=1 delay=0.013"
		}
	}' >"$SUITE/many"
	run -0 "${DAWK_PLAIN_BIN:-$BIN}/dawk" -c "$SUITE/etc/dawk.conf" audit "$SUITE/many"	# plain: sanitizers cost a multiple
	[[ $output == *'1000000 delivered'* ]]
}
