# The host's own installation: make setup, again as an upgrade, beside another mail server, and make
# uninstall. Each test runs on a private copy of this host (tests/tool/fresh-host), with programs
# that are built already; nothing of it outlives the test.
load ../lib/suite

build=${DAWK_PLAIN_BIN:-$ROOT/build/bin}
PATH=/usr/local/sbin:/usr/local/bin:$PATH
export BUILD=${build%/bin} BATS_TEST_TIMEOUT=400 WAIT_SECONDS=100	# setup.sh has its own patience, too

# fresh COMMAND: a shell command with the functions of this file and of suite.bash
fresh() {
	cd "$ROOT" || return 1
	if [[ $(id -u) != 0 ]]; then	# nobody else can make such a copy: then this is all there is to see
		run ! make setup
		[[ $output == *'has to be run by root'* ]]
		exit
	fi
	tests/tool/fresh-host env PATH="$PATH" bash -eu -o pipefail -c "$(declare -f wait_until wait_untraced mails_are install send fetch); $1"
}

install() { make -s setup B="$BUILD" MAIL_HOST=mail.local.example MAIL_DOMAINS=local.example "$@"; }
send() { printf 'From: bob@local.example\nSubject: %s\n\nhello\n' "$1" | /usr/sbin/sendmail alice@local.example; }
mails_are() { [[ $(find /var/mail/dawk/local.example/alice/new /var/mail/dawk/local.example/alice/cur -type f 2>/dev/null | wc -l) == "$1" ]]; }
fetch() { curl -s -S --max-time 60 -u alice@local.example:secret "pop3://127.0.0.1/$1"; }

@test "make setup makes a host that takes a message, delivers it and hands it out" {
	fresh '
		install
		echo secret | dawk user add alice@local.example
		send first
		wait_until mails_are 1
		fetch 1 | grep "^Subject: first"
		[[ $(readlink /usr/bin/mailq) == /usr/local/lib/dawk/sendmail ]]
		[[ -s /usr/local/share/man/man5/dawk.conf.5 ]]
	'
}

