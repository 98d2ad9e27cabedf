# sendmail, mailq, newaliases: the classic interface, with smtpd alone behind it.
load ../lib/suite

setup() {
	SUITE_SERVICES=smtpd suite_start
	export SENDMAIL="$BIN/sendmail -C $SUITE/etc/dawk.conf"
}
teardown() { suite_stop; }
queued_file() { ls "$SUITE"/queue/new/*; }
has_line() { grep -qaxF -- "$1"$'\r' "$(queued_file)"; }
is_for() { grep -qaxF -- "recipient $1" "$(queued_file)"; }

@test "a message goes to the recipients of the command line, and stands in the queue" {
	printf 'Subject: hi\n\nhello\n' | $SENDMAIL alice@local.example bob@local.example
	is_for alice@local.example
	is_for bob@local.example
	has_line 'Subject: hi'
	has_line hello
	grep -qax 'uid [0-9]*' "$(queued_file)"
}

@test "-t takes To, Cc and Bcc, with names, groups and comments, and removes Bcc (RFC 5322 3.6.3)" {
	$SENDMAIL -t <<-'EOF'
		To: "Smith, Alice" <alice@local.example> (the one)
		Cc: friends: bob@local.example;
		Bcc: postmaster@local.example,
		 root@local.example
		Subject: hidden

		hello
	EOF
	is_for alice@local.example
	is_for bob@local.example
	is_for postmaster@local.example
	run ! grep -qai '^bcc' "$(queued_file)"
	run ! grep -qa 'root@local.example,' "$(queued_file)"
	has_line 'Subject: hidden'
}

@test "-t without any recipient is refused (sysexits 64)" {
	run -64 $SENDMAIL -t <<<"Subject: to nobody"
	queue_is_empty
}

@test "a line of a dot alone ends the message, except with -i" {
	printf 'Subject: dots\n\none\n.\ntwo\n' | $SENDMAIL alice@local.example
	has_line one
	run ! grep -qa '^two' "$(queued_file)"
	rm "$(queued_file)"
	printf 'Subject: dots\n\none\n.\n..\n.two\n' | $SENDMAIL -i alice@local.example
	has_line .
	has_line ..
	has_line .two
}

@test "-f names the reverse-path, -F the sender in a From field that is missing" {
	printf 'Subject: hi\n\nhello\n' | $SENDMAIL -f bob@local.example -F 'Bob, the builder' alice@local.example
	grep -qax 'from bob@local.example' "$(queued_file)"
	has_line 'From: "Bob, the builder" <bob@local.example>'
	rm "$(queued_file)"
	printf 'From: x@y.example\n\nhello\n' | $SENDMAIL -f '<>' alice@local.example
	[ "$(grep -ca ^From: "$(queued_file)")" -eq 1 ]
	grep -qaE '^from ?$' "$(queued_file)"
}

@test "DSN options come into the envelope (RFC 3461 4)" {
	printf 'Subject: hi\n\nhello\n' | $SENDMAIL -N success,failure -R hdrs -V 'env 1' alice@local.example
	grep -qax 'notify SUCCESS,FAILURE' "$(queued_file)"
	grep -qax 'return HDRS' "$(queued_file)"
	grep -qax 'envid env+201' "$(queued_file)"
	run -64 $SENDMAIL -N sometimes alice@local.example </dev/null
}

@test "a recipient refused for good is told with the server's words, the others get the message" {
	run -67 $SENDMAIL nobody@local.example alice@local.example <<<"hello"
	[[ $output == *"nobody@local.example: 550 5.1.1"* ]]
	is_for alice@local.example
	run ! is_for nobody@local.example
}

@test "while smtpd is down sendmail says so and exits 75" {
	suite_end smtpd
	run -75 $SENDMAIL alice@local.example <<<"hello"
	[[ $output == *"does not run here"*"try again later"* ]]
}

@test "SIZE counts the header once: a message at the limit is taken, one over it refused (RFC 1870 6.1)" {
	sed -i '$a message-size-limit = 64k' "$SUITE/etc/dawk.conf"
	suite_restart smtpd
	{ printf 'From: bob@local.example\nX-Long: %02011d\n\n' 0; printf '%062d\n' {1..992}; } >"$SUITE/limit"	# 65,536 with CRs
	run -0 $SENDMAIL -v alice@local.example <"$SUITE/limit"
	[[ $output == *" SIZE=65536 "* ]]
	has_line "$(printf %062d 992)"
	{ cat "$SUITE/limit"; echo; } >"$SUITE/over"
	run -65 $SENDMAIL -v alice@local.example <"$SUITE/over"
	[[ $output == *" SIZE=65538 "*"552 5.3.4"* ]]
}
@test "a large message finds its place where the file system knows no files without a name" {
	export FAILING_CALLS=$SUITE/plan ASAN_OPTIONS="$ASAN_OPTIONS:verify_asan_link_order=0"
	printf 'open\0%019d\x5f\0\0\0\1\0\0\0' 0 | tr 0 '\0' >"$FAILING_CALLS"	# once, 95 is EOPNOTSUPP
	dd if=/dev/zero bs=4096 count=1 status=none >>"$FAILING_CALLS"
	seq 1 100000 >"$SUITE/large"
	{ printf 'Subject: large\n\n'; cat "$SUITE/large"; } |
		env -u TMPDIR LD_PRELOAD="${BIN%/bin}/tool/failing_calls.so" $SENDMAIL alice@local.example
	[[ $(od -An -t d4 -j 28 -N 4 "$FAILING_CALLS") -eq 0 ]]
	diff "$SUITE/large" <(sed -e '1,/^\r$/d' "$(queued_file)" | sed -e '/^$/,$d' -e 's/\r$//')
}
@test "a large message passes in bounded memory, byte by byte" {
	seq 1 4000000 >"$SUITE/large"
	limit=30000	# KiB of address space, less than the message; sanitizers want more than there is
	! grep -q -e __asan_init -e __tsan_init "$BIN/sendmail" || limit=unlimited
	{ printf 'Subject: large\n\n'; cat "$SUITE/large"; } | (ulimit -v $limit && exec $SENDMAIL alice@local.example)
	diff "$SUITE/large" <(sed -e '1,/^\r$/d' "$(queued_file)" | sed -e '/^$/,$d' -e 's/\r$//')
}

@test "lone LF, CRLF and CR become line ends, and the last line gets its own (RFC 5321 2.3.8)" {
	printf 'Subject: ends\r\n\r\none\rtwo\nthree' | $SENDMAIL alice@local.example
	for line in one two three; do has_line "$line"; done
}

@test "-bs speaks SMTP on standard input and output" {
	run -0 $SENDMAIL -bs <<<$'EHLO here.example\r\nQUIT\r'
	[[ $output == 220*250*221* ]]
}

@test "-bv asks whether a recipient is accepted, and sends nothing" {
	run -0 $SENDMAIL -bv alice@local.example
	[[ $output == *"alice@local.example: 250"* ]]
	run -67 $SENDMAIL -bv nobody@local.example
	queue_is_empty
}

@test "mailq shows the queue, newaliases compiles the tables" {
	mkdir "$SUITE/bin"
	ln -s "$BIN/sendmail" "$SUITE/bin/mailq"
	ln -s "$BIN/sendmail" "$SUITE/bin/newaliases"
	printf 'Subject: hi\n\nhello\n' | $SENDMAIL alice@local.example
	run -0 "$SUITE/bin/mailq" -C "$SUITE/etc/dawk.conf"
	[[ $output == *alice@local.example* ]]
	echo 'new@local.example: alice@local.example' >>"$SUITE/etc/aliases"
	run -0 "$SUITE/bin/newaliases" -C "$SUITE/etc/dawk.conf"
	run -0 $SENDMAIL -bv new@local.example
}

@test "-h and -V alone are the usage and the version, with a value what they were of old" {
	run -0 "$BIN/sendmail" -h
	[[ $output == "usage: sendmail "* ]]
	run -0 "$BIN/sendmail" -V
	[[ $output == "dawk sendmail "* ]]
	run -0 $SENDMAIL -h 3 -V envelope1 alice@local.example <<<"hello"
	[ -z "$output" ]
}

@test "options of old that mean nothing here are taken without a word" {
	run -0 $SENDMAIL -odb -oem -m -B8BITMIME -oi -G -- alice@local.example <<<"hello"
	[ -z "$output" ]
	run -64 $SENDMAIL -bd
}
