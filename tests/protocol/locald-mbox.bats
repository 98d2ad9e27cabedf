load ../lib/suite
load ../lib/locald
setup()    { locald_make; users_add 'mb@local.example::::mb.mbox:'; }
teardown() { suite_stop; }
mbox() { echo "$SUITE/mail/mb.mbox"; }

@test "an mbox gets From_ lines, quoting and blank lines between (mboxrd)" {
	printf 'Subject: a\n\nFrom here\n>From there\n>>From far\n From\nFro\nFrom\nFromage\n>>\nFrom x\n' | locald_message -
	run -0 deliver -f 'bob@client.example' mb@local.example
	[[ $output == "0 delivered 2.0.0 "* ]]
	[[ $(head -n 1 "$(mbox)") =~ ^From\ bob@client.example\ [A-Z][a-z]{2}\ [A-Z][a-z]{2}\ [\ 0-9]{2}\ [0-9:]{8}\ [0-9]{4}$ ]]
	diff - <(tail -n +2 "$(mbox)") <<-'EOF'
		Return-Path: <bob@client.example>
		Delivered-To: mb@local.example
		Subject: a

		>From here
		>>From there
		>>>From far
		 From
		Fro
		From
		Fromage
		>>
		>From x

	EOF
	[[ $(stat -c '%u %a' "$(mbox)") == "$VIRTUAL 600" ]]
}

@test "a stock reader finds every message of an mbox, byte by byte" {
	for i in 1 2 3; do
		hard_message "$SUITE/original$i"
		locald_message - <"$SUITE/original$i"
		run -0 deliver -f '' mb@local.example
	done
	python3 - "$(mbox)" "$SUITE" <<-'EOF'
		import mailbox, re, sys
		box = mailbox.mbox(sys.argv[1])
		assert len(box) == 3, len(box)
		for i in range(3):
		    got = re.sub(rb'(?m)^>(>*From )', rb'\1', box.get_bytes(i))
		    want = b'Return-Path: <>\nDelivered-To: mb@local.example\n' + open('%s/original%d' % (sys.argv[2], i + 1), 'rb').read()
		    assert got == want, (got, want)
	EOF
}

@test "what another program left without a blank line at its end stays apart" {
	printf 'From x Sat Nov 21 22:00:00 2026\nSubject: old\n\nno blank line' >"$(mbox)"
	chown "$VIRTUAL" "$(mbox)"
	run -0 deliver mb@local.example
	[[ $(python3 -c 'import mailbox, sys; print(len(mailbox.mbox(sys.argv[1])))' "$(mbox)") == 2 ]]
}

@test "delivery waits for the lock of another program and then goes on" {
	run -0 deliver mb@local.example
	python3 -c 'import fcntl, os, sys; f = open(sys.argv[1], "r+"); fcntl.lockf(f, fcntl.LOCK_EX); open(sys.argv[2], "w").close(); sys.stdin.read()' \
		"$(mbox)" "$SUITE/locked" < <(sleep 1) &
	wait_until test -e "$SUITE/locked"
	run -0 deliver mb@local.example
	[[ $output == "0 delivered "* ]]
	wait $!
	[[ $(grep -c '^From ' "$(mbox)") == 2 ]]
}

@test "an mbox that another program moves away or removes while it holds the lock swallows no mail" {
	local act
	for act in rename unlink; do
		run -0 deliver mb@local.example
		rm -f "$SUITE/locked" "$SUITE/old"
		mkfifo "$SUITE/go"
		python3 - "$(mbox)" "$SUITE" $act <<-'EOF' &
			import fcntl, os, sys
			path, suite, act = sys.argv[1:]
			f = open(path, "r+"); fcntl.lockf(f, fcntl.LOCK_EX); open(suite + "/locked", "w").close()
			open(suite + "/go").read()
			os.rename(path, suite + "/old") if act == "rename" else os.unlink(path)
		EOF
		wait_until test -e "$SUITE/locked"
		deliver_in_background results mb@local.example
		wait_until deliverer_has_it_open
		echo >"$SUITE/go"
		wait "$driver"
		rm "$SUITE/go"
		[[ $(cat "$SUITE/results") == "0 deferred 4.2.0 "*"another program has replaced it meanwhile"* ]]
		[[ ! -e $SUITE/old || $(grep -c '^From ' "$SUITE/old") == 1 ]]
		run -0 deliver mb@local.example
		[[ $output == "0 delivered "* ]]
		[[ $(grep -c '^From ' "$(mbox)") == 1 ]]
		rm "$(mbox)"
	done
}
deliverer_has_it_open() {
	local pid
	for pid in $(locald_processes | tail -n +2); do readlink "/proc/$pid/fd/"* 2>/dev/null | grep -qxF "$(mbox)" && return 0; done
	return 1
}

