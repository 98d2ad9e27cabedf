#!/bin/bash
# target-ours.sh start MODE | stop | reset | list | qlen      dawk in the lab, with the peers' verbs
# target-ours.sh fill COUNT | queued up | dawk ARG..          and its own: deferred messages for down.test, made while queued is down
#   start accept    smtpd alone on port 25: queue durably, deliver nothing
#   start deliver   the whole suite: u0..u99@local.test in /mail/uN (uid 5000); one.test to 127.0.0.2:2525,
#                   d1..d200.many.test to 127.0.2.1..200:2525, down.test to 127.0.0.3:2599
#   start pop3      the same, with port 110, password pw
# DAWK_SRC: a built checkout (default: the current directory). OURS_SET: one more setting ("sync = filesystem"). SITE: a line of the site table ("* concurrency=100"). SMTPDS and PROCS hold the wished connection limits.
# shellcheck disable=SC2086,SC2046,SC2016,SC2034,SC2013,SC2162
. "$(dirname "$0")/lab.sh"
P=ours R=$MB/ours SRC=${DAWK_SRC:-$PWD} D=/srv/dawk
dawk() { lab_exec $P /opt/dawk/bin/dawk -c $D/etc/dawk.conf "$@"; }
conf() {
	rm -rf "$R$D" "$R/opt/dawk"; mkdir -p "$R/opt/dawk" "$R/srv"; cp -a "${BUILD:-$SRC/build}/bin" "$R/opt/dawk/bin"
	lab_exec $P /opt/dawk/bin/dawk init $D --domain local.test --hostname mail.local.test --smtp 0.0.0.0:25 --pop3 0.0.0.0:110 \
		--resolver 127.0.0.1@53 --set 'relay-networks = 127.0.0.0/8' --set 'dnssec = no' --set 'smtp-timeout = 1h' \
		--set 'client-limit = 20000' --set 'recipient-limit = 2000' ${OURS_SET:+--set "$OURS_SET"} || return 1
	for ((u = 0; u < 200; u++)); do echo "u$u@local.test:$LAB_HASH:5000:5000:/mail/u$u:"; done >>"$R$D/etc/users"
	{ echo 'one.test smtp:[127.0.0.2]:2525'; echo 'down.test smtp:[127.0.0.3]:2599'
	  for ((i = 1; i <= 200; i++)); do echo "d$i.many.test smtp:[127.0.2.$i]:2525"; done; } >"$R$D/etc/routes"
	echo "$SITE" >>"$R$D/etc/site"
	dawk update || return 1
	[ "$1" = accept ] && touch "$R$D/service/queued/down"
	[ "$1" = pop3 ] || touch "$R$D/service/pop3d/down"; :
}
case $1 in
start)	lab_root $P runit strace libgnutls30 libunbound8 libidn2-0 libpsl5 libcdb1 libcrypt1 dns-root-data || exit 1
	lab_up $P; [ -d "$R$D" ] || conf "$2" || exit 1
	lab_exec $P sh -c "ulimit -n 20000; exec setsid runsvdir $D/service" >"$MB/ours.log" 2>&1 </dev/null &
	lab_port $P 25 && { [ "$2" != pop3 ] || lab_port $P 110; } ;;
stop)	lab_down $P ;;
reset)	rm -rf "$R$D"; lab_mail $P; sync ;;
list)	dawk queue list ;;
fill)	"${BUILD:-$SRC/build}/bench/mkqueue" -n "$2" -w 14000 "$R$D/queue" 'user%@down.test' ;;
queued)	lab_exec $P sv "$2" $D/service/queued >/dev/null
	[ "$2" = up ] || exit 0
	for i in $(seq 600); do dawk status 2>/dev/null | grep -q reading=no && exit; sleep 0.1; done; exit 1 ;;
dawk)	shift; dawk "$@" ;;
qlen)	find "$R$D"/queue/{new,cur,hold} -type f 2>/dev/null | wc -l ;;
version) "${BUILD:-$SRC/build}/bin/dawk" -V ;;
esac
