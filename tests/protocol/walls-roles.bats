# The walls of each role, tried from inside by tests/tool/captive: what `dawk privileges` promises.
load ../lib/suite

setup() {
	SUITE=$(mktemp -d "${TMPDIR:-/tmp}/dawk-test.XXXXXX")
	chmod 755 "$SUITE"
	mkdir "$SUITE/mail"
	cp "$BIN/../tool/captive" "$SUITE/captive"	# where any account can run it
	echo hello >"$SUITE/mail/message"
	chmod 600 "$SUITE/mail/message"
	mkdir -p "$SUITE"/queue/{cur,new} "$SUITE"/etc/{secret,keys}	# another one's: open by their modes, so that walls alone refuse
	for file in queue/cur/message etc/secret/users.cdb etc/keys/key.pem; do echo hello >"$SUITE/$file"; done
	chmod -R a+rwX "$SUITE/queue" "$SUITE/etc"
	belongs_to dawkm
}
belongs_to() { [[ $(id -u) != 0 ]] || chown -R "$1:" "$SUITE/mail"; }
teardown() { rm -rf "$SUITE"; }

# allowed_to ROLE "ATTEMPT.." [PATH..]: these work behind its walls, and nothing else that captive tries.
allowed_to() {
	local role=$1 wanted=$2 version
	shift 2
	# shellcheck disable=SC2086
	run -0 ${GIVEN:-} "$SUITE/captive" "$role" dawkm "$SUITE/mail/message" "$SUITE/mail" "$@"
	version=${lines[0]#landlock }
	[[ ${#lines[@]} == 41 ]]
	got=$(sed -n 's/ allowed$//p' <<<"$output" | without_landlock "$version")
	want=$(tr ' ' '\n' <<<"$wanted" | without_landlock "$version")
	diff <(sort <<<"$want") <(sort <<<"$got")
}
# An old kernel walls less in: what is Landlock's alone is left out of the comparison.
without_landlock() {
	local own='^$'
	[[ $1 -ge 4 ]] || own+='|^connect$|^bind$'
	[[ $1 -ge 2 ]] || own+='|^read-passwd$|^read-mailbox$|^write-mailbox$|^make-file$|^read-queue$|^write-queue$|^read-secrets$|^read-keys$'
	grep -vE "$own"
}
root_only() { [[ $(id -u) != 0 ]] || echo " $1"; }

@test "workers of smtpd and pop3d, checkers and keyd reach no file, network, process or account" {
	for role in smtpd pop3d checker keyd; do allowed_to "$role" thread; done
}

@test "the scheduler may do what it wants with the queue's files but change owners" {
	belongs_to dawkq
	allowed_to queued 'thread list read-mailbox write-mailbox make-file utime' "$SUITE/mail"
	rm -f "$SUITE/mail/captive-was-here"
	allowed_to queued 'thread list utime'
}

@test "a deliverer works below its folder alone" {
	allowed_to deliverer 'thread list read-mailbox write-mailbox make-file chmod chown xattr utime' "$SUITE/mail"
	rm -f "$SUITE/mail/captive-was-here"
	allowed_to deliverer 'thread list chmod chown xattr utime'
}

@test "a POP3 session works in its maildir alone" {
	allowed_to pop3-session 'thread list read-mailbox write-mailbox make-file utime' "$SUITE/mail"
	rm -f "$SUITE/mail/captive-was-here"
	allowed_to pop3-session 'thread list utime'
}

@test "authd reads everything and writes nothing; its sockets are Unix sockets" {
	allowed_to authd "thread list read-passwd read-mailbox read-queue read-secrets read-keys socket-unix socketpair bind$(root_only 'read-shadow capability')$([[ $(id -u) == 0 ]] || echo ' utime')" /
}

@test "those who look accounts up read what their account may and write nothing" {
	allowed_to authd:names "thread list read-passwd read-mailbox read-queue read-secrets read-keys socket-unix socketpair bind$(root_only 'read-shadow capability')" /
	allowed_to names "thread list read-passwd read-queue read-secrets read-keys socket-unix socketpair bind$([[ $(id -u) == 0 ]] || echo ' read-mailbox')" /
}

@test "who looks into a mailbox for its quota reads below its folder and does nothing else" {
	allowed_to authd:quota 'thread read-mailbox' "$SUITE/mail"
	allowed_to authd:quota thread
}

@test "who makes mailboxes' folders gives them away, opens no file for writing, and is no root over other people's" {
	allowed_to folders "thread read-passwd read-queue read-secrets read-keys$(root_only 'read-shadow chown xattr capability')$([[ $(id -u) == 0 ]] || echo ' read-mailbox chmod chown xattr')" /
}

@test "remoted and dnsd have the network, and no file" {
	for role in remoted dnsd; do
		allowed_to "$role" 'thread socket-inet socket-inet6 socket-netlink socket-unix socketpair connect bind'
	done
}

@test "stsd opens connections, listens nowhere, and has a folder of its own alone" {
	belongs_to dawkt
	allowed_to stsd 'thread socket-inet socket-inet6 socket-netlink socket-unix socketpair connect list read-mailbox write-mailbox make-file' "$SUITE/mail"
	rm -f "$SUITE/mail/captive-was-here"
	allowed_to stsd 'thread list socket-inet socket-inet6 socket-netlink socket-unix socketpair connect'
}

@test "a capability that a supervisor gave to a user's instance goes no further than its openers" {
	[[ $(id -u) == 0 ]] || return 0
	belongs_to nobody
	GIVEN="setpriv --reuid nobody --clear-groups --inh-caps +net_bind_service --ambient-caps +net_bind_service"
	allowed_to pop3d thread
}

@test "no process of the suite becomes root again" {
	[[ $(id -u) == 0 ]] || return 0
	run -2 "$SUITE/captive" deliverer root "$SUITE/mail/message" "$SUITE/mail" "$SUITE/mail"
	[[ $output == *'must not run as uid 0'* ]]
}

@test "dawk privileges shows a line per role, with its account and what it is refused" {
	run -0 "$BIN/dawk" privileges
	[[ ${#lines[@]} == 18 ]]
	for row in 'smtpd *dawks *yes *no *admin,setuid,exec,fork,kill,socket,chmod,utime,list ' 'queued *dawkq *yes *no ' \
		'locald *root *no *yes *none ' 'deliverer *mailbox *yes *no ' 'program *mailbox *no *yes *none ' 'pop3d *dawkp *yes *no ' \
		'pop3-session *mailbox *yes *no ' 'authd *root *yes *unix ' 'checker *nobody *yes *no ' 'remoted *dawkr *yes *yes ' \
		'dnsd *dawkd *yes *yes ' 'keyd *dawkk *yes *no ' 'stsd *dawkt *yes *yes *admin,setuid,exec,fork,kill,listen,chmod,utime ' 'names *nobody *yes *unix ' \
		'authd:names *root *yes *unix ' 'authd:quota *mailbox *yes *no *admin,setuid,exec,fork,kill,socket,chmod,utime,list ' \
		'folders *root *yes *no *admin,setuid,exec,fork,kill,socket,utime,list '; do
		grep -qE "^$row" <<<"$output"
	done
}
