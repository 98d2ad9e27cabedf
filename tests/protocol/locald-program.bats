load ../lib/suite
load ../lib/locald
setup()    { locald_make; }
teardown() { suite_stop; }

@test "a program reads the message with its trace lines and LF line ends, as dawkx, in /" {
	aliases_add "prog@local.example: \"|{ id -u; pwd; cat; } >$SUITE/out/got\""
	run -0 deliver -f bob@client.example prog@local.example
	[[ $output == "0 delivered 2.0.0 program, exit code 0" ]]
	diff "$SUITE/out/got" - <<-EOF
		$PROGRAMS
		/
		Return-Path: <bob@client.example>
		Delivered-To: prog@local.example
		From: bob@client.example
		Subject: hi

		hello
	EOF
}

@test "its environment says what delivery agents expect, and nothing of ours" {
	aliases_add "prog@local.example: \"|env >$SUITE/out/env\""
	run -0 deliver -f bob@client.example prog+x-y@local.example=Prog+x-y@LOCAL.example
	for line in SENDER=bob@client.example RECIPIENT=prog+x-y@local.example ORIGINAL_RECIPIENT=Prog+x-y@LOCAL.example \
		LOCAL=prog+x-y DOMAIN=local.example HOST=local.example EXTENSION=x-y EXT=x-y USER=dawkx LOGNAME=dawkx HOME=/ SHELL=/bin/sh \
		PATH=/usr/local/bin:/usr/bin:/bin 'RPLINE=Return-Path: <bob@client.example>' 'DTLINE=Delivered-To: prog+x-y@local.example'; do
		grep -qxF -- "$line" "$SUITE/out/env"
	done
	grep -qE '^UFLINE=From bob@client.example [A-Z][a-z]{2} ' "$SUITE/out/env"
	grep -qE '^QUEUE_ID=[0-9a-z]{20}$' "$SUITE/out/env"
	run ! grep -qE 'LD_PRELOAD|NSS_WRAPPER|BATS' "$SUITE/out/env"
}

@test "it has three descriptors, no signal blocked, and may raise its rights if it can" {
	aliases_add "prog@local.example: \"|ls /proc/self/fd >$SUITE/out/fds; grep -E '^(SigBlk|SigIgn|NoNewPrivs|Seccomp):' /proc/self/status >$SUITE/out/status; ulimit -n >>$SUITE/out/status\""
	run -0 deliver prog@local.example
	[[ $(tr '\n' ' ' <"$SUITE/out/fds") == "0 1 2 3 " ]]	# 3: what ls reads
	grep -q 'SigBlk:.*0000000000000000' "$SUITE/out/status"
	# 32 and 33 are the C library's own: a shell or make may pass them on ignored, nobody can change that
	grep -qE 'SigIgn:.[0-9a-f]{8}[08]0000000$' "$SUITE/out/status"
	grep -q 'NoNewPrivs:.*0' "$SUITE/out/status"
	grep -q 'Seccomp:.*0' "$SUITE/out/status"
	(( $(tail -n 1 "$SUITE/out/status") <= 1024 ))
}

@test "exit codes of sysexits(3) decide, and its words come along" {
	for code in 0 99 75 111 100 67 73 1 127; do
		printf 'code%s@local.example: "|echo said %s; exit %s"\n' $code $code $code
	done >>"$SUITE/etc/aliases"
	$DAWK update >/dev/null
	run -0 deliver code{0,99,75,111,100,67,73,1,127}@local.example
	diff <(sort <<<"$output") - <<-'EOF'
		0 delivered 2.0.0 program, exit code 0: said 0
		1 delivered 2.0.0 program, exit code 99: said 99
		2 deferred 4.3.0 program, exit code 75: said 75
		3 deferred 4.3.0 program, exit code 111: said 111
		4 failed 5.3.0 program, exit code 100: said 100
		5 failed 5.1.1 program, exit code 67: said 67
		6 failed 5.3.0 program, exit code 73: said 73
		7 deferred 4.3.0 program, exit code 1: said 1
		8 deferred 4.3.0 program, exit code 127: said 127
	EOF
}

