# Power cuts: a file system on a disk that remembers (remember.c), the suite on it under load, then the disk as it could have
# been at any moment (rebuild.c), mounted and accounted for (account.py). Needs root, /dev/fuse and loop devices.
#
#   power_record KIND	makes $WORK/KIND: base, log, told/ (what load.py was told); prints what was recorded
#   power_cut KIND N	N cuts; prints the counts; 1 when anything was lost
# KIND is one of power_kinds. After suite.bash; WORK is a folder for images, on a tmpfs best.

CRASH_BIN=${CRASH_BIN:-${BIN%/bin}/crash}
declare -A power_makes=(
	[ext4]="mkfs.ext4 -q -b 4096 -J size=8 -E lazy_itable_init=0,lazy_journal_init=0"
	[xfs]="mkfs.xfs -q -f"
	[btrfs]="mkfs.btrfs -q -m single -d single"
)
declare -A power_megabytes=([ext4]=160 [xfs]=320 [btrfs]=256)
declare -A power_options=([ext4-writeback]=data=writeback [ext4-journal]=data=journal)
power_kinds="ext4 ext4-writeback ext4-journal xfs btrfs"

power_mount() { mount -o "${power_options[$1]:-defaults}${3:+,$3}" "$2" "$WORK/$1/disk"; }	# KIND DEVICE [OPTIONS]

# An instance below SUITE, what it logs outside of the disk.
power_make_instance() {
	local user relay
	[[ -e $WORK/ports ]] || "$TOOLS/free-ports.py" 3 >"$WORK/ports"
	read -r SMTP_PORT POP3_PORT SINK_PORT <"$WORK/ports"
	DAWK="$BIN/dawk -c $SUITE/etc/dawk.conf"
	export SUITE SMTP_PORT POP3_PORT DAWK
	"$BIN/dawk" init "$SUITE" --domain local.example --hostname mail.local.example --smtp "127.0.0.1:$SMTP_PORT" \
		--pop3 "127.0.0.1:$POP3_PORT" --set 'retry = 1s' --set 'dnssec = no' >/dev/null || return 1
	for ((user = 0; user < 20; user++)); do suite_add_mailbox "u$user"; done
	suite_add_mailbox sender
	suite_add_mailbox box ::box.mbox:
	relay="far.example smtp:[127.0.0.1]:$SINK_PORT"
	echo "$relay" >>"$SUITE/etc/routes"
	$DAWK update >/dev/null
}

power_make() {	# KIND
	local kind=$1 folder=$WORK/$1 make=${power_makes[${1%%-*}]}
	mkdir -p "$folder/disk" "$folder/fuse" "$folder/told" "$folder/stderr" "$folder/pid"
	truncate -s "${power_megabytes[${kind%%-*}]}M" "$folder/image"
	$make "$folder/image" >"$folder/make.out" 2>&1 || { cat "$folder/make.out"; return 1; }
	power_mount "$kind" "$folder/image" loop || return 1
	chmod 755 "$folder" "$folder/disk"
	mkdir "$folder/disk/dawk"
	chmod 755 "$folder/disk/dawk"
	ln -s "$folder/stderr" "$folder/pid" "$folder/disk/dawk/"
	SUITE=$folder/disk/dawk
	power_make_instance || return 1
	umount "$folder/disk"
	cp --sparse=always "$folder/image" "$folder/base"
}

power_remember() {	# KIND
	local folder=$WORK/$1
	"$CRASH_BIN/remember" "$folder/image" "$folder/log" "$folder/sequence" "$folder/fuse" "${CRASH_FLUSH_US:-1000}" 3>&- 4>&- 5>&- 6>&- &
	remember=$!
	wait_until test -e "$folder/fuse/disk" || return 1
	loop=$(losetup --find --show "$folder/fuse/disk") || return 1
	power_mount "$1" "$loop"
}
power_sequence() { od -An -t u8 "$WORK/$1/sequence" | tr -d ' '; }

