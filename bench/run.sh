#!/bin/bash
# run.sh SCENARIO TARGET [ARG]   TARGET: postfix opensmtpd exim dovecot courier ... ours (peer-TARGET.sh or target-TARGET.sh)
#   accept [CONNS]     messages/s accepted into the queue, delivery held        (N=10000)
#   local              first connect to last file in 100 maildirs, 50 conns      (N=20000)
#   fanout             2,000 messages x 50 local recipients
#   relay [one|many] [DELAY_MS]   to the sink: one destination, or 200 domains on 200 addresses (N=20000)
#   idle K             K held connections: how many, memory each, accept rate beside them
#   queue              100,000 undeliverable messages: list, restart, memory, accept rate with them
#   admin              dawk alone, 100,000 (N) waiting messages of mkqueue: list, its first row, status; hold, release and remove
#                      all of them by a filter, without queued, then with it
#   million            dawk alone, 1,000,000 (N) such messages: from the start of queued to the delivery of a new message, and until
#                      all are known; with a warm cache, then with a cold one
#   cost accept|local  CPU, system calls, fsyncs, forks, switches per message (2,000 messages)
#   trace accept|local the write/fsync/rename calls around one message (strace)
#   pop3 MSGS          one box of MSGS 5 kB messages: cold and warm; pop3many: 200 sessions at once on small boxes
# One line per run is appended to $MB/results.txt. N, RUNS, CONNS, SIZE from the environment.
# shellcheck disable=SC2086,SC2046,SC2016,SC2034,SC2013,SC2162
. "$(dirname "$0")/lab.sh"
sc=$1 t=$2 a=$3 b=$4
drv=$BENCH/peer-$t.sh; [ -e "$drv" ] || drv=$BENCH/target-$t.sh
ML=${BUILD:-$BENCH/../build}/bench/mailload SIZE=${SIZE:-5000} RUNS=${RUNS:-3} PERCONN=${PERCONN:-100}
out() { echo "$sc $t ${*}" | tee -a "$MB/results.txt"; }
settle() { sync; sleep "${SETTLE:-2}"; }
field() { grep -o " $1=[-0-9.]*" <<<"$2" | head -1 | cut -d= -f2; }
fresh() { "$drv" stop; "$drv" reset; settle; "$drv" start "$@" || { out "start failed"; exit 1; }; }
RAMP=64; [ $t = opensmtpd ] && RAMP=4   # OpenSMTPD listens with a backlog of 5; a burst above it loses connections
load() { lab_net "$t" "$ML" smtp -s "$SIZE" -M "$PERCONN" -R $RAMP -t "${LIMIT:-120}" "$@"; }
calib() {       # the machine's speed just now: the load tool against its own sink, k messages/s
	lab_net $t "$ML" sink -p 9925 -n 20000 -t 20 -q >/dev/null & sleep 0.1
	lab_net $t "$ML" smtp -p 9925 -n 20000 -c 50 -t 20 | grep -o 'rate=[0-9]*' | awk -F= '{printf "cal=%.0fk ", $2/1000}'; wait $!; }
since() { awk "BEGIN{printf \"%.2f\",$EPOCHREALTIME-$1}"; }
cpums() { awk -v a="$1" -v b="$2" -v n="$3" 'BEGIN{printf "%.3f", (b-a)/1e6/n}'; }
perfon() {      # counters of the target's cgroup until perfoff
	rm -f "$MB/perf.$t"
	perf stat -a -x, -o "$MB/perf.$t" -e raw_syscalls:sys_enter,syscalls:sys_enter_fsync,syscalls:sys_enter_fdatasync,syscalls:sys_enter_sync_file_range,syscalls:sys_enter_syncfs,sched:sched_process_fork,sched:sched_process_exec,sched:sched_switch \
		-G mb-$t,mb-$t,mb-$t,mb-$t,mb-$t,mb-$t,mb-$t,mb-$t -- sleep 600 & perfpid=$!; sleep 0.5; }
perfoff() { kill $(pgrep -P $perfpid); until grep -q sched_switch "$MB/perf.$t"; do sleep 0.1; done
	awk -F, -v n="$1" '$3 ~ /:/{sub(/.*:(sys_enter_)?/,"",$3); printf " %s=%.2f", $3=="sys_enter"||$3==""?"syscalls":$3, $1/n}' "$MB/perf.$t"; }
trap '"$drv" stop' EXIT
case $sc in
accept)	for c in ${a:-1 10 50 200}; do n=${N:-10000}; [ "$c" = 1 ] && n=$((n / 5))
	for r in $(seq $RUNS); do
		fresh accept; load -n 200 -c 5 >/dev/null; k=$(calib)
		c0=$(lab_cpu $t); res=$(load -n $n -c $c); c1=$(lab_cpu $t)
		out "${k}conns=$c cpu_ms/msg=$(cpums $c0 $c1 $n) $res"
	done; done ;;
