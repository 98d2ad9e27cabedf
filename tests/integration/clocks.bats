# Clocks that jump (tests/tool/odd_clock.c), and limits of minutes tried in seconds by them.
load ../lib/suite
load ../lib/locald
load ../lib/tls

setup() {
	locald_make --set 'retry = 1h'
	jump 0 0
	mkdir "$SUITE/switch" && chmod 777 "$SUITE/switch"
	echo "later@local.example: |test -e $SUITE/switch/open || exit 75; cat >>$SUITE/switch/out" >>"$SUITE/etc/aliases"
	$DAWK update
	export ODD_CLOCK=$SUITE/clock WRONG="$BIN/../tool/odd_clock.so"
}
teardown() {
	[[ -z ${driver:-} ]] || kill "$driver" 2>/dev/null || :
	[[ -z ${holder:-} ]] || kill "$holder" 2>/dev/null || :
	suite_stop
}

# jump REAL MONOTONIC: the clocks are wrong by so many seconds from now on
jump() { printf '%-30s %-30s\n\n' "$1" "$2" | dd of="$SUITE/clock" bs=64 conv=notrunc,sync 2>/dev/null; }
run_wrong() { LD_PRELOAD=$WRONG ASAN_OPTIONS=$ASAN_OPTIONS:verify_asan_link_order=0 suite_run; }
restart_wrong() { suite_end queued && run_wrong; }
is_deferred() { [[ $(find "$SUITE/queue/cur" -type f | wc -l) -eq 1 ]]; }
is_out() { [[ $(grep -c '^Subject: wait' "$SUITE/switch/out" 2>/dev/null) -eq 1 ]]; }
is_put_off() { is_deferred && grep -q '^waiting=1 new=0 loaded=0 ' <($DAWK status); }	# and the next attempt has its time
wait_mail() { printf 'Subject: wait\n\nhello\n' | send_message bob@client.example later@local.example; }
hello() { printf 'Subject: hi\n\nhello\n' | send_message bob@client.example alice@local.example; }

# ticket NAME: a first session keeps what it got. resumes NAME: the next session does without the rest, is_whole: it does not.
ticket() { tls_client "$SMTPS_PORT" -sess_out "$SUITE/$1" | grep -q '^New, TLS'; }
resumes() { tls_client "$SMTPS_PORT" -sess_in "$SUITE/$1" | grep -q '^Reused, TLS'; }
is_whole() { tls_client "$SMTPS_PORT" -sess_in "$SUITE/$1" | grep -q '^New, TLS'; }
ticket_resumes() { ticket "$1" && resumes "$1" && resumes "$1" && resumes "$1" && resumes "$1"; }

# The opener looks at the clock every five seconds, for the certificates' sake; a worker may have the new key a moment before the other.
@test "the key of TLS tickets is a new one every twelve hours: an older ticket costs a whole handshake, a fresh one resumes" {
	local name half_days=0
	read -r SMTPS_PORT <<<"$("$TOOLS/free-ports.py" 1)"
	printf 'listen-submissions = 127.0.0.1:%s\nsmtpd-workers = 2\n' "$SMTPS_PORT" >>"$SUITE/etc/dawk.conf"
	SUITE_SERVICES=smtpd run_wrong
	for name in one two three; do
		wait_until ticket_resumes "$name"
		half_days=$((half_days + 1))
		jump 0 $((half_days * 12 * 3600))
		wait_until is_whole "$name"
	done
	wait_until ticket_resumes four
	for name in one two three one two three; do is_whole "$name"; done
	"$TOOLS/free-ports.py" --release "$SMTPS_PORT"
}

@test "a clock that jumps a month ahead bounces nothing by itself; what waited is due, and delivered" {
	run_wrong
	wait_mail
	wait_until is_put_off
	jump 2592000 0
	hello
	wait_until delivered_to alice 1
	is_deferred
	touch "$SUITE/switch/open"
	restart_wrong
	wait_until is_out
	wait_until queue_is_empty
	delivered_to alice 1
	run -1 logged queued 'queued (failed|message-made)'
}

@test "a clock that jumps back a day loses nothing and names nothing twice; what is due too far off is due now" {
	run_wrong
	wait_mail
	wait_until is_put_off
	hello
	jump -86400 0
	hello
	hello
	wait_until delivered_to alice 3
	[[ $(sed -n 's/.*smtpd accepted id=\([^ ]*\).*/\1/p' "$SUITE/stderr/smtpd" | sort -u | wc -l) == 4 ]]
	touch "$SUITE/switch/open"
	restart_wrong
	wait_until is_out
	wait_until queue_is_empty
	run -0 $DAWK audit "$SUITE/stderr/smtpd" "$SUITE/stderr/queued"
}

