# Power cuts, in short: `make crash` has a thousand of each, see dawk-crash(7). Needs root, /dev/fuse and loop devices.
bats_require_minimum_version 1.5.0
setup_file() { export CUTS=40 CRASH_MESSAGES=150 CRASH_GO_ON=20; }
kit() { timeout -k 10 400 "$BATS_TEST_DIRNAME/kit" "$@" 3>&- 4>&- 5>&- 6>&-; }

# power_holds KIND: 40 cuts, nothing lost, and two of them run to the end
power_holds() {
	run -0 kit power "$1"
	[[ $output == *"$1: 150 messages answered"* ]]
	[[ $output == *"$1: cuts: 40 ("*"), lost: 0, to be delivered again: "*" back: 0; 2 of them run to the end"* ]]
}

@test "a power cut at any moment loses nothing on ext4" {
	power_holds ext4
}
@test "a power cut at any moment loses nothing on xfs" {
	power_holds xfs
}
@test "a power cut at any moment loses nothing on btrfs" {
	power_holds btrfs
}
@test "a suite that makes nothing durable is found out" {
	printf 'int fsync(int fd) { return fd < 0; }\n' >"$BATS_TEST_TMPDIR/forgets.c"
	gcc -shared -fPIC -o "$BATS_TEST_TMPDIR/forgets.so" "$BATS_TEST_TMPDIR/forgets.c"
	CUTS=5 LD_PRELOAD=$BATS_TEST_TMPDIR/forgets.so ASAN_OPTIONS=verify_asan_link_order=0 run -1 kit power ext4
	[[ $output =~ lost:\ [1-9] ]]
	rm -rf "$(sed -n 's/^the images are kept: //p' <<<"$output")"
}
@test "a disk that is still in use when the load is over is waited for" {
	load ../lib/suite
	source "$BATS_TEST_DIRNAME/power.bash"
	WORK=$BATS_TEST_TMPDIR
	mkdir -p "$WORK/ext4/disk" "$WORK/ext4/fuse"
	truncate -s 16M "$WORK/ext4/image"
	mkfs.ext4 -q "$WORK/ext4/image"
	power_remember ext4
	(cd "$WORK/ext4/disk" && exec sleep 1 3>&-) &
	power_forget ext4
	run ! grep -q "$WORK" /proc/mounts
}
@test "an ext4 whose superblock was torn does not mount, is mended, and then does" {
	load ../lib/suite
	source "$BATS_TEST_DIRNAME/power.bash"
	WORK=$BATS_TEST_TMPDIR mended=0
	mkdir -p "$WORK/ext4/disk"
	truncate -s 16M "$WORK/ext4/cut"
	mkfs.ext4 -q "$WORK/ext4/cut"
	printf '\125\125' | dd of="$WORK/ext4/cut" bs=1 seek=$((1024 + 1020)) conv=notrunc status=none	# its checksum
	run ! power_mount ext4 "$WORK/ext4/cut" loop
	power_mend ext4
	[[ $mended == 1 ]]
	power_mount ext4 "$WORK/ext4/cut" loop
	umount "$WORK/ext4/disk"
	run ! power_mend xfs
}
