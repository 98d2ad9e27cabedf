# The control socket, as `dawk queue` uses it.
load ../lib/queued
setup() {
	queued_start --set 'retry = 1h'
	behave 'full@local.example deferred 4.2.2 mailbox is full'
}
teardown() { suite_stop; }

deferred() { local id; id=$(put bob@local.example "$@") && wait_until test -e "$QUEUE/cur/$id" && wait_until none_is_loaded && echo "$id"; }
none_is_loaded() { $DAWK status | grep -q '^waiting=.* new=0 loaded=0 '; }	# each has its next time

@test "retry, flush and retry of a domain make mail due at once" {
	one=$(deferred full@local.example)
	two=$(deferred zoe@elsewhere.example)
	attempts() { [[ $(grep -c '^0 deferred' "$QUEUE/state/$1") -eq $2 ]]; }
	$DAWK queue retry "$one"
	wait_until attempts "$one" 2
	$DAWK queue retry elsewhere.example
	wait_until attempts "$two" 2
	attempts "$one" 2
	run ! $DAWK queue retry nowhere.example
	[[ $output == *'nothing waits for nowhere.example'* ]]
	$DAWK queue flush
	wait_until attempts "$one" 3
	wait_until attempts "$two" 3
}

@test "retry of a domain finds mail in U-labels by A-labels, and the other way round" {
	one=$(deferred zoe@bücher.example)
	two=$(deferred zoe@xn--bcher-kva.example)
	attempts() { [[ $(cat "$QUEUE/state/$one" "$QUEUE/state/$two" | grep -c '^0 deferred') -eq $1 ]]; }
	for name in bücher.example xn--bcher-kva.example BÜCHER.example Xn--Bcher-kva.example; do
		wait_until none_is_loaded
		run -0 $DAWK queue retry $name
		[[ $output == "2 messages are due at once" ]]
	done
	wait_until attempts 10
	run -65 $DAWK queue retry bucher.example
}

@test "of a message that is on its way to others, who was deferred is tried again at once by retry, of a domain too, and flush" {
	behave 'alice@local.example until go' 'full@local.example deferred 4.2.2 mailbox is full'
	id=$(put bob@local.example alice@local.example full@local.example)
	deferrals() { logged_times "queued deferred id=$id index=1 " "$1"; }
	wait_until deferrals 1
	$DAWK queue retry "$id"
	wait_until deferrals 2
	run -0 $DAWK queue retry local.example
	[[ $output == '1 message is due at once' ]]
	wait_until deferrals 3
	run -65 $DAWK queue retry elsewhere.example
	behave 'alice@local.example until go'
	$DAWK queue flush
	wait_until handed_to full@local.example 1
	touch "$FAKE/go"
	wait_until queue_is_empty
	handed_to alice@local.example 1
}

@test "a held message is in hold/ when the command returns, and waits for its release" {
	id=$(deferred full@local.example)
	$DAWK queue hold "$id"
	[[ -e $QUEUE/hold/$id ]]
	behave
	$DAWK queue flush
	suite_restart queued
	$DAWK queue flush
	run ! $DAWK queue retry local.example
	[[ -e $QUEUE/hold/$id ]]
	$DAWK queue release "$id"
	wait_until handed_to full@local.example 1
	wait_until queue_is_empty
}

@test "retry lets a held message go, as release does" {
	id=$(deferred full@local.example)
	$DAWK queue hold "$id"
	behave
	run -0 $DAWK queue retry "$id"
	[[ $output == "$id is due at once" ]]
	wait_until handed_to full@local.example 1
	wait_until queue_is_empty
}

@test "a removed message is gone when the command returns, without a report" {
	id=$(deferred full@local.example)
	$DAWK queue remove "$id"
	queue_is_empty
	run ! $DAWK queue remove "$id"
	[[ $output == *"there is no message $id"* ]]
	[[ ! -s $FAKE/delivered ]]
}

@test "a message on its way is held, or removed, when its deliveries have ended" {
	behave 'alice@local.example hang' 'full@local.example deferred 4.2.2 full'
	id=$(put bob@local.example alice@local.example full@local.example)
	wait_until logged queued "deferred id=$id"
	run -0 $DAWK queue hold "$id"
	[[ $output == *'as soon as'* ]]
	kill_locald
	wait_until test -e "$QUEUE/hold/$id"
}

@test "a message whose recipients wait for each other's places can be held while the deliverer is away" {
	local to=()
	behave '*@local.example hang'
	for i in {1..50}; do to+=("alice+$i@local.example"); done
	id=$(put bob@local.example "${to[@]}")
	parked() { $DAWK status | grep -q " parked=$1 "; }
	wait_until parked 30
	kill -STOP "$(suite_pid queued)"	# nobody starts another
	kill_locald
	wait_until parked 10
	$DAWK queue hold "$id"
	[[ -e $QUEUE/hold/$id ]]
	behave
	kill -CONT "$(suite_pid queued)"
	put bob@local.example zoe@local.example
	wait_until handed_to zoe@local.example 1
	$DAWK queue release "$id"
	wait_until queue_is_empty
	handed_to alice+50@local.example 1
}

kill_locald() {
	local pid
	for pid in $(group_members "$(suite_pid queued)"); do
		if grep -qa bin/locald "/proc/$pid/cmdline"; then kill -KILL "$pid"; fi
	done
}

