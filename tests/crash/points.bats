# Killed at the entry of each system call that changes the disk, and with each of them failing once:
# what was answered 250 is delivered, what is on disk makes sense to the next start.
load ../lib/suite

setup() {
	suite_make --set 'retry = 1s'
	mkdir "$SUITE/mail/out"
	! id dawkx >/dev/null 2>&1 || chown dawkx: "$SUITE/mail/out"
	# defers the first attempt of each round
	echo "later@local.example: |if [ -e $SUITE/mail/out/first ]; then cat >>$SUITE/mail/out/box; else touch $SUITE/mail/out/first; exit 75; fi" >>"$SUITE/etc/aliases"
	$DAWK update
	suite_run
	total=0
}
teardown() {
	[[ -z ${tracer:-} ]] || kill "$tracer" 2>/dev/null || :
	suite_stop
}

# inject SERVICE CALL HOW: from now on, in all processes of the service
inject() {
	local pid pids=()
	trace=$BATS_TEST_TMPDIR/trace
	mapfile -t pids < <(group_members "$(suite_pid "$1")")
	for pid in "${pids[@]}"; do set -- "$@" -p "$pid"; done
	strace -f -o "$trace" -e "trace=$2" -e "inject=$2:$3" "${@:4}" 2>"$trace.attached" 3>&- &
	tracer=$!
	wait_until is_attached "${#pids[@]}"
}
is_attached() { [[ $(grep -c attached "$trace.attached") -ge $1 ]]; }
was_hit() { grep -qE 'INJECTED|killed by SIGKILL' "$trace"; }

# The messages of one round, each to alice and to a program that defers once.
round() {	# SERVICE CALL HOW
	rm -f "$SUITE/mail/out/first"
	: >"$BATS_TEST_TMPDIR/answered"
	inject "$@"
	"$TOOLS/flood.py" "$SMTP_PORT" 4 "$BATS_TEST_TMPDIR/answered" alice@local.example later@local.example 3>&- &
	flood=$!
	WAIT_SECONDS=20 wait_until was_hit || { echo "$*: never happened"; kill "$flood"; return 1; }
	kill "$tracer" 2>/dev/null || :
	wait "$tracer" 2>/dev/null || :
	tracer=
	wait_until ended_or_whole "$1"
	suite_run
	wait "$flood" || { echo "$*: not all was accepted in the end"; return 1; }
	WAIT_SECONDS=30 wait_until queue_holds 0 || { echo "$*: the queue does not empty"; find "$SUITE/queue" -type f; return 1; }
	total=$((total + 2))
	[[ $(numbers_in "$SUITE/mail/local.example/alice/new") -ge 2 ]] || { echo "$*: mail to the mailbox is lost"; return 1; }
	[[ $(numbers_in "$SUITE/mail/out") -ge 2 ]] || { echo "$*: mail to the program is lost"; return 1; }
	empty_mailboxes
	rm -f "$SUITE/mail/out/box"
}
numbers_in() { find "$1" -type f -exec grep -h '^number ' {} + | sort -u | wc -l; }
ended_or_whole() { ! suite_is_running "$1" || [[ $(group_members "$(suite_pid "$1")" | wc -l) -gt 1 ]]; }

@test "smtpd killed at each step of a commit" {
	for step in openat:1 sync_file_range:1 fsync:1 renameat2:1 fsync:2; do
		round smtpd "${step%:*}" "signal=KILL:when=${step#*:}"
	done
}

@test "smtpd with each step of a commit failing once" {
	for step in openat:ENOSPC:1 fsync:EIO:1 renameat2:EIO:1 fsync:EIO:2; do
		IFS=: read -r call error when <<<"$step"
		round smtpd "$call" "error=$error:when=$when"
	done
}

@test "queued killed at each step of a record" {
	for step in pwrite64:1 fsync:1 fsync:2 renameat2:1 unlinkat:1 unlinkat:2; do
		round queued "${step%:*}" "signal=KILL:when=${step#*:}"
	done
}

@test "queued with each step of a record failing once" {
	for step in pwrite64:ENOSPC:1 fsync:EIO:1 renameat2:EIO:1 unlinkat:EIO:1 openat:EMFILE:1; do
		IFS=: read -r call error when <<<"$step"
		round queued "$call" "error=$error:when=$when"
	done
}

@test "the deliverers killed and failing at each step of a delivery" {
	# the counts are each process.s own, so that the deliverers are hit as the scheduler is
	for step in openat:signal=KILL:3 fsync:signal=KILL:1 renameat2:signal=KILL:1 fsync:error=EIO:1 renameat2:error=EIO:1; do
		IFS=: read -r call how when <<<"$step"
		round queued "$call" "$how:when=$when"
	done
}
