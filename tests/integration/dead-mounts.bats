# Mailboxes on a file server that has gone away: whoever touches them waits. Nobody else may wait with them. The server is
# tests/tool/dead-mount.py: needs root and /dev/fuse.
load ../lib/suite
load ../lib/locald

setup() {
	[[ $(id -u) == 0 ]] || return 0
	locald_make --set 'relay-networks = none' --set 'error-limit = 100' --set 'retry = 1s 2s 2s'
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
send() { printf 'hello %s\n' "$1" | send_message bob@client.example "$1@local.example"; }
has_waited() { $DAWK queue list --json | grep -q 'the mailbox does not answer'; }
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
	away=$!
	wait_until rcpt_is full '452 4.2.2'	# a look that takes three seconds counts as stuck
	rcpt roomy@local.example '250 2.1.5'
	wait "$away"		# it is taken: the delivery will see
	wait_until logged smtpd "mailbox-stuck path=$(maildir_of away)"
	rcpt away+again@local.example '250 2.1.5'
	wait_until rcpt_is full '452 4.2.2'
	mount_is_back
	wait_until rcpt_is away '452 4.2.2'
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
	wait_until rcpt_is full '452 4.2.2'
	[[ $(grep -c mailbox-stuck "$SUITE/stderr/smtpd") -lt 16 ]]
}

@test "mailboxes with a quota behind a link to a dead mount do not count against the mount of the link" {
	[[ $(id -u) == 0 ]] || return 0
	export SUITE_SERVICES=smtpd
	for i in 0 1 2; do suite_add_mailbox "away$i" "::$SUITE/mail/link/away$i:1k"; done
	mailbox_of_size full 5000
	mount_small "$SUITE/mail" 10m
	dead_mount "$SUITE/server"
	ln -s "$SUITE/server" "$SUITE/mail/link"
	clients=()
	suite_run
	for i in 0 1 2; do
		rcpt "away$i@local.example" '250 2.1.5' &
		clients+=($!)
	done
	for i in 0 1 2; do wait_until logged smtpd "mailbox-stuck path=$SUITE/mail/link/away$i"; done
	rcpt full@local.example '452 4.2.2'
	for client in "${clients[@]}"; do wait "$client"; done
}

@test "a mailbox on a dead mount holds up no delivery but its own, and gets its mail once it is back" {
	[[ $(id -u) == 0 ]] || return 0
	install -d -o dawkm -g dawkm -m 700 "$(maildir_of bob)"
	dead_mount "$(maildir_of bob)"
	suite_run
	for ((i = 0; i < 3; i++)); do send bob; done
	for ((i = 0; i < 3; i++)); do send alice; done
	wait_until delivered_to alice 3
	wait_until logged queued "mailbox-stuck path=$(maildir_of bob)"
	wait_until has_waited
	send alice
	wait_until delivered_to alice 4
	mount_is_back
	wait_until delivered_to bob 3
	wait_until queue_is_empty
}

@test "so it is when the mount dies after mail was delivered there" {
	[[ $(id -u) == 0 ]] || return 0
	suite_run
	send bob
	wait_until delivered_to bob 1
	dead_mount --takes "$(maildir_of bob)"
	for pid in $(locald_processes | tail -n +2); do kill "$pid" 2>/dev/null || :; done	# they have the folder open as it was
	wait_until has_one_process
	send bob
	wait_until logged queued deliverer-slow
	wait_until logged queued "mailbox-stuck path=$(maildir_of bob)"
	send bob	# one that no deliverer has in hand
	wait_until has_waited
	send alice
	wait_until delivered_to alice 1
	mount_is_back
	wait_until delivered_to bob 3
	wait_until queue_is_empty
}
has_one_process() { [[ $(locald_processes | wc -l) == 1 ]]; }

@test "many mailboxes on one dead mount hold up no delivery elsewhere" {
	[[ $(id -u) == 0 ]] || return 0
	printf 'domains = local.example away.example\n' >>"$SUITE/etc/dawk.conf"
	for ((i = 0; i < 12; i++)); do printf 'u%d@away.example:::::\n' "$i"; done >>"$SUITE/etc/users"
	$DAWK update >/dev/null
	dead_mount "$SUITE/mail/away.example"
	suite_run
	for ((i = 0; i < 12; i++)); do printf 'hello\n' | send_message bob@client.example "u$i@away.example"; done
	for ((i = 0; i < 3; i++)); do send alice; done
	wait_until delivered_to alice 3
	wait_until has_waited
	mount_is_back
	wait_until all_arrived
	wait_until queue_is_empty
}
all_arrived() { [[ $(find "$SUITE/mail/away.example" -path '*/new/*' -type f | wc -l) == 12 ]]; }

