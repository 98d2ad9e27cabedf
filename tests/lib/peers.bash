# Other mail servers as counterparts: Debian's packages, unpacked below build/peers and never installed.
#
#   peer_fetch PACKAGE..		once; $PEERS/PACKAGE holds its files
#   peer_sink ADDRESS:PORT FOLDER [option..]	postfix's smtp-sink in the namespace (pair.bash); a file a message in FOLDER
#   peer_exim ADDRESS FOLDER		Exim on port 25 there; mail for anybody at exim.example into FOLDER/mail/new
#   peer_lmtp PLACE FOLDER		aiosmtpd's LMTP (tests/tool/lmtp-host.py)
PEERS=${PEERS:-$ROOT/build/peers}

peer_fetch() {
	local name
	mkdir -p "$PEERS"
	for name; do
		( flock 9 && peer_unpack "$name" ) 9>"$PEERS/lock" || return 1	# two files may want the same one
	done
}
peer_unpack() {
	local part=$PEERS/$1.part
	[[ ! -d $PEERS/$1 ]] || return 0
	rm -rf "$part"
	mkdir -p "$part/deb"
	(
		cd "$part/deb" || exit 1
		"$TOOLS/fetch-package" "$1"
	) >"$PEERS/$1.log" 2>&1 || { cat "$PEERS/$1.log"; return 1; }
	dpkg-deb -x "$part"/deb/*.deb "$part" || return 1
	find "$part" -type f -perm /6000 -exec chmod ug-s {} +	# no rights beyond the caller's
	mv "$part" "$PEERS/$1"
}

peer_sink() {
	local at=$1 folder=$2
	shift 2
	mkdir -p "$folder"
	chmod 777 "$folder"
	in_net_background "sink-${at%:*}" env "LD_LIBRARY_PATH=$PEERS/postfix/usr/lib/postfix" \
		"$PEERS/postfix/usr/sbin/smtp-sink" -u nobody -h sink.example -d "$folder/%s." "$@" "$at" 1000
	wait_until net_listens "${at%:*}" "${at##*:}"
}

# Exim looks its own account up by name.
peer_exim() {
	mkdir -p "$2/spool" "$2/mail"
	chmod 777 "$2/mail"
	{ cat /etc/passwd; echo "Debian-exim:x:$(id -u nobody):$(id -g nobody)::/nonexistent:/usr/sbin/nologin"; } >"$2/passwd"
	{ cat /etc/group; echo "Debian-exim:x:$(id -g nobody):"; } >"$2/group"
	chown nobody "$2" "$2/spool"
	cat >"$2/exim.conf" <<-EOF
		exim_path = $PEERS/exim4-daemon-light/usr/sbin/exim4
		spool_directory = $2/spool
		log_file_path = $2/exim.%slog
		pid_file_path = $2/exim.pid
		primary_hostname = mail.exim.example
		keep_environment = ^LD_PRELOAD : ^NSS_WRAPPER
		local_interfaces = $1
		daemon_smtp_ports = 25
		tls_advertise_hosts =
		dsn_advertise_hosts = *
		message_size_limit = 1M
		acl_smtp_rcpt = rcpt
		acl_smtp_data = content
		begin acl
		rcpt:
		  deny local_parts = nobody
		       message = no such user in Exim
		  accept
		content:
		  accept
		begin routers
		all:
		  driver = accept
		  transport = maildir
		begin transports
		maildir:
		  driver = appendfile
		  directory = $2/mail
		  maildir_format
		  user = nobody
		  group = $(id -gn nobody)
	EOF
	in_net_background exim env LD_PRELOAD=libnss_wrapper.so NSS_WRAPPER_PASSWD="$2/passwd" NSS_WRAPPER_GROUP="$2/group" \
		"$PEERS/exim4-daemon-light/usr/sbin/exim4" -C "$2/exim.conf" -bdf -q1h
	wait_until net_listens "$1" 25
}

peer_lmtp() {
	mkdir -p "$2"
	in_net_background "lmtp-${1##*/}" env \
		"PYTHONPATH=$PEERS/python3-aiosmtpd/usr/lib/python3/dist-packages:$PEERS/python3-attr/usr/lib/python3/dist-packages:$PEERS/python3-public/usr/lib/python3/dist-packages" \
		"$TOOLS/lmtp-host.py" "$1" "$2"
	wait_until grep -q ready "$PAIR/lmtp-${1##*/}.out"
}

