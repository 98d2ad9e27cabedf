# Mail to other hosts: two instances that find each other by MX, and what the DNS and the hosts may do meanwhile.
load ../lib/suite
load ../lib/pair

setup() {
	pair_net
	names </dev/null
}
teardown() { pair_stop; }

# The usual zones, and the lines of standard input.
names() {
	{
		printf '%s\n' 'a.example MX 10 mail.a.example' 'mail.a.example A 127.0.0.2' 'b.example MX 10 mail.b.example' \
			'mail.b.example A 127.0.0.3'
		cat
	} | pair_names
}
# The only message of alice, at this instance, as text.
alice_at() { on "$1" message_of alice | xargs cat | tr -d '\r'; }
a_says() { on a logged queued "$1"; }
mail_from_alice() { send a alice@a.example "$@" <<<$'Subject: hi\n\nhello'; }

@test "two hosts send to each other by MX, byte by byte (RFC 5321 5.1)" {
	pair_start a 127.0.0.2
	pair_start b 127.0.0.3
	hard_message "$PAIR/hard"
	send a alice@a.example alice@b.example <"$PAIR/hard"
	wait_until on b delivered_to alice 1
	same_message "$PAIR/hard" "$(on b message_of alice)"
	alice_at b | grep -q '^Return-Path: <alice@a.example>'
	a_says 'forwarded .*to=alice@b.example .*host=mail.b.example words="250 2.0.0 queued as'
	send b alice@b.example alice@a.example <<<$'Subject: back\n\nhello'
	wait_until on a delivered_to alice 1
	wait_until on a queue_is_empty
	wait_until on b queue_is_empty
}

@test "mail for a host that is down waits with the reason; a retry by domain brings it as soon as the host is back" {
	pair_start a 127.0.0.2
	pair_make b 127.0.0.3
	mail_from_alice alice@b.example
	wait_until a_says 'deferred .*to=alice@b.example status=4.4.1 .*Connection refused'
	dawk_on a queue list | grep -q 'Connection refused'
	dawk_on a queue sites | grep -q 'site=smtp:mail.b.example:25 .*waiting=0 .*aside=[0-9]*s words=.*Connection refused'
	on b suite_run
	dawk_on a queue retry b.example
	wait_until on b delivered_to alice 1
	wait_until on a queue_is_empty
	a_says 'site-back site=smtp:mail.b.example:25'
}

@test "a site that is back is found by a probe, and all that waited for it goes then (RFC 5321 4.5.4.1)" {
	pair_start a 127.0.0.2 -- --set 'retry = 1s 2s 1h'
	pair_make b 127.0.0.3
	for i in 1 2 3 4 5 6 7 8 9 10; do mail_from_alice alice@b.example; done
	wait_until a_says 'site-set-aside site=smtp:mail.b.example:25'
	on b suite_run
	wait_until on b delivered_to alice 10
	wait_until on a queue_is_empty
}

@test "a dead primary exchanger gives way to the next, in order of preference (RFC 5321 5.1)" {
	names <<-'EOF'
		many.example MX 30 third.example
		many.example MX 10 dead.example
		many.example MX 20 second.example
		dead.example A 127.0.0.9
		second.example A 127.0.0.4
		third.example A 127.0.0.3
	EOF
	pair_start a 127.0.0.2
	pair_make b 127.0.0.3 127.0.0.4 -- --set 'domains = b.example many.example'
	echo '@many.example: alice@b.example' >>"$PAIR/b/etc/aliases"
	dawk_on b update
	on b suite_run
	for i in 1 2 3; do mail_from_alice "u$i@many.example"; done
	wait_until on b delivered_to alice 3
	wait_until on a queue_is_empty
	[[ $(grep -c 'host=second.example' "$PAIR/a/stderr/queued") -ge 3 ]]
	run ! a_says 'to=.*host=third.example'
}

