# smtpd killed at the entry of each system call that changes the disk, and with each of them failing once.
load ../lib/suite
load ../lib/points

@test "smtpd killed at each step of a commit" {
	for step in openat:1 fsync:1 renameat2:1 fsync:2; do
		round smtpd "${step%:*}" "signal=KILL:when=${step#*:}"
	done
}

@test "smtpd with each step of a commit failing once" {
	# a name in new/ that nobody was told of is found by the scan, which a start does at once
	restarts_queued=yes
	for step in openat:ENOSPC:1 fsync:EIO:1 renameat2:EIO:1 fsync:EIO:2; do
		IFS=: read -r call error when <<<"$step"
		round smtpd "$call" "error=$error:when=$when"
	done
}
