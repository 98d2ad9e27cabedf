#!/bin/bash
# peer-exim.sh start MODE | stop | reset | list | qlen     MODE: accept (queue only) | deliver (at once, -q1m beside)
# shellcheck disable=SC2086,SC2046,SC2016,SC2034,SC2013,SC2162
. "$(dirname "$0")/lab.sh"
P=exim R=$MB/exim
conf() {
	{ for ((i = 1; i <= 200; i++)); do echo "d$i.many.test: 127.0.2.$i"; done; } >"$R/etc/exim4/many"
	for ((u = 0; u < USERS; u++)); do echo "u$u: u$u"; done >"$R/etc/exim4/users"
	cat >"$R/etc/exim4/exim4.conf" <<-X
	primary_hostname = mail.local.test
	domainlist local_domains = local.test
	acl_smtp_rcpt = acl_ok
	acl_smtp_data = acl_ok
	local_interfaces = 0.0.0.0
	disable_ipv6
	host_lookup =
	dns_again_means_nonexist = *
	rfc1413_hosts =
	tls_advertise_hosts =
	log_file_path = /var/log/exim4/%slog
	log_selector = -queue_run -retry_defer
	message_logs = false
	split_spool_directory
	check_spool_space = 0
	check_spool_inodes = 0
	smtp_accept_max = ${PROCS:-300}
	smtp_accept_max_nonmail = 1000000
	smtp_accept_max_per_connection = 0
	smtp_accept_queue_per_connection = 0
	smtp_connect_backlog = 1024
	smtp_receive_timeout = 1h
	smtp_check_spool_space = false
	queue_run_max = 20
	remote_max_parallel = 20
	recipients_max = 2000
	never_users =
	$([ "$1" = accept ] && echo queue_only)

	begin acl
	acl_ok:
	  accept

	begin routers
	one:
	  driver = manualroute
	  domains = one.test
	  route_list = * 127.0.0.2
	  transport = remote
	  self = send
	down:
	  driver = manualroute
	  domains = down.test
	  route_list = * 127.0.0.3
	  transport = down
	  self = send
	many:
	  driver = manualroute
	  domains = *.many.test
	  route_data = \${lookup{\$domain}lsearch{/etc/exim4/many}}
	  transport = remote
	  self = send
	local:
	  driver = accept
	  domains = +local_domains
	  local_parts = lsearch;/etc/exim4/users
	  transport = maildir

	begin transports
	remote:
	  driver = smtp
	  port = 2525
	  allow_localhost
	  hosts_try_prdr =
	  connection_max_messages = 500
	down:
	  driver = smtp
	  port = 2599
	  allow_localhost
	maildir:
	  driver = appendfile
	  directory = /mail/\$local_part_data
	  maildir_format
	  user = vmail
	  group = vmail
	  batch_max = 1

	begin retry
	* * F,2h,15m; G,16h,1h,1.5; F,4d,6h
	X
	chmod 644 "$R/etc/exim4/exim4.conf"
}
case $1 in
start)	lab_root $P exim4-daemon-light strace || exit 1
	lab_up $P; conf "$2"
	if [ "$2" = accept ]; then lab_exec $P /usr/sbin/exim4 -bd; else lab_exec $P /usr/sbin/exim4 -bd -q${QUEUE_RUN:-1m}; fi
	lab_port $P 25 ;;
stop)	lab_down $P ;;
reset)	rm -rf "$R"/var/spool/exim4/{input,msglog,db,gnutls-params*}; rm -f "$R"/var/log/exim4/*
	mkdir -p "$R"/var/spool/exim4/{input,msglog,db}; chroot "$R" chown -R Debian-exim:Debian-exim /var/spool/exim4
	lab_mail $P; sync ;;
list)	lab_exec $P /usr/sbin/exim4 -bp ;;
qlen)	find "$R/var/spool/exim4/input" -name '*-H' | wc -l ;;
version) chroot "$R" dpkg-query -W -f '${Package} ${Version}\n' exim4-daemon-light ;;
esac
