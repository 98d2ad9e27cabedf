# shellcheck shell=sh disable=SC2154 # sourced by setup.sh, which sets LIB, CONF, SERVICES ...
# What setup.sh has to know of the host it runs on, and do to it: who listens on a port, which
# supervisor is there, what runs.

# where a supervisor of the host, and no instance of somebody's own, looks for services
HOST_SCANS='/etc/dawk/service /etc/service /service /var/service /etc/runit/runsvdir/current /etc/runit/runsvdir/default'
DOWN_MARK='made by dawk setup: the port was taken'
WAIT_SECONDS=${WAIT_SECONDS:-30}
before=	# " SERVICE=PROCESS ..", as it was when we came
not_started=	# services that should run and do not
left_down=	# services that the admin stopped
is_own_runsvdir=	# 1: started from here, nothing starts it at boot

# --- ports ---------------------------------------------------------------------------------------

# Who listens where NEED (an address and a port as in dawk.conf) wants to: "PID PROGRAM" a line;
# PID 0 where the process can't be seen from here. Wildcard and same port is the conflict; two
# particular addresses are left to bind(2).
holders_of() {
	port=${1##*:}
	case ${1%:*} in
	'[::]' | 0.0.0.0) any=1 ;;
	*) any=0 ;;
	esac
	inodes=$(awk -v port="$(printf '%04X' "$port")" -v any="$any" '
		$4 == "0A" { split($2, at, ":")
			if (at[2] == port && (any || at[1] ~ /^0+$/ )) print $10 }' /proc/net/tcp /proc/net/tcp6 2>/dev/null)
	for inode in $inodes; do
		fd=$(find /proc/[0-9]*/fd -lname "socket:\\[$inode\\]" 2>/dev/null | head -n 1)
		pid=${fd#/proc/}
		pid=${pid%%/*}
		printf '%s %s\n' "${pid:-0}" "$(readlink "/proc/${pid:-0}/exe" 2>/dev/null)"
	done | sort -u
}

listener_names() {	# service
	case $1 in
	smtpd) printf 'listen-smtp listen-submission listen-submissions\n' ;;
	pop3d) printf 'listen-pop3 listen-pop3s\n' ;;
	esac
}

listeners_of() { "$LIB/dawk" config "$1" | tr ' ' '\n' | grep : || :; }	# name of a setting

# Is a port of SERVICE somebody else's? Says whose and how to go on.
port_is_taken() {
	is_taken=1
	for name in $(listener_names "$1"); do
		for listener in $(listeners_of "$name"); do
			holder=$(holders_of "$listener" | grep -v " $LIB/" | head -n 1)
			[ -n "$holder" ] || continue
			is_taken=0
			say_port_taken "$1" "$name" "$listener" "$holder"
		done
	done
	return $is_taken
}

say_port_taken() {	# service, name of the setting, listener, "PID PROGRAM"
	pid=${4%% *}
	path=${4#* }
	owner=
	program='a process that cannot be seen from here'
	if [ -n "$path" ]; then
		owner=$(package_of "${path% (deleted)}")
		program="$path (process $pid${owner:+, package $owner})"
	fi
	note "$1 is not started: port ${3##*:} is held by $program"
	note "    either end that one ${owner:+(systemctl disable --now SERVICE, or apt-get remove $owner) }and run make setup again,"
	note "    or give dawk another address or port: $2 in $CONF, then make setup again"
}

# --- supervisors ---------------------------------------------------------------------------------

# Not of a container: those have another root.
is_of_this_host() { [ "$(stat -L -c %d:%i "$1/root" 2>/dev/null)" = "$(stat -L -c %d:%i /)" ]; }

# The folder that a running supervisor of the host looks at: "KIND FOLDER", or nothing.
host_supervisor() {
	for process in /proc/[0-9]*; do
		kind=$(cat "$process/comm" 2>/dev/null) || continue
		case $kind in
		runsvdir | svscan) ;;
		*) continue ;;
		esac
		[ -O "$process" ] || continue
		is_of_this_host "$process" || continue
		folder=$(scan_folder "$process")
		for known in $HOST_SCANS; do
			[ "$(readlink -f "$known")" != "$folder" ] || { printf '%s %s\n' "$kind" "$folder"; return; }
		done
	done
}

# The first argument that is no option, else where it runs.
scan_folder() {
	folder=$(tr '\0' '\n' <"$1/cmdline" 2>/dev/null | sed -e 1d -e '/^-/d' | head -n 1)
	case $folder in
	/*) ;;
	*) folder=$(readlink "$1/cwd" 2>/dev/null)/${folder:-.} ;;
	esac
	readlink -f "$folder" || :
}

has_systemd() { [ -d /run/systemd/system ]; }

use_host_scan() {	# folder
	for service in $SERVICES; do
		target=$1/dawk-$service
		[ -e "$SERVICES_DIR/$service/run" ] || continue
		if [ ! -e "$target" ] && [ ! -L "$target" ]; then
			ln -s "$SERVICES_DIR/$service" "$target"
		fi
	done
}

use_systemd() {
	sed "s|@SERVICES@|$SERVICES_DIR|g" service/dawk.service >"$UNIT.new"
	mv -f "$UNIT.new" "$UNIT"
	systemctl daemon-reload
	systemctl enable --quiet dawk.service
	systemctl start dawk.service
}

# Nothing here supervises anything (a container, say): our own runsvdir, in a session of its own,
# with no descriptor of make or of who called it.
use_own() {
	setsid runsvdir -P "$SERVICES_DIR" </dev/null >/dev/null 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &
}

start_supervisor() {
	found=$(host_supervisor)
	kind=${found%% *}
	folder=${found#* }
	if [ "$folder" = "$SERVICES_DIR" ]; then
		! has_systemd || use_systemd
		note "runsvdir runs already, on $SERVICES_DIR"
	elif [ -n "$found" ]; then
		use_host_scan "$folder"
		note "under $kind, by links $folder/dawk-*"
	elif has_systemd; then
		use_systemd
		note 'under systemd: dawk.service, which runs runsvdir'
	else
		use_own
		is_own_runsvdir=1
		note "runsvdir $SERVICES_DIR, started from here"
	fi
}

# --- services ------------------------------------------------------------------------------------

# The process that runs as SERVICE, 0 when there is none: the supervisors' common status file.
pid_of() {
	status=$SERVICES_DIR/$1/supervise/status
	pid=$(od -A n -t u1 -j 12 -N 4 "$status" 2>/dev/null | awk '{ print $1 + 256 * ($2 + 256 * ($3 + 256 * $4)) }')
	[ -n "$pid" ] && [ -e "/proc/$pid" ] || pid=0
	printf '%s\n' "$pid"
}

# Did somebody ask the supervisor to keep it down? (the letter d in the same file)
is_wanted_down() {
	[ "$(od -A n -c -j 17 -N 1 "$SERVICES_DIR/$1/supervise/status" 2>/dev/null | tr -d ' ')" = d ]
}

uses_svscan() { case $(host_supervisor) in svscan*) return 0 ;; esac; return 1; }

# control LETTER WORD FOLDER..: as svc and as sv call it. daemontools and runit each know their own
# status file only.
control() {
	letter=$1 word=$2
	shift 2
	for folder in "$@"; do
		[ -e "$folder/supervise/control" ] || continue
		if uses_svscan; then
			svc "-$letter" "$folder" 2>/dev/null || :
		else
			sv "$word" "$folder" >/dev/null 2>&1 || :
		fi
	done
}

say_control() {
	if uses_svscan; then
		printf 'svc -d, svc -u, svc -t %s/smtpd\n' "$SERVICES_DIR"
	else
		printf 'sv down, sv up, sv term %s/smtpd\n' "$SERVICES_DIR"
	fi
}

# wait_for COMMAND...: tries every fifth of a second, WAIT_SECONDS long
wait_for() {
	tries=$((WAIT_SECONDS * 5))
	while ! "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.2
	done
}

# Each start of queued makes its socket anew.
queued_socket() { stat -c '%i %z' "$("$LIB/dawk" config run-directory)/queued" 2>/dev/null || :; }
has_fresh_socket() { [ -n "$(queued_socket)" ] && [ "$(queued_socket)" != "$socket_before" ]; }

# Runs, is not the process of before, and has its ports.
is_up() {	# service pid-before
	pid=$(pid_of "$1")
	[ "$pid" != 0 ] && [ "$pid" != "$2" ] && [ "$(readlink "/proc/$pid/exe")" = "$LIB/$1" ] || return 1
	for name in $(listener_names "$1"); do
		for listener in $(listeners_of "$name"); do
			# of whatever address: nobody else answers there for ours
			holders_of "[::]:${listener##*:}" | grep -q " $LIB/" || return 1
		done
	done
	[ "$1" != queued ] || has_fresh_socket
}

# Before the supervisor sees it: a service without its port gets a `down` file, which goes again
# when the port is free. What the admin stopped stays stopped.
decide_what_starts() {
	socket_before=$(queued_socket)
	for service in $SERVICES; do
		pid=$(pid_of "$service")
		before="$before $service=$pid"
		[ "$pid" = 0 ] || continue
		down=$SERVICES_DIR/$service/down
		if port_is_taken "$service"; then
			not_started="$not_started $service"
			[ -e "$down" ] || say "$DOWN_MARK" >"$down"
		elif [ -e "$down" ] && grep -q "$DOWN_MARK" "$down"; then
			rm -f "$down"
			control u up "$SERVICES_DIR/$service"
		elif [ -e "$down" ] || is_wanted_down "$service"; then
			left_down="$left_down $service"
		fi
	done
}

# Those that ran get the new programs; then all have to be up.
bring_up() {
	for service in $SERVICES; do
		case " $not_started $left_down " in
		*" $service "*) continue ;;
		esac
		old=${before#* "$service"=}
		old=${old%% *}
		# a new program lies there: what runs was started from the old one
		[ "$old" = 0 ] || control t term "$SERVICES_DIR/$service"
		if wait_for is_up "$service" "$old"; then
			note "$service runs (process $(pid_of "$service"))"
		else
			not_started="$not_started $service"
			note "$service does not come up. The end of its log, /var/log/dawk/$service/current:"
			tail -n 5 "/var/log/dawk/$service/current" 2>/dev/null | sed 's/^/          /'
		fi
	done
}

all_are_down() {
	for service in $SERVICES; do
		[ "$(pid_of "$service")" = 0 ] || return 1
	done
}

stop_services() {
	scanned=$(host_supervisor)
	scanned=${scanned#* }
	for service in $SERVICES; do
		control d down "$SERVICES_DIR/$service"
	done
	wait_for all_are_down || fail 'a service does not end; nothing is removed (see dawk status)'
	if [ -e "$UNIT" ]; then
		systemctl disable --now --quiet dawk.service 2>/dev/null || :
		rm -f "$UNIT"
		systemctl daemon-reload 2>/dev/null || :
	fi
	if [ "$scanned" = "$SERVICES_DIR" ]; then
		end_own_runsvdir
	elif [ -n "$scanned" ]; then
		for service in $SERVICES; do
			[ ! -L "$scanned/dawk-$service" ] || rm -f "$scanned/dawk-$service"
		done
	fi
	for service in $SERVICES; do
		control dx exit "$SERVICES_DIR/$service/log" "$SERVICES_DIR/$service"
	done
	wait_for nothing_supervises || fail "a supervisor of $SERVICES_DIR does not end; nothing is removed"
}

has_ended() { ! grep -q '^State:[[:space:]]*[^ZX]' "$1/status" 2>/dev/null; }

# runsv, supervise and the logs run in their service's folder.
nothing_supervises() {
	for process in /proc/[0-9]*; do
		case $(readlink "$process/cwd" 2>/dev/null) in
		"$SERVICES_DIR"/*) return 1 ;;
		esac
	done
}

# HUP: it ends, and each runsv with it once its service and log have ended.
end_own_runsvdir() {
	for process in /proc/[0-9]*; do
		[ "$(cat "$process/comm" 2>/dev/null)" = runsvdir ] || continue
		[ "$(scan_folder "$process")" = "$SERVICES_DIR" ] || continue
		kill -HUP "${process#/proc/}" 2>/dev/null || :
		wait_for has_ended "$process" || :
	done
}
