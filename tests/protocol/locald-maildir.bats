load ../lib/suite
load ../lib/locald
setup()    { locald_make; }
teardown() { suite_stop; }

@test "a message goes into new/ whole, with LF line ends, Return-Path and Delivered-To (RFC 5321 4.4)" {
	hard_message "$SUITE/original"
	locald_message - <"$SUITE/original"
	run -0 deliver -f bob@client.example alice@local.example
	[[ $output == "0 delivered 2.0.0 "* ]]
	{ printf 'Return-Path: <bob@client.example>\nDelivered-To: alice@local.example\n'; cat "$SUITE/original"; } | cmp - "$(message_of alice)"
}

@test "the name tells the bytes on disk and the bytes with CRLF" {
	run -0 deliver alice@local.example
	file=$(message_of alice)
	size=$(stat -c %s "$file")
	line_count=$(wc -l <"$file")
	[[ $file == *".mail.local.example,S=$size,W=$((size + line_count))" ]]
	[[ $(stat -c %a "$file") == 600 ]]
}

@test "the null reverse-path stays null (RFC 5321 4.5.5)" {
	run -0 deliver -f '' alice@local.example
	[[ $(head -n 1 "$(message_of alice)") == "Return-Path: <>" ]]
}

@test "the owner of an expanded alias takes the reverse-path's place (RFC 3461 5.2.7)" {
	run -0 deliver alice@local.example=list@local.example=owner-list@local.example
	[[ $(head -n 1 "$(message_of alice)") == "Return-Path: <owner-list@local.example>" ]]
}

@test "the domain's folder belongs to root, the mailbox to its account alone" {
	run -0 deliver alice@local.example
	[[ $(stat -c '%u %a' "$SUITE/mail/local.example") == "$(id -u) 755" ]]
	for folder in "" /tmp /new /cur; do
		[[ $(stat -c '%u %a' "$(maildir_of alice)$folder") == "$VIRTUAL 700" ]]
	done
	[[ $(stat -c %u "$(message_of alice)") == "$VIRTUAL" ]]
}

@test "a mailbox elsewhere is made with the folders above it" {
	mkdir "$SUITE/elsewhere" && chown "$VIRTUAL" "$SUITE/elsewhere"
	users_add "dora@local.example::::$SUITE/elsewhere/a/b/Maildir:"
	run -0 deliver dora@local.example
	[[ $output == "0 delivered"* ]]
	[[ $(find "$SUITE/elsewhere/a/b/Maildir/new" -type f | wc -l) == 1 ]]
}

@test "every recipient of a message to a thousand gets a result and a copy" {
	for i in $(seq 1000); do echo "u$i@local.example:::::"; done >>"$SUITE/etc/users"
	$DAWK update >/dev/null
	# shellcheck disable=SC2046
	run -0 deliver $(for i in $(seq 1000); do echo "u$i@local.example"; done)
	[[ $(grep -c ' delivered 2.0.0 ' <<<"$output") == 1000 ]]
	[[ $(cut -d' ' -f1 <<<"$output" | sort -n | uniq | wc -l) == 1000 ]]
	[[ $(find "$SUITE"/mail/local.example/u*/new -type f | wc -l) == 1000 ]]
}

@test "many messages to one mailbox all arrive under names of their own" {
	run -0 deliver -n 700 -q alice@local.example bob@local.example
	[[ $output == "delivered=1400 deferred=0 failed=0 "* ]]
	delivered_to alice 700
	delivered_to bob 700
}

@test "a large message arrives whole" {
	{ printf 'Subject: large\n\n'; head -c 30000000 /dev/zero | tr '\0' x | fold -w 76; echo; } >"$SUITE/original"
	locald_message - <"$SUITE/original"
	run -0 deliver alice@local.example
	tail -n +3 "$(message_of alice)" | cmp - "$SUITE/original"
}

@test "large messages are not all written before the first of them is committed" {
	local first last
	{ echo; head -c 12000000 /dev/zero | tr '\0' x | fold -w 76; } | locald_message -
	run -0 deliver alice@local.example alice+{1..4}@local.example
	delivered_to alice 5
	first=$(messages_of alice | xargs stat -c %.9Z | sort -n | head -n 1)	# named
	last=$(messages_of alice | xargs stat -c %.9Y | sort -n | tail -n 1)	# written
	[[ $(printf '%s\n' "$first" "$last" | sort -n | head -n 1) == "$first" && $first != "$last" ]]
}

@test "user+extension goes to the mailbox, and to the folder of that name where the user has one (RFC 5233)" {
	run -0 deliver alice+lists@local.example
	[[ $(sed -n 2p "$(message_of alice)") == "Delivered-To: alice+lists@local.example" ]]
	mkdir "$(maildir_of alice)/.lists" && chown "$VIRTUAL" "$(maildir_of alice)/.lists"
	run -0 deliver alice+lists@local.example
	[[ $(find "$(maildir_of alice)/.lists/new" -type f | wc -l) == 1 ]]
	delivered_to alice 1
	run -0 deliver alice+lists/new@local.example
	delivered_to alice 2
}