local|fanout)
	n=${N:-20000} rc=1; [ $sc = fanout ] && n=${N:-2000} rc=50
	for r in $(seq $RUNS); do
		fresh deliver; load -n 100 -c 5 >/dev/null; lab_net $t "$ML" wait -d $MB/$t/mail -n 100 -t 30 -u $USERS >/dev/null; k=$(calib)
		c0=$(lab_cpu $t)
		lab_net $t "$ML" wait -d $MB/$t/mail -u $USERS -n $((n * rc + 100)) -t ${LIMIT:-300} >$MB/wait.$t & w=$!
		res=$(load -n $n -c ${CONNS:-50} -r $rc); wait $w; c1=$(lab_cpu $t); wr=$(cat $MB/wait.$t)
		out "${k}e2e_s=$(awk -v a=$(field start "$res") -v b=$(field end "$wr") -v n=$((n * rc)) 'BEGIN{printf "%.2f deliveries/s=%.0f", b-a, n/(b-a)}') cpu_ms/msg=$(cpums $c0 $c1 $n) left=$($drv qlen) | $res | $wr"
	done ;;
relay)	n=${N:-20000} a=${a:-one} b=${b:-0}; d="-D one.test"; [ $a = many ] && d="-D many.test -k 200"
	for r in $(seq $RUNS); do
		fresh deliver; k=$(calib)
		c0=$(lab_cpu $t)
		lab_net $t "$ML" sink -p 2525 -n $n -w $b -t ${LIMIT:-120} -q >$MB/sink.$t & w=$!
		sleep 0.3; res=$(load -n $n -c ${CONNS:-50} $d); wait $w; c1=$(lab_cpu $t); wr=$(cat $MB/sink.$t)
		out "${k}dest=$a delay=$b e2e_s=$(awk -v a=$(field start "$res") -v b=$(field end "$wr") -v n=$(field msgs "$wr") 'BEGIN{printf "%.2f relayed/s=%.0f", b-a, n/(b-a)}') cpu_ms/msg=$(cpums $c0 $c1 $n) left=$($drv qlen) | $res | $wr"
	done ;;
idle)	k=${a:-1000}; export SMTPDS=$((k + 300)) PROCS=$((k + 300))
	fresh accept; load -n 200 -c 5 >/dev/null; read p0 n0 <<<"$(lab_pss $t)"
	lab_net $t "$ML" idle -c $k -B 50 -H ${HOLD:-60} -t 60 -R $RAMP >$MB/idle.$t & w=$!
	for i in $(seq 700); do grep -q held $MB/idle.$t && break; sleep 0.1; done
	sleep 1; read p1 n1 <<<"$(lab_pss $t)"
	res=$(load -n ${N:-5000} -c 50 -t 30)
	out "k=$k pss_kB_before=$p0 procs=$n0 pss_kB_held=$p1 procs_held=$n1 kB/conn=$(awk "BEGIN{printf \"%.1f\",($p1-$p0)/$k}") | $(head -1 $MB/idle.$t) | $res"
	wait $w; out "k=$k $(tail -1 $MB/idle.$t)" ;;
queue)	n=${N:-100000}; fresh ${FILL:-deliver}       # FILL=accept: queue without a first attempt
	res=$(load -n $n -c 50 -D down.test -t 400); out "fill $res"
	for i in $(seq 60); do c0=$(lab_cpu $t); sleep 2; c1=$(lab_cpu $t); [ $((c1 - c0)) -lt 200000000 ] && break; done
	out "settled_after_s=$((i * 2)) qlen=$($drv qlen) pss/procs=$(lab_pss $t)"
	s=$(date +%s.%N); l=$($drv list | wc -lc); e=$(date +%s.%N); out "list_s=$(awk "BEGIN{printf \"%.2f\",$e-$s}") lines/bytes=$l"
	res=$(load -n 5000 -c 50 -D local.test); out "accept_with_backlog $res"
	echo 3 >/proc/sys/vm/drop_caches
	"$drv" stop; s=$(date +%s.%N); c=0; "$drv" start deliver
	lab_net $t "$ML" sink -p 2525 -n 1 -t 120 -q >$MB/sink.$t & w=$!; sleep 0.1
	load -n 1 -c 1 -D one.test >/dev/null; wait $w; e=$(field end "$(cat $MB/sink.$t)")	# the sink itself ends later
	out "restart_to_first_relay_s=$(awk "BEGIN{printf \"%.2f\",$e-$s}") pss/procs=$(lab_pss $t)" ;;
admin)	n=${N:-100000}; fresh accept; "$drv" fill $n || exit 1      # ours alone has that verb
	secs() { local s=$EPOCHREALTIME; "$drv" dawk "$@" >"$MB/admin.out"; since $s; }
	first() { local s=$EPOCHREALTIME; "$drv" dawk queue list | head -n 1 >/dev/null; since $s; }
	for r in $(seq $RUNS); do out "n=$n list_s=$(secs queue list) rows=$(grep -c deferred "$MB/admin.out") json_s=$(secs queue list --json) first_row_s=$(first) status_s=$(secs status)"; done
	for q in down up; do
		[ $q = up ] && { "$drv" fill $n; "$drv" queued up || exit 1; }
		for act in hold release hold remove; do out "n=$n queued=$q ${act}_s=$(secs queue $act --from alice --yes) answers=$(wc -l <"$MB/admin.out")"; done
	done; out "left=$("$drv" qlen)" ;;
