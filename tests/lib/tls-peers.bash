# Other mail servers with TLS as counterparts, in the namespace of pair.bash; packages by peers.bash.
#
#   peer_postfix ADDRESS FOLDER PEM [name=value..]	Postfix, takes mail for anybody at postfix.example: FOLDER/mail/new; FOLDER/log
#   peer_exim_tls ADDRESS PORT FOLDER PEM		Exim, takes mail for anybody from who logs in (customer, "open sesame")

# Accounts that a server looks up by name, which this machine does not have.
peer_accounts() {	# FOLDER NAME..
	local folder=$1 name
	shift
	cat /etc/passwd >"$folder/passwd" && cat /etc/group >"$folder/group"
	for name; do
		echo "$name:x:$((64000 + ${#name})):$((64000 + ${#name}))::/nonexistent:/usr/sbin/nologin" >>"$folder/passwd"
		echo "$name:x:$((64000 + ${#name})):" >>"$folder/group"
	done
}

peer_postfix() {
	local address=$1 folder=$2 pem=$3 files=$PEERS/postfix setting
	shift 3
	mkdir -p "$folder/conf" "$folder/queue" "$folder/data" "$folder/mail"
	chmod 777 "$folder/mail"
	peer_accounts "$folder" postfix postdrop
	chown 64007 "$folder/data"
	cat >"$folder/conf/main.cf" <<-EOF
		compatibility_level = 3.6
		queue_directory = $folder/queue
		data_directory = $folder/data
		command_directory = $files/usr/sbin
		daemon_directory = $files/usr/lib/postfix/sbin
		shlib_directory = $files/usr/lib/postfix
		meta_directory = $folder/conf
		mail_owner = postfix
		setgid_group = postdrop
		maillog_file = $folder/log
		maillog_file_prefixes = $folder
		myhostname = mail.postfix.example
		mydestination =
		mynetworks = 127.0.0.0/8
		inet_interfaces = all
		inet_protocols = ipv4
		import_environment = MAIL_CONFIG=$folder/conf LD_LIBRARY_PATH=$files/usr/lib/postfix LD_PRELOAD=libnss_wrapper.so NSS_WRAPPER_PASSWD=$folder/passwd NSS_WRAPPER_GROUP=$folder/group
		virtual_mailbox_domains = postfix.example
		virtual_mailbox_base = $folder/mail
		virtual_mailbox_maps = static:./
		virtual_uid_maps = static:64007
		virtual_gid_maps = static:64007
		virtual_minimum_uid = 1
		smtpd_tls_chain_files = $pem
		smtpd_tls_security_level = may
		smtpd_tls_loglevel = 1
		smtpd_tls_received_header = yes
		smtpd_relay_restrictions = permit_mynetworks reject
		smtputf8_enable = no
		alias_maps =
	EOF
	for setting; do echo "$setting" >>"$folder/conf/main.cf"; done
	cat >"$folder/conf/master.cf" <<-EOF
		$address:25 inet n - n - - smtpd
		cleanup unix n - n - 0 cleanup
		qmgr unix n - n 300 1 qmgr
		tlsmgr unix - - n 1000? 1 tlsmgr
		rewrite unix - - n - - trivial-rewrite
		bounce unix - - n - 0 bounce
		defer unix - - n - 0 bounce
		trace unix - - n - 0 bounce
		virtual unix - n n - - virtual
		anvil unix - - n - 1 anvil
		proxymap unix - - n - - proxymap
		postlog unix-dgram n - n - 1 postlogd
		error unix - - n - - error
		retry unix - - n - - error
	EOF
	mkdir -p "$folder"/queue/{active,bounce,corrupt,defer,deferred,flush,hold,incoming,maildrop,pid,private,public,saved,trace}
	chown -R 64007 "$folder"/queue/{active,bounce,corrupt,defer,deferred,flush,hold,incoming,private,public,saved,trace}
	chown 64007:64008 "$folder"/queue/{maildrop,public}
	chmod 1730 "$folder/queue/maildrop"
	chmod 700 "$folder"/queue/{active,bounce,corrupt,defer,deferred,flush,hold,incoming,private,saved,trace}
	chmod 2710 "$folder/queue/public"
	in_net_background "postfix" env MAIL_CONFIG="$folder/conf" LD_LIBRARY_PATH="$files/usr/lib/postfix" LD_PRELOAD=libnss_wrapper.so \
		NSS_WRAPPER_PASSWD="$folder/passwd" NSS_WRAPPER_GROUP="$folder/group" "$files/usr/lib/postfix/sbin/master" -c "$folder/conf" -d
	wait_until net_listens "$address" 25
}

peer_exim_tls() {
	local address=$1 port=$2 folder=$3 pem=$4
	mkdir -p "$folder/spool" "$folder/mail"
	chmod 777 "$folder/mail"
	{ cat /etc/passwd; echo "Debian-exim:x:$(id -u nobody):$(id -g nobody)::/nonexistent:/usr/sbin/nologin"; } >"$folder/passwd"
	{ cat /etc/group; echo "Debian-exim:x:$(id -g nobody):"; } >"$folder/group"
	cp "$pem" "$folder/pem"
	chown nobody "$folder" "$folder/spool" "$folder/pem"
	cat >"$folder/exim.conf" <<-EOF
		exim_path = $PEERS/exim4-daemon-light/usr/sbin/exim4
		spool_directory = $folder/spool
		log_file_path = $folder/exim.%slog
		pid_file_path = $folder/exim.pid
		primary_hostname = smart.exim.example
		keep_environment = ^LD_PRELOAD : ^NSS_WRAPPER
		local_interfaces = $address
		daemon_smtp_ports = $port
		tls_advertise_hosts = *
		tls_certificate = $folder/pem
		auth_advertise_hosts = \${if def:tls_in_cipher {*}{}}
		log_selector = +tls_cipher
		acl_smtp_rcpt = rcpt
		acl_smtp_data = content
		begin acl
		rcpt:
		  accept authenticated = *
		  deny message = log in first
		content:
		  accept
		begin routers
		all:
		  driver = accept
		  transport = maildir
		begin transports
		maildir:
		  driver = appendfile
		  directory = $folder/mail
		  maildir_format
		  user = nobody
		  group = $(id -gn nobody)
		begin authenticators
		plain:
		  driver = plaintext
		  public_name = PLAIN
		  server_set_id = \$auth2
		  server_condition = \${if and {{eq{\$auth2}{customer}}{eq{\$auth3}{open sesame}}}}
		login:
		  driver = plaintext
		  public_name = LOGIN
		  server_prompts = Username:: : Password::
		  server_set_id = \$auth1
		  server_condition = \${if and {{eq{\$auth1}{customer}}{eq{\$auth2}{open sesame}}}}
	EOF
	in_net_background exim env LD_PRELOAD=libnss_wrapper.so NSS_WRAPPER_PASSWD="$folder/passwd" NSS_WRAPPER_GROUP="$folder/group" \
		"$PEERS/exim4-daemon-light/usr/sbin/exim4" -C "$folder/exim.conf" -bdf -q1h
	wait_until net_listens "$address" "$port"
}
