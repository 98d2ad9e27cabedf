# What every program of the suite does, and that each has its manual page.
load ../lib/suite

programs='smtpd queued remoted locald pop3d authd keyd dnsd stsd dawk sendmail'

@test "every program prints its usage with -h and its version with -V" {
	for program in $programs; do
		run -0 "$BIN/$program" -h
		[[ $output == "usage: $program "* ]] || { echo "$program -h: $output"; return 1; }
		run -0 "$BIN/$program" -V
		[[ $output == "dawk "*[0-9].[0-9]* && ${#lines[@]} -eq 1 ]] || { echo "$program -V: $output"; return 1; }
	done
}

@test "every program ends with 64 after an option that it does not have (sysexits)" {
	for program in $programs; do
		run -64 "$BIN/$program" -c /dev/null -@
		[[ -n $output ]]
	done
}

@test "a daemon with a configuration that is broken says file, line and what was expected, and does not start (sysexits 78)" {
	printf 'hostname = mail.local.example\nretry = soon\n' >"$BATS_TEST_TMPDIR/dawk.conf"
	for program in smtpd queued remoted locald pop3d authd keyd dnsd stsd; do
		run -78 timeout 60 "$BIN/$program" -c "$BATS_TEST_TMPDIR/dawk.conf"
		[[ $output == *"$BATS_TEST_TMPDIR/dawk.conf:2: retry: expected"* ]] || { echo "$program: $output"; return 1; }
	done
	run -78 "$BIN/dawk" -c "$BATS_TEST_TMPDIR/dawk.conf" status
	[[ $output == *"$BATS_TEST_TMPDIR/dawk.conf:2: retry: expected"* ]]
}

@test "every program, table and file has a manual page" {
	for page in smtpd.8 queued.8 remoted.8 locald.8 pop3d.8 pop3-session.8 authd.8 keyd.8 dnsd.8 stsd.8 dawk.8 sendmail.8 dawk.7 \
		dawk.conf.5 dawk-queue.5 dawk-users.5 dawk-secrets.5 dawk-aliases.5 dawk-routes.5 dawk-site.5 dawk-access.5 dawk-relay-recipients.5 \
		dawk-senders.5 dawk-limits.5; do
		for section in NAME DESCRIPTION; do
			grep -q "^\.Sh $section" "$ROOT/man/$page" || { echo "man/$page lacks $section"; return 1; }
		done
	done
	for program in smtpd queued remoted locald pop3d pop3-session authd keyd dnsd stsd; do
		for section in DIAGNOSTICS SECURITY; do
			grep -q "^\.Sh $section" "$ROOT/man/$program.8" || { echo "man/$program.8 lacks $section"; return 1; }
		done
	done
}
