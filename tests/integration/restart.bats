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
# Its own pipe to authd and to the opener, and the listener: not a peer's.
each_has() { local pid; for pid in $(workers_of "$(suite_pid pop3d)" pop3d:worker); do [[ $(sockets_of "$pid") -eq $1 ]] || return 1; done; }

@test "workers that died together hold no pipes of each other when they are back" {
	export SUITE_SERVICES=pop3d
	suite_start --set 'pop3d-workers = 4'
	wait_until workers_are 4
	wait_until each_has 3
	for _ in 1 2; do
		# shellcheck disable=SC2046
		kill -KILL $(workers_of "$(suite_pid pop3d)" pop3d:worker)
		wait_until workers_are 0
		wait_until workers_are 4
		wait_until each_has 3
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
