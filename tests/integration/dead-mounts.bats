# Mailboxes on a file server that has gone away: whoever touches them waits. Nobody else may wait with them. The server is
# tests/tool/dead-mount.py: needs root and /dev/fuse.
load ../lib/suite

setup() {
	[[ $(id -u) == 0 ]] || return 0
	suite_make --set 'relay-networks = none' --set 'error-limit = 100'
}
teardown() {
	[[ -z ${dead:-} ]] || mount_is_back
	suite_stop
}

dead_mount() {	# [--takes] FOLDER
	mkdir -p "${@: -1}"
	"$TOOLS/dead-mount.py" "$@" >"$BATS_TEST_TMPDIR/dead" 3>&- &
	dead=$!
	wait_until grep -q dead "$BATS_TEST_TMPDIR/dead"
}
mount_is_back() {
	kill "$dead"
	wait "$dead"
	dead=
}

rcpt() {	# RECIPIENT REPLY
	talk smtpd <<-END
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<bob@client.example>
		S: 250
		C: RCPT TO:<$1>
		S: $2
	END
}
mailbox_of_size() {	# NAME BYTES, with a quota of 1k
	suite_add_mailbox "$1" ':::1k'
	$DAWK update >/dev/null
	mkdir -p "$(maildir_of "$1")"
	printf '1024S\n%s 1\n' "$2" >"$(maildir_of "$1")/maildirsize"
	chown -R dawkm: "$(maildir_of "$1")"
}
# authd remembers what it said for five seconds: another extension each time.
rcpt_is() { asked=$((${asked:-0} + 1)); rcpt "$1+$asked@local.example" "$2" >/dev/null 2>&1; }

quotas_of_others_are_told() {	# [--takes]
	export SUITE_SERVICES=smtpd
	mailbox_of_size away 5000
	mailbox_of_size full 5000
	mailbox_of_size roomy 50
	dead_mount "$@" "$(maildir_of away)"
	suite_run
	rcpt away@local.example '250 2.1.5' &
	rcpt full@local.example '452 4.2.2'
	rcpt roomy@local.example '250 2.1.5'
	wait $!		# it is taken: the delivery will see
	wait_until logged smtpd "mailbox-stuck path=$(maildir_of away)"
	rcpt away+again@local.example '250 2.1.5'
	rcpt full+again@local.example '452 4.2.2'
	mount_is_back
	WAIT_SECONDS=60 wait_until rcpt_is away '452 4.2.2'
}

@test "a quota on a dead mount is not waited for: the recipient is taken, others are answered, and it counts again once it is back" {
	[[ $(id -u) == 0 ]] || return 0
	quotas_of_others_are_told
}

@test "so it is where not even SIGKILL ends who waits" {
	[[ $(id -u) == 0 ]] || return 0
	quotas_of_others_are_told --takes
}

@test "of many mailboxes with a quota on one dead mount each is taken, and others are answered" {
	[[ $(id -u) == 0 ]] || return 0
	export SUITE_SERVICES=smtpd
	for ((i = 0; i < 40; i++)); do printf "away%d@local.example::::%s/away/%d:1k\n" "$i" "$SUITE" "$i"; done >>"$SUITE/etc/users"
	mailbox_of_size full 5000
	dead_mount --takes "$SUITE/away"
	suite_run
	{
		printf 'S: 220\nC: EHLO client.example\nS: 250\nC: MAIL FROM:<bob@client.example>\nS: 250\n'
		for ((i = 0; i < 40; i++)); do printf 'C: RCPT TO:<away%d@local.example>\nS: 250 2.1.5\n' "$i"; done
	} | talk smtpd
	rcpt full@local.example '452 4.2.2'
	[[ $(grep -c mailbox-stuck "$SUITE/stderr/smtpd") -lt 16 ]]
}

@test "a mailbox on a dead mount keeps nobody else from logging in by POP3" {
	[[ $(id -u) == 0 ]] || return 0
	export SUITE_SERVICES=pop3d
	dead_mount --takes "$(maildir_of bob)"
	suite_run
	exec {waiting}<>"/dev/tcp/127.0.0.1/$POP3_PORT"
	printf 'USER bob\r\nPASS secret\r\n' >&"$waiting"
	wait_until logged pop3d 'authd login .*user=bob@local.example'
	run -0 talk pop3d <<-'EOF'
		S: +OK
		C: USER alice
		S: +OK
		C: PASS secret
		S: +OK
		C: QUIT
		S: +OK
	EOF
	mount_is_back
	for ((i = 0; i < 3; i++)); do IFS= read -r -t 15 line <&"$waiting"; done
	[[ $line == -ERR* ]]	# it was torn out under it
	exec {waiting}>&-
}