# A locald that gets a job for each line that is written to descriptor 9; its results in $SUITE/results. AHEAD: of so many results
# none is waited for before the last job.
start_locald() {	# ADDRESS..
	mkfifo "$SUITE/jobs"
	LD_PRELOAD=$WRONG ASAN_OPTIONS=$ASAN_OPTIONS:verify_asan_link_order=0 timeout 400 "$BIN/../tool/locald_driver" -w -n 2 -p "${AHEAD:-0}" \
		"$BIN/locald" "$SUITE/etc/dawk.conf" "$SUITE/message" "$@" <"$SUITE/jobs" >"$SUITE/results" 2>>"$SUITE/stderr/locald" 3>&- 4>&- &
	driver=$!
	exec 9>"$SUITE/jobs"
}
deliverer() {	# the pid of the one that works as the virtual mailboxes' owner
	local pid
	for pid in $(locald_processes); do
		[[ $(stat -c %u "/proc/$pid" 2>/dev/null) != "$VIRTUAL" || $pid == "$(locald_processes | head -n 1)" ]] || echo "$pid"
	done
}
results_are() { [[ $(grep -cE '^0 de(liver|ferr)ed' "$SUITE/results") -eq $1 ]]; }
has_no_deliverer() { [[ -z $(deliverer) ]]; }

@test "a deliverer that gives no answer for two minutes is set aside, and its mail is deferred" {
	[[ $(id -u) == 0 ]] || return 0
	start_locald alice@local.example
	echo >&9
	wait_until results_are 1
	stuck=$(deliverer)
	[[ -n $stuck ]]
	kill -STOP "$stuck"
	echo >&9
	wait_until logged locald deliverer-slow	# the second job is with it
	results_are 1
	jump 0 122
	wait_until results_are 2
	grep -q '^0 deferred 4.2.0 the mailbox does not answer' "$SUITE/results"
	wait_until logged locald 'deliverer-stuck .*why="the mailbox does not answer"'
	exec 9>&-
}

@test "a program that finds no place for ten minutes is deferred, and not run" {
	local places=8 recipients
	[[ $(id -u) == 0 ]] || places=32
	echo 'program-timeout = 1h' >>"$SUITE/etc/dawk.conf"
	aliases_add "long@local.example: \"|: >$SUITE/switch/on.\$EXTENSION.\$\$; until test -e $SUITE/switch/end; do sleep 1; done\""
	mapfile -t recipients < <(seq -f 'long+%g@local.example' $((places + 1)))
	AHEAD=100 start_locald "${recipients[@]}" alice@local.example
	echo >&9
	wait_until delivered_to alice 1		# the last: all have their places, or wait
	wait_until runs_are $places
	jump 0 601
	echo >&9
	wait_until grep -q "^$places deferred 4.3.2 no place for the program within 600 seconds" "$SUITE/results"
	touch "$SUITE/switch/end"
	wait "$driver"
	[[ $(grep -c ' delivered ' "$SUITE/results") == $((2 * places + 3)) ]]
	[[ $(find "$SUITE/switch" -name "on.$((places + 1)).*" | wc -l) == 1 ]]	# the second job's
	runs_are $((2 * places + 1))
	exec 9>&-
}
runs_are() { [[ $(find "$SUITE/switch" -name 'on.*' | wc -l) -eq $1 ]]; }

@test "a deliverer without work ends after a minute" {
	[[ $(id -u) == 0 ]] || return 0
	start_locald alice@local.example
	echo >&9
	wait_until results_are 1
	[[ -n $(deliverer) ]]
	jump 0 62
	wait_until has_no_deliverer
	echo >&9
	wait_until results_are 2
	[[ $(grep -c '^0 delivered' "$SUITE/results") == 2 ]]
	exec 9>&-
}

@test "an mbox that another program keeps locked defers the mail after half a minute" {
	box=$SUITE/out/kept.mbox
	users_add "kept@local.example::$([[ $(id -u) == 0 ]] && id -u dawkm):$([[ $(id -u) == 0 ]] && id -g dawkm):$box:"
	: >"$box" && chown "$VIRTUAL" "$box"
	/usr/bin/python3 -c 'import fcntl, sys, time
f = open(sys.argv[1], "r+"); fcntl.lockf(f, fcntl.LOCK_EX); print("locked", flush=True); time.sleep(400)' "$box" >"$SUITE/holder" 3>&- 9>&- &
	holder=$!
	wait_until grep -q locked "$SUITE/holder"
	start_locald kept@local.example
	echo >&9
	wait_until logged locald deliverer-slow	# it waits for the lock
	results_are 0
	jump 0 31
	wait_until results_are 1
	grep -q '^0 deferred 4\.[0-9.]* .*another program holds it' "$SUITE/results"
	kill "$holder"
	echo >&9
	wait_until results_are 2
	grep -q '^0 delivered' "$SUITE/results"
	exec 9>&-
}
