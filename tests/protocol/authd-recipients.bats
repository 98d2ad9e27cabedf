# authd's answers at RCPT: accounts of the system, catch-alls behind them, maildirsize files.
load ../lib/suite

setup_file() {
	export SUITE_SERVICES=smtpd
	suite_make --set 'relay-networks = none' --set 'error-limit = 100' --set 'system-users = yes'
	cp /etc/passwd "$SUITE/passwd" && cp /etc/group "$SUITE/group"
	printf 'fred:x:61001:61001::%s:/bin/sh\nlow:x:999:999::%s:/bin/sh\n' "$SUITE/fred" "$SUITE/low" >>"$SUITE/passwd"
	suite_add_mailbox roomy ':::1k'
	$DAWK update
	folder=$SUITE/mail/local.example/roomy
	mkdir -p "$folder"/{tmp,new,cur}
	[[ $(id -u) != 0 ]] || chown -R dawkm: "$folder"
	export LD_PRELOAD=libnss_wrapper.so NSS_WRAPPER_DISABLE_DEEPBIND=1 \
		NSS_WRAPPER_PASSWD=$SUITE/passwd NSS_WRAPPER_GROUP=$SUITE/group
	ASAN_OPTIONS=$ASAN_OPTIONS:verify_asan_link_order=0 suite_run
	unset LD_PRELOAD
}
teardown_file() { suite_stop; }

rcpt() {	# RECIPIENT REPLY
	run -0 talk smtpd <<-EOF
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<bob@client.example>
		S: 250
		C: RCPT TO:<$1>
		S: $2
	EOF
}
catch_all() { sed -i '/^@local.example/d' "$SUITE/etc/aliases"; printf '%s' "${1:+@local.example: $1
}" >>"$SUITE/etc/aliases"; $DAWK update; }

@test "an account of the system is a recipient, with an extension too (RFC 5233)" {
	rcpt fred@local.example '250 2.1.5'
	rcpt FRED@local.example '250 2.1.5'
	rcpt fred+lists@local.example '250 2.1.5'
	rcpt fred+a+b@local.example '250 2.1.5'
}

@test "an account below uid 1000, or none at all, is no recipient: 550 5.1.1" {
	rcpt low@local.example '550 5.1.1'
	rcpt root+x@local.example '250 2.1.5'	# an alias of every instance
	rcpt daemon@local.example '550 5.1.1'
	rcpt ghost+fred@local.example '550 5.1.1'
}

@test "who is no account of the system either goes to the catch-all" {
	catch_all alice@local.example
	rcpt somebody@local.example '250 2.1.5'
	rcpt somebody+else@local.example '250 2.1.5'
	rcpt fred+late@local.example '250 2.1.5'
	catch_all
	rcpt another@local.example '550 5.1.1'
}

# authd remembers an answer for five seconds: each case asks for another extension.
maildirsize() { printf '%b' "$1" >"$SUITE/mail/local.example/roomy/maildirsize"; }

@test "a mailbox with a quota and no maildirsize has room: the first delivery counts" {
	rcpt roomy+0@local.example '250 2.1.5'
}

@test "maildirsize says whether there is room; one that can't be added up says nothing" {
	maildirsize '1024S\n900 1\n100 1\n'
	rcpt roomy+1@local.example '250 2.1.5'
	maildirsize '1024S\n900 1\n200 1\n'
	rcpt roomy+2@local.example '452 4.2.2'
	maildirsize "1024S\n$(printf '%.0s9223372036854775807 1\\n-9223372036854775807 -1\\n' {1..200})"
	rcpt roomy+3@local.example '250 2.1.5'
	maildirsize "1024S\n$(printf '%.0s9000000000000000000 1\\n' {1..1000})"
	rcpt roomy+4@local.example '250 2.1.5'
	maildirsize '1024S\n5000 1\n'
	touch -d '20 minutes ago' "$SUITE/mail/local.example/roomy/maildirsize"
	rcpt roomy+5@local.example '250 2.1.5'
	rm "$SUITE/mail/local.example/roomy/maildirsize" && mkfifo "$SUITE/mail/local.example/roomy/maildirsize"
	rcpt roomy+6@local.example '250 2.1.5'
}