@test "a fresh lock file makes it wait, a stale one is broken" {
	mkdir "$SUITE/boxes" && chown "$VIRTUAL" "$SUITE/boxes"
	users_add "own@local.example::::$SUITE/boxes/own.mbox:"
	touch -d '20 minutes ago' "$SUITE/boxes/own.mbox.lock"
	chown "$VIRTUAL" "$SUITE/boxes/own.mbox.lock"
	run -0 deliver own@local.example
	[[ $output == "0 delivered "* ]]
	[[ ! -e $SUITE/boxes/own.mbox.lock ]]
	touch "$SUITE/boxes/own.mbox.lock"
	deliver_in_background results own@local.example
	wait_until waits_for_lock
	rm "$SUITE/boxes/own.mbox.lock"
	wait "$driver"
	[[ $(cat "$SUITE/results") == "0 delivered "* ]]
	[[ $(grep -c '^From ' "$SUITE/boxes/own.mbox") == 2 ]]
}
waits_for_lock() { [[ $(locald_processes | wc -l) == 2 ]]; }

@test "a deliverer that is killed defers what it had, and the next message is delivered" {
	mkdir "$SUITE/boxes" && chown "$VIRTUAL" "$SUITE/boxes"
	users_add "own@local.example::::$SUITE/boxes/own.mbox:"
	touch "$SUITE/boxes/own.mbox.lock"
	deliver_in_background results own@local.example alice@local.example
	wait_until delivers_to_both
	for pid in $(locald_processes | tail -n +2); do
		grep -q "$SUITE/mail/" <(readlink "/proc/$pid/fd/"* 2>/dev/null) || kill -KILL "$pid"
	done
	wait "$driver"
	grep -q '^0 deferred 4.2.0 the delivery process ended' "$SUITE/results"
	grep -q '^1 delivered ' "$SUITE/results"
	wait_until logged locald 'locald deliverer-died pid=[0-9]+ uid=[0-9]+ '
	rm "$SUITE/boxes/own.mbox.lock"
	run -0 deliver own@local.example
	[[ $output == "0 delivered "* ]]
}
delivers_to_both() { [[ $(locald_processes | wc -l) == 3 ]] && delivered_to alice 1; }

@test "no space gives the mbox its old length back" {
	mkdir "$SUITE/boxes" && chown "$VIRTUAL" "$SUITE/boxes"
	users_add "own@local.example::::$SUITE/boxes/own.mbox:"
	run -0 deliver own@local.example
	mount_small "$SUITE/boxes" 200k
	before=$(cksum <"$SUITE/boxes/own.mbox")
	{ echo; head -c 400000 /dev/zero | tr '\0' x | fold -w 76; } | locald_message -
	run -0 deliver own@local.example
	[[ $output == "0 deferred 4.3.1 "* ]]
	[[ $(cksum <"$SUITE/boxes/own.mbox") == "$before" ]]
	[[ ! -e $SUITE/boxes/own.mbox.lock ]]
	locald_message
	run -0 deliver own@local.example
	[[ $(grep -c '^From ' "$SUITE/boxes/own.mbox") == 2 ]]
}

@test "an mbox that is a link or a folder is refused for now" {
	ln -s /etc/hostname "$(mbox)"
	run -0 deliver mb@local.example
	[[ $output == "0 deferred 4.2.0 "* ]]
	rm "$(mbox)"
	mkdir "$(mbox)"
	run -0 deliver mb@local.example
	[[ $output == "0 deferred 4.2.0 "* ]]
}

@test "what an alias or a ~/.forward sends to /dev/null is discarded, and counts as delivered" {
	echo 'system-users = yes' >>"$SUITE/etc/dawk.conf"
	home_of fred
	echo /dev/null | forward_of fred
	aliases_add 'noreply@local.example: /dev/null' 'both@local.example: /dev/null, "|echo failed; exit 67"'
	run -0 deliver noreply@local.example both@local.example fred@local.example
	diff <(sort <<<"$output") - <<-'EOF'
		0 delivered 2.0.0 discarded
		1 failed 5.1.1 program, exit code 67: failed
		2 delivered 2.0.0 discarded
	EOF
}
