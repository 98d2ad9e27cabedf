# An account is held by the circuit breaker, and smtpd killed at each step of it, or the disk refuses: what its owner and the
# postmaster are told is on disk, and what is on disk they are told.
load ../lib/suite
load ../lib/points
load ../lib/submit

setup() {
	SUITE_SERVICES='smtpd queued' submit_make --set 'user-strangers-hour = 2' --set 'smtpd-workers = 1'
	export SUITE_SERVICES='smtpd queued'
	suite_run
}
teardown() {
	end_tracer
	submit_stop
}

# One recipient too many, with names that are new to the account. Whoever is killed may be so before the answer.
trip() {	# NAME
	printf 'C: MAIL FROM:<alice@local.example>\nS: 250\nC: RCPT TO:<%s@remote.example>\nS: 250\nC: RCPT TO:<%s@remote.example>\nS: 250\nC: RCPT TO:<%s@remote.example>\nS: 450 4.7.1 mail of alice' \
		"one.$1" "two.$1" "three.$1" | submit alice
}
is_held() { printf 'C: MAIL FROM:<alice@local.example>\nS: 450 4.7.1 mail of alice@local.example is held\n' | submit alice >/dev/null; }
is_told() { is_held && delivered_to alice 1 && delivered_to postmaster 1; }	# its owner tries to send now and then
held_by_smtpd() { [[ $($DAWK user held) == "alice@local.example "*" by smtpd: "*"$1"* ]]; }
release() {
	run -0 $DAWK user release alice@local.example
	printf 'C: MAIL FROM:<alice@local.example>\nS: 250\n' | submit alice
	empty_mailboxes
}

@test "the file is durable, then its name, then it is logged and told; the thread that talks with clients waits for none of it" {
	local worker lines
	worker=$(sed -n 's/.*started part=worker index=0 pid=//p' "$SUITE/stderr/smtpd")
	trace=$BATS_TEST_TMPDIR/trace
	strace -f -y -s 4096 -e trace=fsync,write,writev -o "$trace" -p "$worker" 2>"$trace.attached" 3>&- &
	tracer=$!
	wait_until is_attached 1
	trip to
	wait_until is_told
	end_tracer
	lines=$(grep -oE '^[0-9]+|fsync\([0-9]+<[^>]*queue/(held[^>]*|new)>|writev?\(2.*account-held' "$trace" | paste -sd' ' | grep -oE '[0-9]+ (fsync|write)[^ ]*' | sed "s,^$worker ,loop ,; s,^[0-9]* ,thread ,; s,(.*/queue/, ,; s,>,,; s,writev*(2.*,log,")
	[[ $lines == $'thread fsync held/alice@local.example\nthread fsync held\nloop log\nthread fsync new' ]] || { echo "$lines"; return 1; }
	held_by_smtpd '3 recipients it had not written to before'
}

@test "smtpd killed at each step: the account is held at once, and after a restart, and is told of" {
	local step
	for step in openat:1 fsync:1 fsync:2; do
		inject smtpd "${step%:*}" "signal=KILL:when=${step#*:}" -P "$SUITE/queue/held" -P "$SUITE/queue/held/alice@local.example"
		trip "${step/:/.}" || :
		wait_until was_hit
		end_tracer
		wait_until is_held	# by the next worker, from what they share
		wait_until is_told || { echo "$step"; return 1; }
		held_by_smtpd ''
		suite_kill smtpd
		suite_run
		is_held
		delivered_to alice 1
		release
	done
}

@test "a disk that refuses is told in the log; the account is held all the same" {
	local step
	for step in 1 2; do
		inject smtpd fsync "error=EIO:when=$step" -P "$SUITE/queue/held" -P "$SUITE/queue/held/alice@local.example"
		trip "$step"
		wait_until was_hit
		end_tracer
		wait_until is_told
		[[ $(grep -c 'unable-to-hold .* user=alice@local.example .*why="make it durable that alice@local.example is held: Input/output error"' "$SUITE/stderr/smtpd") == "$step" ]]
		release
	done
	run ! logged smtpd account-held
}