@test "a program that is too slow is ended with all that it started" {
	echo 'program-timeout = 5s' >>"$SUITE/etc/dawk.conf"
	aliases_add "slow@local.example: \"|sleep 1000 & echo \$! >$SUITE/out/pid; echo on it; sleep 1000\""
	run -0 deliver slow@local.example
	[[ $output == "0 deferred 4.3.0 the program did not end within 5 seconds"* ]]
	wait_until process_is_gone "$(cat "$SUITE/out/pid")"
}

@test "one that left its process group for a child's is ended all the same, here as locald has gone" {
	cat >"$SUITE/out/leave.py" <<-'EOF'
		import os, sys, time
		ready, go = os.pipe()
		child = os.fork()
		if child == 0:
		    os.setpgid(0, 0)
		    os.write(go, b"x")
		else:
		    os.read(ready, 1)
		    os.setpgid(0, child)
		    open(sys.argv[1], "w").write(f"{child} {os.getpid()}")
		time.sleep(1000)
	EOF
	aliases_add "leaves@local.example: \"|exec /usr/bin/python3 $SUITE/out/leave.py $SUITE/out/pids\""
	deliver_in_background results leaves@local.example
	wait_until grep -qs . "$SUITE/out/pids"
	read -r child pid <"$SUITE/out/pids" || :	# it ends no line
	kill -KILL "$(locald_processes | head -n 1)"
	wait_until process_is_gone "$pid"
	kill "$child"
}

@test "a keeper that stands still is ended by the kernel, and its program with it" {
	echo 'program-timeout = 1s' >>"$SUITE/etc/dawk.conf"
	aliases_add "still@local.example: \"|echo \$PPID \$\$ >$SUITE/out/pids; exec sleep 1000\""
	deliver_in_background results still@local.example
	wait_until grep -qs . "$SUITE/out/pids"
	read -r keeper pid <"$SUITE/out/pids"
	kill -STOP "$keeper"
	wait "$driver"
	[[ $(cat "$SUITE/results") == "0 deferred 4.3.0 the program's keeper ended unexpectedly" ]]
	wait_until process_is_gone "$pid"
}
process_is_gone() { [[ ! -e /proc/$1 ]] || grep -q '^State:.*Z' "/proc/$1/status"; }

