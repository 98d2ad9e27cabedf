# Parts that are started anew: what they hold, and that all goes on.
load ../lib/suite

teardown() { suite_stop; }

workers_of() {
	local pid
	for pid in $(cat "/proc/$1/task/$1/children"); do
		[[ $(cat "/proc/$pid/comm" 2>/dev/null) != "$2" ]] || echo "$pid"
	done
}
workers_are() { [[ $(workers_of "$(suite_pid pop3d)" pop3d:worker | wc -l) -eq $1 ]]; }
sockets_of() { find "/proc/$1/fd" -lname 'socket:*' 2>/dev/null | wc -l; }
# The listener, and its own pipes to authd, to keyd and two to the opener: not a peer's.
each_has() { local pid; for pid in $(workers_of "$(suite_pid pop3d)" pop3d:worker); do [[ $(sockets_of "$pid") -eq $1 ]] || return 1; done; }

@test "workers that died together hold no pipes of each other when they are back" {
	export SUITE_SERVICES=pop3d
	suite_start --set 'pop3d-workers = 4'
	wait_until workers_are 4
	wait_until each_has 5
	for _ in 1 2; do
		# shellcheck disable=SC2046
		kill -KILL $(workers_of "$(suite_pid pop3d)" pop3d:worker)
		wait_until workers_are 0
		wait_until workers_are 4
		wait_until each_has 5
	done
	talk pop3d <<-'EOF'
		S: +OK
		C: USER alice@local.example
		S: +OK
		C: PASS secret
		S: +OK
		C: QUIT
		S: +OK
	EOF
}
