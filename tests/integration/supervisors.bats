# An instance under each supervisor: the services run, log, come back when killed, and end in order.
load ../lib/suite

setup() { suite_make; }
teardown() {
	end_supervisor
	suite_stop
}

all_ready() { port_is_open "$SMTP_PORT" && port_is_open "$POP3_PORT" && [[ -S $SUITE/run/queued ]]; }
supervised_log() { cat "$SUITE/log/$1/current"; }
has_logged() { supervised_log "$1" 2>/dev/null | grep -qE -- "$2"; }
supervisor_has_ended() { ! kill -0 "$supervisor" 2>/dev/null; }
end_supervisor() {
	[[ -n ${supervisor:-} ]] || return 0
	"end_$kind"
	wait_until supervisor_has_ended
	wait "$supervisor" 2>/dev/null || :
	supervisor=
}
end_runit() { kill -HUP "$supervisor"; }
end_daemontools() {
	kill -TERM "$supervisor"
	svc -dx "$SUITE"/service/* "$SUITE"/service/*/log
}

works_under() {	# COMMAND..
	"$@" >/dev/null 2>&1 </dev/null 3>&- 4>&- &
	supervisor=$!
	wait_until all_ready
	printf 'Subject: supervised\n\nhello\n' | send_message bob@client.example alice@local.example
	wait_until delivered_to alice 1
	wait_until has_logged smtpd bob@client.example
	wait_until has_logged queued alice@local.example
	# a service that is killed as a whole comes back
	opener=$(suite_processes | while read -r pid; do [[ $(readlink "/proc/$pid/exe") == */smtpd ]] && echo "$pid"; done | sort -n | head -n 1)
	kill -KILL "$opener"
	wait_until is_new_opener "$opener"
	wait_until all_ready
	printf 'Subject: after it\n\nhello\n' | send_message bob@client.example bob@local.example
	wait_until delivered_to bob 1
	end_supervisor
	wait_until suite_has_no_process
}
is_new_opener() {
	local pid
	for pid in $(suite_processes); do
		[[ $(readlink "/proc/$pid/exe") == */smtpd && $pid -ne $1 ]] && port_is_open "$SMTP_PORT" && ! kill -0 "$1" 2>/dev/null && return 0
	done
	return 1
}

# a PATH with these programs alone, as on a host that has one supervisor and not the other
only() {
	local program
	mkdir "$BATS_TEST_TMPDIR/bin"
	for program; do ln -s "$(command -v "$program")" "$BATS_TEST_TMPDIR/bin/"; done
	echo "PATH=$BATS_TEST_TMPDIR/bin"
}

@test "runit runs an instance, svlogd takes its logs" {
	kind=runit
	works_under env "$(only sh cat runsvdir runsv svlogd)" runsvdir "$SUITE/service"
	supervised_log smtpd | grep -qE '^[0-9]{4}-[0-9-]{5}_[0-9:.]+ smtpd '
}

@test "daemontools runs an instance, multilog takes its logs" {
	kind=daemontools
	works_under env "$(only sh cat svscan supervise multilog)" svscan "$SUITE/service"
	supervised_log smtpd | grep -qE '^@[0-9a-f]{24} smtpd '
}
