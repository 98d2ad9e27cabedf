#!/bin/bash
# bench.sh (`make bench`): measures dawk in an instance on loopback ports and prints one table.
# PEERS="postfix dovecot ..": then the same scenarios for them and for dawk, each in a chroot (run.sh).
#
# BENCH_DIR  folder of the instance (/var/tmp); the disk under it is what is measured, see RESULTS.md
# BENCH_N    messages per row (10000)      BENCH_ONLY  rows: "accept deliver idle pop3 calls"
# BENCH_BOX  messages in the mailbox (100000)
cd "$(dirname "$0")/.." || exit 1
B=${B:-build}
export DAWK_BIN=${DAWK_BIN:-$B/bin} TMPDIR=${BENCH_DIR:-/var/tmp} WAIT_SECONDS=30
N=${BENCH_N:-10000} BOX=${BENCH_BOX:-100000} SIZE=5000 USERS=100
LOAD=$B/bench/mailload
. tests/lib/suite.bash
ulimit -n "$(ulimit -Hn)"

instance() {	# SERVICES: a fresh instance with u0 .. u99, each with a maildir
	local u
	# shellcheck disable=SC2034
	SUITE_SERVICES=$1
	suite_make --set 'smtp-timeout = 1h' --set 'client-limit = 20000' --set 'recipient-limit = 2000' || exit 1
	for ((u = 0; u < USERS; u++)); do suite_add_mailbox "u$u"; done
	$DAWK update >/dev/null || exit 1
	BATS_TEST_COMPLETED=1	# no logs at the end
	suite_run || exit 1
	$LOAD smtp -p "$SMTP_PORT" -D local.example -s $SIZE -n 200 -c 5 -t 20 >/dev/null
}
end() { suite_stop >"$TMPDIR/bench.trouble" || cat "$TMPDIR/bench.trouble"; rm -f "$TMPDIR/bench.trouble"; }
trap 'end; exit 1' INT TERM

smtp() { $LOAD smtp -p "$SMTP_PORT" -D local.example -s $SIZE -u $USERS -M 100 -t 120 "$@"; }
field() { grep -oE "(^| )$2=[-0-9.]+" <<<"$1" | head -n 1 | sed 's/.*=//'; }	# TEXT NAME
calculate() { awk "BEGIN { printf \"$1\", $2 }"; }
row() { printf '%-44s %12s\n' "$1" "$2"; }

# Milliseconds of CPU that the instance has used, its ended children included.
cpu_ms() {
	local pid
	for pid in $(suite_processes); do sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null; done |
		awk -v hz="$(getconf CLK_TCK)" '{ t += $12 + $13 + $14 + $15 } END { printf "%d", t * 1000 / hz }'
}
# KB of the field of smaps_rollup over all processes of the instance.
memory_kb() {
	local pid
	for pid in $(suite_processes); do cat "/proc/$pid/smaps_rollup" 2>/dev/null; done |
		awk -v field="^$1:" '$0 ~ field { t += $2 } END { print t + 0 }'
}

accept() {
	local conns n result before
	instance smtpd
	for conns in 1 10 50 200; do
		n=$N
		[ $conns = 1 ] && n=$((N / 5))
		before=$(cpu_ms)
		result=$(smtp -n "$n" -c $conns)
		row "accepted and durable, $conns at a time" "$(calculate %.0f "$(field "$result" rate)")/s"
		[ $conns != 50 ] || accept_latency="$(field "$result" p50) / $(field "$result" p99) ms"
		[ $conns != 50 ] || accept_cpu="$(calculate %.3f "($(cpu_ms) - $before) / $n") ms"
	done
	row "  latency of a message at 50, p50 / p99" "$accept_latency"
	row "  CPU of all processes per message at 50" "$accept_cpu"
	end
}

deliver() {
	local before started result waited waiting
	instance 'smtpd queued'
	$LOAD wait -d "$SUITE/mail/local.example" -u $USERS -n 200 -t 30 >/dev/null
	before=$(cpu_ms)
	waited=$(mktemp)
	$LOAD wait -d "$SUITE/mail/local.example" -u $USERS -n $((N + 200)) -t 120 >"$waited" &
	waiting=$!
	result=$(smtp -n "$N" -c 50)
	wait $waiting || echo "  not everything arrived: $(cat "$waited")"
	row "end to end into $USERS maildirs, 50 at a time" \
		"$(calculate %.0f "$N / ($(field "$(cat "$waited")" end) - $(field "$result" start))")/s"
	wait_until queue_is_empty
	row "  latency of the acceptance, p50 / p99" "$(field "$result" p50) / $(field "$result" p99) ms"
	row "  CPU of all processes per message" "$(calculate %.3f "($(cpu_ms) - $before) / $N") ms"
	rm -f "$waited"
	end
}

