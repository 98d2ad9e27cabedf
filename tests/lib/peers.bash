# Other mail servers as counterparts: Debian's packages, unpacked below build/peers and never installed.
#
#   peer_fetch PACKAGE..		once; $PEERS/PACKAGE holds its files
#   peer_sink ADDRESS:PORT FOLDER [option..]	postfix's smtp-sink in the namespace (pair.bash); a file a message in FOLDER
#   peer_exim ADDRESS FOLDER		Exim on port 25 there; mail for anybody at exim.example into FOLDER/mail/new
#   peer_lmtp PLACE FOLDER		aiosmtpd's LMTP (tests/tool/lmtp-host.py)
PEERS=${PEERS:-$ROOT/build/peers}

peer_fetch() {
	local name
	for name; do
		[[ -d $PEERS/$name ]] && continue
		rm -rf "$PEERS/$name.part"
		mkdir -p "$PEERS/$name.part/deb"
		(
			cd "$PEERS/$name.part/deb" || exit 1
			apt-get download -qq "$name" || { apt-get update -qq && apt-get download -qq "$name"; }
		) >"$PEERS/$name.log" 2>&1 || { cat "$PEERS/$name.log"; return 1; }
		dpkg-deb -x "$PEERS/$name.part"/deb/*.deb "$PEERS/$name.part" || return 1
		find "$PEERS/$name.part" -type f -perm /6000 -exec chmod ug-s {} +	# no rights beyond the caller's
		mv "$PEERS/$name.part" "$PEERS/$name"
	done
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
