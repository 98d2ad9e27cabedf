# Disks that are full, have no inodes, turn read-only, or hang: what was answered 250 arrives once they are mended, and
# meanwhile nothing turns in circles. Real file systems on loop devices: needs root, and /dev/fuse for the one that hangs.
load ../lib/suite

setup() {
	suite_make --set 'retry = 1s 2s 4s 8s'
	answered=$BATS_TEST_TMPDIR/answered
	: >"$answered"
}
teardown() {
	[[ -z ${flood:-} ]] || kill "$flood" 2>/dev/null || :
	[[ -z ${remember:-} ]] || kill -CONT "$remember"
	suite_stop
	[[ -z ${device:-} ]] || losetup -d "$device" 2>/dev/null || :
	[[ -z ${remember:-} ]] || wait_until umount "$BATS_TEST_TMPDIR/fuse"
}

# An ext4 of its own in place of FOLDER, with what is in there.
mount_ext4() {	# FOLDER DEVICE-OR-IMAGE [mkfs-options..]
	local folder=$1 image=$2
	shift 2
	mkfs.ext4 -q -F -b 4096 -J size=4 -m 0 "$@" "$image"
	mv "$folder" "$folder.moved" && mkdir "$folder" && mount "$image" "$folder" || return 1
	rmdir "$folder/lost+found"
	chown --reference="$folder.moved" "$folder" && chmod --reference="$folder.moved" "$folder"
	cp -a "$folder.moved/." "$folder/" && rm -rf "$folder.moved"
}
image() { truncate -s "$2" "$BATS_TEST_TMPDIR/$1" && echo "$BATS_TEST_TMPDIR/$1"; }

flood() {	# COUNT
	"$TOOLS/flood.py" "$SMTP_PORT" "$1" "$answered" 3>&- &
	flood=$!
}
has_answered() { [[ $(wc -l <"$answered") -ge $1 ]]; }
no_more_answers() { local count; count=$(wc -l <"$answered"); sleep 1; [[ $(wc -l <"$answered") -eq $count ]]; }
all_delivered() {
	find "$SUITE/mail/local.example" -path '*/new/*' -type f -exec grep -h '^number ' {} + | tr -d '\r' | sort -u >"$answered.delivered"
	[[ -z $(comm -23 <(sort -u "$answered") "$answered.delivered") ]]
}
all_whole() {
	local file
	for file in $(messages_of alice) $(messages_of bob); do [[ $(wc -l <"$file") -ge 43 ]] || { echo "cut: $file"; return 1; }; done
}
ends_well() {	# COUNT
	wait "$flood"
	flood=
	[[ $(sort -u "$answered" | wc -l) -eq $1 ]]
	wait_until queue_holds 0
	all_delivered
	all_whole
	[[ $(find "$SUITE/queue/corrupt" "$SUITE/queue/hold" -type f | wc -l) -eq 0 ]]
}
# CPU ticks of the services so far
ticks() { suite_processes | sed 's,.*,/proc/&/stat,' | xargs cat 2>/dev/null | sed 's/.*) //' | awk '{ n += $12 + $13 } END { print n + 0 }'; }
# With nobody who sends, less than PERCENT of one processor: what is deferred is tried again, a loop would take all of it.
is_calm() {	# SECONDS PERCENT
	local before after
	before=$(ticks)
	sleep "$1"
	after=$(ticks)
	echo "$((after - before)) ticks in $1 s"
	[[ $((after - before)) -lt $(($1 * $2)) ]]
}
# The sender waits, if it has not come to its end.
pause_flood() { kill -STOP "$flood" 2>/dev/null || :; sleep 0.3; }
resume_flood() { kill -CONT "$flood" 2>/dev/null || :; }

@test "a disk that is full under queue and mailboxes: 4xx, nothing lost or cut, and mail flows once there is room" {
	mount_ext4 "$SUITE/queue" "$(image queue 24M)"
	suite_run
	flood 800
	wait_until has_answered 30
	head -c 40000000 /dev/zero >"$SUITE/queue/filler" 2>/dev/null || :
	wait_until no_more_answers
	pause_flood
	is_calm 3 20
	rm "$SUITE/queue/filler"
	resume_flood
	ends_well 800
}

@test "a disk full under the mailboxes alone: deferred, and delivered once there is room" {
	mount_ext4 "$SUITE/mail" "$(image mail 24M)"
	suite_run
	flood 800
	wait_until has_answered 30
	head -c 40000000 /dev/zero >"$SUITE/mail/filler" 2>/dev/null || :
	wait "$flood"
	is_calm 3 60
	rm "$SUITE/mail/filler"
	ends_well 800
}

