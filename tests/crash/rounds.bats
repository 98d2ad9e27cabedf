# Processes that die and system calls that fail, in short: `make crash` tries each, see dawk-crash(7). Needs root: ptrace(2).
bats_require_minimum_version 1.5.0
load ../lib/suite

rounds() { run "$BATS_TEST_DIRNAME/kit" "$@" 3>&- 4>&- 5>&- 6>&-; echo "$output"; [[ $status == 0 ]]; }	# PART OPTION..

@test "a process killed at a system call that touches queue or mailbox loses nothing" {
	rounds deaths --points-max 3
	[[ $output =~ deaths:\ rounds=[0-9]+\ hit=([0-9]+)\ answered=[0-9]+\ lost=0\ twice=[0-9]+\ stuck=0\ busy=0 ]]
	[[ ${BASH_REMATCH[1]} -ge 45 ]]
	[[ $output == *"dawk update, killed at "*"dawk queue remove on disk, killed at "* ]]
}

@test "a system call that fails loses nothing, and the suite goes on" {
	rounds refusals --points-max 20
	[[ $output =~ refusals:\ rounds=[0-9]+\ hit=([0-9]+)\ answered=[0-9]+\ lost=0\ twice=[0-9]+\ stuck=0\ busy=0 ]]
	[[ ${BASH_REMATCH[1]} -ge 30 ]]
}
