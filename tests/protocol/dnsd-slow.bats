# dnsd while many names belong to name servers that never answer, as in somebody's trap: they do not hold up the others.
load ../lib/suite
load ../lib/names

setup() {
	names_port
	suite_make --resolver "127.0.0.1@$DNS_PORT" --set 'dnssec = no'
	{
		printf 'silent%d.example silent\n' {1..400}
		echo 'good.example A 192.0.2.7'
	} | names_serve
}
teardown() {
	[[ -z ${ASK_PID-} ]] || { kill "$ASK_PID"; wait "$ASK_PID"; } || :
	names_stop
	suite_stop
}
answered() { grep -q '^good.example 1 answer secure=0 192.0.2.7' "$SUITE/answers"; }
# Long before the silent ones are given up.
first_answer_is_good() { [[ $(grep '^[a-z0-9]*\.example' "$SUITE/answers" | head -n 1) == good.example* ]]; }

@test "a name is looked up while 400 others wait for name servers that never answer" {
	local -a names=()
	for n in {1..400}; do names+=("silent$n.example" 1); done
	"$BIN/../tool/dns_ask" "$BIN/dnsd" "$SUITE/etc/dawk.conf" "${names[@]}" good.example 1 >"$SUITE/answers" 2>"$SUITE/ask.err" 3>&- &
	ASK_PID=$!
	wait_until answered
	first_answer_is_good
}

@test "a question that no name server answers is answered after half a minute: later" {
	run -0 timeout 100 "$BIN/../tool/dns_ask" "$BIN/dnsd" "$SUITE/etc/dawk.conf" silent1.example 1
	[[ $output == *"silent1.example 1 later"* ]]
}
