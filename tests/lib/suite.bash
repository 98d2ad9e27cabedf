# An instance of the suite for one bats test: a temporary folder, free loopback ports, the services
# without a supervisor, and checks at the end that nothing died, leaked or was left behind.
#
#   suite_start [dawk-init-args..]	init, mailboxes alice and bob (password "secret"), run, wait until ready
#   suite_make [..] / suite_run		the two halves, for tests that change files in between
#   suite_stop				for teardown: ends all, fails the test if a daemon died or a sanitizer spoke
#   suite_restart NAME, suite_end NAME	in order
#   suite_kill NAME			kill -9 of the service's whole group; suite_run starts what does not run
#   suite_log NAME			what the service has logged so far
#   talk [options] smtpd|pop3d|local|PORT	a dialog from standard input, see tests/tool/talk.py
#   wait_until COMMAND..		until it succeeds, at most WAIT_SECONDS (100)
#   delivered_to USER N / messages_of USER / message_of USER
#   queue_is_empty / queue_holds N / logged NAME PATTERN
#
# Set for tests: SUITE, SMTP_PORT, POP3_PORT, DAWK, BIN, ROOT. SUITE_SERVICES chooses the services.
! declare -F bats_require_minimum_version >/dev/null || bats_require_minimum_version 1.5.0	# bench and demo use this too

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
TOOLS=$ROOT/tests/tool
BIN=${DAWK_BIN:-$ROOT/build/bin}
[[ $BIN == /* ]] || BIN=$ROOT/$BIN
export ROOT TOOLS BIN PATH=$PATH:/usr/sbin:/sbin
umask 022	# what tests put into the queue and into homes is for the suite's accounts, too
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=0:allocator_may_return_null=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=allocator_may_return_null=1:report_mutex_bugs=0:suppressions=$TOOLS/tsan.suppressions	# see there

# "secret" by the cheapest strong method, so that no test waits for a password.
# shellcheck disable=SC2016
SECRET_HASH='$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW'

suite_make() {
	SUITE=$(mktemp -d "${TMPDIR:-/tmp}/dawk-test.XXXXXX") || return 1
	chmod 755 "$SUITE"
	read -r SMTP_PORT POP3_PORT <<<"$("$TOOLS/free-ports.py" 2)"
	DAWK="$BIN/dawk -c $SUITE/etc/dawk.conf"
	export SUITE SMTP_PORT POP3_PORT DAWK
	"$BIN/dawk" init "$SUITE" --domain local.example --hostname mail.local.example \
		--smtp "127.0.0.1:$SMTP_PORT" --pop3 "127.0.0.1:$POP3_PORT" "$@" >"$SUITE/init.out" 2>&1 ||
		{ cat "$SUITE/init.out"; return 1; }
	suite_add_mailbox alice
	suite_add_mailbox bob
	$DAWK update >"$SUITE/update.out" 2>&1 || { cat "$SUITE/update.out"; return 1; }
	mkdir -p "$SUITE/pid" "$SUITE/stderr"
}

# What bats does before each command, to tell where a test failed, takes half a millisecond; set +T spares what is called.
suite_start() {
	local - && set +T
	suite_make "$@" && suite_run
}

# suite_add_mailbox USER [REST-OF-LINE]: before `dawk update`. REST is UID:GID:MAILDIR:QUOTA.
suite_add_mailbox() { printf '%s@local.example:%s:%s\n' "$1" "$SECRET_HASH" "${2:-:::}" >>"$SUITE/etc/users"; }

suite_run() {
	local name
	for name in ${SUITE_SERVICES:-smtpd queued pop3d}; do
		suite_is_running "$name" || suite_run_service "$name" || return 1
	done
}

# Each service is a session of its own, so that suite_kill can end all of it. The descriptors of
# bats are closed: a daemon that held them would keep bats waiting.
suite_run_service() {
	local before
	before=$(parts_started "$1")
	[[ $1 != queued ]] || rm -f "$SUITE/run/queued"	# of one that was killed: it would look ready
	setsid "$BIN/$1" -c "$SUITE/etc/dawk.conf" </dev/null >>"$SUITE/stderr/$1" 2>&1 3>&- 4>&- 5>&- 6>&- &
	echo $! >"$SUITE/pid/$1"
	wait_until suite_is_ready_or_dead "$1"
	suite_is_running "$1" || { echo "$1 did not start:"; suite_log "$1"; return 1; }
}

suite_pid() {
	local pid=
	read -r pid 2>/dev/null <"$SUITE/pid/$1"
	[[ -n $pid ]] && echo "$pid"
}

# A zombie that nobody has waited for yet does not run, unless threads of it do: they hold its files.
process_runs() {	# PID
	local rest="" threads
	read -r rest 2>/dev/null <"/proc/$1/stat"
	[[ -n $rest ]] || return 1
	[[ ${rest##*) } == [ZX]* ]] || return 0
	threads=("/proc/$1/task/"*)
	[[ ${#threads[@]} -gt 1 ]]
}
suite_is_running() {
	local pid
	pid=$(suite_pid "$1") && process_runs "$pid"
}

parts_started() { grep -c '^[a-z0-9]* started part=' "$SUITE/stderr/$1" 2>/dev/null || :; }
# Since the start it has written a line for each of its processes, the last one when all is begun.
has_told_its_parts() {
	local told=$(($(parts_started "$1") - ${before:-0}))
	[[ $told -gt 0 && $told -ge $(pgrep -c -P "$(suite_pid "$1")") ]]
}
suite_is_ready_or_dead() {
	suite_is_running "$1" || return 0
	has_told_its_parts "$1" || return 1
	case $1 in
	smtpd)	port_is_open "$SMTP_PORT" ;;
	pop3d)	port_is_open "$POP3_PORT" ;;
	queued)	[[ -S $SUITE/run/queued ]] ;;
	esac
}

# Looks into the kernel's table, so that the daemon sees no connection from it.
port_is_open() { grep -qsi ":$(printf %04X "$1") 0*:0000 0A " /proc/net/tcp /proc/net/tcp6; }

suite_log() { cat "$SUITE/stderr/$1" 2>/dev/null; }
logged() { grep -qE -- "$2" "$SUITE/stderr/$1"; }

suite_end_service() {	# NAME SIGNAL
	suite_begin_end "$1" "$2" && suite_await_end "$1" "$2"
}
suite_begin_end() {
	local pid
	pid=$(suite_pid "$1") || return 0
	if [[ $2 == KILL ]]; then kill -KILL -- "-$pid"; else kill "-$2" "$pid"; fi 2>/dev/null || :
}
suite_await_end() {
	local pid status=0
	pid=$(suite_pid "$1") || return 0
	wait_until suite_has_ended "$1" || { echo "$1 does not end on SIG$2"; return 1; }
	rm -f "$SUITE/pid/$1"
	wait "$pid" 2>/dev/null || status=$?	# 127: another shell started it
	[[ $2 == KILL || $status == 0 || $status == 127 ]] || { echo "$1 ended with exit code $status"; return 1; }
}
suite_has_ended() { ! suite_is_running "$1" && [[ -z $(group_members "$(suite_pid "$1")") ]]; }
group_members() {	# the living processes of a group
	local pid
	for pid in $(pgrep -g "$1"); do process_runs "$pid" && echo "$pid"; done
	return 0
}

suite_end() { suite_end_service "$1" TERM; }
suite_restart() { suite_end_service "$1" TERM && suite_run_service "$1"; }
suite_kill() { suite_end_service "$1" KILL; }

# The instance's own processes, wherever they have gone: forks keep the command line.
suite_processes() { grep -laF -f <(echo "$SUITE/") /proc/[0-9]*/cmdline 2>/dev/null | sed 's,/proc/\([0-9]*\)/.*,\1,'; }
suite_has_no_process() { [[ -z $(suite_processes) ]]; }

suite_stop() {
	local - && set +T
	suite_stop_all
}
suite_stop_all() {
	local name pid said names=() trouble=0
	[[ -n ${SUITE:-} && -d $SUITE ]] || return 0
	for name in "$SUITE"/pid/*; do
		[[ -e $name ]] || continue
		name=${name##*/}
		names+=("$name")
		suite_is_running "$name" || { echo "$name died by itself"; trouble=1; }
		suite_begin_end "$name" TERM
	done
	for name in "${names[@]}"; do
		suite_await_end "$name" TERM || trouble=1
	done
	if ! wait_until suite_has_no_process; then
		trouble=1
		echo "left behind:"
		for pid in $(suite_processes); do
			echo "  $pid $(tr '\0' ' ' <"/proc/$pid/cmdline")"
			kill -KILL "$pid" 2>/dev/null
		done
	fi
	# Not by grep's exit code, which is 2 where there is a match and one of the files is missing.
	said=$(grep -sE 'AddressSanitizer|runtime error:|ThreadSanitizer|LeakSanitizer|bad system call' "$SUITE"/stderr/* "$SUITE"/log/*/current) || :
	[[ -z $said ]] || { echo "$said"; trouble=1; }
	if [[ $trouble == 1 || -z ${BATS_TEST_COMPLETED:-} ]]; then
		for name in "$SUITE"/stderr/*; do
			[[ -e $name ]] && { echo "--- ${name##*/} logged:"; tail -n 25 "$name"; }
		done
	fi
	awk -v below="$SUITE/" 'index($2, below) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount
	"$TOOLS/free-ports.py" --release "$SMTP_PORT" "$POP3_PORT"
	if [[ -n ${SUITE_KEEP:-} ]]; then echo "kept: $SUITE"; else rm -rf "$SUITE"; fi
	return $trouble
}