idle() {
	local count pss private held out
	instance smtpd
	out=$(mktemp)
	for count in 1000 5000; do
		pss=$(memory_kb Pss) private=$(memory_kb 'Private_(Clean|Dirty)')
		$LOAD idle -p "$SMTP_PORT" -c $count -B 50 -H 4 -t 60 >"$out" &
		held=$!
		WAIT_SECONDS=60 wait_until grep -q held "$out"
		row "idle connections: memory each at $count (PSS)" "$(calculate %.2f "($(memory_kb Pss) - $pss) / $count") KB"
		row "  private memory each" "$(calculate %.2f "($(memory_kb 'Private_(Clean|Dirty)') - $private) / $count") KB"
		[ "$(field "$(cat "$out")" held)" = $count ] || row "  held only" "$(field "$(cat "$out")" held)"
		wait $held
	done
	rm -f "$out"
	end
}

calls() {	# system calls need perf and root
	local out
	perf stat -e raw_syscalls:sys_enter true >/dev/null 2>&1 || { row "system calls per message" "(no perf)"; return; }
	instance 'smtpd queued'
	$LOAD wait -d "$SUITE/mail/local.example" -u $USERS -n 200 -t 30 >/dev/null
	out=$(mktemp)
	perf stat -x, -o "$out" -e raw_syscalls:sys_enter -p "$(suite_processes | paste -sd,)" -- \
		sh -c "$LOAD smtp -p $SMTP_PORT -D local.example -s $SIZE -u $USERS -M 100 -t 60 -n 2000 -c 50 >/dev/null
			$LOAD wait -d $SUITE/mail/local.example -u $USERS -n 2200 -t 60 >/dev/null"
	row "system calls per message, end to end" "$(calculate %.1f "$(awk -F, '/raw_syscalls/ { print $1 }' "$out") / 2000")"
	rm -f "$out"
	end
}

pop3() {
	local result box
	instance pop3d
	box=$SUITE/mail/local.example
	mkdir -p "$box"
	rm -rf "$box/u0"
	$LOAD mkbox -d "$box" -u 1 -n "$BOX" -s 1000
	! id dawkm >/dev/null 2>&1 || [ "$(id -u)" != 0 ] || chown -R "$(id -u dawkm):$(id -g dawkm)" "$box/u0"
	pop() { $LOAD pop3 -p "$POP3_PORT" -D local.example -W secret -u 1 -t 120 "$@"; }
	result=$(pop -n 1 -g 0)
	row "POP3, $BOX messages: first login and STAT" "$(calculate %.0f "$(stat_ms "$result")") ms"
	result=$(pop -n 9 -g 0)
	row "  again, p50 of 9" "$(calculate %.0f "$(stat_ms "$result")") ms"
	result=$(pop -n 3 -g 0 -i)
	row "  UIDL" "$(grep -oE 'uidl_ms p50=[0-9.]+' <<<"$result" | sed 's/.*=//') ms"
	result=$(pop -n 1 -g 5000)
	row "  RETR one by one" "$(calculate %.0f "5000 / ($(grep -oE 'retr_ms p50=[0-9.]+' <<<"$result" | sed 's/.*=//') / 1000)")/s"
	end
}
stat_ms() { grep -oE '(login|stat)_ms p50=[0-9.]+' <<<"$1" | sed 's/.*=//' | paste -sd+; }

echo "$("$DAWK_BIN/dawk" -V 2>/dev/null || echo dawk), $(nproc) cores shared with the load generator, messages of $SIZE bytes, $(stat -f -c %T "$TMPDIR") below $TMPDIR"
for scenario in ${BENCH_ONLY:-accept deliver idle pop3 calls}; do "$scenario"; done
[ -z "$PEERS" ] && exit
export DAWK_SRC=$PWD BUILD; BUILD=$(cd "$B" && pwd)
for peer in ours $PEERS; do
	case $peer in
	dovecot | courier) bench/run.sh pop3 "$peer" "$BOX" ;;
	*) bench/run.sh accept "$peer"; bench/run.sh local "$peer"; bench/run.sh idle "$peer" 1000 ;;
	esac
done
