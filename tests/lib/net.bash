# A network namespace of the test's own, which has no way out. Needs root. After `load ../lib/suite`.
#
#	net_make	the namespace, with its loopback up; it lasts as long as the process $NET_PID, which the test kills
#	in_net COMMAND..	runs it there; exec_in_net in the background: $! is the command itself

net_make() {
	setsid unshare -n sleep $((${BATS_FILE_SECONDS:-1000} + 100)) </dev/null >/dev/null 2>&1 3>&- 4>&- 5>&- 6>&- &
	NET_PID=$!
	export NET_PID
	wait_until net_is_made && in_net ip link set lo up
}
net_is_made() { [[ $(readlink "/proc/$NET_PID/ns/net") != "$(readlink /proc/self/ns/net)" && $(cat "/proc/$NET_PID/comm") == sleep ]]; }
in_net() { nsenter --net="/proc/$NET_PID/ns/net" "$@"; }
exec_in_net() { exec nsenter --net="/proc/$NET_PID/ns/net" "$@"; }