wait_until() {
	local - && set +T
	wait_untraced "$@"
}
wait_untraced() {
	local deadline=$((SECONDS + ${WAIT_SECONDS:-100}))
	until "$@"; do
		((SECONDS <= deadline)) || { echo "waited in vain for: $*"; return 1; }
		sleep 0.05
	done
}

talk() {
	local options=()
	while [[ $1 == --* ]]; do
		options+=("$1")
		[[ $1 == --bytes || $1 == --tls ]] || { options+=("$2"); shift; }
		shift
	done
	case $1 in
	smtpd)	set -- "$SMTP_PORT" ;;
	pop3d)	set -- "$POP3_PORT" ;;
	local)	set -- "$SUITE/run/submit" ;;
	esac
	"$TOOLS/talk.py" "${options[@]}" "$1"
}

maildir_of() { echo "$SUITE/mail/local.example/$1"; }
messages_of() { find "$(maildir_of "$1")/new" "$(maildir_of "$1")/cur" -type f 2>/dev/null | sort; }
delivered_to() { [[ $(messages_of "$1" | wc -l) -eq $2 ]]; }
message_of() {	# the path of the only message
	local files
	files=$(messages_of "$1")
	[[ -n $files && $files != *$'\n'* ]] || { echo "not exactly one message: $files" >&2; return 1; }
	echo "$files"
}