# A process may be about to end, and the loop device lets go of its file some time after it was told to.
power_forget() {	# KIND
	local trouble=0
	power_let_go "$WORK/$1/disk" || trouble=1
	losetup -d "$loop"
	power_let_go "$WORK/$1/fuse" || trouble=1
	[[ $trouble == 0 ]] || kill -KILL "$remember"
	wait "$remember" || trouble=1
	remember=
	return $trouble
}
power_let_go() {	# FOLDER
	wait_until umount "$1" 2>/dev/null && return 0
	echo "still in use: $1, by $(find /proc/[0-9]*/{cwd,root,fd} -lname "$1*" 2>/dev/null | paste -sd ' ')"
	umount -l "$1"
	return 1
}

power_record() {	# KIND
	local kind=$1 folder=$WORK/$1 trouble=0
	rm -rf "$folder"
	power_make "$kind" && power_remember "$kind" || return 1
	power_sequence "$kind" >"$folder/first"
	suite_run || return 1
	timeout 300 "$ROOT/tests/crash/load.py" "$folder/told" --smtp "$SMTP_PORT" --pop3 "$POP3_PORT" --sink "$SINK_PORT" \
		--sequence "$folder/sequence" --count "${CRASH_MESSAGES:-1200}" --connections "${CRASH_CONNECTIONS:-40}" \
		--update "$SUITE/etc" $DAWK update >"$folder/load.out" 2>&1 3>&- 4>&- 5>&- 6>&- || { cat "$folder/load.out"; trouble=1; }
	power_sequence "$kind" >"$folder/last"
	{ suite_kill smtpd; suite_kill queued; suite_kill pop3d; } 2>/dev/null
	power_forget "$kind" || trouble=1
	printf '%s: %d messages answered, %d relayed, %d removed by POP3, %d updates; log of %d entries, %d MB\n' "$kind" \
		"$(wc -l <"$folder/told/answered")" "$(wc -l <"$folder/told/sunk")" "$(grep -vc -- '-$' "$folder/told/removed")" \
		"$(wc -l <"$folder/told/updated")" "$(cat "$folder/last")" $(($(stat -c %s "$folder/log") / 1000000))
	return $trouble
}

# The positions of COUNT cuts in ascending order, each with a seed.
power_positions() {	# KIND COUNT
	local position number=0
	shuf -r -n "$2" -i "$(cat "$WORK/$1/first")-$(cat "$WORK/$1/last")" --random-source=<(power_chance "$1") | sort -n |
		while read -r position; do echo "$position $((position * 7919 + ${CRASH_SEED:-1} * 104729 + (number += 1)))"; done
}
power_chance() { while :; do echo "${CRASH_SEED:-1} $1"; done; }

power_talk_start() {	# KIND
	local folder=$WORK/$1
	mkfifo "$folder/rebuild.in" "$folder/rebuild.out" "$folder/account.in" "$folder/account.out"
	"$CRASH_BIN/rebuild" "$folder/base" "$folder/log" "$folder/cut" <"$folder/rebuild.in" >"$folder/rebuild.out" 2>"$folder/rebuild.err" &
	"$ROOT/tests/crash/account.py" "$folder/told" "$SUITE" <"$folder/account.in" >"$folder/account.out" 2>"$folder/account.err" &
	exec 3>"$folder/rebuild.in" 4<"$folder/rebuild.out" 5>"$folder/account.in" 6<"$folder/account.out"
}
power_talk_end() { exec 3>&- 4<&- 5>&- 6<&-; rm -f "$WORK/$1"/{rebuild,account}.{in,out}; }

