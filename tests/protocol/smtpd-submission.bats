# What a client that has logged in may send: as whom, how much, and what is made of its messages (RFC 6409).
load ../lib/suite
load ../lib/submit

setup() {
	export SUITE_SERVICES=smtpd
	submit_make --set 'user-strangers-hour = off'
	cat >>"$SUITE/etc/aliases" <<-'EOT'
		info@local.example: alice@local.example
		team@local.example: alice@local.example, bob@local.example
		list@local.example: alice@local.example, bob@local.example
		owner-list@local.example: bob@local.example
	EOT
	cat >"$SUITE/etc/senders" <<-'EOT'
		alice@local.example: alice@elsewhere.example, @own.example
	EOT
	$DAWK update --quiet
}
teardown() { submit_stop; }

queued_messages() { find "$SUITE/queue/new" -type f | sort; }
newest() { queued_messages | tail -n 1; }
# The queue file of the only message, its envelope apart
the_message() {
	local file
	file=$(newest)
	[[ -n $file ]] && sed -n '/^Received: /,$p' "$file" | tr -d '\r'
}

@test "the reverse-path has to be the user's own: his address, with an extension, an alias to him, the table's (RFC 6409 6.1)" {
	suite_run
	for address in alice@local.example Alice@LOCAL.example alice+lists@local.example info@local.example team@local.example \
		alice@elsewhere.example any.body@own.example '"alice"@local.example'; do
		printf 'C: MAIL FROM:<%s>\nS: 250 2.1.0\nC: RSET\nS: 250\n' "$address"
	done | submit alice
	for address in bob@local.example list@local.example nobody@local.example ceo@bank.example alice+x@elsewhere.example \
		any.body@below.own.example alice@local.example.example; do
		printf 'C: MAIL FROM:<%s>\nS: 553 5.7.1 reverse-path: <%s> is not an address of alice@local.example\n' "$address" "$address"
	done | submit alice
	wait_until logged smtpd 'foreign-sender session=.* user=alice@local.example in=reverse-path address=ceo@bank.example'
}

@test "the null reverse-path is for everybody, as disposition notifications need it (RFC 8098 3)" {
	suite_run
	run -0 submit_message alice '' bob@local.example 'From: alice@local.example' 'Subject: read'
	run -1 submit_message alice '' bob@local.example 'From: bob@local.example' 'Subject: read'
	[[ $output == *"550 5.7.1 From: <bob@local.example>"* ]]
}

