#!/bin/bash
# peer-opensmtpd.sh start MODE | stop | reset | list | qlen     MODE: accept (mda and mta paused) | deliver
# shellcheck disable=SC2086,SC2046,SC2016,SC2034,SC2013,SC2162
. "$(dirname "$0")/lab.sh"
P=opensmtpd R=$MB/opensmtpd
conf() {
	{ cat <<-X
	table vusers { "@" = vmail }
	smtp limit max-mails 1000000
	smtp limit max-rcpt 2000
	mta limit max-conn-per-host ${CONC:-100} max-conn-per-route ${CONC:-100} max-conn-per-connector ${CONC:-100} max-conn-per-source 1000
	mta limit max-conn-per-relay 1000 max-conn-per-domain 1000 session-mail-max 1000 session-transaction-delay 0
	mta limit conn-delay-host 0 conn-delay-source 0 conn-delay-connector 0 conn-delay-relay 0 conn-delay-domain 0 reconn-delay-route 0
	scheduler limit max-inflight 50000
	listen on 0.0.0.0 port 25 hostname mail.local.test no-dsn
	action "local" maildir "/mail/%{dest.user:lowercase}" user vmail virtual <vusers>
	action "one" relay host smtp://127.0.0.2:2525
	action "down" relay host smtp://127.0.0.3:2599
	X
	for ((i = 1; i <= 200; i++)); do echo "action \"d$i\" relay host smtp://127.0.2.$i:2525"; done
	echo 'match from any for domain "local.test" action "local"'
	echo 'match from any for domain "one.test" action "one"'
	echo 'match from any for domain "down.test" action "down"'
	for ((i = 1; i <= 200; i++)); do echo "match from any for domain \"d$i.many.test\" action \"d$i\""; done
	} >"$R/etc/smtpd.conf"
}
case $1 in
start)	lab_root $P opensmtpd strace || exit 1
	echo 'lookup file' >"$R/etc/resolv.conf"     # no reverse DNS of loopback clients
	lab_up $P; conf
	# -d logs to the file (there is no syslogd in the lab)
	lab_exec $P sh -c 'exec /usr/sbin/smtpd -d >>/var/log/mail.log 2>&1 </dev/null' &
	lab_port $P 25
	[ "$2" = accept ] && { lab_exec $P smtpctl pause mda; lab_exec $P smtpctl pause mta; } >/dev/null; : ;;
stop)	lab_down $P ;;
reset)	rm -rf "$R"/var/spool/smtpd/{queue,incoming,corrupt,offline,purge,temporary}; mkdir -p "$R/var/spool/smtpd"; chmod 711 "$R/var/spool/smtpd"
	: >"$R/var/log/mail.log"; lab_mail $P; sync ;;
list)	lab_exec $P smtpctl show queue ;;
qlen)	find "$R/var/spool/smtpd/queue" -name '*.[0-9a-f]*' -o -type f ! -name message 2>/dev/null | wc -l ;;
version) chroot "$R" dpkg-query -W -f '${Package} ${Version}\n' opensmtpd ;;
esac
