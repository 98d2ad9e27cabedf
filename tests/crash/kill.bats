# kill -9 under load: every message answered 250 is delivered at least once (DESIGN: at least once, always).
load ../lib/suite

setup() {
	suite_start --set 'retry = 1s'
	answered=$BATS_TEST_TMPDIR/answered
	: >"$answered"
}
teardown() {
	[[ -z ${flood:-} ]] || kill "$flood" 2>/dev/null || :
	suite_stop
}

has_answered() { [[ $(wc -l <"$answered") -ge $1 ]]; }
queue_is_done() { queue_holds 0; }

# flood COUNT: starts the sender in the background
flood() {
	"$TOOLS/flood.py" "$SMTP_PORT" "$1" "$answered" 3>&- &
	flood=$!
}
ends_with_all_delivered() {	# COUNT
	wait "$flood"
	flood=
	[[ $(sort -u "$answered" | wc -l) -eq $1 ]]
	suite_run
	wait_until queue_is_done
	delivered_numbers >"$answered.delivered"
	[[ -z $(comm -23 <(sort -u "$answered") <(sort -u "$answered.delivered")) ]]
	# Duplicates only of what was in flight.
	echo "$(wc -l <"$answered.delivered") deliveries of $1 messages"
	[[ $(wc -l <"$answered.delivered") -lt $((2 * $1)) ]]
}
delivered_numbers() { find "$SUITE/mail/local.example" -path '*/new/*' -type f -exec grep -h '^number ' {} + | tr -d '\r'; }

# Kills, one a round, each process of the service in turn; what ended by that is started again.
kill_in_turn() {	# SERVICE ROUNDS COUNT
	local round pids victim whole
	whole=$(group_members "$(suite_pid "$1")" | wc -l)
	flood "$3"
	for ((round = 1; round <= $2; round++)); do
		wait_until has_answered $((round * $3 / ($2 + 1)))
		mapfile -t pids < <(group_members "$(suite_pid "$1")" | sort -n)
		victim=${pids[round % ${#pids[@]}]}
		kill -KILL "$victim" 2>/dev/null || :
		wait_until is_gone "$victim"
		wait_until settled "$1" "$whole"
		suite_run
	done
	ends_with_all_delivered "$3"
}
is_gone() { ! process_runs "$1"; }
# The service is whole again, or it has ended as a whole.
settled() {	# SERVICE PROCESSES
	local count
	count=$(group_members "$(suite_pid "$1")" | wc -l)
	if suite_is_running "$1"; then [[ $count -ge $2 ]]; else [[ $count -eq 0 ]]; fi
}

@test "smtpd: each process killed in turn, nothing answered is lost" {
	kill_in_turn smtpd 8 1500
}

@test "queued: each process killed in turn, nothing answered is lost" {
	kill_in_turn queued 8 1500
}

@test "all services killed at once, again and again, nothing answered is lost" {
	flood 1200
	for round in 1 2 3 4; do
		wait_until has_answered $((round * 240))
		suite_kill smtpd
		suite_kill queued
		suite_run
	done
	ends_with_all_delivered 1200
}