@test "what is held while a delivery is on its way, and then released, is due at once" {
	behave '*@local.example until go'
	put_content --count 20 zoe@local.example alice@local.example </dev/null >/dev/null
	id=$(put bob@local.example u@local.example alice@local.example)
	parked() { $DAWK status | grep -q ' parked=1 ' && $DAWK status | grep -q ' in-flight=21 '; }
	wait_until parked
	run -0 $DAWK queue hold "$id"
	[[ $output == *'as soon as'* ]]
	run -0 $DAWK queue release "$id"
	[[ $output == "$id is due at once" ]]
	touch "$FAKE/go"
	wait_until handed_to alice@local.example 21
	wait_until queue_is_empty
}

@test "retries by hand do not put off the attempts that follow" {
	suite_end queued
	sed -i 's/^retry = .*/retry = 1h 100h/' "$SUITE/etc/dawk.conf"
	suite_run_service queued
	id=$(deferred full@local.example)
	attempts() { [[ $(grep -c '^0 deferred' "$QUEUE/state/$id") -eq $1 ]]; }
	due_within_hours() { (($(stat -c %Y "$QUEUE/state/$id") - $(date +%s) < $1 * 3600 && $(stat -c %Y "$QUEUE/state/$id") > $(date +%s))); }
	for i in 2 3 4; do
		$DAWK queue flush
		wait_until attempts $i
	done
	wait_until due_within_hours 2
}

@test "a second queued does not take the first one's socket, and says so" {
	run -66 timeout 60 "$BIN/queued" -c "$SUITE/etc/dawk.conf"
	[[ $output == *"unable-to-start"*"another process does so already"* ]]
	$DAWK queue flush
}

@test "nonsense costs a client its connection, nobody else anything" {
	python3 - "$SUITE/run/queued" <<-'END'
		import socket, sys
		for bytes in (b"x" * 5000, b"\xff\xff\xff\xff", b"\x03\x00\x00\x00\x01\x63\x00"):
		    s = socket.socket(socket.AF_UNIX)
		    s.settimeout(60)
		    s.connect(sys.argv[1])
		    s.sendall(bytes)
		    assert s.recv(10) == b""
	END
	[[ $(stat -c %a "$SUITE/run/queued") == 600 ]]
	$DAWK queue flush
}

@test "an act by a choice goes to the running queued: what is loaded, what waits, what is held" {
	behave 'full@local.example deferred 4.2.2 mailbox is full' 'slow@local.example hang'
	for i in 1 2 3; do deferred full@local.example; done
	put zoe@client.example slow@local.example
	run -0 $DAWK queue hold --from bob@local
	[[ $output == "3 of 4 messages match; with --yes they are held" ]]
	run -0 $DAWK queue hold --to full@ --reason 'mailbox is full' --yes
	[[ $(find "$QUEUE/hold" -type f | wc -l) == 3 ]]
	run -65 $DAWK queue retry --to full@ --yes
	behave
	run -0 $DAWK queue release --to full@ --yes --json
	wait_until handed_to full@local.example 3
	run -0 $DAWK queue remove --from zoe@ --yes
	[[ $output == *'is removed as soon as the deliveries on their way have ended, unless queued ends before' ]]
}

@test "an act on a thousand messages is one command, and quick enough" {
	put_content --count 1000 bob@local.example full@local.example </dev/null >/dev/null
	all_deferred() { [[ $(find "$QUEUE/cur" -type f | wc -l) == 1000 ]]; }
	wait_until all_deferred
	wait_until none_is_loaded
	run -0 $DAWK queue remove --to full@local.example --yes
	[[ ${#lines[@]} == 1000 ]]
	queue_is_empty
}

@test "of many messages that a command names each has its answer, and is tried once for it" {
	put_content --count 1200 bob@local.example full@local.example </dev/null >/dev/null
	tried() { [[ $(find "$QUEUE/cur" -type f | wc -l) == 1200 && $(cat "$QUEUE"/state/* | grep -c '^0 deferred') == $(($1 * 1200)) ]]; }
	wait_until tried 1
	wait_until none_is_loaded
	mapfile -t ids < <(ls "$QUEUE/cur")
	absent=1k0t63ej11vh0yk7hbjx
	run -65 $DAWK queue retry "${ids[@]::600}" "$absent"
	[[ $(grep -c ' is due at once$' <<<"$output") == 600 && $output == *"no message $absent"* ]]
	other() { [[ $(cat "$QUEUE"/state/* | grep -c '^0 deferred') == 1800 ]]; }
	wait_until other
	wait_until none_is_loaded
	run -0 $DAWK queue hold --to full@ --yes
	[[ ${#lines[@]} == 1200 && $(find "$QUEUE/hold" -type f | wc -l) == 1200 ]]
	$DAWK queue flush
	run -0 $DAWK queue release --to full@ --yes
	three() { [[ $(find "$QUEUE/cur" -type f | wc -l) == 1200 && $(cat "$QUEUE"/state/* | grep -c '^0 deferred') == 3000 ]]; }
	wait_until three
	wait_until none_is_loaded
	run -0 $DAWK queue retry local.example
	[[ $output == "1200 messages are due at once" ]]
	four() { [[ $(cat "$QUEUE"/state/* | grep -c '^0 deferred') == 4200 ]]; }
	wait_until four
	[[ $(for id in "${ids[@]}"; do grep -c '^0 deferred' "$QUEUE/state/$id"; done | sort | uniq -c | tr -s ' ' | tr '\n' ,) == ' 600 3, 600 4,' ]]
}
