# Mail to other hosts: two instances that find each other by MX, and what the DNS may say meanwhile.
load ../lib/suite
load ../lib/pair

setup_file() {
	pair_net
	pair_names <<-'EOF'
		a.example MX 10 mail.a.example
		mail.a.example A 127.0.0.2
		b.example MX 10 mail.b.example
		c.example MX 10 mail.b.example
		d.example MX 10 mail.b.example
		mail.b.example A 127.0.0.3
		many.example MX 30 third.example
		many.example MX 10 dead.example
		many.example MX 20 second.example
		dead.example A 127.0.0.9
		second.example A 127.0.0.4
		third.example A 127.0.0.3
		implicit.example A 127.0.0.4
		null.example MX 0 .
		mirror.example MX 10 mail.a.example
		mirror.example MX 20 mail.b.example
		other.example MX 10 othername.example
		othername.example A 127.0.0.2
		broken.example servfail
		half.example MX 10 gone.example
		gone.example servfail
		narrow.example MX 10 narrow.example
		narrow.example A 127.0.0.4
		xn--bcher-kva.example MX 10 mail.b.example
		xn--strae-oqa.example A 127.0.0.9
	EOF
	pair_make b 127.0.0.3 127.0.0.4 -- --set 'domains = b.example c.example d.example many.example implicit.example narrow.example bücher.example straße.example'
	printf '@%s.example: alice@b.example\n' many implicit narrow bücher straße >>"$PAIR/b/etc/aliases"
	printf '@%s.example: bob@b.example\n' c d >>"$PAIR/b/etc/aliases"
	dawk_on b update
	on b suite_run
	pair_make a 127.0.0.2
	mkdir "$PAIR/odd"
	in_net_background odd "$TOOLS/odd-server.py" "$PAIR/odd"
	wait_until test -s "$PAIR/odd/port"
	printf '%s\n' "odd.example smtp:[127.0.0.1]:$(cat "$PAIR/odd/port")" 'u@d.example smtp:[127.0.0.3] source=127.0.0.7' \
		'x@straße.example smtp:[127.0.0.3]' >>"$PAIR/a/etc/routes"
	echo 'narrow.example concurrency=1' >>"$PAIR/a/etc/site"
	dawk_on a update
	on a suite_run
}
setup() { on a empty_mailboxes; on b empty_mailboxes; }
teardown() { [[ -n ${BATS_TEST_COMPLETED:-} ]] || tail -n 20 "$PAIR"/[ab]/stderr/*; }
teardown_file() { pair_stop; }

# The only message of alice, at this instance, as text.
alice_at() { on "$1" message_of alice | xargs cat | tr -d '\r'; }
a_says() { on a logged queued "$1"; }
mail_from_alice() { send a alice@a.example "$@" <<<$'Subject: hi\n\nhello'; }
international_mail_to() {
	on a talk smtpd <<-END
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<alice@a.example> SMTPUTF8
		S: 250
		C: RCPT TO:<$1>
		S: 250
		C: DATA
		S: 354
		C: Subject: hi
		C:
		C: hello
		C: .
		S: 250 2.0.0
		C: QUIT
		S: 221
	END
}

@test "two hosts send to each other by MX, byte by byte (RFC 5321 5.1)" {
	hard_message "$PAIR/hard"
	send a alice@a.example alice@b.example <"$PAIR/hard"
	wait_until on b delivered_to alice 1
	same_message "$PAIR/hard" "$(on b message_of alice)"
	alice_at b | grep -q '^Return-Path: <alice@a.example>'
	wait_until a_says 'forwarded .*to=alice@b.example .*host=mail.b.example words="250 2.0.0 queued as'
	send b alice@b.example alice@a.example <<<$'Subject: back\n\nhello'
	wait_until on a delivered_to alice 1
	wait_until on a queue_is_empty
	wait_until on b queue_is_empty
}

@test "a domain without MX is its own host (RFC 5321 5.1)" {
	mail_from_alice someone@implicit.example
	wait_until on b delivered_to alice 1
	wait_until a_says 'to=someone@implicit.example .*host=implicit.example'
}

@test "an international domain is found by its A-labels, in the DNS and the routes; the address goes as it is (RFC 6531 3.2)" {
	international_mail_to x@bücher.example
	wait_until on b delivered_to alice 1
	wait_until a_says 'to="x@bücher.example" .*host=mail.b.example'
	alice_at b | grep -A 1 'by mail.b.example with UTF8SMTP' | grep -q 'for <x@bücher.example>'
	on b empty_mailboxes
	international_mail_to x@straße.example
	wait_until on b delivered_to alice 1
	wait_until on a queue_is_empty
}

@test "a dead primary exchanger gives way to the next, in order of preference (RFC 5321 5.1)" {
	for i in 1 2 3; do mail_from_alice "u$i@many.example"; done
	wait_until on b delivered_to alice 3
	wait_until on a queue_is_empty
	[[ $(grep -c 'to=u[123]@many.example .*host=second.example' "$PAIR/a/stderr/queued") == 3 ]]
}

@test "a null MX, a name that does not exist and a domain that is this host are reported at once (RFC 7505, RFC 5321 5.1)" {
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
	mail_from_alice x@broken.example
	mail_from_alice x@half.example
	wait_until a_says 'deferred .*to=x@broken.example status=4.4.3'
	wait_until a_says 'deferred .*to=x@half.example status=4.4.3'
	on a queue_holds 2
	on a delivered_to alice 0
	dawk_on a queue list | grep -q broken.example
	dawk_on a queue list | awk 'length($1) == 20 { print $1 }' | xargs "$BIN/dawk" -c "$PAIR/a/etc/dawk.conf" queue remove
	wait_until on a queue_is_empty
}

@test "a recipient that the other host refuses is reported with its name and its words (RFC 3464)" {
	mail_from_alice nobody@b.example alice@b.example
	wait_until on b delivered_to alice 1
	wait_until on a delivered_to alice 1
	alice_at a | grep -q '^Final-Recipient: rfc822; *nobody@b.example'
	alice_at a | grep -q '^Remote-MTA: dns; *mail.b.example'
	alice_at a | grep -q '^Status: 5.1.1'
	alice_at a | grep -q '^Diagnostic-Code: smtp; *550 5.1.1 '
	run ! grep -q '^Final-Recipient: .*alice@b.example' "$(on a message_of alice)"
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
	with_notify alice@b.example
	wait_until on a delivered_to alice 1
	alice_at a | grep -q '^Reporting-MTA: dns; *mail.b.example'
	alice_at a | grep -q '^Action: delivered'
	alice_at a | grep -q '^Original-Envelope-Id: letter7'
	alice_at a | grep -q '^Original-Recipient: rfc822; *first@a.example'
	wait_until on a queue_is_empty
}

@test "and by this one, as relayed, when the next host knows no DSN (RFC 3461 5.2.2)" {
	with_notify x@odd.example
	wait_until on a delivered_to alice 1
	alice_at a | grep -q '^Reporting-MTA: dns; *mail.a.example'
	alice_at a | grep -q '^Action: relayed'
	alice_at a | grep -q '^Original-Envelope-Id: letter7'
}

@test "a message for here, elsewhere and nowhere: each recipient gets what is due" {
	send a bob@a.example alice@a.example alice@b.example bob@b.example x@null.example nobody@b.example <<<$'Subject: mixed\n\nhello'
	wait_until on b delivered_to alice 1
	wait_until on b delivered_to bob 1
	wait_until on a delivered_to alice 1
	wait_until on a delivered_to bob 1
	wait_until on a queue_is_empty
	grep -c '^Final-Recipient:' "$(on a message_of bob)" | grep -qx 2
}

@test "a message to 300 recipients of three domains at one host takes few connections" {
	local many before after
	mapfile -t many < <(printf 'bob+%s@b.example\n' {1..100}; printf 'u%s@c.example\n' {1..100}; printf 'u%s@d.example\n' {1..100})
	before=$(grep -c ' session-end .*helo=mail.a.example' "$PAIR/b/stderr/smtpd") || :
	send a alice@a.example "${many[@]}" <<<$'Subject: many\n\nhello' >"$PAIR/talk.out"
	wait_until on a queue_is_empty
	[[ $(grep -cE ' forwarded .*to=(bob\+|u)[0-9]*@[bcd].example' "$PAIR/a/stderr/queued") == 300 ]]
	on b suite_restart smtpd
	after=$(grep -c ' session-end .*helo=mail.a.example' "$PAIR/b/stderr/smtpd") || :
	((after - before <= 8)) || { echo "$before, then $after"; false; }
}

@test "a route for one address names the next hop and the address that connections are made from" {
	send a alice@a.example u@d.example <<<$'Subject: hi\n\nhello'
	wait_until on b delivered_to bob 1
	wait_until on b logged smtpd 'accepted .*client=127.0.0.7 from=alice@a.example'
}

@test "a site with concurrency=1 gets all its mail over one connection" {
	printf 'Subject: letter\n\nhello\n' | "$TOOLS/queue-put" "$PAIR/a/queue" --count 30 alice@a.example x@narrow.example >/dev/null
	wait_until on b delivered_to alice 30
	wait_until on a queue_is_empty
	on a suite_restart queued	# so that all sessions are logged
	grep 'session-end host=narrow.example' "$PAIR/a/stderr/queued" | grep -c 'messages=30 recipients=30' | grep -qx 1
}

@test "a retry of a domain that nothing waits for says so" {
	run -65 dawk_on a queue retry idle.example
	[[ $output == *'nothing waits for idle.example'* ]]
}
