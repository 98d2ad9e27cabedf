# queued alone: locald is tests/tool/fake-locald, messages come from tests/tool/queue-put.
#
#   queued_make [dawk-init-args..]	an instance; queued_start: the same, and run
#   behave 'ADDRESS VERDICT ..'..	what becomes of recipients from now on, see fake-locald
#   put FROM TO..			a small message (or standard input with put_content), prints its ID
#   handed_to ADDRESS N		it was delivered N times
#   content_of ADDRESS			of the message delivered to it last
#   line_of ADDRESS			ID ADDRESS AS OWNER FROM of that delivery
load ../lib/suite

queued_make() {
	suite_make "$@" || return 1
	QUEUE=$SUITE/queue FAKE=$SUITE/fake
	mkdir -p "$BATS_TEST_TMPDIR/bin" "$FAKE"
	cp "$BIN/queued" "$BATS_TEST_TMPDIR/bin/"
	cp "$TOOLS/fake-locald" "$BATS_TEST_TMPDIR/bin/locald"
	BIN=$BATS_TEST_TMPDIR/bin SUITE_SERVICES=queued
}
queued_start() { queued_make "$@" && suite_run; }

behave() { printf '%s\n' "$@" >"$FAKE/behaviour.part" && mv "$FAKE/behaviour.part" "$FAKE/behaviour"; }
put_content() { "$TOOLS/queue-put" "$QUEUE" "$@"; }
put() { printf 'Subject: test\nFrom: bob\n\nhello\n' | put_content "$@"; }
delivered_lines() { grep -F " $1 " "$FAKE/delivered" 2>/dev/null; }
handed_to() { [[ $(delivered_lines "$1" | wc -l) -eq $2 ]]; }
line_of() { delivered_lines "$1" | tail -n 1; }
content_of() { local id; read -r id _ <<<"$(line_of "$1")" && tr -d '\r' <"$FAKE/content/$id"; }
state_of() { cat "$QUEUE/state/$1"; }
state_says() { grep -qE -- "$2" "$QUEUE/state/$1" 2>/dev/null; }
scheduler_pid() { sed -n 's/.*started part=scheduler.* pid=\([0-9]*\).*/\1/p' "$SUITE/stderr/queued" | tail -n 1; }
logged_times() { [[ $(grep -cE -- "$1" "$SUITE/stderr/queued") -eq $2 ]]; }
