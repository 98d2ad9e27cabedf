# The library of the tests itself: what makes a test fail at its end.
load ../lib/suite

setup() {
	SUITE=$(mktemp -d "${TMPDIR:-/tmp}/dawk-test.XXXXXX")
	read -r SMTP_PORT POP3_PORT <<<"$("$TOOLS/free-ports.py" 2)"
	mkdir "$SUITE/pid" "$SUITE/stderr"
	echo 'smtpd started part=worker index=0 pid=1' >"$SUITE/stderr/smtpd"
}
teardown() { rm -rf "$SUITE"; }

@test "a suite that ran quietly passes" {
	BATS_TEST_COMPLETED=1 suite_stop >"$BATS_TEST_TMPDIR/said"	# no `run`: nothing in it may end the test
	[[ ! -s $BATS_TEST_TMPDIR/said ]]
}

@test "what a sanitizer says fails the test, in any file of the suite" {
	for said in '==7==ERROR: AddressSanitizer: heap-use-after-free' 'a.c:1:2: runtime error: signed integer overflow' \
		'WARNING: ThreadSanitizer: data race (pid=7)'; do
		for file in stderr/smtpd stderr/authd log/pop3d/current; do
			mkdir -p "$SUITE/pid" "$SUITE/stderr" "$SUITE/log/queued" "$SUITE/${file%/*}"
			echo "$said" >>"$SUITE/$file"
			run -1 suite_stop
			[[ $output == *"$said"* ]]
		done
	done
}