million) n=${N:-1000000}; fresh accept; "$drv" fill $n || exit 1
	for how in warm cold; do
		[ $how = cold ] && { sync; echo 3 >/proc/sys/vm/drop_caches; }
		k=$(find $MB/$t/mail -path '*/new/*' | wc -l); s=$EPOCHREALTIME
		{ "$drv" queued up; since $s >$MB/read.$t; } & w=$!
		load -n 1 -c 1 >/dev/null; lab_net $t "$ML" wait -d $MB/$t/mail -u $USERS -n $((k + 1)) -t 120 >/dev/null; f=$(since $s); wait $w
		out "n=$n $how new_delivered_s=$f all_known_s=$(cat $MB/read.$t) pss/procs=$(lab_pss $t)"; "$drv" queued down
	done ;;
cost)	n=${N:-2000}; m=deliver; [ "$a" = accept ] && m=accept
	for r in $(seq $RUNS); do
		fresh $m; load -n 200 -c 10 >/dev/null; sleep 3
		k0=$(find $MB/$t/mail -path '*/new/*' | wc -l); c0=$(lab_cpu $t); s0=$(lab_split $t); perfon
		if [ $m = deliver ]; then
			lab_net $t "$ML" wait -d $MB/$t/mail -u $USERS -n $((n + k0)) -t 60 >/dev/null & w=$!; load -n $n -c 10 >/dev/null; wait $w
		else load -n $n -c 10 >/dev/null; fi
		sleep 0.5; p=$(perfoff $n); c1=$(lab_cpu $t); s1=$(lab_split $t)
		out "$a cpu_ms/msg=$(cpums $c0 $c1 $n) user/sys_ms=$(cpums ${s0% *} ${s1% *} $n)/$(cpums ${s0#* } ${s1#* } $n)$p"
	done ;;
trace)	m=deliver; [ "$a" = accept ] && m=accept
	fresh $m; load -n 20 -c 1 >/dev/null; sleep 1
	timeout 20 strace -f -y -s 40 -e trace=fsync,fdatasync,sync_file_range,syncfs,rename,renameat,renameat2,link,linkat,unlink,unlinkat,openat,open,write,sendto,writev,execve,pwrite64 \
		$(for p in $(cat $CGA/mb-$t/cgroup.procs); do echo "-p $p"; done) -o $MB/trace.$t & sleep 1
	load -n 1 -c 1 >/dev/null; sleep 1; kill -INT %1; wait %1 2>/dev/null
	grep -vE 'ENOENT|O_RDONLY|/proc/|exited|SIG' $MB/trace.$t | head -${N:-80} ;;
pop3)	n=${a:-1000}; fresh pop3; rm -rf $MB/$t/mail/u0/*; "$ML" mkbox -d $MB/$t/mail -u 1 -n $n -s $SIZE; chown -R 5000:5000 $MB/$t/mail/u0
	pop() { lab_net $t "$ML" pop3 -p 110 -u 1 -t 200 "$@"; }
	sync; echo 3 >/proc/sys/vm/drop_caches; out "msgs=$n cold STAT: $(pop -n 1 -g 0)"
	out "msgs=$n warm STAT: $(pop -n 5 -g 0)"; out "msgs=$n UIDL: $(pop -n 3 -g 0 -i)"; out "msgs=$n LIST: $(pop -n 3 -g 0 -l)"
	g=${RETR:--1}; nr=$g; [ $g = -1 ] && nr=$n
	out "msgs=$n RETR: $(pop -n 1 -g $g)"; c0=$(lab_cpu $t)
	out "msgs=$n RETR again: $(pop -n 1 -g $g) cpu_ms/msg=$(cpums $c0 $(lab_cpu $t) $nr)"
	out "msgs=$n after: $(pop -n 5 -g 0)"; out "msgs=$n pipelined RETR: $(pop -n 1 -g -1 -P)" ;;
pop3many) u=200 n=${N:-4000}; export USERS=$u; fresh pop3; "$ML" mkbox -d $MB/$t/mail -u $u -n 20 -s $SIZE; chown -R 5000:5000 $MB/$t/mail; sync
	for g in 0 0 -1 -1; do c0=$(lab_cpu $t); res=$(lab_net $t "$ML" pop3 -p 110 -u $u -n $n -c 200 -g $g -t 100)
		out "boxes=200x20 retr=$g cpu_ms/session=$(cpums $c0 $(lab_cpu $t) $n) $res"; done ;;
*)	sed -n 2,18p "$0"; exit 2 ;;
esac