@test "a program that reads nothing or says too much is no trouble" {
	{ echo; head -c 3000000 /dev/zero | tr '\0' x | fold -w 76; echo; } | locald_message -
	aliases_add 'deaf@local.example: "|exit 0"' 'loud@local.example: "|head -c 3000000 /dev/zero | tr \"\\0\" y; exit 67"' \
		"all@local.example: \"|tail -n +3 >$SUITE/out/all\""
	run -0 deliver deaf@local.example loud@local.example all@local.example
	[[ $output == *"0 delivered "* ]]
	[[ $output == *"1 failed 5.1.1 program, exit code 67: yyyy"* ]]
	[[ ${#output} -lt 2500 ]]
	cmp <(tr -d '\r' <"$SUITE/message") "$SUITE/out/all"
}

@test "one that leaves something running in the background does not hold the delivery up" {
	aliases_add "bg@local.example: \"|sleep 300 & echo \$! >$SUITE/out/pid; exit 0\""
	SECONDS=0
	run -0 deliver bg@local.example
	[[ $output == "0 delivered "* ]]
	(( SECONDS < 200 ))
	kill "$(cat "$SUITE/out/pid")"
}

@test "fifty at once take their turns, eight at a time of one account, thirty-two in an instance that serves one alone" {
	most=8
	[[ $(id -u) == 0 ]] || most=32
	aliases_add "prog@local.example: \"|mkdir -p $SUITE/out/now; touch $SUITE/out/now/\$\$; ls $SUITE/out/now | wc -l >>$SUITE/out/counts; sleep 0.1; rm $SUITE/out/now/\$\$\""
	run -0 deliver -n 50 -q prog@local.example
	[[ $output == "delivered=50 "* ]]
	[[ $(wc -l <"$SUITE/out/counts") == 50 ]]
	(( $(sort -n "$SUITE/out/counts" | tail -n 1) <= most ))
}

@test "an alias with several members of all kinds runs and delivers each of them" {
	mkdir "$SUITE/out/d" && chown "$PROGRAMS" "$SUITE/out/d"
	aliases_add "many@local.example: \"|cat >$SUITE/out/d/one\", \"|cat >$SUITE/out/d/two\", $SUITE/out/d/box, $SUITE/out/d/maildir/, alice@local.example"
	run -0 deliver many@local.example
	[[ $output == "0 delivered 2.0.0 "* && $output != *forward* ]]
	[[ -s $SUITE/out/d/one && -s $SUITE/out/d/two ]]
	[[ $(grep -c '^From ' "$SUITE/out/d/box") == 1 ]]
	[[ $(find "$SUITE/out/d/maildir/new" -type f -user "$PROGRAMS" | wc -l) == 1 ]]
	delivered_to alice 0
}

@test "the worst of several members counts" {
	aliases_add "some@local.example: \"|exit 0\", \"|echo no; exit 100\"" "later@local.example: \"|exit 100\", \"|echo wait; exit 75\""
	run -0 deliver some@local.example later@local.example
	[[ $output == *"0 failed 5.3.0 program, exit code 100: no"* ]]
	[[ $output == *"1 deferred 4.3.0 program, exit code 75: wait"* ]]
}

@test "members of a deferred alias that are done are not done again" {
	mkfifo "$SUITE/go"
	exec {go}<>"$SUITE/go"
	aliases_add "two@local.example: \"|cat >>$SUITE/out/one\", \"|test -e $SUITE/out/mended || exit 75\""
	deliver -w -n 2 -i two@local.example <"$SUITE/go" >"$SUITE/results" &
	driver=$!
	echo >&$go
	wait_until grep -qs '^0 deferred 4.3.0 program, exit code 75' "$SUITE/results"
	touch "$SUITE/out/mended"
	echo >&$go
	wait "$driver"
	exec {go}>&-
	grep -q '^0 delivered ' "$SUITE/results"
	[[ $(grep -c '^Return-Path' "$SUITE/out/one") == 1 ]]
}

@test "an alias that names itself also delivers to its mailbox" {
	aliases_add "alice@local.example: alice@local.example, \"|cat >$SUITE/out/copy\", bob@local.example"
	run -0 deliver alice@local.example
	[[ $output == "0 delivered "* && $output != *forward* ]]
	[[ -s $SUITE/out/copy ]]
	delivered_to alice 1
}

@test "an alias that holds only addresses by now is forwarded" {
	aliases_add "list@local.example: alice@local.example, carol@example.net"
	run -0 deliver list@local.example
	[[ $output == *"forward 0 alice@local.example"*"forward 0 carol@example.net"*"0 forwarded 2.0.0 "* ]]
}

@test "a keeper that reports twice is believed once, and nothing else suffers" {
	aliases_add "twice@local.example: |cat >/dev/null" "other@local.example: |exit 69"
	run -0 env LD_PRELOAD="$BIN/../tool/says_twice.so" ASAN_OPTIONS="$ASAN_OPTIONS:verify_asan_link_order=0" timeout 60 \
		"$BIN/../tool/locald_driver" -n 5 -p 1 "$BIN/locald" "$SUITE/etc/dawk.conf" "$SUITE/message" \
		twice@local.example other@local.example alice@local.example
	[[ $(grep -c '^0 delivered' <<<"$output") == 5 ]]
	[[ $(grep -c '^1 failed 5.3.0' <<<"$output") == 5 ]]
	[[ $(grep -c '^2 delivered' <<<"$output") == 5 ]]
}

@test "a deliverer that was taken over runs no program and sends nothing on for a mailbox without ~/.forward" {
	local says
	for says in "run touch $SUITE/out/ran" "forward spy@client.example"; do
		run -0 env SAYS_MORE="$says" LD_PRELOAD="$BIN/../tool/says_more.so" ASAN_OPTIONS="$ASAN_OPTIONS:verify_asan_link_order=0" timeout 60 \
			"$BIN/../tool/locald_driver" "$BIN/locald" "$SUITE/etc/dawk.conf" "$SUITE/message" alice@local.example
		grep -q '^locald deliverer-bad-frame ' <<<"$output"
		grep -q '^0 deferred 4.2.0 the delivery process said what it must not say$' <<<"$output"
		run ! grep '^forward ' <<<"$output"
		[[ ! -e $SUITE/out/ran ]]
	done
}