@test "a null MX, a name that does not exist and a domain that is this host are reported at once (RFC 7505, RFC 5321 5.1)" {
	names <<-'EOF'
		null.example MX 0 .
		mirror.example MX 10 mail.a.example
		mirror.example MX 20 mail.b.example
		other.example MX 10 othername.example
		othername.example A 127.0.0.2
	EOF
	pair_start a 127.0.0.2
	mail_from_alice x@null.example
	mail_from_alice x@nowhere.example
	mail_from_alice x@mirror.example
	mail_from_alice x@other.example
	wait_until on a delivered_to alice 4
	wait_until on a queue_is_empty
	for what in 'null.example 5.1.10' 'nowhere.example 5.1.2' 'mirror.example 5.4.6' 'other.example 5.4.6'; do
		grep -lE "^Final-Recipient: rfc822; *x@${what% *}" "$PAIR"/a/mail/a.example/alice/new/* |
			xargs grep -qE "^Status: ${what#* }" || { echo "$what"; false; }
	done
}

@test "a look-up that fails puts mail off, whether the mail exchangers' or an address (RFC 5321 5.1)" {
	names <<-'EOF'
		broken.example servfail
		half.example MX 10 gone.example
		gone.example servfail
	EOF
	pair_start a 127.0.0.2
	mail_from_alice x@broken.example
	mail_from_alice x@half.example
	wait_until a_says 'deferred .*to=x@broken.example status=4.4.3'
	wait_until a_says 'deferred .*to=x@half.example status=4.4.3'
	on a queue_holds 2
	on a delivered_to alice 0
}

@test "a recipient that the other host refuses is reported with its name and its words (RFC 3464)" {
	pair_start a 127.0.0.2
	pair_start b 127.0.0.3
	mail_from_alice nobody@b.example alice@b.example
	wait_until on b delivered_to alice 1
	wait_until on a delivered_to alice 1
	alice_at a | grep -q '^Final-Recipient: rfc822; *nobody@b.example'
	alice_at a | grep -q '^Remote-MTA: dns; *mail.b.example'
	alice_at a | grep -q '^Status: 5.1.1'
	alice_at a | grep -q '^Diagnostic-Code: smtp; *550 5.1.1 '
	[[ $(alice_at a) != *$'\nFinal-Recipient: '*alice@b.example* ]]
}

with_notify() {	# RECIPIENT
	on a talk <<-EOF
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<alice@a.example> ENVID=letter7
		S: 250
		C: RCPT TO:<$1> NOTIFY=SUCCESS ORCPT=rfc822;first@a.example
		S: 250
		C: DATA
		S: 354
		C: Subject: hi
		C:
		C: hello
		C: .
		S: 250
	EOF
}

@test "a success that was asked for is reported by the next host when it can (RFC 3461 5.2.2)" {
	pair_start a 127.0.0.2
	pair_start b 127.0.0.3
	with_notify alice@b.example
	wait_until on a delivered_to alice 1
	alice_at a | grep -q '^Reporting-MTA: dns; *mail.b.example'
	alice_at a | grep -q '^Action: delivered'
	alice_at a | grep -q '^Original-Envelope-Id: letter7'
	alice_at a | grep -q '^Original-Recipient: rfc822; *first@a.example'
	wait_until on a queue_is_empty
}

odd_host() {	# odd.example, on 127.0.0.1: it knows no DSN
	mkdir -p "$PAIR/odd"
	in_net_background odd "$TOOLS/odd-server.py" "$PAIR/odd"
	wait_until test -s "$PAIR/odd/port"
	echo "odd.example smtp:[127.0.0.1]:$(cat "$PAIR/odd/port")" >>"$PAIR/a/etc/routes"
	dawk_on a update >/dev/null
}

@test "and by this one, as relayed, when the next host knows no DSN (RFC 3461 5.2.2)" {
	pair_start a 127.0.0.2
	odd_host
	with_notify x@odd.example
	wait_until on a delivered_to alice 1
	alice_at a | grep -q '^Reporting-MTA: dns; *mail.a.example'
	alice_at a | grep -q '^Action: relayed'
	alice_at a | grep -q '^Original-Envelope-Id: letter7'
}

@test "a message for here, elsewhere and nowhere: each recipient gets what is due" {
	names <<<'null.example MX 0 .'
	pair_start a 127.0.0.2
	pair_start b 127.0.0.3
	send a bob@a.example alice@a.example alice@b.example bob@b.example x@null.example nobody@b.example <<<$'Subject: mixed\n\nhello'
	wait_until on b delivered_to alice 1
	wait_until on b delivered_to bob 1
	wait_until on a delivered_to alice 1
	wait_until on a delivered_to bob 1
	wait_until on a queue_is_empty
	grep -c '^Final-Recipient:' "$(on a message_of bob)" | grep -qx 2
}

@test "a message to 300 recipients of three domains at one host takes few connections" {
	names <<-'EOF'
		c.example MX 10 mail.b.example
		d.example MX 10 mail.b.example
	EOF
	pair_start a 127.0.0.2
	pair_make b 127.0.0.3 -- --set 'domains = b.example c.example d.example'
	printf '@%s.example: alice@b.example\n' c d >>"$PAIR/b/etc/aliases"
	echo '@b.example: bob@b.example' >>"$PAIR/b/etc/aliases"
	dawk_on b update
	on b suite_run
	mapfile -t many < <(for i in {1..100}; do printf 'u%s@%s.example\n' "$i" b "$i" c "$i" d; done)
	[[ ${#many[@]} == 300 ]]
	mail_from_alice "${many[@]}"
	wait_until on a queue_is_empty
	[[ $(grep -c " forwarded .*to=u" "$PAIR/a/stderr/queued") == 300 ]]
	[[ $(grep -c "session-end .*helo=mail.a.example" "$PAIR/b/stderr/smtpd") -le 5 ]]
	on a suite_end queued
	[[ $(grep -c 'session-end.*site=smtp:mail.b.example' "$PAIR/a/stderr/queued") -le 5 ]]
}
