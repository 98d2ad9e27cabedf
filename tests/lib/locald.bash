# shellcheck disable=SC2119,SC2120	# the message is the caller's or the usual one
# locald alone, with tests/tool/locald_driver in queued's place. After `load ../lib/suite`.
#
#   locald_make [dawk-init-args..]	an instance; $SUITE/message holds what is delivered
#   locald_message [-]			sets the content: from standard input (LF becomes CRLF), or a small one
#   deliver [driver-options..] ADDRESS..	runs locald for one message; prints its results
#   deliver_in_background NAME ..	the same; results in $SUITE/NAME, pid in $driver: `wait` for it
#   home_of NAME			an account of the system for locald, with this home
#   users_add LINE.. / aliases_add LINE..	and `dawk update`
# Owners: $VIRTUAL (mailboxes), $PROGRAMS (aliases), uids.

locald_make() {
	suite_make "$@" || return 1
	VIRTUAL=$(id -u) PROGRAMS=$VIRTUAL
	if [[ $VIRTUAL == 0 ]]; then VIRTUAL=$(id -u dawkm) PROGRAMS=$(id -u dawkx); fi
	chmod 755 "$SUITE"
	locald_message </dev/null
	mkdir -p "$SUITE/out" "$SUITE/home"
	chmod 1777 "$SUITE/out"
	cp /etc/passwd "$SUITE/passwd"
	cp /etc/group "$SUITE/group"
}

users_add() { printf '%s\n' "$@" >>"$SUITE/etc/users" && $DAWK update >/dev/null; }
aliases_add() { printf '%s\n' "$@" >>"$SUITE/etc/aliases" && $DAWK update >/dev/null; }

locald_message() {
	if [[ ${1:-} == - ]]; then sed 's/$/\r/'; else printf 'From: bob@client.example\r\nSubject: hi\r\n\r\nhello\r\n'; fi >"$SUITE/message"
}

home_of() {
	local uid=$((61000 + $(wc -l <"$SUITE/passwd")))
	[[ $(id -u) == 0 ]] || uid=$(id -u)
	HOME_OF=$SUITE/home/$1
	mkdir -p "$HOME_OF"
	printf '%s:x:%s:%s::%s:/bin/sh\n' "$1" "$uid" "$uid" "$HOME_OF" >>"$SUITE/passwd"
	chown "$uid:$uid" "$HOME_OF"
}
forward_of() { cat >"$SUITE/home/$1/.forward" && chmod 600 "$SUITE/home/$1/.forward" && chown --reference="$SUITE/home/$1" "$SUITE/home/$1/.forward"; }

deliver() {
	local options=()
	while [[ $1 == -* ]]; do
		options+=("$1")
		[[ $1 == -[qwi] ]] || { options+=("$2"); shift; }
		shift
	done
	env ASAN_OPTIONS="$ASAN_OPTIONS:verify_asan_link_order=0" LD_PRELOAD=libnss_wrapper.so \
		NSS_WRAPPER_DISABLE_DEEPBIND=1 NSS_WRAPPER_PASSWD="$SUITE/passwd" NSS_WRAPPER_GROUP="$SUITE/group" \
		timeout 120 "$BIN/../tool/locald_driver" "${options[@]}" "$BIN/locald" "$SUITE/etc/dawk.conf" "$SUITE/message" "$@" \
		2>>"$SUITE/stderr/locald" 3>&- 4>&-
}

deliver_in_background() {
	local name=$1
	shift
	deliver "$@" >"$SUITE/$name" </dev/null &
	driver=$!
}

# The processes of this instance's locald: itself first, then what it forked, but for the helpers, which have names of their own.
locald_processes() {
	local pid
	for pid in $(pgrep -f -- "^locald -c $SUITE/"); do [[ $(cat "/proc/$pid/comm" 2>/dev/null) != locald ]] || echo "$pid"; done
}
