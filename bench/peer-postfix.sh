#!/bin/bash
# peer-postfix.sh start MODE | stop | reset | list | qlen     MODE: accept (messages held) | deliver
# shellcheck disable=SC2086,SC2046,SC2016,SC2034,SC2013,SC2162
. "$(dirname "$0")/lab.sh"
P=postfix R=$MB/postfix
conf() {
	cat >"$R/etc/postfix/main.cf" <<-X
	compatibility_level = 3.6
	myhostname = mail.local.test
	mydestination =
	mynetworks = 127.0.0.0/8
	inet_interfaces = all
	inet_protocols = ipv4
	maillog_file = /var/log/mail.log
	smtputf8_enable = no
	biff = no
	# no DNS on loopback, no per-client limits, no throttle of input against delivery
	smtpd_peername_lookup = no
	smtp_dns_support_level = disabled
	smtp_host_lookup = native
	smtpd_client_connection_count_limit = 0
	smtpd_recipient_limit = 2000
	smtpd_timeout = 3600
	in_flow_delay = 0
	smtp_tls_security_level = none
	smtpd_tls_security_level = none
	# concurrency
	default_process_limit = ${PROCS:-100}
	initial_destination_concurrency = 20
	default_destination_concurrency_limit = 100
	default_destination_rate_delay = 0
	virtual_mailbox_domains = local.test
	virtual_mailbox_base = /mail
	virtual_mailbox_maps = texthash:/etc/postfix/vmailbox
	virtual_uid_maps = static:5000
	virtual_gid_maps = static:5000
	virtual_mailbox_limit = 0
	transport_maps = texthash:/etc/postfix/transport
	smtpd_relay_restrictions = permit_mynetworks, reject
	X
	[ "$1" = accept ] && echo 'smtpd_client_restrictions = static:hold' >>"$R/etc/postfix/main.cf"
	[ -e "$R/etc/postfix/master.cf.dist" ] || cp "$R/etc/postfix/master.cf" "$R/etc/postfix/master.cf.dist"
	awk -v m="${SMTPDS:-300}" '/^[a-z]/ && $2 ~ /^(inet|unix|unix-dgram)$/ && $5 == "y" {$5 = "n"} $1=="smtp" && $2=="inet" {$7 = m} {print}' \
		"$R/etc/postfix/master.cf.dist" >"$R/etc/postfix/master.cf"
	for ((u = 0; u < USERS; u++)); do echo "u$u@local.test u$u/"; done >"$R/etc/postfix/vmailbox"
	{ echo 'one.test smtp:[127.0.0.2]:2525'; echo 'down.test smtp:[127.0.0.3]:2599'
	  for ((i = 1; i <= 200; i++)); do echo "d$i.many.test smtp:[127.0.2.$i]:2525"; done; } >"$R/etc/postfix/transport"
}
case $1 in
start)	lab_root $P postfix strace || exit 1
	lab_up $P; conf "$2"
	lab_exec $P /usr/sbin/postfix start >/dev/null 2>&1; lab_port $P 25 ;;
stop)	[ -e "$MB/$P.pid1" ] && lab_exec $P /usr/sbin/postfix stop >/dev/null 2>&1; lab_down $P ;;
reset)	for q in incoming active deferred defer hold bounce corrupt maildrop trace; do
		find "$R/var/spool/postfix/$q" -type f -delete 2>/dev/null; done
	: >"$R/var/log/mail.log"; lab_mail $P; sync ;;
list)	lab_exec $P /usr/sbin/postqueue -p ;;
qlen)	find "$R"/var/spool/postfix/{incoming,active,deferred,hold} -type f | wc -l ;;
version) chroot "$R" dpkg-query -W -f '${Package} ${Version}\n' postfix ;;
esac