queue_files() { find "$SUITE/queue/new" "$SUITE/queue/cur" "$SUITE/queue/hold" "$SUITE/queue/corrupt" -type f 2>/dev/null; }
queue_holds() { [[ $(queue_files | wc -l) -eq $1 ]]; }
queue_is_empty() { queue_holds 0 && [[ -z $(find "$SUITE/queue/state" "$SUITE/queue/tmp" -type f) ]]; }

# A file system of SIZE of its own in place of the folder, with what is in there.
mount_small() {	# FOLDER SIZE [OPTIONS]
	mv "$1" "$1.moved" && mkdir "$1" && mount -t tmpfs -o "size=$2,mode=755${3:+,$3}" tmpfs "$1" || return 1
	chown --reference="$1.moved" "$1" && chmod --reference="$1.moved" "$1" && cp -a "$1.moved/." "$1/" && rm -rf "$1.moved"
}

# send_message FROM TO.. : the content from standard input, by the simplest client there is
send_message() {
	local from=$1 to
	shift
	{
		printf 'S: 220\nC: EHLO client.example\nS: 250\nC: MAIL FROM:<%s>\nS: 250\n' "$from"
		for to in "$@"; do printf 'C: RCPT TO:<%s>\nS: 250\n' "$to"; done
		printf 'C: DATA\nS: 354\n'
		sed 's/^\./../; s/^/C: /'
		printf 'C: .\nS: 250 2.0.0\nC: QUIT\nS: 221\n'
	} | talk smtpd
}

empty_mailboxes() { find "$SUITE/mail" -type f \( -path '*/new/*' -o -path '*/cur/*' \) -delete; }

# A message that is hard to carry unchanged, into FILE: dots, long and 8-bit lines, blanks at ends.
hard_message() {
	{
		printf 'From: Bob <bob@client.example>\nTo: Alice <alice@local.example>\nSubject: hard to carry\n'
		printf 'Date: Sat, 21 Nov 2026 22:00:00 +0000\nMessage-ID: <%s@client.example>\n' "${BATS_TEST_NUMBER:-0}.$RANDOM"
		printf 'MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n'
		printf '.\n..\n. a dot and a blank\n...three\n\nblanks at the end  \t\n\tand in front\nFrom here on, >From too\n'
		printf 'Zürich, naïve, 日本語\n'
		head -c 900 /dev/zero | tr '\0' 'x'
		printf '\n\n\nthe last line but one is empty\n\n.end\n'
	} >"$1"
}
# same_message ORIGINAL RECEIVED: the trace fields in front apart, byte by byte.
same_message() { "$TOOLS/same-message.py" "$@"; }