@test "an inode table that is full: 4xx or deferred, nothing lost, and mail flows once there is room" {
	mount_ext4 "$SUITE/queue" "$(image queue 16M)" -N 128
	mount_ext4 "$SUITE/mail" "$(image mail 24M)" -N 1024
	suite_run
	flood 600
	wait_until has_answered 20
	for ((i = 0; i < 1200; i++)); do : >"$SUITE/queue/filler$i" || break; done 2>/dev/null
	for ((i = 0; i < 1200; i++)); do : >"$SUITE/mail/filler$i" || break; done 2>/dev/null
	wait_until no_more_answers
	pause_flood
	is_calm 3 60
	rm -f "$SUITE"/queue/filler* "$SUITE"/mail/filler*
	resume_flood
	ends_well 600
}

@test "mailboxes that turn read-only: deferred, nothing lost, and delivered once they are written again" {
	mount_ext4 "$SUITE/mail" "$(image mail 64M)"
	suite_run
	flood 800
	wait_until has_answered 30
	pause_flood
	wait_until queue_is_empty
	remount ro
	resume_flood
	wait "$flood"
	is_calm 3 60
	remount rw
	resume_flood
	ends_well 800
}
remount() { mount -o "remount,$1" "$SUITE/mail"; }

@test "a queue that turns read-only: 4xx, nothing lost, and mail flows once it is written again" {
	mount_ext4 "$SUITE/queue" "$(image queue 64M)"
	suite_run
	flood 800
	wait_until has_answered 30
	# the kernel does it so when it finds an error of the disk
	mount -o remount,abort "$SUITE/queue"
	wait_until no_more_answers
	pause_flood
	is_calm 3 60
	for name in smtpd queued; do suite_kill "$name"; done
	wait_until umount "$SUITE/queue"
	mount "$BATS_TEST_TMPDIR/queue" "$SUITE/queue"
	suite_run
	resume_flood
	ends_well 800
}

@test "a mailbox on a disk that hangs is set aside, others get their mail, and it gets its own once the disk answers" {
	mkdir "$BATS_TEST_TMPDIR/fuse"
	"${BIN%/bin}/crash/remember" "$(image bob 64M)" /dev/null "$BATS_TEST_TMPDIR/sequence" "$BATS_TEST_TMPDIR/fuse" 0 3>&- &
	remember=$!
	wait_until test -e "$BATS_TEST_TMPDIR/fuse/disk"
	device=$(losetup --find --show "$BATS_TEST_TMPDIR/fuse/disk")
	suite_run
	printf 'hello\n' | send_message bob@client.example bob@local.example
	wait_until delivered_to bob 1
	wait_until queue_is_empty
	mount_ext4 "$(maildir_of bob)" "$device"
	kill -STOP "$remember"
	for ((i = 0; i < 5; i++)); do printf 'hello %d\n' "$i" | send_message bob@client.example bob@local.example; done
	wait_until logged queued deliverer-slow
	for ((i = 0; i < 5; i++)); do printf 'hello %d\n' "$i" | send_message bob@client.example alice@local.example; done
	wait_until delivered_to alice 5
	is_calm 3 60
	WAIT_SECONDS=150 wait_until logged queued deliverer-stuck
	printf 'hello again\n' | send_message bob@client.example alice@local.example
	wait_until delivered_to alice 6
	kill -CONT "$remember"
	wait_until queue_holds 0
	[[ $(messages_of bob | wc -l) -ge 6 ]]
	for ((i = 0; i < 5; i++)); do grep -rqx "hello $i" "$(maildir_of bob)/new"; done
}

@test "a scheduler that has lost its group does not run on without it" {
	suite_run
	gid=$(stat -c %g "$SUITE/queue/new")
	suite_end queued
	sed "s/^\([^:]*:[^:]*:$gid:\).*/\1/" /etc/group >"$BATS_TEST_TMPDIR/group"
	run timeout 60 unshare -m sh -c "mount --bind '$BATS_TEST_TMPDIR/group' /etc/group && exec '$BIN/queued' -c '$SUITE/etc/dawk.conf'" 3>&-
	[[ $output == *unable-to-start*"is not in group $gid"* ]]
	suite_run
	printf 'hello\n' | send_message bob@client.example alice@local.example
	wait_until delivered_to alice 1
}