@test "mailboxes behind root's link to a dead mount hold up none on the mount of the link" {
	[[ $(id -u) == 0 ]] || return 0
	printf 'domains = local.example away.example\n' >>"$SUITE/etc/dawk.conf"
	for i in 0 1 2; do printf 'u%d@away.example:::::\n' "$i"; done >>"$SUITE/etc/users"
	$DAWK update >/dev/null
	mount_small "$SUITE/mail" 10m
	dead_mount "$SUITE/server"
	ln -s "$SUITE/server" "$SUITE/mail/away.example"
	mkfifo "$SUITE/go"
	exec {go}<>"$SUITE/go"
	deliver -w -n 2 u0@away.example u1@away.example u2@away.example alice@local.example <"$SUITE/go" >"$SUITE/results" &
	driver=$!
	echo >&"$go"
	wait_until lines_are 4
	echo >&"$go"
	wait "$driver"
	exec {go}>&-
	[[ $(grep -c '^3 delivered' "$SUITE/results") == 2 ]]
	[[ $(grep -c '^[0-2] deferred 4.2.0 the mailbox does not answer' "$SUITE/results") == 6 ]]
}
lines_are() { [[ $(wc -l <"$SUITE/results") == "$1" ]]; }

@test "links that users have put in their mailboxes' places lead nowhere" {
	[[ $(id -u) == 0 ]] || return 0
	printf 'system-users = yes\n' >>"$SUITE/etc/dawk.conf"
	mount_small "$SUITE/home" 10m
	home_of good
	dead_mount "$SUITE/server"
	for i in x1 x2 x3; do
		home_of $i
		ln -s "$SUITE/server/$i" "$SUITE/home/$i/Maildir"
		chown -h --reference="$SUITE/home/$i" "$SUITE/home/$i/Maildir"
	done
	run -0 deliver x1@local.example x2@local.example x3@local.example good@local.example
	[[ $output == *'3 delivered '* && $(grep -c '^[0-2] deferred 4.2.0 unable to open the maildir' <<<"$output") == 3 ]]
}

@test "a home on a dead mount holds up its own mail alone" {
	[[ $(id -u) == 0 ]] || return 0
	printf 'system-users = yes\n' >>"$SUITE/etc/dawk.conf"
	home_of fred
	dead_mount "$HOME_OF"
	run -0 deliver fred@local.example alice@local.example bob@local.example
	[[ ${lines[*]} == '1 delivered '*'2 delivered '*'0 deferred 4.2.0 the mailbox does not answer' || ${lines[*]} == '2 delivered '*'1 delivered '*'0 deferred 4.2.0 the mailbox does not answer' ]]
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
	for ((i = 0; i < 3; i++)); do IFS= read -r -t 100 line <&"$waiting"; done
	[[ $line == -ERR* ]]	# it was torn out under it
	exec {waiting}>&-
}

@test "a mailbox on a dead mount takes four places for sessions, however often its owner logs in" {
	[[ $(id -u) == 0 ]] || return 0
	export SUITE_SERVICES=pop3d
	dead_mount "$(maildir_of bob)"
	suite_run
	clients=()
	for ((i = 0; i < 7; i++)); do
		exec {client}<>"/dev/tcp/127.0.0.1/$POP3_PORT"
		clients+=("$client")
		printf 'USER bob\r\nPASS secret\r\n' >&"$client"
	done
	wait_until refused_are 3
	wait_until sessions_are 4
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
	for client in "${clients[@]}"; do
		for i in 1 2 3; do IFS= read -r -t 100 line <&"$client"; done
		[[ $line == '-ERR [SYS/TEMP]'* ]]
		exec {client}>&-
	done
}
sessions_are() { [[ $(pgrep -cx pop3-session -s "$(suite_pid pop3d)") == "$1" ]]; }
refused_are() { [[ $(grep -c 'no-session session=.* user=bob@local.example why="as many sessions of this mailbox run as may"' "$SUITE/stderr/pop3d") == "$1" ]]; }

@test "many mailboxes on a dead mount do not take all places for sessions for long" {
	[[ $(id -u) == 0 ]] || return 0
	export SUITE_SERVICES=pop3d
	for ((i = 0; i < 500; i++)); do suite_add_mailbox "u$i" "::$SUITE/server/u$i:"; done
	$DAWK update >/dev/null
	dead_mount "$SUITE/server"
	BIN=${DAWK_PLAIN_BIN:-$BIN}	# 2,000 processes of sanitizers take longer than they have
	suite_run
	/usr/bin/python3 - "$POP3_PORT" "$SUITE/stderr/pop3d" <<-'PY' >"$SUITE/logins" 3>&- &
		import resource, signal, socket, sys, time
		resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
		crowd = []
		for i in range(2000):
		    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60)
		    s.sendall(b"USER u%d\r\nPASS secret\r\n" % (i % 500))
		    crowd.append(s)
		    while i % 100 == 99 and open(sys.argv[2]).read().count("authd login ") <= i:	# more at once are put off
		        time.sleep(0.1)
		print("all", flush=True)
		signal.pause()
	PY
	crowd=$!
	wait_until grep -q all "$SUITE/logins"
	wait_until one_gives_way
	wait_until alice_logs_in
	kill "$crowd"
	mount_is_back
}
one_gives_way() { alice_logs_in || :; logged pop3d 'authd session-gave-way session=[^ ]* seconds=[1-9][0-9]'; }
alice_logs_in() { printf 'S: +OK\nC: USER alice\nS: +OK\nC: PASS secret\nS: +OK maildrop\nC: QUIT\nS: +OK\n' | talk pop3d >/dev/null 2>&1; }
