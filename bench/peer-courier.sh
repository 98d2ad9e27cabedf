#!/bin/bash
# peer-courier.sh start | stop | reset      courier-pop with userdb, maildirs /mail/uN, every user's password is pw
# shellcheck disable=SC2086,SC2046,SC2016,SC2034,SC2013,SC2162
. "$(dirname "$0")/lab.sh"
P=courier R=$MB/courier
conf() {
	local h; h=$(perl -e 'print crypt("pw", "ab")')
	rm -rf "$R/etc/courier/userdb"
	for ((u = 0; u < USERS; u++)); do printf 'u%d\thome=/mail/u%d|mail=/mail/u%d|uid=5000|gid=5000|systempw=%s\n' $u $u $u "$h"
	done >"$R/etc/courier/userdb"; chmod 600 "$R/etc/courier/userdb"
	sed -i 's/^authmodulelist=.*/authmodulelist="authuserdb"/; s/^daemons=.*/daemons=5/' "$R/etc/courier/authdaemonrc"
	sed -i 's/^MAXDAEMONS=.*/MAXDAEMONS=1100/; s/^MAXPERIP=.*/MAXPERIP=1100/; s/^ADDRESS=.*/ADDRESS=127.0.0.1/' "$R/etc/courier/pop3d"
	grep -q '^TCPDOPTS.*-maxprocs' "$R/etc/courier/pop3d" || sed -i 's/^TCPDOPTS="/&-listenbacklog=1024 /; s/-listenbacklog=1024 //' "$R/etc/courier/pop3d"
}
case $1 in
start)	lab_root $P "courier-pop courier-authlib-userdb busybox-syslogd" || exit 1
	lab_up $P; conf
	lab_exec $P sh -c 'mkdir -p /run/courier/authdaemon; chown -R courier:courier /run/courier; chmod 750 /run/courier/authdaemon
		busybox syslogd -O /var/log/mail.log -s 0; makeuserdb
		/usr/sbin/courierlogger -pid=/run/courier/authdaemon/pid -facility=mail -start /usr/lib/courier/courier-authlib/authdaemond
		sleep 0.5; /usr/sbin/pop3d start' >/dev/null 2>&1; lab_port $P 110 ;;
stop)	lab_down $P ;;
reset)	: >"$R/var/log/mail.log"; lab_mail $P; sync ;;
version) chroot "$R" dpkg-query -W -f '${Package} ${Version}\n' courier-pop ;;
esac