value_of() { local text=" $2"; text=${text##* "$1"=}; echo "${text%% *}"; }	# NAME LINE

# The suite goes on where the power went: what is queued is delivered, and then all is accounted for.
power_go_on() {	# KIND CUT
	local folder=$WORK/$1 result sink
	rm -rf "$folder/end"
	mkdir "$folder/end"
	cp "$folder"/told/* "$folder/end/"
	rm -f "$folder/pid"/* "$folder/stderr"/*
	"$ROOT/tests/crash/load.py" "$folder/end" --sink "$SINK_PORT" >/dev/null 2>&1 3>&- 4>&- 5>&- 6>&- &
	sink=$!
	suite_run && wait_until queue_holds 0
	result=$("$ROOT/tests/crash/account.py" "$folder/end" "$SUITE" <<<"end $2" 2>"$folder/end.err")
	kill "$sink"
	for name in smtpd queued pop3d; do suite_end "$name" || result="bad $result"; done
	wait "$sink" 2>/dev/null
	grep -sE 'AddressSanitizer|runtime error:|ThreadSanitizer' "$folder"/stderr/* && result="bad $result"
	ended=$((ended + 1)) ended_twice=$((ended_twice + $(value_of twice "${result:- twice=0}")))
	[[ $result == ok* ]] && return 0
	echo "  after the restart: $result"
	head -n 5 "$folder/end.err"
	return 1
}

# ext4 does not mount with a superblock that was torn between its two sectors; then a person runs e2fsck.
power_mend() {	# KIND
	[[ $1 == ext4* ]] || return 1
	mended=$((mended + 1))
	e2fsck -fy "$WORK/$1/cut" >"$WORK/$1/mend.out" 2>&1 || [[ $? -le 2 ]]
}

power_check_one() {	# KIND CUT US: mounts what rebuild made
	local folder=$WORK/$1 line trouble=0
	power_mount "$1" "$folder/cut" loop 2>"$folder/mount.err" || { power_mend "$1" && power_mount "$1" "$folder/cut" loop; } ||
		{ cat "$folder/mount.err"; return 1; }
	echo "cut $2 $3 ${CRASH_WINDOW_MS:-10000}" >&5
	read -r line <&6 || line="bad: account.py ended"
	twice=$((twice + $(value_of twice "$line")))
	back=$((back + $(value_of came_back "$line")))
	[[ $(value_of oldest_ms "$line") -le $oldest ]] || oldest=$(value_of oldest_ms "$line")
	[[ $line == ok* ]] || { trouble=1; echo "  $line"; tail -n 5 "$folder/account.err"; lost=$((lost + $(value_of lost "$line"))); }
	if ((cuts % ${CRASH_GO_ON:-25} == 0)); then power_go_on "$1" "$2" || trouble=1; fi
	wait_until umount "$folder/disk" || return 1
	return $trouble
}

power_cut() {	# KIND COUNT
	local kind=$1 folder=$WORK/$1 cut seed us kept torn gone trouble=0
	local cuts=0 lost=0 twice=0 oldest=0 back=0 ended=0 ended_twice=0 writes=0 tears=0 mended=0 name
	SUITE=$folder/disk/dawk DAWK="$BIN/dawk -c $folder/disk/dawk/etc/dawk.conf"
	power_positions "$kind" "$2" >"$folder/cuts"
	power_talk_start "$kind"
	while read -r cut seed <&7; do
		echo "$cut $seed" >&3
		read -r cut us kept torn gone <&4 || { cat "$folder/rebuild.err"; trouble=1; break; }
		cuts=$((cuts + 1)) writes=$((writes + gone)) tears=$((tears + torn))
		power_check_one "$kind" "$cut" "$us" || { trouble=1; echo "  at CUT SEED = $cut $seed"; cp --sparse=always "$folder/cut" "$folder/bad.$cut"; }
		((cuts % 100)) || echo "  $kind: $cuts cuts"
	done 7<"$folder/cuts"
	power_talk_end "$kind"
	echo "$kind: cuts: $cuts ($writes writes lost, $tears torn), lost: $lost, to be delivered again: $twice in all, the oldest $oldest ms before the cut," \
		"removed by POP3 and back: $back; $ended of them run to the end, twice there: $ended_twice; mended by e2fsck: $mended"
	return $trouble
}