# A server that wants its files and accounts in their places: it alone sees its packages laid over the host's /usr, and an
# /etc, /var and /run of its own over the host's.
#	peer_in_places NAME FOLDER 'PACKAGE ..' COMMAND..	in the namespace; accounts of FOLDER/passwd.add, FOLDER/group.add; what
#								lies in FOLDER/etc and FOLDER/var is there
peer_in_places() {
	local name=$1 folder=$2 lower="" package
	for package in $3; do lower+=$PEERS/$package/usr:; done
	shift 3
	mkdir -p "$folder/etc" "$folder/var" "$folder/over"
	cat /etc/passwd "$folder/passwd.add" >"$folder/etc/passwd"
	cat /etc/group "$folder/group.add" >"$folder/etc/group"
	# shellcheck disable=SC2016
	in_net_background "$name" unshare -m sh -c '
		folder=$1 lower=$2
		shift 2
		mount -t tmpfs -o mode=755 tmpfs "$folder/over" && mkdir "$folder/over/etc.work" "$folder/over/var.work" &&
		cp -a "$folder/etc" "$folder/var" "$folder/over/" &&
		mount -t overlay overlay -o "lowerdir=$lower/usr" /usr &&
		mount -t overlay overlay -o "lowerdir=/etc,upperdir=$folder/over/etc,workdir=$folder/over/etc.work" /etc &&
		mount -t overlay overlay -o "lowerdir=/var,upperdir=$folder/over/var,workdir=$folder/over/var.work" /var &&
		mount -t tmpfs -o mode=755 tmpfs /run && exec "$@"' in_places "$folder" "$lower" "$@"
}

#	peer_dovecot ADDRESS FOLDER	Dovecot's LMTP on port 24 there and FOLDER/lmtp.socket: alice, bob, full (over quota) at
#					dovecot.example; mail in FOLDER/mail/USER/new, FOLDER/log
peer_dovecot() {
	local name
	mkdir -p "$2/mail"
	chmod 755 "$2"
	echo 'dovecot:x:60901:60901::/nonexistent:/usr/sbin/nologin
dovenull:x:60902:60902::/nonexistent:/usr/sbin/nologin
vmail:x:60903:60903::/nonexistent:/usr/sbin/nologin' >"$2/passwd.add"
	printf '%s:x:%s:\n' dovecot 60901 dovenull 60902 vmail 60903 >"$2/group.add"
	for name in alice bob; do echo "$name@dovecot.example::60903:60903::$2/mail/$name::"; done >"$2/users"
	echo "full@dovecot.example::60903:60903::$2/mail/full::userdb_quota_rule=*:storage=1B" >>"$2/users"
	chown 60903:60903 "$2/mail"
	cat >"$2/dovecot.conf" <<-END
		base_dir = $2/run
		state_dir = $2/run
		log_path = $2/log
		protocols = lmtp
		listen = $1
		ssl = no
		hostname = mail.dovecot.example
		postmaster_address = postmaster@dovecot.example
		mail_location = maildir:~
		mail_plugins = quota
		plugin {
		  quota = maildir:User quota
		}
		passdb {
		  driver = static
		  args = nopassword=y
		}
		userdb {
		  driver = passwd-file
		  args = username_format=%u $2/users
		}
		service lmtp {
		  inet_listener lmtp {
		    address = $1
		    port = 24
		  }
		  unix_listener $2/lmtp.socket {
		    mode = 0666
		  }
		}
		service stats {
		  client_limit = 100
		}
	END
	peer_in_places dovecot "$2" 'dovecot-core dovecot-lmtpd' /usr/sbin/dovecot -F -c "$2/dovecot.conf"
	wait_until net_listens "$1" 24
}

#	peer_opensmtpd ADDRESS FOLDER	OpenSMTPD on port 25 there; alice and bob at opensmtpd.example into FOLDER/mail/USER/new
peer_opensmtpd() {
	mkdir -p "$2/mail" "$2/var/spool/smtpd" "$2/etc"
	chmod 755 "$2"
	chmod 711 "$2/var/spool/smtpd"
	echo 'opensmtpd:x:60911:60911::/var/empty:/usr/sbin/nologin
opensmtpq:x:60912:60912::/var/empty:/usr/sbin/nologin
vmail:x:60913:60913::/nonexistent:/usr/sbin/nologin' >"$2/passwd.add"
	printf '%s:x:%s:\n' opensmtpd 60911 opensmtpq 60912 vmail 60913 >"$2/group.add"
	mkdir -p "$2/var/empty" "$2/var/lib/opensmtpd/empty"
	chown 60913:60913 "$2/mail"
	cat >"$2/etc/smtpd.conf" <<-END
		table users { "alice" = "vmail", "bob" = "vmail" }
		listen on $1 port 25 hostname mail.opensmtpd.example
		action "local" maildir "$2/mail/%{dest.user}" user vmail virtual <users>
		match from any for domain "opensmtpd.example" action "local"
	END
	chmod 640 "$2/etc/smtpd.conf"
	peer_in_places opensmtpd "$2" opensmtpd /usr/sbin/smtpd -d
	wait_until net_listens "$1" 25
}
