#!/bin/sh
# Installs, upgrades and removes dawk on this host; `make setup`, `make install` and
# `make uninstall` call it. INSTALL says the same step by step.
#
#   setup.sh setup      all of it: packages, build, accounts, programs, configuration, services
#   setup.sh install    programs and manual pages alone, below $DESTDIR$PREFIX
#   setup.sh uninstall  services, programs and manual pages go; settings and mail stay
#
# Every step looks first and does what is missing, so that running it again upgrades, and what was
# interrupted is simply begun again. A file is replaced by rename: a running program keeps the one
# it was started from.
set -eu

B=${B:-build}
PREFIX=${PREFIX:-/usr/local}
DESTDIR=${DESTDIR:-}
VERSION=${VERSION:-}
LIB=$PREFIX/lib/dawk
MAN=$PREFIX/share/man
CONF=/etc/dawk/dawk.conf
SERVICES_DIR=/etc/dawk/service
UNIT=/etc/systemd/system/dawk.service
SERVICES='smtpd queued pop3d'

EX_TEMPFAIL=75
step_number=0
umask 022	# whatever the admin's: programs and manual pages are for everybody

say()  { printf '%s\n' "$*"; }
note() { printf '      %s\n' "$*"; }
step() { step_number=$((step_number + 1)); printf '[%s/%s] %s\n' "$step_number" "$steps" "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

cd "$(dirname "$0")/.."
. service/host.sh

need_root() {
	[ "$(id -u)" = 0 ] || fail "this has to be run by root (on a machine of your own: sudo make $1)"
}

# --- packages ------------------------------------------------------------------------------------

package_is_there() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# The package that a file belongs to, or nothing.
package_of() {
	for path in "$1" "${1#/usr}"; do
		package=$(dpkg -S "$path" 2>/dev/null | grep -v '^diversion by' | head -n 1) || continue
		[ -z "$package" ] || { printf '%s\n' "${package%%:*}"; return; }
	done
}

missing_packages() {
	wanted='gcc make libc6-dev libcdb-dev libcrypt-dev libidn2-dev libgnutls28-dev nettle-dev libunbound-dev dns-root-data zlib1g-dev ca-certificates pkg-config'
	# without a supervisor of the host: runit brings one
	[ -n "$(host_supervisor)" ] || wanted="$wanted runit"
	for package in $wanted; do
		package_is_there "$package" || printf '%s ' "$package"
	done
}

install_packages() {
	command -v apt-get >/dev/null || fail 'this needs Debian (apt-get); INSTALL says what to do by hand elsewhere'
	missing=$(missing_packages)
	if [ -z "$missing" ] && [ -e deps/.ready ]; then
		note 'all there'
		return
	fi
	# a fresh machine has no package lists yet; libowfat-dev is fetched by the build
	if ! apt-get update -qq; then
		note 'apt-get update failed; going on with the package lists that are here'
	fi
	[ -n "$missing" ] || return 0
	note "installing: $missing"
	# shellcheck disable=SC2086 # a list of names
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
		fail "unable to install: $missing. Mend what apt-get said above, then run this again"
}

# --- files ---------------------------------------------------------------------------------------

# place MODE SOURCE TARGET: whole and at once, also over a program that runs
place() {
	install -m "$1" "$2" "$3.new"
	mv -f "$3.new" "$3"
}

# link TARGET NAME: relative or absolute TARGET; replaces a link of ours at once
link() {
	ln -sfn "$1" "$2.new"
	mv -fT "$2.new" "$2"
}

install_programs() {
	mkdir -p "$DESTDIR$PREFIX/sbin"
	install -d -m 0755 "$DESTDIR$LIB"
	for program in "$B"/bin/*; do
		place 0755 "$program" "$DESTDIR$LIB/${program##*/}"
	done
	link ../lib/dawk/dawk "$DESTDIR$PREFIX/sbin/dawk"
}

install_manual() {
	for page in man/*.[1-8]; do
		[ -e "$page" ] || continue
		section=${page##*.}
		mkdir -p "$DESTDIR$MAN/man$section"
		place 0644 "$page" "$DESTDIR$MAN/man$section/${page##*/}"
	done
	for name in mailq newaliases; do
		[ ! -e man/sendmail.8 ] || link sendmail.8 "$DESTDIR$MAN/man8/$name.8"
	done
	mkdir -p "$DESTDIR$PREFIX/share/doc/dawk"
	for page in README.md INSTALL CHANGES LICENSE etc/*.sample; do
		[ ! -e "$page" ] || place 0644 "$page" "$DESTDIR$PREFIX/share/doc/dawk/${page##*/}"
	done
}

remove_files() {
	for page in man/*.[1-8] man/mailq.8 man/newaliases.8; do
		rm -f "$DESTDIR$MAN/man${page##*.}/${page##*/}"
	done
	rm -rf "$DESTDIR$PREFIX/share/doc/dawk" "$DESTDIR$LIB"
	[ ! -L "$DESTDIR$PREFIX/sbin/dawk" ] || rm -f "$DESTDIR$PREFIX/sbin/dawk"
}

# --- sendmail, mailq, newaliases -----------------------------------------------------------------

sendmail_names='/usr/sbin/sendmail /usr/lib/sendmail /usr/bin/mailq /usr/bin/newaliases'

is_ours() { [ -L "$1" ] && [ "$(readlink "$1")" = "$LIB/sendmail" ]; }

