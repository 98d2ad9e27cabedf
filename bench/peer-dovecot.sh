#!/bin/bash
# peer-dovecot.sh start | stop | reset      POP3 only, maildirs /mail/uN, every user's password is pw
# shellcheck disable=SC2086,SC2046,SC2016,SC2034,SC2013,SC2162
. "$(dirname "$0")/lab.sh"
P=dovecot R=$MB/dovecot
conf() {
	local u
	for ((u = 0; u < USERS; u++)); do echo "u$u:$LAB_HASH"; done >"$R/etc/dovecot/passwords"
	chmod 644 "$R/etc/dovecot/passwords"
	cat >"$R/etc/dovecot/dovecot.conf" <<-X
	protocols = pop3
	listen = 0.0.0.0
	ssl = no
	disable_plaintext_auth = no
	auth_mechanisms = plain
	log_path = /var/log/dovecot.log
	mail_location = maildir:/mail/%u
	first_valid_uid = 100
	mail_max_userip_connections = 0
	maildir_very_dirty_syncs = yes
	pop3_no_flag_updates = ${POP3_NOFLAG:-no}
	passdb {
	  driver = passwd-file
	  args = scheme=CRYPT /etc/dovecot/passwords
	}
	userdb {
	  driver = static
	  args = uid=5000 gid=5000 home=/mail/%u
	}
	default_client_limit = 5000
	service pop3-login {
	  service_count = 0
	  process_min_avail = 2
	  inet_listener pop3 {
	    port = 110
	  }
	  inet_listener pop3s {
	    port = 0
	  }
	}
	service pop3 {
	  process_limit = 1100
	  service_count = 1000
	}
	service anvil {
	  client_limit = 5000
	}
	service auth {
	  client_limit = 10000
	}
	X
}
case $1 in
start)	lab_root $P dovecot-pop3d strace || exit 1
	lab_up $P; conf; lab_exec $P /usr/sbin/dovecot >/dev/null 2>&1; lab_port $P 110 ;;
stop)	lab_down $P ;;
reset)	: >"$R/var/log/dovecot.log"; lab_mail $P; sync ;;
version) chroot "$R" dpkg-query -W -f '${Package} ${Version}\n' dovecot-pop3d ;;
esac
