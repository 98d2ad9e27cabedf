load ../lib/suite
load ../lib/locald
setup()    { locald_make --set 'system-users=yes'; home_of fred; }
teardown() { suite_stop; }
in_maildir() { [[ $(find "$HOME_OF/${2:-Maildir}/new" -type f 2>/dev/null | wc -l) -eq $1 ]]; }
uid_of() { stat -c %u "$HOME_OF"; }

@test "an account of the system has a mailbox in ~/Maildir, made on first delivery" {
	run -0 deliver fred@local.example Fred+lists@local.example
	[[ $(grep -c ' delivered ' <<<"$output") == 2 ]]
	in_maildir 2
	[[ $(stat -c '%u %a' "$HOME_OF/Maildir/new") == "$(uid_of) 700" ]]
}

@test "accounts of daemons and of root, and names that are none, have no mailbox" {
	run -0 deliver root+x@local.example daemon@local.example nobody@local.example unheard@local.example
	[[ $(grep -c ' failed 5.1.1 ' <<<"$output") -ge 3 ]]
	[[ $output != *delivered* ]]
}

@test "an empty ~/.forward, or one of comments, means the mailbox" {
	printf '# not now\n\n' | forward_of fred
	run -0 deliver fred@local.example
	[[ $output == "0 delivered 2.0.0 delivered to maildir" ]]
	in_maildir 1
}

@test "addresses in ~/.forward are forwarded, names without a domain at the user's own" {
	printf 'carol@example.net, bob\n"odd, name"@example.org\n' | forward_of fred
	run -0 deliver fred@local.example
	[[ $output == *"forward 0 carol@example.net"*"forward 0 bob@local.example"*'forward 0 "odd, name"@example.org'*"0 forwarded 2.0.0 forwarded"* ]]
	in_maildir 0
}

@test "the own address and \\user keep a copy in the mailbox" {
	printf '\\fred, carol@example.net\n' | forward_of fred
	run -0 deliver fred@local.example
	[[ $output == *"forward 0 carol@example.net"*"0 forwarded 2.0.0 "* ]]
	in_maildir 1
	printf 'Fred@LOCAL.example\nfred\n' | forward_of fred
	run -0 deliver fred+x@local.example
	[[ $output == "0 delivered "* ]]
	in_maildir 2	# one copy for both entries
}

@test "a program of ~/.forward runs as the user, in the home, with the user's environment" {
	printf '"|{ id -u; pwd; env; cat; } >got"\n' | forward_of fred
	run -0 deliver -f bob@client.example fred+x@local.example
	[[ $output == "0 delivered 2.0.0 program, exit code 0" ]]
	[[ $(head -n 2 "$HOME_OF/got") == "$(uid_of)"$'\n'"$HOME_OF" ]]
	grep -qx "HOME=$HOME_OF" "$HOME_OF/got"
	grep -qx USER=fred "$HOME_OF/got"
	grep -qx EXTENSION=x "$HOME_OF/got"
	grep -qx 'Delivered-To: fred+x@local.example' "$HOME_OF/got"
	in_maildir 0
}

@test "a program can't stop its keeper" {
	echo 'program-timeout = 1s' >>"$SUITE/etc/dawk.conf"
	expected='failed 5.1.1 program, exit code 67'
	[[ $(id -u) == 0 ]] || expected="deferred 4.3.0 the program's keeper ended unexpectedly"	# of the same uid: it is ended for it
	printf '"|kill -STOP $PPID 2>/dev/null; exit 67"\n' | forward_of fred
	run -0 deliver fred@local.example
	[[ $output == "0 $expected" ]]
}

# A second job comes when all places are taken; what it brings waits behind what the first one left.
@test "programs of four accounts that take all places leave the next one to an account that has none" {
	[[ $(id -u) == 0 ]] || return 0
	recipients=(tickets@local.example alice@local.example)
	for who in fred anne carl dora; do
		[[ $who == fred ]] || home_of $who
		printf '"|: >%s/out/on.%s.$$; until test -e %s/out/end; do sleep 1; done"\n' "$SUITE" $who "$SUITE" | forward_of $who
		recipients+=("$who+"{1..10}@local.example)
	done
	aliases_add "tickets@local.example: \"|echo one >>$SUITE/out/tickets\""
	mkfifo "$SUITE/go"
	exec {go}<>"$SUITE/go"
	deliver -w -p 100 -n 2 "${recipients[@]}" <"$SUITE/go" >"$SUITE/results" &
	driver=$!
	for job in 1 2; do
		echo >&$go
		wait_until delivered_to alice $job
		wait_until hold_places fred anne carl dora
	done
	[[ $(wc -l <"$SUITE/out/tickets") == 1 ]]
	kill "$(find "$SUITE/out" -name 'on.fred.*' -printf '%f\n' | sed 's/.*\.//;q')"
	wait_until tickets_are 2
	touch "$SUITE/out/end"
	exec {go}>&-
	wait "$driver"
}
hold_places() { local who; for who; do [[ $(find "$SUITE/out" -name "on.$who.*" | wc -l) == 8 ]] || return 1; done; }
tickets_are() { [[ $(wc -l <"$SUITE/out/tickets") == "$1" ]]; }