@test "a recipient that is gone fails for good, a foreign domain waits (RFC 3463 X.1.1)" {
	run -0 deliver nobody@local.example someone@remote.example alice@local.example
	[[ $output == *"0 failed 5.1.1 "* ]]
	[[ $output == *"1 deferred 4.3.5 "* ]]
	[[ $output == *"2 delivered "* ]]
}

@test "a message that was delivered to this mailbox before stops there (RFC 5321 6.3)" {
	printf 'Received: by x\nDELIVERED-TO: Alice@local.example\n\nDelivered-To: bob@local.example\n' | locald_message -
	run -0 deliver alice@local.example bob@local.example
	[[ $output == *"0 failed 5.4.6 "* ]]
	[[ $output == *"1 delivered "* ]]
	delivered_to alice 0
}

@test "the catch-all gets what nobody else has" {
	aliases_add '@local.example: alice@local.example'
	run -0 deliver whoever@local.example
	[[ $output == *"forward 0 alice@local.example"* ]]
	[[ $output == *"0 forwarded 2.0.0 "* ]]
}

@test "a full mailbox defers the mail and later takes it (RFC 3463 X.2.2)" {
	users_add 'dora@local.example:::::1k'
	run -0 deliver -n 12 dora@local.example
	[[ $(grep -c ' delivered ' <<<"$output") -ge 5 ]]
	[[ $output == *" deferred 4.2.2 the mailbox is over its quota"* ]]
	(( $(cat "$(maildir_of dora)"/new/* | wc -c) <= 1024 ))
	[[ $(head -n 1 "$(maildir_of dora)/maildirsize") == 1024S ]]
	find "$(maildir_of dora)/new" -type f -delete
	rm "$(maildir_of dora)/maildirsize"
	run -0 deliver dora@local.example
	[[ $output == "0 delivered "* ]]
}

@test "quota-policy reject fails it at once" {
	echo 'quota-policy = reject' >>"$SUITE/etc/dawk.conf"
	users_add 'dora@local.example:::::50'
	run -0 deliver dora@local.example
	[[ $output == "0 failed 5.2.2 "* ]]
}

@test "a mailbox that is a link is not followed, and works again when it is mended" {
	mkdir -p "$SUITE/mail/local.example" "$SUITE/target" && chown "$VIRTUAL" "$SUITE/target"
	ln -s "$SUITE/target" "$(maildir_of alice)"
	run -0 deliver alice@local.example
	[[ $output == "0 deferred 4.2.0 "* ]]
	[[ -z $(ls "$SUITE/target") ]]
	rm "$(maildir_of alice)"
	run -0 deliver alice@local.example
	[[ $output == "0 delivered "* ]]
}

@test "a mailbox that is removed or replaced under a running locald is made afresh" {
	mkfifo "$SUITE/go"
	exec {go}<>"$SUITE/go"
	deliver -w -n 3 alice@local.example <"$SUITE/go" >"$SUITE/results" &
	driver=$!
	echo >&$go
	wait_until grep -qs '^0 delivered' "$SUITE/results"
	mv "$(maildir_of alice)" "$SUITE/old"
	echo >&$go
	wait_until has_lines 2
	echo >&$go
	wait "$driver"
	exec {go}>&-
	# within a second of the removal one may still go to the folder that was moved; none is lost
	[[ $(grep -c delivered <<<"$(head -n 3 "$SUITE/results")") -ge 2 ]]
	[[ $(find "$SUITE/old/new" "$(maildir_of alice)/new" -type f 2>/dev/null | wc -l) == $(grep -c '^0 delivered' "$SUITE/results") ]]
}

@test "mail arrives again under a running locald whose folder of mailboxes was replaced, as by another mount" {
	mkfifo "$SUITE/go"
	exec {go}<>"$SUITE/go"
	deliver -w -n 4 alice@local.example <"$SUITE/go" >"$SUITE/results" &
	driver=$!
	echo >&$go
	wait_until grep -qs '^0 delivered' "$SUITE/results"
	mv "$SUITE/mail" "$SUITE/mail.old"
	cp -a "$SUITE/mail.old" "$SUITE/mail"
	rm -rf "$SUITE/mail.old"	# whatever is open there takes no more mail
	for sent in 2 3 4; do		# the third may still come to the process that is just ending
		echo >&$go
		wait_until has_lines $sent
	done
	wait "$driver"
	exec {go}>&-
	[[ $(grep '^0 ' "$SUITE/results" | tail -n 1) == "0 delivered "* ]]
	logged locald 'locald deliverer-ends why=".*/mail was replaced'
}
has_lines() { [[ $(grep -c '^0 ' "$SUITE/results") -ge $1 ]]; }

@test "no space defers, leaves nothing behind, and the mail arrives later (RFC 3463 X.3.1)" {
	run -0 deliver alice@local.example
	mount_small "$(maildir_of alice)" 200k
	{ echo; head -c 400000 /dev/zero | tr '\0' x | fold -w 76; } | locald_message -
	run -0 deliver alice@local.example bob@local.example
	[[ $output == *"0 deferred 4.3.1 "* ]]
	[[ $output == *"1 delivered "* ]]
	[[ -z $(ls "$(maildir_of alice)/tmp") ]]
	delivered_to alice 1
	locald_message
	run -0 deliver alice@local.example
	delivered_to alice 2
}
