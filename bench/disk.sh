#!/bin/bash
# disk.sh up|down [IMAGE] [MOUNT]: a journaled ext4 (DISK_GIB, 12, written-out image, loop device with direct I/O) to measure on.
# Needed where the host's ext4 has no journal (/proc/fs/jbd2 is empty): there creating a file after many deletes gets
# 2-4 times dearer for minutes (ext4 skips recently deleted inodes one by one), which falsifies back-to-back runs.
# Then run with BENCH_DIR=MOUNT (bench.sh), MB=MOUNT (run.sh): the peers' chroots, spools and maildirs all live on it.
# shellcheck disable=SC2086,SC2046,SC2016,SC2034,SC2013,SC2162
img=${2:-/var/tmp/mbj.img} mnt=${3:-/var/tmp/mbj}
case $1 in
up)	mountpoint -q "$mnt" && exit
	[ -e "$img" ] || { dd if=/dev/zero of="$img" bs=4M count=$((${DISK_GIB:-12} * 256)) oflag=direct conv=fsync status=none &&
		mkfs.ext4 -q -F -E nodiscard,lazy_itable_init=0,lazy_journal_init=0 -m 0 -N $((${DISK_GIB:-12} * 170000)) "$img"; } || exit 1
	mkdir -p "$mnt"; l=$(losetup --direct-io=on --show -f "$img") && mount "$l" "$mnt" ;;
down)	l=$(findmnt -no SOURCE "$mnt"); umount "$mnt" && losetup -d "$l" ;;
esac