@test "a mail program set up with 465 and 995 sends and fetches on a fresh host; the certificate stays over an upgrade" {
	fresh '
		install
		echo secret | dawk user add alice@local.example
		dawk cert
		[[ $(stat -c %a:%U /etc/dawk/keys /etc/dawk/keys/self-signed.key | paste -sd" ") == "700:root 600:root" ]]
		fingerprint=$(openssl x509 -in /etc/dawk/keys/self-signed.crt -noout -fingerprint -sha256 | sed "s/.*=//")
		trust="--tls=on --tls-starttls=off --tls-trust-file= --tls-fingerprint=$fingerprint --user=alice@local.example"
		printf "Subject: by 465\n\nhello\n" | timeout 60 msmtp --host=127.0.0.1 --port=465 $trust --auth=plain --passwordeval="echo secret" \
			--domain=laptop.example --from=alice@local.example alice@local.example
		wait_until mails_are 1
		mkdir -p /tmp/into/{tmp,new,cur}
		timeout 60 mpop --host=127.0.0.1 --port=995 $trust --auth=plain --passwordeval="echo secret" --delivery=maildir,/tmp/into \
			--uidls-file=/tmp/uidls --keep=off
		grep "^Subject: by 465" /tmp/into/new/*
		wait_until mails_are 0
		openssl s_client -connect 127.0.0.1:25 -starttls smtp -CAfile /etc/dawk/keys/self-signed.crt -verify_return_error </dev/null >/dev/null 2>&1
		install
		[[ $(openssl x509 -in /etc/dawk/keys/self-signed.crt -noout -fingerprint -sha256 | sed "s/.*=//") == "$fingerprint" ]]
	'
}

@test "under a strict umask of the admin, everybody can send and read the manual all the same" {
	fresh '
		umask 077
		install
		echo secret | dawk user add alice@local.example
		setpriv --reuid nobody --regid nogroup --clear-groups sh -euc "
			printf \"Subject: first\n\nhello\n\" | /usr/sbin/sendmail alice@local.example
			/usr/local/sbin/dawk -V
			cat /usr/local/share/man/man8/dawk.8 /usr/local/share/doc/dawk/INSTALL >/dev/null"
		wait_until mails_are 1
	'
}

@test "make setup again upgrades: settings, mail and what the admin stopped stay as they are" {
	fresh '
		install
		echo secret | dawk user add alice@local.example
		send first
		wait_until mails_are 1
		echo "message-size-limit = 1M" >>/etc/dawk/dawk.conf
		sv -w 60 stop /etc/dawk/service/queued	# down does not wait: it might still deliver
		send second
		old=$(sv status /etc/dawk/service/smtpd)
		install | tee /tmp/said
		grep "Left stopped.*queued" /tmp/said
		if grep "arrives" /tmp/said; then exit 1; fi
		[[ $(sv status /etc/dawk/service/smtpd) != "$old" ]]
		[[ $(dawk config message-size-limit) == 1M ]]
		mails_are 1
		sv up /etc/dawk/service/queued
		wait_until mails_are 2
		fetch 2 | grep "^Subject: second"
	'
}

@test "the services start with an empty /run, as it is when the machine starts" {
	fresh '
		install
		echo secret | dawk user add alice@local.example
		rm -rf /run/dawk
		sv -w 60 restart /etc/dawk/service/*
		wait_until test -S /run/dawk/submit
		send first
		wait_until mails_are 1
		dawk status
	'
}

@test "make setup under daemontools puts the services into the folder that svscan looks at" {
	fresh '
		mkdir -p /service
		(cd /service && setsid svscan /service </dev/null >/dev/null 2>&1 &)
		wait_until pidof svscan >/dev/null
		install
		[[ $(readlink /service/dawk-smtpd) == /etc/dawk/service/smtpd ]]
		svstat /etc/dawk/service/smtpd | grep ": up"
		echo secret | dawk user add alice@local.example
		send first
		wait_until mails_are 1
	'
}

@test "make setup names who holds a port, starts the other services, and goes on when it is free" {
	fresh '
		python3 -c "
import socket, time
s = socket.socket(); s.bind((\"127.0.0.1\", 25)); s.listen(); time.sleep(1000)" &
		other=$!
		wait_until grep -q ":0019 .* 0A " /proc/net/tcp
		code=0
		install >/tmp/said || code=$?
		cat /tmp/said
		[[ $code != 0 ]]
		grep "port 25 is held by .*python.*process $other" /tmp/said
		sv status /etc/dawk/service/smtpd | grep ^down
		sv status /etc/dawk/service/pop3d | grep ^run
		kill $other
		wait $other || :
		install
		sv status /etc/dawk/service/smtpd | grep ^run
	'
}

@test "make setup beside another mail server takes an address of the host alone, as INSTALL says" {
	fresh '
		python3 -c "
import socket, time
s = socket.socket(); s.bind((\"0.0.0.0\", 25)); s.listen(); time.sleep(1000)" &
		wait_until grep -q ":0019 .* 0A " /proc/net/tcp
		if install >/tmp/said; then exit 1; fi
		echo "listen-smtp = 127.0.0.1:2525" >>/etc/dawk/dawk.conf
		echo "listen-pop3 = 127.0.0.1:2110 [::1]:2110" >>/etc/dawk/dawk.conf
		install
		sv status /etc/dawk/service/smtpd | grep ^run
		echo secret | dawk user add alice@local.example
		send first
		wait_until mails_are 1
	'
}

@test "make setup leaves another package's sendmail alone, and takes the name after dpkg-divert" {
	fresh '
		mkdir -p /tmp/other/DEBIAN /tmp/other/usr/sbin
		printf "%s\n" "Package: other-mta" "Version: 1" "Architecture: all" "Maintainer: a <a@local.example>" \
			"Description: x" >/tmp/other/DEBIAN/control
		echo other >/tmp/other/usr/sbin/sendmail
		dpkg-deb -b /tmp/other /tmp/other.deb >/dev/null
		dpkg -i /tmp/other.deb >/dev/null
		install | tee /tmp/said
		grep "/usr/sbin/sendmail (package other-mta)" /tmp/said
		[[ $(cat /usr/sbin/sendmail) == other && ! -e /usr/bin/mailq ]]
		$(sed -n "s/^ *\(dpkg-divert .*\)/\1/p" /tmp/said)
		install
		[[ $(readlink /usr/sbin/sendmail) == /usr/local/lib/dawk/sendmail && $(cat /usr/sbin/sendmail.distrib) == other ]]
	'
}

@test "a host moves to another machine, where accounts have other numbers, as INSTALL says" {
	fresh '
		install
		echo secret | dawk user add alice@local.example
		printf "resolver = 127.0.0.1@9\ndnssec = no\n" >>/etc/dawk/dawk.conf
		echo "* smtp:[127.0.0.1]:9" >>/etc/dawk/routes
		dawk update
		sv -w 60 restart /etc/dawk/service/*
		wait_until dawk status
		send first
		wait_until mails_are 1
		printf "Subject: far\n\nhello\n" | /usr/sbin/sendmail carol@far.example
		wait_until eval "dawk queue list --reason 4.4.1 | grep carol"
		sv -w 60 down /etc/dawk/service/*
		tar -C / --exclude=etc/dawk/service -cpf /root/dawk.tar etc/dawk var/spool/dawk var/mail/dawk var/lib/dawk
		make -s uninstall
		rm -rf /etc/dawk /var/spool/dawk /var/mail/dawk /var/lib/dawk /var/log/dawk
		old=$(id -u dawkq)
		for account in dawkq dawks dawkr dawkp dawkk dawkd dawkt dawkm dawkx; do userdel $account; done
		useradd --system somebody

		make -s setup B="$BUILD"
		[[ $(id -u dawkq) != "$old" ]]
		sv -w 60 down /etc/dawk/service/*
		tar -C / -xpf /root/dawk.tar
		dawk update
		sv up /etc/dawk/service/*
		wait_until dawk status
		dawk check
		send second
		wait_until mails_are 2
		fetch 1 | grep "^Subject: first"
		before=$(grep -c "deferred.*to=carol" /var/log/dawk/queued/current || :)
		dawk queue retry far.example
		wait_until eval "[[ \$(grep -c deferred.*to=carol /var/log/dawk/queued/current || :) -gt ${before:-0} ]]"
	'
}

@test "make uninstall ends the services and removes programs, and keeps settings and mail" {
	fresh '
		install
		echo secret | dawk user add alice@local.example
		send first
		wait_until mails_are 1
		make -s uninstall
		[[ ! -e /usr/local/lib/dawk && ! -e /usr/sbin/sendmail && ! -e /usr/local/share/man/man7/dawk.7 ]]
		if ls -l /proc/[0-9]*/exe | grep /usr/local/lib/dawk/; then exit 1; fi
		[[ -s /etc/dawk/dawk.conf && -s /etc/dawk/users ]]
		mails_are 1
		install
		fetch 1 | grep "^Subject: first"
	'
}
