# A pipe that is lost while both of its processes live on: only a part that is started anew gets a fresh one.
load ../lib/suite

setup()    { SUITE_SERVICES="" suite_make; }
teardown() { rm -rf "$SUITE"; }

@test "locald whose pipe to the scheduler is lost ends, so that it is started anew with another" {
	run -0 "$TOOLS/bad-scheduler.py" "$BIN/locald" "$SUITE/etc/dawk.conf" 3>&-
	[[ $output == *"ended 0"* && $output == *scheduler-channel* ]]
	run -0 "$TOOLS/bad-scheduler.py" "$BIN/locald" "$SUITE/etc/dawk.conf" silent 3>&-
	[[ $output == *"ended 0"* ]]
}

@test "remoted does the same" {
	run -0 "$TOOLS/bad-scheduler.py" "$BIN/remoted" "$SUITE/etc/dawk.conf" 3>&-
	[[ $output == *"ended 0"* ]]
	run -0 "$TOOLS/bad-scheduler.py" "$BIN/remoted" "$SUITE/etc/dawk.conf" silent 3>&-
	[[ $output == *"ended 0"* ]]
}
