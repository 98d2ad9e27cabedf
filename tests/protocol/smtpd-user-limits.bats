# How much a user may send, and when his account is held: over all workers, by smtpd alone.
load ../lib/suite
load ../lib/submit
load ../lib/tls

make_and_run() { SUITE_SERVICES=smtpd submit_make "$@" && SUITE_SERVICES=smtpd suite_run; }
teardown() { submit_stop; }

held_files() { find "$SUITE/queue/held" -type f; }
messages_to() { grep -lsx "recipient $1" "$SUITE"/queue/new/* || :; }
# A message to each of the recipients, or until something else than 250 comes
send_to() {	# USER RECIPIENT..
	local user=$1 to
	shift
	for to in "$@"; do
		printf 'C: MAIL FROM:<%s@local.example>\nS: 250\nC: RCPT TO:<%s>\nS: 250\nC: DATA\nS: 354\nC: From: %s@local.example\nC:\nC: .\nS: 250\n' "$user" "$to" "$user"
	done | submit "$user"
}
say_mail() { printf 'C: MAIL FROM:<%s@local.example>\nS: %s\n' "$1" "$2" | submit "${@:3}" "$1"; }

@test "messages an hour: the next MAIL gets 450 4.7.1 and when to come again, in every worker, also in a new one" {
	make_and_run --set 'user-messages-hour = 3'
	local attempt
	for attempt in 1 2 3; do run -0 send_to alice bob@local.example; done
	for attempt in 1 2 3 4; do
		run -0 say_mail alice '450 4.7.1 alice@local.example may send 3 messages an hour (messages-hour): come again in '
	done
	[[ $output =~ come\ again\ in\ (5[0-9]|60)\ minutes ]]
	wait_until logged smtpd 'user-limited session=.* user=alice@local.example limit=messages-hour most=3 count=3 wait-seconds=[0-9]+$'
	[[ $(grep -c 'user-limited ' "$SUITE/stderr/smtpd") -eq 1 ]]
	run -0 send_to bob alice@local.example
	# the counters outlive the workers
	kill -KILL "$(pid_of_part smtpd worker 0)" "$(pid_of_part smtpd worker 1)"
	wait_until logged smtpd 'started part=worker index=0 .*pid=' && wait_until restarted
	run -0 say_mail alice '450 4.7.1 alice@local.example may send 3 messages'
}
restarted() { [[ $(grep -c 'started part=worker' "$SUITE/stderr/smtpd") -eq 4 ]]; }

@test "recipients a day count with each RCPT, within a message too; what was accepted goes out" {
	make_and_run --set 'user-recipients-day = 5'
	{
		printf 'C: MAIL FROM:<alice@local.example>\nS: 250\n'
		for i in 1 2 3 4 5; do printf 'C: RCPT TO:<to%s@remote.example>\nS: 250\n' $i; done
		printf 'C: RCPT TO:<to6@remote.example>\nS: 450 4.7.1 alice@local.example may send 5 recipients a day (recipients-day): come again in 2'
		printf '\n'
		printf 'C: DATA\nS: 354\nC: From: alice@local.example\nC:\nC: .\nS: 250 2.0.0\n'
	} | submit alice
	[[ $(cat "$SUITE"/queue/new/* | grep -c '^recipient to[1-5]@remote.example$') -eq 5 ]]
	run -0 say_mail alice '450 4.7.1'
}

@test "the table limits has other values for single users, in force at once" {
	make_and_run --set 'user-messages-hour = 1'
	run -0 send_to alice bob@local.example
	run -0 say_mail alice '450 4.7.1'
	echo 'alice@local.example messages-hour=2' >"$SUITE/etc/limits"
	$DAWK update --quiet
	run -0 send_to alice bob@local.example
	run -0 say_mail alice '450 4.7.1 alice@local.example may send 2 messages an hour'
	echo '@local.example messages-hour=off' >"$SUITE/etc/limits"
	$DAWK update --quiet
	run -0 send_to alice bob@local.example bob@local.example bob@local.example
}

@test "many strangers in an hour: the account is held, its owner and the postmaster are told once, in one message" {
	make_and_run --set 'user-strangers-hour = 5'
	run -0 send_to alice to{1..5}@remote.example to{1..5}@remote.example
	{
		printf 'C: MAIL FROM:<alice@local.example>\nS: 250\nC: RCPT TO:<to1@remote.example>\nS: 250\n'
		printf 'C: RCPT TO:<to6@remote.example>\nS: 450 4.7.1 mail of alice@local.example is held: its owner was told why, postmaster@local.example can release it\n'
		printf 'C: RCPT TO:<to7@remote.example>\nS: 450 4.7.1 mail of alice@local.example is held\n'
		printf 'C: DATA\nS: 354\nC: From: alice@local.example\nC:\nC: .\nS: 450 4.7.1 mail of alice@local.example is held\n'
		printf 'C: MAIL FROM:<alice@local.example>\nS: 450 4.7.1 mail of alice@local.example is held\n'
	} | submit alice
	for attempt in 1 2 3; do run -0 say_mail alice '450 4.7.1 mail of alice@local.example is held'; done
	wait_until logged smtpd 'account-held session=.* user=alice@local.example reason="6 recipients it had not written to before within an hour, 5 are the limit \(user-strangers-hour\)"'
	wait_until logged smtpd 'accepted .*session=notice .*recipients=2'
	[[ $(held_files) == "$SUITE/queue/held/alice@local.example" && $(grep -c 'account-held ' "$SUITE/stderr/smtpd") -eq 1 ]]
	[[ $(messages_to alice@local.example | wc -l) -eq 1 && $(messages_to alice@local.example) == "$(messages_to postmaster@local.example)" ]]
	file=$(messages_to alice@local.example)
	grep -qx 'from ' "$file"
	tr -d '\r' <"$file" | grep -qx 'Auto-Submitted: auto-generated'
	tr -d '\r' <"$file" | grep -qx 'To: <alice@local.example>, <postmaster@local.example>'
	tr -d '\r' <"$file" | grep -q 'dawk user release alice@local.example'
	# others send on
	run -0 send_to bob alice@local.example
}

@test "a held account stays held over a restart, and goes on after dawk user release, its counters at zero" {
	make_and_run --set 'user-strangers-hour = 3'
	run -1 send_to alice to{1..9}@remote.example
	wait_until notices_are 1
	run -0 $DAWK user held
	[[ $output == "alice@local.example "*" by smtpd: 4 recipients it had not written to before"* ]]
	SUITE_SERVICES=smtpd suite_restart smtpd
	run -0 say_mail alice '450 4.7.1 mail of alice@local.example is held'
	run -0 $DAWK user release alice@local.example
	run -0 send_to alice other{1..3}@remote.example
	wait_until logged smtpd 'account-released session=.* user=alice@local.example'
	run -1 send_to alice other4@remote.example
	[[ $output == *"450 4.7.1 mail of alice@local.example is held"* ]]
	wait_until notices_are 2
	run -0 $DAWK user release alice@local.example
	run -0 send_to alice other5@remote.example
}
notices_are() { [[ $(grep -c 'accepted .*session=notice' "$SUITE/stderr/smtpd") -eq $1 ]]; }

@test "dawk user hold stops an account at its next MAIL, also within a session" {
	make_and_run
	run -0 send_to alice bob@local.example
	run -0 timeout 100 /usr/bin/python3 - "$SMTPS_PORT" $DAWK <<-'EOT'
		import smtplib, ssl, subprocess, sys
		context = ssl._create_unverified_context()
		with smtplib.SMTP_SSL("127.0.0.1", int(sys.argv[1]), context=context, timeout=60) as client:
		    client.login("alice@local.example", "secret")
		    assert client.mail("alice@local.example")[0] == 250
		    client.rset()
		    subprocess.run(sys.argv[2:] + ["user", "hold", "alice@local.example", "on", "holiday"], check=True)
		    assert client.mail("alice@local.example")[0] == 450
		    subprocess.run(sys.argv[2:] + ["user", "release", "alice@local.example"], check=True)
		    assert client.mail("alice@local.example")[0] == 250
	EOT
	run -0 $DAWK user hold alice@local.example
	run -0 say_mail alice '450 4.7.1 mail of alice@local.example is held'
	run -0 $DAWK user release alice@local.example
	run -0 say_mail alice 250
}

@test "many networks in an hour hold an account" {
	make_and_run --set 'user-networks-hour = 3' --set 'relay-networks = none'
	local i
	for i in 1 2 3; do run -0 say_mail alice 250 --source "127.0.$i.7"; done
	run -0 say_mail alice 250 --source 127.0.1.99
	run -0 say_mail alice '450 4.7.1 mail of alice@local.example is held' --source 127.0.4.1
	wait_until logged smtpd 'account-held .*client=127.0.4.1 user=alice@local.example reason="4 networks it came from within an hour, 3 are the limit \(user-networks-hour\)"'
	run -0 say_mail alice '450 4.7.1' --source 127.0.1.7
}

@test "many refused recipients and messages hold an account" {
	make_and_run --set 'user-refusals-hour = 4'
	{
		printf 'C: MAIL FROM:<alice@local.example>\nS: 250\n'
		for i in 1 2 3; do printf 'C: RCPT TO:<nobody%s@local.example>\nS: 550 5.1.1\n' $i; done
		printf 'C: RCPT TO:<bob@local.example>\nS: 250\nC: DATA\nS: 354\nC: From: ceo@bank.example\nC:\nC: .\nS: 550 5.7.1\n'
		printf 'C: MAIL FROM:<ceo@bank.example>\nS: 553\nC: FOO\nS: 500\n'
		printf 'C: MAIL FROM:<alice@local.example>\nS: 250\nC: RCPT TO:<nobody@local.example>\nS: 550\n'
		printf 'C: RCPT TO:<bob@local.example>\nS: 450 4.7.1 mail of alice@local.example is held\n'
	} | submit alice
	wait_until logged smtpd 'account-held .*reason="5 refused recipients and messages within an hour, 4 are the limit \(user-refusals-hour\)"'
}

@test "limits can be off, and the values and kinds are checked" {
	SUITE_SERVICES=smtpd submit_make --set 'user-messages-hour = off' --set 'user-strangers-hour = off'
	[[ $($DAWK config user-messages-hour) == off ]]
	echo 'user-networks-hour = 32' >>"$SUITE/etc/dawk.conf"
	run -78 $DAWK config
	[[ $output == *"user-networks-hour: expected a number, or off (1 to 31), found \"32\""* ]]
	sed -i '$d' "$SUITE/etc/dawk.conf"
	echo 'submission-from = maybe' >>"$SUITE/etc/dawk.conf"
	run -78 $DAWK config
	[[ $output == *"submission-from: expected enforce, envelope or off"* ]]
	sed -i '$d' "$SUITE/etc/dawk.conf"
	SUITE_SERVICES=smtpd suite_run
	run -0 send_to alice to{1..30}@remote.example
}

@test "whatever stands in queue/held under the name of an account holds it" {
	make_and_run
	run -0 say_mail alice 250
	mkdir "$SUITE/queue/held/alice@local.example"
	run -0 say_mail alice '450 4.7.1'
	rmdir "$SUITE/queue/held/alice@local.example"
	run -0 say_mail alice 250
}

@test "a hold that can't be written stands in memory, is said, and is written when that works" {
	make_and_run --set 'user-strangers-hour = 2'
	chown root: "$SUITE/queue/held" && chmod 555 "$SUITE/queue/held"
	run -1 send_to alice to{1..3}@remote.example
	[[ $output == *"450 4.7.1 mail of alice@local.example is held"* && -z $(held_files) ]]
	wait_until logged smtpd 'unable-to-hold .*user=alice@local.example reason="3 recipients .*" why="hold alice@local.example: Permission denied"'
	for attempt in 1 2 3; do run -0 say_mail alice '450 4.7.1 mail of alice@local.example is held'; done
	chown dawks: "$SUITE/queue/held" && chmod 700 "$SUITE/queue/held"
	wait_until say_mail_writes_it
	wait_until notices_are 1
	[[ $(grep -c 'account-held ' "$SUITE/stderr/smtpd") -eq 1 ]]
	run -0 $DAWK user release alice@local.example
	run -0 say_mail alice 250
}
say_mail_writes_it() { say_mail alice '450 4.7.1' >/dev/null && [[ -n $(held_files) ]]; }
