# Mail to other hosts that are away, a dead destination beside a living one, and processes that end in the middle.
load ../lib/suite
load ../lib/pair

setup() {
	pair_net
	pair_names <<-'EOF'
		a.example MX 10 mail.a.example
		mail.a.example A 127.0.0.2
		b.example MX 10 mail.b.example
		mail.b.example A 127.0.0.3
		dead.example MX 10 mail.dead.example
		mail.dead.example A 127.0.0.9
		half.example MX 10 mail.dead.example
		half.example MX 20 mail.b.example
	EOF
	in_net_background silent "$TOOLS/silent-host.py" 127.0.0.9 25
	wait_until grep -q ready "$PAIR/silent.out"
}
teardown() { pair_stop; }

letters() { printf 'Subject: letter\n\nhello\n' | "$TOOLS/queue-put" "$PAIR/a/queue" "$@" >/dev/null; }
results() { grep -c " $1 .*to=x@$2 " "$PAIR/a/stderr/queued"; }
remoted_pid() { sed -n 's/.*started part=remoted.* pid=\([0-9]*\).*/\1/p' "$PAIR/a/stderr/queued" | tail -n 1; }
numbers_at_b() { find "$PAIR/b/mail/b.example" -path '*/new/*' -type f -exec grep -h '^number ' {} + | tr -d '\r' | sort -u | wc -l; }
b_has_numbers() { [[ $(numbers_at_b) -ge $1 ]]; }
numbered() {	# COUNT: messages to alice@b.example, each with its number
	local i
	for ((i = 1; i <= $1; i++)); do
		printf 'Subject: letter\n\nnumber %s\n' "$i" | "$TOOLS/queue-put" "$PAIR/a/queue" bob@a.example alice@b.example >/dev/null
	done
}

a_says() { on a logged queued "$1"; }
a_lists() { dawk_on a queue "$1" | grep -q "$2"; }	# list|sites PATTERN

@test "mail for a host that is down waits with the reason; a retry by domain brings it as soon as the host is back" {
	pair_start a 127.0.0.2
	pair_make b 127.0.0.3
	letters alice@a.example alice@b.example
	wait_until a_says 'deferred .*to=alice@b.example status=4.4.1 .*Connection refused'
	wait_until a_lists list 'Connection refused'
	wait_until a_lists sites 'site=smtp:mail.b.example:25 .*waiting=0 .*aside=[0-9]*s words=.*Connection refused'
	on b suite_run
	dawk_on a queue retry b.example
	wait_until on b delivered_to alice 1
	wait_until on a queue_is_empty
	wait_until a_says 'site-back site=smtp:mail.b.example:25'
}

@test "a site that is back is found by a probe, and all that waited for it goes then (RFC 5321 4.5.4.1)" {
	pair_start a 127.0.0.2 -- --set 'retry = 1s 2s 1h'
	pair_make b 127.0.0.3
	letters --count 10 alice@a.example alice@b.example
	wait_until a_says 'site-set-aside site=smtp:mail.b.example:25'
	on b suite_run
	wait_until on b delivered_to alice 10
	wait_until on a queue_is_empty
}

@test "a primary exchanger that gives no sign of life has a few seconds to itself, and does not keep mail from the next one (RFC 5321 5.1)" {
	pair_start a 127.0.0.2
	pair_make b 127.0.0.3 -- --set 'domains = b.example half.example'
	echo '@half.example: alice@b.example' >>"$PAIR/b/etc/aliases"
	dawk_on b update
	on b suite_run
	letters --count 20 alice@a.example u@half.example
	wait_until on b delivered_to alice 20
	wait_until on a queue_is_empty
	[[ $(grep -c 'to=u@half.example .*host=mail.b.example' "$PAIR/a/stderr/queued") == 20 ]]
	run -0 sed -n 's/.*to=u@half.example .*host=mail.b.example .*delay=\([0-9]*\)\..*/\1/p' "$PAIR/a/stderr/queued"
	((lines[0] >= 5))
	letters alice@a.example u@half.example		# it is known to be away: no need to wait for it again
	wait_until on b delivered_to alice 21
}

@test "2,000 messages for a host that does not answer delay none to one that does" {
	pair_start a 127.0.0.2
	pair_start b 127.0.0.3
	letters --count 2000 bob@a.example x@dead.example
	letters --count 50 bob@a.example alice@b.example
	wait_until on b delivered_to alice 50
	[[ $(results delivered dead.example) == 0 && $(results failed dead.example) == 0 ]]
	on a queue_holds 2000
	letters bob@a.example alice@a.example alice@b.example
	wait_until on b delivered_to alice 51
	wait_until on a delivered_to alice 1
	on a queue_holds 2000
	dawk_on a queue sites | grep -qE 'site=smtp:mail.dead.example:25 in-flight=[0-5] '
}

@test "and when it is known to be dead, each is put off with its words, without a connection" {
	pair_start a 127.0.0.2 -- --set 'connect-timeout = 1s' --set 'greeting-timeout = 1s'
	letters --count 2000 bob@a.example x@dead.example
	wait_until all_deferred
	wait_until a_lists sites 'site=smtp:mail.dead.example:25 in-flight=0 waiting=0.*aside=.*words='
	pair_start b 127.0.0.3
	letters --count 20 bob@a.example alice@b.example
	wait_until on b delivered_to alice 20
	on a suite_restart queued
	letters --count 20 bob@a.example alice@b.example
	wait_until on b delivered_to alice 40
	on a queue_holds 2000
}
all_deferred() { [[ $(results deferred dead.example) -ge 2000 ]]; }

in_flight_at_b() { dawk_on a queue sites | grep -qE 'site=smtp:mail.b.example:25 in-flight=[1-9]'; }

@test "remoted killed with mail on its way: everything arrives at least once" {
	pair_start a 127.0.0.2
	pair_start b 127.0.0.3
	on b suite_signal STOP
	numbered 60
	wait_until in_flight_at_b
	wait_until kill_remoted
	wait_until a_says 'transport-lost transport=remoted recipients=[1-9]'
	on b suite_signal CONT
	wait_until b_has_numbers 60
	wait_until on a queue_is_empty
}
kill_remoted() { kill -KILL "$(remoted_pid)" 2>/dev/null; }
suite_signal() { kill "-$1" -- "-$(suite_pid smtpd)"; }

@test "queued restarted, and killed, with mail that waits for another host: all of it arrives once the host is there" {
	pair_start a 127.0.0.2
	pair_make b 127.0.0.3
	numbered 40
	wait_until on a queue_holds 40
	wait_until a_deferred 40
	on a suite_restart queued
	on a queue_holds 40
	on a suite_kill queued
	on b suite_run
	on a suite_run
	dawk_on a queue retry b.example
	wait_until b_has_numbers 40
	wait_until on a queue_is_empty
	on b delivered_to alice 40
}
a_deferred() { [[ $(grep -c ' deferred .*to=alice@b.example ' "$PAIR/a/stderr/queued") -ge $1 ]]; }
