# What the admin does to the queue, with queued running and without it.
load ../lib/suite

setup() {
	suite_make --set 'retry = 1h'
	mkdir "$SUITE/mail/switch"
	! id dawkx >/dev/null 2>&1 || chown dawkx: "$SUITE/mail/switch"
	echo "later@local.example: |if [ -e $SUITE/mail/switch/open ]; then cat >$SUITE/mail/switch/out; else echo closed; exit 75; fi" >>"$SUITE/etc/aliases"
	$DAWK update
	suite_run
	printf 'Subject: waits\n\nhello\n' | send_message alice@local.example later@local.example
	wait_until in_place cur
	id=$(ls "$SUITE/queue/cur")
}
teardown() { suite_stop; }
in_place() { [[ $(find "$SUITE/queue/$1" -type f | wc -l) -eq 1 ]]; }
open_switch() { touch "$SUITE/mail/switch/open"; }
arrived() { grep -qs '^hello' "$SUITE/mail/switch/out"; }

@test "list and show tell of a deferred message, in words and in JSON" {
	run -0 $DAWK queue list
	[[ $output == *"$id"*"alice@local.example"* ]]
	run -0 $DAWK queue show "$id"
	[[ $output == *"later@local.example"*"closed"* ]]
	run -0 --separate-stderr $DAWK queue list --json
	[[ $(/usr/bin/python3 -c 'import json, sys; d = json.load(sys.stdin); print(json.dumps(d))' <<<"$output") == *"$id"* ]]
	run -0 --separate-stderr $DAWK status --json
	/usr/bin/python3 -c 'import json, sys; json.load(sys.stdin)' <<<"$output"
}

@test "retry makes a deferred message due at once" {
	open_switch
	run -0 $DAWK queue retry "$id"
	wait_until arrived
	wait_until queue_is_empty
}

@test "flush tries all" {
	open_switch
	run -0 $DAWK queue flush
	wait_until arrived
	wait_until queue_is_empty
}

@test "a held message is not tried until it is released" {
	run -0 $DAWK queue hold "$id"
	wait_until in_place hold
	open_switch
	run -0 $DAWK queue flush
	printf 'Subject: other\n\nhello\n' | send_message alice@local.example bob@local.example
	wait_until delivered_to bob 1
	in_place hold
	run -0 $DAWK queue release "$id"
	wait_until arrived
	wait_until queue_is_empty
}

@test "remove takes the message away and sends no report" {
	run -0 $DAWK queue remove "$id"
	wait_until queue_is_empty
	delivered_to alice 0
}

@test "an ID that does not exist is an error" {
	run $DAWK queue remove 00000000000000000000
	[ "$status" -ne 0 ]
	[[ $output == *00000000000000000000* ]]
}

@test "without queued the command acts on disk, and queued goes on from there" {
	suite_end queued
	run -0 $DAWK queue hold "$id"
	in_place hold
	run -0 $DAWK queue list
	[[ $output == *"$id"* ]]
	open_switch
	run -0 $DAWK queue release "$id"
	suite_run
	wait_until arrived
	wait_until queue_is_empty
}

@test "the retry time stands across a restart" {
	suite_restart queued
	open_switch
	printf 'Subject: other\n\nhello\n' | send_message alice@local.example bob@local.example
	wait_until delivered_to bob 1
	in_place cur
	run ! arrived
	run -0 $DAWK queue retry "$id"
	wait_until arrived
}

@test "mail accepted while queued is down is delivered when it comes back" {
	suite_end queued
	printf 'Subject: other\n\nhello\n' | send_message alice@local.example bob@local.example
	in_place new
	suite_run
	wait_until delivered_to bob 1
}

@test "a broken queue file goes to corrupt, the rest goes on" {
	suite_end queued
	good=$(ls "$SUITE/queue/cur")
	truncate -s -20 "$SUITE/queue/cur/$good"
	printf 'Subject: other\n\nhello\n' | send_message alice@local.example bob@local.example
	suite_run
	wait_until delivered_to bob 1
	$DAWK queue retry "$good" || :
	wait_until in_place corrupt
	wait_until logged queued "corrupt.*$good|$good.*corrupt"
}

@test "a released message is tried, however old it is, and though its site is set aside" {
	suite_end queued
	echo "far.example lmtp:unix:$SUITE/far/socket" >>"$SUITE/etc/routes"
	mkdir -m 755 "$SUITE/far"
	$DAWK update
	old=$("$TOOLS/queue-put" "$SUITE/queue" --no-trigger --age 600000 alice@local.example old@far.example </dev/null)
	$DAWK queue hold "$old"
	suite_run
	"$TOOLS/queue-put" "$SUITE/queue" alice@local.example new@far.example </dev/null
	wait_until logged queued site-set-aside
	"$TOOLS/odd-server.py" "$SUITE/far" lmtp "unix=$SUITE/far/socket" >"$SUITE/far/out" 2>&1 3>&- &
	server=$!
	wait_until test -S "$SUITE/far/socket"
	chmod 777 "$SUITE/far/socket"
	$DAWK queue release "$old"
	wait_until logged queued "(delivered|relayed|failed) id=$old"
	kill "$server"
	run ! logged queued "failed id=$old"
}