# The names are one set: with another mail server's among them, none of ours is put in the way.
install_sendmail() {
	taken=
	for name in $sendmail_names; do
		is_ours "$name" || { [ ! -e "$name" ] && [ ! -L "$name" ]; } || taken="$taken $name"
	done
	if [ -n "$taken" ]; then
		say_sendmail_taken
		return
	fi
	for name in $sendmail_names; do
		link "$LIB/sendmail" "$name"
	done
	note "sendmail, mailq, newaliases: $LIB/sendmail"
}

say_sendmail_taken() {
	note "kept as they are, because they are another program's:"
	for name in $taken; do
		owner=$(package_of "$name")
		note "    $name (${owner:+package }${owner:-of no package})"
	done
	note "Local programs go on using it. To give these names to dawk:"
	for name in $taken; do
		note "    dpkg-divert --local --rename --add $name"
	done
	note "    make setup"
}

remove_sendmail() {
	for name in $sendmail_names; do
		! is_ours "$name" || rm -f "$name"
		[ "$(dpkg-divert --listpackage "$name" 2>/dev/null)" != LOCAL ] ||
			say "$name is diverted; to give it back:  dpkg-divert --rename --remove $name"
	done
}

# --- the three commands --------------------------------------------------------------------------

# The first time: MAIL_DOMAINS and MAIL_HOST, or the machine's full name. Later: what there is.
first_configuration() {
	set -- --system
	if [ ! -e "$CONF" ] && [ -z "${MAIL_HOST:-}" ]; then
		full_name=$(hostname -f 2>/dev/null) || full_name=
		case $full_name in
		localhost*) ;;
		*.*) MAIL_HOST=$full_name ;;
		esac
	fi
	for domain in ${MAIL_DOMAINS:-}; do
		set -- "$@" --domain "$domain"
	done
	[ -z "${MAIL_HOST:-}" ] || set -- "$@" --hostname "$MAIL_HOST"
	if [ -e "$CONF" ] && [ $# -gt 1 ]; then
		note "MAIL_DOMAINS and MAIL_HOST are for the first time; $CONF is kept"
	fi
	"$LIB/dawk" init "$@" >"$log" || { cat "$log"; rm -f "$log"; fail "dawk init --system did not succeed; see above"; }
	grep '^made the account' "$log" | sed 's/^/      /' || :
	rm -f "$log"
	note "$CONF; mailboxes in: $("$LIB/dawk" config domains)"
}

setup() {
	need_root setup
	steps=6
	log=$(mktemp)
	step 'packages'
	install_packages
	step "build, into $B"
	make -s B="$B" -j "$(nproc)" all || fail 'the build failed; see above'
	step "programs in $LIB, manual pages in $MAN"
	install_programs
	install_manual
	step 'accounts, configuration, tables, queue'
	first_configuration
	step 'sendmail'
	install_sendmail
	step 'services'
	decide_what_starts
	start_supervisor
	bring_up
	say_next
}

say_next() {
	domains=$("$LIB/dawk" config domains)
	domain=${domains%% *}
	sendmail=$LIB/sendmail
	! is_ours /usr/sbin/sendmail || sendmail=sendmail
	say
	if [ -n "$not_started" ]; then
		say "dawk is installed, but not all of it runs. Not started:$not_started"
		[ -z "$left_down" ] || say "Left stopped, as you had it:$left_down"
	elif [ -n "$left_down" ]; then
		say "dawk is installed. Left stopped, as you had it:$left_down"
	else
		say "dawk is installed and runs. Mail for $domains arrives."
	fi
	cat <<-END

	  add a mailbox:           dawk user add alice@$domain
	  send a first message:    printf 'Subject: hello\n\nhello\n' | $sendmail alice@$domain
	  read it by POP3:         curl -u alice@$domain pop3://127.0.0.1/1
	  what runs, what waits:   dawk status; dawk queue
	  is all well?             dawk check
	  log lines:               /var/log/dawk/*/current
	  stop, start a service:   $(say_control)
	  read on:                 man 7 dawk, man dawk.conf, $PREFIX/share/doc/dawk/INSTALL
	END
	if [ -n "$is_own_runsvdir" ]; then
		say
		say "No supervisor runs here, so nothing starts dawk when the machine starts. Have it run this:"
		say "  runsvdir -P $SERVICES_DIR"
	fi
	[ -z "$not_started" ] || exit $EX_TEMPFAIL
}

install_files() {
	[ -x "$B/bin/dawk" ] || fail 'nothing is built yet: run make'
	install_programs
	install_manual
}

uninstall() {
	need_root uninstall
	[ ! -d "$SERVICES_DIR" ] || stop_services
	rm -rf "$SERVICES_DIR"
	remove_sendmail
	remove_files
	cat <<-END
	dawk's services, programs and manual pages are removed.
	Kept, because they are yours:
	  /etc/dawk         configuration, mailboxes' passwords, aliases
	  /var/spool/dawk   messages that wait
	  /var/mail/dawk    mailboxes
	  /var/lib/dawk     policies of other domains, facts of TLS
	  /var/log/dawk     log lines
	and the accounts dawks dawkq dawkr dawkp dawkk dawkd dawkt dawkm dawkx, which own them.
	make setup takes all of it up again. To delete it: rm -r those folders; userdel each account.
	END
}

case ${1:-} in
setup) setup ;;
install) install_files ;;
uninstall) if [ -n "$DESTDIR" ]; then remove_files; else uninstall; fi ;;
*) fail 'usage: setup.sh setup|install|uninstall' ;;
esac
