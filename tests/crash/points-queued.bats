# queued and locald killed at the entry of each system call that changes the disk, and with each of them failing once.
load ../lib/suite
load ../lib/points

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
