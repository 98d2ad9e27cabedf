# Instances that send to each other, in a network namespace of the test's own: each listens on port 25 of a
# loopback address of its own, a name server on 127.0.0.1, port 53. Needs root. After `load ../lib/suite`.
#
#   pair_net				for setup or setup_file, first: the namespace; $PAIR is a temporary folder
#   pair_names				the lines of standard input become the DNS (name-server.py), also later
#   pair_make NAME ADDRESS.. [-- dawk-init-args..]	the instance NAME, domain NAME.example, hostname mail.NAME.example
#   pair_start NAME ..			the same, and run
#   on NAME COMMAND..			a function of suite.bash, or of the test, about this instance
#   dawk_on NAME ..			`dawk` there
#   send NAME FROM TO..			a message (standard input, or a small one) through its local socket
#   in_net COMMAND..			runs it in the namespace; in_net_background NAME COMMAND.. until pair_stop
#   pair_stop				for teardown
# Everything in there ends with pair_stop; the namespace has no way out (net.bash).
. "${BASH_SOURCE[0]%/*}/net.bash"

pair_net() {
	PAIR=$(mktemp -d "${TMPDIR:-/tmp}/dawk-pair.XXXXXX") || return 1
	chmod 755 "$PAIR"
	mkdir "$PAIR/pids"
	export PAIR SUITE_SERVICES="queued smtpd"
	net_make
}
in_net_background() {
	local name=$1
	shift
	setsid nsenter --net="/proc/$NET_PID/ns/net" "$@" </dev/null >"$PAIR/$name.out" 2>&1 3>&- 4>&- 5>&- 6>&- &
	echo $! >"$PAIR/pids/$name"
}
net_listens() { in_net ss -Hltn "sport = :$2" | grep -qF " $1:$2 "; }	# ADDRESS PORT; IPv6 in brackets

pair_names() {
	cat >"$PAIR/names.part" && mv "$PAIR/names.part" "$PAIR/names"
	[[ ! -e $PAIR/pids/names ]] || return 0
	in_net_background names "$TOOLS/name-server.py" 53 "$PAIR/names"
	wait_until grep -q ready "$PAIR/names.out"
}

pair_make() {
	local name=$1 addresses="" domain=$1.example
	SUITE=$PAIR/$1
	shift
	while [[ $# -gt 0 && $1 != -- ]]; do
		addresses+=" $1:25"
		shift
	done
	shift || :
	"$BIN/dawk" init "$SUITE" --domain "$domain" --hostname "mail.$domain" --resolver 127.0.0.1@53 \
		--set 'dnssec = no' --set "listen-smtp =$addresses" "$@" >"$PAIR/$name.init" 2>&1 || { cat "$PAIR/$name.init"; return 1; }
	printf '%s@%s:%s::::\n' alice "$domain" "$SECRET_HASH" bob "$domain" "$SECRET_HASH" >>"$SUITE/etc/users"
	mkdir "$SUITE/pid" "$SUITE/stderr"
	dawk_on "$name" update >"$SUITE/update.out" 2>&1 || { cat "$SUITE/update.out"; return 1; }
}
pair_start() { pair_make "$@" && on "$1" suite_run; }

on() {
	# shellcheck disable=SC2034	# suite.bash uses it
	local SUITE=$PAIR/$1 DAWK="$BIN/dawk -c $PAIR/$1/etc/dawk.conf"
	shift
	"$@"
}
dawk_on() { local name=$1; shift; "$BIN/dawk" -c "$PAIR/$name/etc/dawk.conf" "$@"; }

send() {
	local name=$1 from=$2
	shift 2
	if [[ -t 0 ]]; then on "$name" send_message "$from" "$@" <<<$'Subject: hi\n\nhello'; else on "$name" send_message "$from" "$@"; fi
}

pair_stop() {
	local name trouble=0
	[[ -n ${PAIR:-} && -d $PAIR ]] || return 0
	for name in "$PAIR"/*/etc/dawk.conf; do
		[[ -e $name ]] || continue
		SUITE=${name%/etc/dawk.conf} SMTP_PORT=0 POP3_PORT=0 suite_stop || trouble=1
	done
	for name in "$PAIR"/pids/*; do
		[[ -e $name ]] && kill -KILL -- "-$(cat "$name")" 2>/dev/null
	done
	kill "$NET_PID" 2>/dev/null
	wait 2>/dev/null
	rm -rf "$PAIR"
	return $trouble
}

# ---- in place of suite.bash's: this instance's domain, the namespace ----

maildir_of() { echo "$SUITE/mail/${SUITE##*/}.example/$1"; }
talk() { "$TOOLS/talk.py" "$SUITE/run/submit"; }

suite_run_service() {
	local before
	before=$(parts_started "$1")
	[[ $1 != queued ]] || rm -f "$SUITE/run/queued"
	setsid nsenter --net="/proc/$NET_PID/ns/net" "$BIN/$1" -c "$SUITE/etc/dawk.conf" \
		</dev/null >>"$SUITE/stderr/$1" 2>&1 3>&- 4>&- 5>&- 6>&- &
	echo $! >"$SUITE/pid/$1"
	wait_until suite_is_ready_or_dead "$1"
	suite_is_running "$1" || { echo "$1 did not start:"; suite_log "$1"; return 1; }
}
suite_is_ready_or_dead() {
	suite_is_running "$1" || return 0
	has_told_its_parts "$1" || return 1
	case $1 in
	smtpd)	smtpd_listens ;;
	queued)	[[ -S $SUITE/run/queued ]] ;;
	esac
}
smtpd_listens() {
	local at
	for at in $("$BIN/dawk" -c "$SUITE/etc/dawk.conf" config listen-smtp); do
		net_listens "${at%:*}" "${at##*:}" || return 1
	done
	[[ -S $SUITE/run/submit ]]
}
