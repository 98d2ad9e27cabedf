# For the tests of crash points: strace kills a process at the entry of a system call, or lets the
# call fail. What was answered 250 has to be delivered, and what is on disk has to make sense to
# the next start. Loaded after suite.bash; sets setup and teardown.

setup() {
	suite_make --set 'retry = 1s'
	mkdir "$SUITE/mail/out"
	! id dawkx >/dev/null 2>&1 || chown dawkx: "$SUITE/mail/out"
	# defers the first attempt of each round
	echo "later@local.example: |if [ -e $SUITE/mail/out/first ]; then cat >>$SUITE/mail/out/box; else touch $SUITE/mail/out/first; exit 75; fi" >>"$SUITE/etc/aliases"
	$DAWK update
	suite_run
}
teardown() {
	end_tracer
	suite_stop
}

# strace may wait for ever for a process with threads that it has killed: it is asked, then made to end.
end_tracer() {
	[[ -n ${tracer:-} ]] || return 0
	kill "$tracer" 2>/dev/null || :
	WAIT_SECONDS=3 wait_until tracer_has_ended >/dev/null || kill -KILL "$tracer" 2>/dev/null || :
	wait "$tracer" 2>/dev/null || :
	tracer=
}
tracer_has_ended() { ! grep -qs '^State:[[:space:]]*[^Z]' "/proc/$tracer/status"; }

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
is_attached() { [[ $(grep -cE 'attached|No such process' "$trace.attached") -ge $1 ]]; }
was_hit() { grep -qE 'INJECTED|killed by SIGKILL' "$trace"; }

start_flood() {
	"$TOOLS/flood.py" "$SMTP_PORT" 4 "$BATS_TEST_TMPDIR/answered" alice@local.example later@local.example 3>&- &
	flood=$!
}
# A call counts in each thread by itself: how many of them four messages make is a matter of who is there first.
is_hit_by_flood() {
	was_hit && return 0
	process_runs "$flood" || start_flood
	return 1
}

# The messages of one round, to alice and to a program that defers once. A name in new/ whose trigger
# was lost waits for the scan, at most 30 s.
round() {	# SERVICE CALL HOW
	rm -f "$SUITE/mail/out/first"
	: >"$BATS_TEST_TMPDIR/answered"
	inject "$@"
	start_flood
	wait_until is_hit_by_flood || { echo "$*: never happened"; kill "$flood"; return 1; }
	end_tracer
	wait_until ended_or_whole "$1"
	suite_run
	[[ ${restarts_queued:-} != yes ]] || suite_restart queued
	WAIT_SECONDS=300 wait_until mended is_gone "$flood" || :
	wait "$flood" || { echo "$*: not all was accepted in the end"; show_processes; return 1; }
	wait_until mended queue_holds 0 || { echo "$*: the queue does not empty"; find "$SUITE/queue" -type f; show_processes; return 1; }
	[[ $(numbers_in "$SUITE/mail/local.example/alice/new") -ge 2 ]] || { echo "$*: mail to the mailbox is lost"; return 1; }
	[[ $(numbers_in "$SUITE/mail/out") -ge 2 ]] || { echo "$*: mail to the program is lost"; return 1; }
	empty_mailboxes
	rm -f "$SUITE/mail/out/box"
}
# What a supervisor does: a service may end a moment after it was looked at.
mended() { suite_run && "$@"; }
is_gone() { ! process_runs "$1"; }
show_processes() { suite_processes | paste -sd, | xargs ps -o pid,ppid,stat,wchan:24,args -p; }
numbers_in() { find "$1" -type f -exec grep -h '^number ' {} + | sort -u | wc -l; }
ended_or_whole() { ! suite_is_running "$1" || [[ $(group_members "$(suite_pid "$1")" | wc -l) -gt 1 ]]; }
