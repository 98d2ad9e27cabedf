# How other hosts are treated: families, source addresses, hosts that greylist, sites over a restart, shares of senders.
load ../lib/suite
load ../lib/pair

setup_file() {
	pair_net
	in_net ip addr add fd00::3/128 dev lo
	in_net ip addr add fd00::9/128 dev lo
	{
		cat <<-'END'
			a.example MX 10 mail.a.example
			mail.a.example A 127.0.0.2
			b.example A 127.0.0.3
			c.example MX 10 both.example
			four.example MX 10 both.example
			six.example MX 10 both.example
			own.example MX 10 both.example
			both.example A 127.0.0.3
			both.example AAAA fd00::3
			only.example A 127.0.0.3
			half.example AAAA fd00::9
			half.example A 127.0.0.3
		END
		for i in {1..800}; do echo "h$i.dead.example A 127.0.0.9"; done
	} | pair_names
	pair_start b 127.0.0.3 '[fd00::3]' -- --set 'domains = b.example c.example four.example six.example own.example half.example'
	printf '@%s.example: alice@b.example\n' c four six own half >>"$PAIR/b/etc/aliases"
	dawk_on b update
	for address in 127.0.0.9 fd00::9; do
		in_net_background "silent-$address" "$TOOLS/silent-host.py" $address 25
		wait_until grep -q ready "$PAIR/silent-$address.out"
	done
	pair_make a 127.0.0.2 -- --set 'connect-timeout = 10m'	# nothing is to be had by waiting for the dead
	cat >>"$PAIR/a/etc/site" <<-'END'
		four.example family=4
		six.example family=6
		own.example source=127.0.0.8 source=fd00::3
		only.example family=6
	END
	mkdir "$PAIR/grey"
	in_net_background grey "$TOOLS/odd-server.py" "$PAIR/grey" 'grey=2:450 4.2.0 greylisted, come back in five minutes'
	wait_until test -s "$PAIR/grey/port"
	echo "grey.example smtp:[127.0.0.1]:$(cat "$PAIR/grey/port")" >>"$PAIR/a/etc/routes"
	mkdir "$PAIR/slow"
	in_net_background slow "$TOOLS/odd-server.py" "$PAIR/slow" 'rcpt=first:450 4.2.1 not now' wait=data
	wait_until test -s "$PAIR/slow/port"
	echo "slow.example smtp:[127.0.0.1]:$(cat "$PAIR/slow/port")" >>"$PAIR/a/etc/routes"
	echo 'slow.example concurrency=1' >>"$PAIR/a/etc/site"
	echo 'proven.example smtp:[127.0.0.3]:25 tls=verify' >>"$PAIR/a/etc/routes"
	dawk_on a update
	on a suite_run
}
setup() { on a empty_mailboxes; on b empty_mailboxes; }
teardown() { [[ -n ${BATS_TEST_COMPLETED:-} ]] || tail -n 20 "$PAIR"/[ab]/stderr/*; }
teardown_file() {
	kill -CONT "$(on a suite_pid queued)"	# a test that stopped it may have failed
	pair_stop
}

letters() { printf 'Subject: letter\n\nhello\n' | "$TOOLS/queue-put" "$PAIR/a/queue" "$@"; }
a_says() { on a logged queued "$1"; }
b_says() { on b logged smtpd "$1"; }
remoted_pid() { sed -n 's/.*started part=remoted.* pid=\([0-9]*\).*/\1/p' "$PAIR/a/stderr/queued" | tail -n 1; }

@test "family= of the site table: addresses of that family alone, whatever others at the same host use" {
	letters alice@a.example x@four.example >/dev/null
	letters bob@a.example x@six.example >/dev/null
	wait_until on b delivered_to alice 2
	wait_until b_says 'accepted .*client=127.0.0.1 from=alice@a.example'
	wait_until b_says 'accepted .*client=fd00::[39] from=bob@a.example'
	run -0 in_net "$BIN/dawk" -c "$PAIR/a/etc/dawk.conf" explain x@six.example
	[[ $output == *" fd00::3 port 25"* && $output != *" 127.0.0.3 port 25"* ]]
	dawk_on a queue sites | grep -q 'site="smtp:both.example:25 by IPv6" '
}

@test "JSON of the sites has each name whole, with what it says of family and TLS, and what the host said (RFC 8259)" {
	letters alice@a.example x@six.example >/dev/null
	letters alice@a.example x@proven.example >/dev/null
	wait_until on b delivered_to alice 1
	wait_until a_says 'deferred .*to=x@proven.example'
	dawk_on a queue sites --json | python3 -c '
import json, sys
rows = json.load(sys.stdin)
assert all({"site", "in-flight", "waiting"} <= set(row) <= {"site", "in-flight", "waiting", "limit", "aside", "words"} for row in rows), rows
names = [row["site"] for row in rows]
assert "smtp:both.example:25 by IPv6" in names, names
assert [name for name in names if name.startswith("smtp:[127.0.0.3]:25 tls=verify")], names'
	dawk_on a queue remove --to proven.example --yes
}

@test "a host without an address of the family that the site table wants waits for a mended table" {
	letters alice@a.example x@only.example >/dev/null
	wait_until a_says 'deferred .*to=x@only.example status=4.4.4 .*no host that takes mail for only.example has an address of IPv6'
	dawk_on a queue remove --to only.example --yes
}

@test "source= of the site table: connections are made from that address, one for each family" {
	letters carol@a.example x@own.example >/dev/null
	wait_until on b delivered_to alice 1
	wait_until b_says 'accepted .*client=(127.0.0.8|fd00::3) from=carol@a.example'
}

@test "the family that answered is tried first the next time, the other one not at all (RFC 8305 4)" {
	letters alice@a.example x@half.example >/dev/null
	wait_until on b delivered_to alice 1
	on b suite_restart smtpd		# the connection is closed, so that the next message needs a new one
	wait_until a_says 'session-end host=half.example\[127.0.0.3\]:25'
	strace -f -e trace=connect -o "$PAIR/trace" -p "$(remoted_pid)" 2>"$PAIR/attached" 3>&- &
	tracer=$!
	wait_until grep -q attached "$PAIR/attached"
	letters alice@a.example x@half.example >/dev/null
	wait_until on b delivered_to alice 2
	kill "$tracer"
	wait "$tracer" || :
	grep -q '127.0.0.3' "$PAIR/trace"
	run ! grep -q 'fd00::9' "$PAIR/trace"
}

# Seconds from the last deferral to the next attempt.
waits_for() { echo $(($(stat -c %Y "$PAIR/a/queue/state/$1") - $(sed -n 's/^0 deferred \([0-9]*\)[0-9]\{6\} .*/\1/p' "$PAIR/a/queue/state/$1" | tail -n 1))); }
deferred_times() { [[ $(grep -c '^0 deferred' "$PAIR/a/queue/state/$1") -ge $2 ]]; }

@test "a host that greylists gets its retry after five minutes, whatever the schedule says by then, and is in good health (RFC 6647)" {
	local id
	id=$(letters alice@a.example x@grey.example)
	wait_until deferred_times "$id" 1
	wait_until a_says "deferred id=$id .*status=4.2.0 .*450 4.2.0 greylisted"
	wait_until test -e "$PAIR/a/queue/cur/$id"
	(($(waits_for "$id") > 290 && $(waits_for "$id") <= 361)) || { waits_for "$id"; false; }
	dawk_on a queue retry "$id"
	wait_until deferred_times "$id" 2		# the schedule says a quarter of an hour
	(($(waits_for "$id") > 290 && $(waits_for "$id") <= 361)) || { waits_for "$id"; false; }
	dawk_on a queue sites | grep 'site=smtp:\[127.0.0.1\]' | grep -qv aside=
	dawk_on a queue retry "$id"
	wait_until test -s "$PAIR/grey/message.1"
	wait_until test ! -e "$PAIR/a/queue/cur/$id"
}

@test "a 4.4.1 in a host's own words is one recipient's trouble: nobody else's mail waits for that, nor hears of it (RFC 3463 3.5)" {
	local ids
	mkdir "$PAIR/inner"
	in_net_background inner "$TOOLS/odd-server.py" "$PAIR/inner" 'rcpt=away:450 4.4.1 <away@inner.example>: its inner host does not answer' \
		'rcpt=gone:421 4.4.1 <gone@inner.example>: its inner host does not answer'
	wait_until test -s "$PAIR/inner/port"
	echo "inner.example smtp:[127.0.0.1]:$(cat "$PAIR/inner/port")" >>"$PAIR/a/etc/routes"
	dawk_on a update
	ids=("$(letters alice@a.example away@inner.example)" "$(letters alice@a.example gone@inner.example)")
	wait_until a_says 'deferred .*to=away@inner.example status=4.4.1 .*450 4.4.1 <away@inner.example>'
	wait_until a_says 'deferred .*to=gone@inner.example status=4.4.1 .*421 4.4.1 <gone@inner.example>'
	letters bob@a.example x@inner.example >/dev/null
	wait_until a_says 'relayed .*to=x@inner.example'
	run ! a_says "site-set-aside site=.*:$(cat "$PAIR/inner/port")"
	run ! a_says 'deferred .*to=x@inner.example'
	dawk_on a queue remove "${ids[@]}"
	wait_until on a queue_is_empty
}

all_deferred() { [[ $(grep -c ' deferred .*to=alice@b.example ' "$PAIR/a/stderr/queued") -ge $1 ]]; }

@test "what waited for a host before a restart goes once it takes mail again" {
	on b suite_end smtpd
	letters --count 20 alice@a.example alice@b.example >/dev/null
	wait_until all_deferred 20
	wait_until on a queue_holds 20
	on a suite_restart queued
	on b suite_run
	letters bob@a.example alice@b.example >/dev/null
	wait_until on b delivered_to alice 21
	wait_until on a queue_is_empty
}

@test "a newsletter to 800 hosts that give no sign of life does not fill the room: a letter passes it by" {
	for i in {1..5}; do letters --count 800 --numbered news@a.example 'x@h%d.dead.example' >/dev/null; done
	letters bob@a.example alice@b.example >/dev/null
	wait_until on b delivered_to alice 1
	run ! a_says 'deferred .*dead.example .*timed out'
}

@test "recipients that are ready again behind others of their message are put off with them when remoted is gone" {
	local rest=()
	for i in {1..250}; do rest+=("r$i@slow.example"); done
	id=$(letters alice@a.example 'first@slow.example|owner alice@a.example' "${rest[@]}")
	parked() { dawk_on a status | grep -q " parked=$1 "; }
	wait_until a_says "deferred id=$id index=0 .*not now"
	wait_until parked 150
	dawk_on a queue retry "$id"
	wait_until parked 151
	kill -STOP "$(on a suite_pid queued)"	# nobody starts another
	kill -KILL "$(remoted_pid)"
	wait_until a_says "deferred id=$id index=250 .*no transport"
	wait_until a_says "deferred id=$id index=0 .*no transport"
	kill -CONT "$(on a suite_pid queued)"
	touch "$PAIR/slow/go"
	relayed() { [[ $(grep -cE "(relayed|forwarded) id=$id " "$PAIR/a/stderr/queued") -ge 250 ]]; }
	wait_until relayed
	dawk_on a queue remove "$id"
}