@test "From and Sender have to be the user's own, every address in them (RFC 5322 3.6.2)" {
	local row good bad
	suite_run
	good=(
		'From: alice@local.example'
		'from: Alice <alice+x@local.example>, Info <info@local.example>'
		'From: "ceo@bank.example" <alice@local.example>'
		'From: =?utf-8?q?ceo=40bank.example?= <alice@local.example>'
		'From: (ceo@bank.example) alice@local.example (ceo@bank.example)'
		'From: Team: alice@local.example, any@own.example;'
		'From : "any" . body @ own . example, <alice@local.example>'
		'From: alice@local.example|Sender: info@local.example'
	)
	bad=(
		'550 5.7.1 From:|From: ceo@bank.example'
		'550 5.7.1 From:|From: alice@local.example, CEO <ceo@bank.example>'
		'550 5.7.1 From:|From: Team: alice@local.example, ceo@bank.example;'
		'550 5.7.1 From:|From: ceo@bank.example <alice@local.example>'
		'550 5.7.1 From:|From: <@alice.local.example:ceo@bank.example>'
		'550 5.7.1 From:|From: alice'
		'550 5.7.1 Sender:|From: alice@local.example|Sender: ceo@bank.example'
		'554 5.6.0 Sender:|From: alice@local.example|Sender: alice@local.example, info@local.example'
		'554 5.6.0 Sender:|From: alice@local.example|Sender: alice@local.example|Sender: alice@local.example'
		'554 5.6.0 From:|From: alice@local.example|From: ceo@bank.example'
		'554 5.6.0 From:|From: alice@local.example|FROM : alice@local.example'
		'554 5.6.0 From:|From: <alice@local.example> <ceo@bank.example>'
		'554 5.6.0 From:|From: undisclosed-recipients:;'
		'554 5.6.0 From:|From:'
		'554 5.6.0 From:|From: "alice@local.example'
		'554 5.6.0 header:|From: alice@local.example|no field|From: ceo@bank.example'
		'554 5.6.0 From:|DKIM-Signature: v=1; h=from:to; b=x|Subject: signed without one'
	)
	for row in "${good[@]}"; do
		printf 'C: MAIL FROM:<alice@local.example>\nS: 250\nC: RCPT TO:<bob@local.example>\nS: 250\nC: DATA\nS: 354\n'
		tr '|' '\n' <<<"$row" | sed 's/^/C: /'
		printf 'C: Subject: x\nC:\nC: From: ceo@bank.example\nC: .\nS: 250 2.0.0 queued\n'
	done | submit alice
	[[ $(queued_messages | wc -l) -eq ${#good[@]} ]]
	for row in "${bad[@]}"; do
		printf 'C: MAIL FROM:<alice@local.example>\nS: 250\nC: RCPT TO:<bob@local.example>\nS: 250\nC: DATA\nS: 354\n'
		tr '|' '\n' <<<"${row#*|}" | sed 's/^/C: /'
		printf 'C:\nC: hello\nC: .\nS: %s\n' "${row%%|*}"
	done | submit alice
	[[ $(queued_messages | wc -l) -eq ${#good[@]} && -z $(find "$SUITE/queue/tmp" -type f) ]]
	wait_until logged smtpd 'foreign-sender session=.* user=alice@local.example in=From address=ceo@bank.example'
}

@test "a From that is folded, byte by byte and in chunks is read the same (RFC 5322 2.2.3, RFC 3030)" {
	suite_run
	run -0 submit --bytes alice <<-'EOT'
		C: MAIL FROM:<alice@local.example>
		S: 250
		C: RCPT TO:<bob@local.example>
		S: 250
		C: DATA
		S: 354
		C: From: alice@local.example,
		C:  "CEO"
		C: 	<ceo@bank.example>
		C:
		C: .
		S: 550 5.7.1 From: <ceo@bank.example>
		C: MAIL FROM:<alice@local.example>
		S: 250
		C: RCPT TO:<bob@local.example>
		S: 250
		C: BDAT 21
		X: From: alice@local.exa
		S: 250
		C: BDAT 9 LAST
		X: mple\r\n\r\nx
		S: 250 2.0.0
		C: MAIL FROM:<alice@local.example>
		S: 250
		C: RCPT TO:<bob@local.example>
		S: 250
		C: BDAT 28 LAST
		X: From: ceo@bank.example\r\n\r\nhi
		S: 550 5.7.1 From: <ceo@bank.example>
		C: QUIT
		S: 221
	EOT
}

@test "a bare newline in BDAT hides no From: where it is normalized the judge sees what goes on" {
	echo 'bare-newline = normalize' >>"$SUITE/etc/dawk.conf"
	suite_run
	run -0 submit alice <<-'EOT'
		C: MAIL FROM:<alice@local.example>
		S: 250
		C: RCPT TO:<bob@local.example>
		S: 250
		C: BDAT 64 LAST
		X: Subject: x\rFrom: ceo@bank.example\r\nFrom: alice@local.example\r\n\r\n
		S: 554 5.6.0
	EOT
}

@test "submission-from = envelope leaves the header to the user, off the reverse-path too" {
	echo 'submission-from = envelope' >>"$SUITE/etc/dawk.conf"
	suite_run
	run -0 submit_message alice alice@local.example bob@local.example 'From: ceo@bank.example'
	run -1 submit_message alice ceo@bank.example bob@local.example 'From: alice@local.example'
	[[ $output == *"553 5.7.1"* ]]
	echo 'submission-from = off' >>"$SUITE/etc/dawk.conf"
	suite_restart smtpd
	run -0 submit_message alice ceo@bank.example bob@local.example 'From: ceo@bank.example'
}

@test "clients without a login are not judged: other hosts, relay-networks, the local socket" {
	suite_run
	echo 'From: ceo@bank.example' | send_message ceo@bank.example alice@local.example
	run -0 talk local <<-'EOT'
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<ceo@bank.example>
		S: 250
		C: RCPT TO:<alice@local.example>
		S: 250
		C: DATA
		S: 354
		C: From: ceo@bank.example
		C: From: ceo@bank.example
		C:
		C: .
		S: 250 2.0.0
	EOT
}

@test "Date, Message-ID and From are added where a submitted message lacks them, and nowhere else (RFC 6409 8)" {
	suite_run
	run -0 submit_message alice info@local.example bob@local.example 'Subject: bare'
	the_message >"$SUITE/message"
	grep -qx 'From: <info@local.example>' "$SUITE/message"
	grep -qE '^Date: [A-Z][a-z]{2}, [0-9]+ [A-Z][a-z]{2} 2[0-9]{3} ' "$SUITE/message"
	grep -qE '^Message-ID: <[0-9a-z]+@mail.local.example>$' "$SUITE/message"
	[[ $(grep -ciE '^(from|date|message-id):' "$SUITE/message") -eq 3 ]]
	rm "$(newest)"
	run -0 submit_message alice '' bob@local.example 'Subject: no reverse-path'
	the_message | grep -qx 'From: <alice@local.example>'
	rm "$(newest)"
	run -0 submit_message alice alice@local.example bob@local.example 'FROM: alice@local.example' 'date: Sat, 21 Nov 2026 22:00:00 +0000' \
		'Message-Id: <x@y.example>'
	[[ $(the_message | grep -ciE '^(from|date|message-id):') -eq 3 ]]
	rm "$(newest)"
	printf 'Subject: relayed\n\nhello\n' | send_message carol@client.example bob@local.example
	run -1 grep -iE '^(from|date|message-id):' <(the_message)
	rm "$(newest)"
	# a message that is a header and nothing else
	run -0 submit alice <<-'EOT'
		C: MAIL FROM:<alice@local.example>
		S: 250
		C: RCPT TO:<bob@local.example>
		S: 250
		C: DATA
		S: 354
		C: Subject: all of it
		C: .
		S: 250 2.0.0
	EOT
	[[ $(the_message | grep -ciE '^(from|date|message-id):') -eq 3 ]]
}

@test "what a DKIM signature says is missing is not added, and no byte of a signed message changes (RFC 6376 5.4.2)" {
	suite_run
	run -0 submit_message alice alice@local.example bob@local.example \
		'DKIM-Signature: v=1; a=rsa-sha256; d=local.example; s=x; h=From:Date' '	: subject; bh=x; b=y' 'From: alice@local.example' 'Subject: signed'
	the_message >"$SUITE/message"
	run -1 grep -i '^date:' "$SUITE/message"
	grep -q '^Message-ID:' "$SUITE/message"
	rm "$(newest)"
	{
		printf 'From: alice@local.example\r\nContent-Type: multipart/signed; boundary=b; micalg=pgp-sha256; protocol="application/pgp-signature"\r\n\r\n'
		printf -- '--b\r\nContent-Type: text/plain\r\n\r\nsigned  \r\n\tas it is\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n'
	} >"$SUITE/signed"
	{ printf 'C: MAIL FROM:<alice@local.example>\nS: 250\nC: RCPT TO:<bob@local.example>\nS: 250\nC: DATA\nS: 354\nD: %s\nS: 250 2.0.0\n' "$SUITE/signed"; } |
		submit alice
	head -c -38 "$(newest)" | tail -c "$(stat -c %s "$SUITE/signed")" | cmp - "$SUITE/signed"
}

@test "Received does not tell where a user submitted, unless hide-submitter = no (RFC 5321 4.4)" {
	suite_run
	run -0 submit_message alice alice@local.example bob@local.example 'From: alice@local.example'
	the_message >"$SUITE/message"
	grep -qx 'Received: from submission (address withheld)' "$SUITE/message"
	grep -q 'by mail.local.example with ESMTPSA id' "$SUITE/message"
	run -1 grep -E 'client.example|127\.0' "$SUITE/message"
	# the log and the envelope know it
	wait_until logged smtpd 'accepted .*client=127.0.0.1 user=alice@local.example from=alice@local.example'
	grep -q 'client.example' "$(newest)"
	rm "$(newest)"
	echo 'hide-submitter = no' >>"$SUITE/etc/dawk.conf"
	suite_restart smtpd
	run -0 submit_message alice alice@local.example bob@local.example 'From: alice@local.example'
	the_message | grep -q '^Received: from client.example (\[127.0.0.1\])'
	rm "$(newest)"
	echo 'hello' | send_message carol@client.example bob@local.example
	the_message | grep -q '^Received: from client.example (\[127.0.0.1\])'
}

@test "every log line of a session that logged in names the user" {
	suite_run
	run -0 submit alice <<-'EOT'
		C: MAIL FROM:<alice@local.example>
		S: 250
		C: RCPT TO:<nobody@local.example>
		S: 550 5.1.1
		C: RCPT TO:<bob@local.example>
		S: 250
		C: DATA
		S: 354
		C: From: alice@local.example
		C:
		C: .
		S: 250 2.0.0
		C: QUIT
		S: 221
	EOT
	wait_until logged smtpd '^smtpd session-end .* user=alice@local.example .*messages=1'
	wait_until logged smtpd '^smtpd refused .* user=alice@local.example code=550 status=5.1.1'
	wait_until logged smtpd '^smtpd accepted .* user=alice@local.example from=alice@local.example'
}

@test "a header of more than 64 kB is read to its end: a late From counts, none at all is refused" {
	local line
	suite_run
	line=$(head -c 900 /dev/zero | tr '\0' 'x')
	for from in 'From: alice@local.example' 'From: ceo@bank.example' 'X-From: alice@local.example'; do
		printf 'C: MAIL FROM:<alice@local.example>\nS: 250\nC: RCPT TO:<bob@local.example>\nS: 250\nC: DATA\nS: 354\nC*400: X-Pad: %s\nC: %s\nC:\nC: hello\nC: .\n' "$line" "$from"
		case $from in
		From:*alice*) echo 'S: 250 2.0.0' ;;
		From:*)	      echo 'S: 550 5.7.1 From: <ceo@bank.example>' ;;
		*)	      echo 'S: 554 5.6.0 From: there is none' ;;
		esac
	done | submit alice
	{
		printf 'C: MAIL FROM:<alice@local.example>\nS: 250\nC: RCPT TO:<bob@local.example>\nS: 250\nC: DATA\nS: 354\nC: From: alice@local.example,\n'
		printf 'C*30:  (%s)\nC:  alice@local.example\nC:\nC: .\nS: 554 5.6.0 header: From or Sender is longer than 16384 bytes\n' "$line"
	} | submit alice
}

@test "who logs in on port 25 is a user like any other" {
	echo 'auth-listeners = smtp submission submissions' >>"$SUITE/etc/dawk.conf"
	suite_run
	run -0 talk smtpd <<-EOT
		S: 220
		C: EHLO client.example
		S: 250
		C: STARTTLS
		S: 220
		T: mail.local.example
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<ceo@bank.example>
		S: 250
		C: RSET
		S: 250
		C: AUTH PLAIN $(plain_of alice)
		S: 235
		C: MAIL FROM:<ceo@bank.example>
		S: 553 5.7.1
		C: MAIL FROM:<alice@local.example>
		S: 250
		C: RCPT TO:<bob@local.example>
		S: 250
		C: DATA
		S: 354
		C: Subject: x
		C:
		C: .
		S: 250
	EOT
	the_message >"$SUITE/message"
	grep -qx 'Received: from submission (address withheld)' "$SUITE/message"
	grep -qx 'From: <alice@local.example>' "$SUITE/message"
}