@test "thirty-two programs run, with one more none does and the mail is deferred" {
	for ((i = 0; i < 32; i++)); do echo "|echo $i >>ran"; done | forward_of fred
	run -0 deliver fred@local.example
	[[ $output == "0 delivered 2.0.0 program, exit code 0" ]]
	[[ $(sort -u "$HOME_OF/ran" | wc -l) == 32 ]]
	rm "$HOME_OF/ran"
	{ cat "$HOME_OF/.forward"; echo "|echo 32 >>ran"; } >"$SUITE/forward"
	forward_of fred <"$SUITE/forward"
	run -0 deliver fred@local.example
	[[ $output == "0 deferred 4.3.5 ~/.forward: more than 32 programs" ]]
	[[ ! -e $HOME_OF/ran ]]
	run ! logged locald deliverer-bad-frame
}

@test "a ~/.forward may name any number of maildirs" {
	for ((i = 0; i < 200; i++)); do echo "./box$i/"; done | forward_of fred
	run -0 deliver fred@local.example
	[[ $output == "0 delivered "* ]]
	[[ $(find "$HOME_OF" -path '*/new/*' -type f | wc -l) == 200 ]]
}

@test "all kinds together give one result, the worst" {
	printf '|exit 0\n~/box, ./Mail/\n\\fred\ncarol@example.net\n' | forward_of fred
	run -0 deliver fred@local.example
	[[ $output == *"forward 0 carol@example.net"*"0 forwarded 2.0.0 forwarded"* ]]
	[[ $(grep -c '^From ' "$HOME_OF/box") == 1 ]]
	in_maildir 1
	in_maildir 1 Mail
	printf '|echo no; exit 77\n\\fred\n' | forward_of fred
	run -0 deliver fred@local.example
	[[ $output == "0 failed 5.7.1 program, exit code 77: no" ]]
}

@test "what is done of a deferred recipient is not done again" {
	mkfifo "$SUITE/go"
	exec {go}<>"$SUITE/go"
	printf '\\fred\n~/box\n"|cat >>one"\n"|test -e mended || exit 75; cat >>two"\ncarol@example.net\n' | forward_of fred
	deliver -w -n 2 -i fred@local.example <"$SUITE/go" >"$SUITE/results" &
	driver=$!
	echo >&$go
	wait_until grep -qs '^0 deferred 4.3.0 program, exit code 75' "$SUITE/results"
	touch "$HOME_OF/mended"
	echo >&$go
	wait "$driver"
	exec {go}>&-
	grep -q '^0 forwarded ' "$SUITE/results"
	in_maildir 1
	[[ $(grep -c '^From ' "$HOME_OF/box") == 1 ]]
	[[ $(grep -c '^Return-Path' "$HOME_OF/one") == 1 ]]
	[[ $(grep -c '^Return-Path' "$HOME_OF/two") == 1 ]]
}

@test "a ~/.forward that others can write, a link, a device or nonsense defers the mail" {
	echo carol@example.net | forward_of fred
	chmod g+w "$HOME_OF/.forward"
	run -0 deliver fred@local.example
	[[ $output == "0 deferred 4.3.5 ~/.forward: "*"written by others"* ]]
	rm "$HOME_OF/.forward"
	ln -s /etc/hostname "$HOME_OF/.forward"
	run -0 deliver fred@local.example
	[[ $output == "0 deferred 4.3.5 ~/.forward: "* ]]
	rm "$HOME_OF/.forward"
	mkfifo "$HOME_OF/.forward"
	run -0 deliver fred@local.example
	[[ $output == "0 deferred 4.3.5 ~/.forward: "*"no regular file"* ]]
	rm "$HOME_OF/.forward"
	printf '"|open\ncarol@example.net\n' | forward_of fred
	run -0 deliver fred@local.example
	[[ $output == "0 deferred 4.3.5 ~/.forward: a quote is not closed"* && $output != *forward\ 0* ]]
	head -c 70000 /dev/zero | tr '\0' '\n' | forward_of fred
	run -0 deliver fred@local.example
	[[ $output == "0 deferred 4.3.5 ~/.forward: "*"larger than"* ]]
	in_maildir 0
}

@test "somebody else's file as ~/.forward is not believed" {
	[[ $(id -u) == 0 ]] || return 0	# only root can give files away
	echo carol@example.net | forward_of fred
	chown 60001 "$HOME_OF/.forward"
	run -0 deliver fred@local.example
	[[ $output == "0 deferred 4.3.5 ~/.forward: "* ]]
	chown 0 "$HOME_OF/.forward"
	chmod 644 "$HOME_OF/.forward"
	run -0 deliver fred@local.example
	[[ $output == *"0 forwarded "* ]]
}

@test "a path of ~/.forward outside the home is out of reach" {
	echo "$SUITE/out/box" | forward_of fred
	run -0 deliver fred@local.example
	[[ $output == "0 deferred 4.2.0 "* ]]
	[[ ! -e $SUITE/out/box ]]
}

@test "a message that fred's ~/.forward sent on does not come back to fred (RFC 5321 6.3)" {
	echo carol@example.net | forward_of fred
	printf 'Delivered-To: fred@local.example\n\nhello\n' | locald_message -
	run -0 deliver fred@local.example
	[[ $output == "0 failed 5.4.6 "* ]]
}

@test "many users at once each get theirs under their own uid" {
	names=()
	for i in $(seq 90); do home_of "user$i"; names+=("user$i@local.example"); done
	run -0 deliver "${names[@]}"
	[[ $(grep -c ' delivered ' <<<"$output") == 90 ]]
	[[ $(find "$SUITE/home" -path '*/Maildir/new/*' -type f | wc -l) == 90 ]]
	for i in 1 50 90; do
		[[ $(stat -c %u "$SUITE/home/user$i/Maildir/new/"*) == "$(stat -c %u "$SUITE/home/user$i")" ]]
	done
}
