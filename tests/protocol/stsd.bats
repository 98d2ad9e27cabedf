# stsd alone, asked as remoted does (tests/tool/sts_ask.c), with a dnsd of its own, a name server, and an HTTPS host with
# an authority of its own on port 443 of a network namespace. RFC 8461.
load ../lib/suite
load ../lib/pair
load ../lib/sts

setup_file() {
	pair_net
	sts_make
	pair_names </dev/null
	pair_make sts 127.0.0.1 -- --set "mta-sts-authorities = $PAIR/ca/ca.pem"
	idle_start
}
teardown_file() {
	kill -KILL -- "-$(cat "$PAIR/pids/idle")" 2>/dev/null || :
	pair_stop
}

# A stsd that nobody asks, whose cache holds a policy of yesterday: the last test looks at what it does meanwhile.
idle_start() {
	local old=$PAIR/idle/sts/policies
	mkdir -p "$old"
	printf 'dawk-sts 1 1 %s\nversion: STSv1\nmode: enforce\nmx: mail.idle.example\nmax_age: 604800\nend\n' "$(($(date +%s) - 90000))" \
		>"$old/idle.example"
	chown -R dawkt: "$PAIR/idle/sts"
	sts_policy idle.example enforce 604800 next.idle.example
	domain idle.example 2
	sed -e "\$a state-directory = $PAIR/idle" "$PAIR/sts/etc/dawk.conf" >"$PAIR/sts/etc/idle.conf"
	in_net_background idle bash -c "timeout --foreground 90 '$BIN/../tool/sts_ask' '$BIN' '$PAIR/sts/etc/idle.conf' <<<'wait 75'"
}

# domain NAME ID: in the DNS from now on, with those of before
domain() { { cat "$PAIR/names"; printf '_mta-sts.%s TXT v=STSv1; id=%s;\nmta-sts.%s A 127.0.0.1\n' "$1" "$2" "$1"; } | pair_names; }
# renamed NAME ID: another id
renamed() { sed "s/^\(_mta-sts\.$1 TXT v=STSv1; id=\)[^;]*/\1$2/" "$PAIR/names" | pair_names; }
forgotten() { grep -v "$1" "$PAIR/names" | pair_names || :; }
policy_file() { cat "$PAIR/sts/state/sts/policies/$1"; }

@test "a policy is found by its record, fetched over HTTPS and told with its hosts (RFC 8461 3)" {
	sts_policy enforced.example enforce 86400 mail.enforced.example '*.Backup.example'
	sts_policy tested.example testing 86400 mail.tested.example
	domain enforced.example 1a
	domain tested.example 20260101T000000
	run -0 sts_asked <<<$'ask enforced.example\nask tested.example\nask Enforced.example'
	[[ $output == *"enforced.example enforce ttl="*" id=1a mail.enforced.example *.backup.example"* ]]
	[[ $output == *"tested.example testing ttl="*" id=20260101T000000 mail.tested.example"* ]]
	[[ $output == *"Enforced.example enforce"* && $(sts_requests mta-sts.enforced.example) == 1 ]]
	[[ $output == *'stsd policy domain=enforced.example id=1a mode=enforce left=86400'* ]]
}
@test "without a record there is no policy, and nothing is fetched (RFC 8461 3.1)" {
	run -0 sts_asked <<<$'ask nothing.example\nask not_a..name'
	[[ ${lines[0]} == "nothing.example none ttl="* && ${lines[1]} == "not_a..name none "* ]]
	sts_policy norecord.example enforce 86400 mail.norecord.example
	{ cat "$PAIR/names"; echo 'mta-sts.norecord.example A 127.0.0.1'; } | pair_names
	run -0 sts_asked <<<'ask norecord.example'
	[[ $output == "norecord.example none "* && $(sts_requests mta-sts.norecord.example) == 0 ]]
}
@test "several records, and one that is malformed, are none (RFC 8461 3.1)" {
	sts_policy twice.example enforce 86400 mail.twice.example
	domain twice.example 1
	domain twice.example 2
	domain noid.example 'bad!id'
	sts_policy noid.example enforce 86400 mail.noid.example
	run -0 sts_asked <<<$'ask twice.example\nask noid.example'
	[[ $output == *"twice.example none "*"2 records"* && $output == *"noid.example none "*malformed* ]]
	[[ $(sts_requests mta-sts.twice.example) == 0 && $(sts_requests mta-sts.noid.example) == 0 ]]
}
@test "a policy of another domain's record is not in the way (RFC 8461 3.1)" {
	sts_policy mixed.example enforce 86400 mail.mixed.example
	domain mixed.example 5
	{ cat "$PAIR/names"; echo '_mta-sts.mixed.example TXT v=spf1 -all'; } | pair_names
	run -0 sts_asked <<<'ask mixed.example'
	[[ $output == *"mixed.example enforce "* ]]
}
@test "the mode none is no policy, and ends the one before (RFC 8461 8.3)" {
	sts_policy leaving.example enforce 86400 mail.leaving.example
	domain leaving.example 1
	run -0 sts_asked <<<'ask leaving.example'
	[[ $output == *"leaving.example enforce"* ]]
	policy_file leaving.example
	sts_policy leaving.example none 86400
	renamed leaving.example 2
	run -0 sts_asked <<<'ask leaving.example'
	[[ $output == *"leaving.example none "* ]]
	run -1 policy_file leaving.example
}

# refused DOMAIN WORDS: nothing is in force, and the log says why
refused() {
	domain "$1" 1
	run -0 sts_asked <<<"ask $1"
	[[ $output == *"$1 none "* && $output == *"policy-failed domain=$1 id=1 why="*"$2"* ]]
}
@test "what is malformed is refused (RFC 8461 3.2)" {
	sts_host mta-sts.malformed.example
	printf 'version: STSv1\nmode: enforced\nmx: a.example\nmax_age: 1\n' | sts_serves mta-sts.malformed.example '200 OK|Content-Type: text/plain'
	refused malformed.example 'mode is wrong'
	sts_host mta-sts.empty.example
	sts_serves mta-sts.empty.example '200 OK|Content-Type: text/plain' </dev/null
	refused empty.example 'no version'
}
@test "no redirect is followed (RFC 8461 3.3)" {
	sts_policy target.example enforce 86400 mail.target.example
	sts_host mta-sts.redirected.example
	sts_serves mta-sts.redirected.example '302 Found|Location: https://mta-sts.target.example/.well-known/mta-sts.txt' </dev/null
	refused redirected.example 'HTTP status 302'
	[[ $(sts_requests mta-sts.target.example) == 0 ]]
}
@test "a file that is not there, or not text/plain, is no policy (RFC 8461 3.2)" {
	sts_host mta-sts.absent.example
	echo gone | sts_serves mta-sts.absent.example '404 Not Found|Content-Type: text/plain'
	refused absent.example 'HTTP status 404'
	sts_policy page.example enforce 86400 mail.page.example
	sed -i '1s/.*/200 OK|Content-Type: text\/html/' "$PAIR/hosts/mta-sts.page.example.http"
	refused page.example 'text/plain'
}
@test "a policy comes in chunks, or ends with the connection, but not where somebody cut it off (RFC 9112 7.1, RFC 9112 9.8)" {
	for way in chunked close cut; do
		sts_policy $way.example enforce 86400 mail.$way.example '*.more.example'
		sed -i "1s/.*/$way/" "$PAIR/hosts/mta-sts.$way.example.http"
	done
	domain chunked.example 1
	domain close.example 1
	run -0 sts_asked <<<$'ask chunked.example\nask close.example'
	[[ $output == *"chunked.example enforce "*" mail.chunked.example *.more.example"* && $output == *"close.example enforce "*" mail.close.example *.more.example"* ]]
	refused cut.example 'before the answer was whole'
}
@test "a policy beyond 64 kB is refused, announced or endless" {
	sts_host mta-sts.large.example
	{ printf 'version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 86400\n'; yes 'note: x' | head -c 70000; } |
		sts_serves mta-sts.large.example '200 OK|Content-Type: text/plain'
	refused large.example '64 KiB'
	sts_host mta-sts.endless.example
	sts_serves mta-sts.endless.example huge </dev/null
	refused endless.example '64 KiB'
}
@test "a certificate of another name, of an authority that is not trusted, or expired is refused (RFC 8461 3.3)" {
	sts_host mta-sts.othername.example ca www.othername.example
	sts_policy othername.example enforce 86400 mail.othername.example
	refused othername.example 'certificate'
	sts_host mta-sts.untrusted.example stranger
	sts_policy untrusted.example enforce 86400 mail.untrusted.example
	refused untrusted.example 'certificate'
	LIFE=$'activation_date = "2020-01-01 00:00:00"\nexpiration_date = "2020-02-01 00:00:00"' sts_host mta-sts.expired.example
	sts_policy expired.example enforce 86400 mail.expired.example
	refused expired.example 'certificate'
	[[ $(sts_requests mta-sts.expired.example) == 0 ]]
}
@test "a host without an address, and one that nobody listens at, have no policy (RFC 8461 3.3)" {
	{ cat "$PAIR/names"; printf '_mta-sts.%s TXT v=STSv1; id=1;\n' homeless.example closed.example; echo 'mta-sts.closed.example A 127.0.0.9'; } | pair_names
	run -0 sts_asked <<<$'ask homeless.example\nask closed.example'
	[[ $output == *"homeless.example none "*"no address"* && $output == *"closed.example none "*onnect* ]]
}
@test "of several addresses one that answers will do" {
	sts_policy twohomes.example enforce 86400 mail.twohomes.example
	domain twohomes.example 1
	{ echo 'mta-sts.twohomes.example A 127.0.0.9'; cat "$PAIR/names"; } | pair_names
	run -0 sts_asked <<<'ask twohomes.example'
	[[ $output == *"twohomes.example enforce "* ]]
}
@test "a policy outlives a restart, and holds while its host is away (RFC 8461 3.3)" {
	sts_policy kept.example enforce 86400 mail.kept.example
	domain kept.example 1
	run -0 sts_asked <<<'ask kept.example'
	[[ $(sts_requests mta-sts.kept.example) == 1 && $(stat -c '%U %a' "$PAIR/sts/state/sts/policies/kept.example") == 'dawkt 600' ]]
	sts_serves mta-sts.kept.example '500 Trouble' </dev/null
	run -0 sts_asked <<<'ask kept.example'
	[[ $output == *"kept.example enforce "*" id=1 mail.kept.example"* && $(sts_requests mta-sts.kept.example) == 1 ]]
	renamed kept.example 2
	run -0 sts_asked <<<$'ask kept.example\nask kept.example'
	[[ ${lines[-1]} == "kept.example enforce "*" id=1 mail.kept.example" && $(sts_requests mta-sts.kept.example) == 2 ]]
	forgotten kept.example
	run -0 sts_asked <<<'ask kept.example'
	[[ $output == *"kept.example enforce "*" id=1 mail.kept.example"* ]]
}
@test "a new id has the policy fetched anew (RFC 8461 3.1)" {
	sts_policy changing.example enforce 86400 old.changing.example
	domain changing.example 1
	run -0 sts_asked <<<'ask changing.example'
	sts_policy changing.example testing 86400 new.changing.example
	run -0 sts_asked <<<'ask changing.example'
	[[ $output == *"changing.example enforce "*" id=1 old.changing.example"* ]]
	renamed changing.example 2
	run -0 sts_asked <<<'ask changing.example'
	[[ $output == *"changing.example testing "*" id=2 new.changing.example"* && $(sts_requests mta-sts.changing.example) == 2 ]]
	[[ $(policy_file changing.example) == *"mode: testing"* ]]
}
@test "a policy that has run out is in force no more (RFC 8461 3.2)" {
	sts_policy brief.example enforce 1 mail.brief.example
	domain brief.example 1
	run -0 sts_asked <<<'ask brief.example'
	[[ $output == *"brief.example enforce ttl="[01]" "* || $output == *"brief.example none "* ]]	# that is over in a second
	sts_serves mta-sts.brief.example '500 Trouble' </dev/null
	run -0 sts_asked <<<$'wait 1.5\nask brief.example'
	[[ $output == *"brief.example none "* ]]
}
@test "a policy that has been there for a day is fetched again while the one before is told (RFC 8461 10.2)" {
	sts_policy aging.example enforce 604800 mail.aging.example
	domain aging.example 1
	run -0 sts_asked <<<'ask aging.example'
	file=$PAIR/sts/state/sts/policies/aging.example
	sed -i "1s/[0-9]*$/$(($(date +%s) - 90000))/" "$file"
	sts_policy aging.example enforce 604800 next.aging.example
	mkfifo "$PAIR/aging"
	sts_asked <"$PAIR/aging" >"$PAIR/aging.out" 2>&1 3>&- & asking=$!
	exec {say}>"$PAIR/aging"
	echo 'ask aging.example' >&$say
	wait_until grep -q next.aging.example "$file"
	exec {say}>&-
	wait "$asking"
	[[ $(<"$PAIR/aging.out") == *"aging.example enforce "*" id=1 mail.aging.example"* && $(sts_requests mta-sts.aging.example) == 2 ]]
}
@test "a file of the cache that is not whole counts as none, and goes" {
	sts_policy torn.example enforce 86400 mail.torn.example
	domain torn.example 1
	run -0 sts_asked <<<'ask torn.example'
	truncate -s -6 "$PAIR/sts/state/sts/policies/torn.example"
	echo nonsense >"$PAIR/sts/state/sts/policies/nonsense.example"
	run -0 sts_asked <<<'ask torn.example'
	[[ $output == *"torn.example enforce "* && $(sts_requests mta-sts.torn.example) == 2 ]]
	[[ ! -e $PAIR/sts/state/sts/policies/nonsense.example ]]
}
@test "a fetch that failed is not repeated at each message (RFC 8461 3.3)" {
	sts_host mta-sts.broken.example
	sts_serves mta-sts.broken.example '500 Trouble' </dev/null
	domain broken.example 1
	run -0 sts_asked <<<$'ask broken.example\nask broken.example\nask broken.example'
	[[ $(sts_requests mta-sts.broken.example) == 1 && ${lines[-1]} == "broken.example none "*"HTTP status 500" ]]
}
@test "a host that never finishes costs a minute, and other domains nothing (RFC 8461 3.3)" {
	sts_host mta-sts.slow.example
	sts_serves mta-sts.slow.example slow </dev/null
	sts_host mta-sts.drip.example
	sts_serves mta-sts.drip.example drip </dev/null
	sts_policy quick.example enforce 86400 mail.quick.example
	for name in slow drip quick; do domain $name.example 1; done
	SECONDS=0
	STS_SECONDS=100 sts_asked <<<'ask slow.example' >"$PAIR/slow.out" 2>&1 3>&- & slow=$!
	STS_SECONDS=100 sts_asked <<<'ask drip.example' >"$PAIR/drip.out" 2>&1 3>&- & drip=$!
	run -0 sts_asked <<<'ask quick.example'
	[[ $output == *"quick.example enforce"* ]]
	kill -0 $slow
	kill -0 $drip
	wait $slow $drip
	((SECONDS >= 55))
	grep -q '^slow.example none ' "$PAIR/slow.out"
	grep -q '^drip.example none ' "$PAIR/drip.out"
}
@test "a name server that does not answer is none, soon enough, and what the cache has still holds" {
	sts_policy mute.example enforce 86400 mail.mute.example
	domain mute.example 1
	run -0 sts_asked <<<'ask mute.example'
	forgotten mute.example
	{ cat "$PAIR/names"; echo '_mta-sts.mute.example servfail'; echo '_mta-sts.mutenew.example servfail'; } | pair_names
	run -0 sts_asked <<<$'ask mute.example\nask mutenew.example'
	[[ $output == *"mute.example enforce "*" id=1 mail.mute.example"* && $output == *"mutenew.example none "* ]]
}
@test "without its resolver nobody knows, and what the cache has holds" {
	sts_policy alone.example enforce 86400 mail.alone.example
	domain alone.example 1
	domain unasked.example 1
	run -0 sts_asked <<<'ask alone.example'
	run -0 sts_asked <<<$'end dnsd\nask alone.example unasked.example'
	[[ $output == *"alone.example enforce "*" id=1 mail.alone.example"* && $output == *"unasked.example later "* ]]
}
@test "mta-sts = no: nobody has a policy, nothing is asked" {
	sts_policy off.example enforce 86400 mail.off.example
	domain off.example 1
	sed -e '$a mta-sts = no' "$PAIR/sts/etc/dawk.conf" >"$PAIR/sts/etc/off.conf"
	run -0 in_net timeout 40 "$BIN/../tool/sts_ask" "$BIN" "$PAIR/sts/etc/off.conf" <<<'ask off.example'
	[[ $output == *"off.example none ttl=3600 id=  # mta-sts is off" && $(sts_requests mta-sts.off.example) == 0 ]]
}
@test "without a folder it works, from memory" {
	sts_policy homefree.example enforce 86400 mail.homefree.example
	domain homefree.example 1
	sed -e '$a state-directory = /proc/none' "$PAIR/sts/etc/dawk.conf" >"$PAIR/sts/etc/nofolder.conf"
	run -0 in_net timeout 40 "$BIN/../tool/sts_ask" "$BIN" "$PAIR/sts/etc/nofolder.conf" <<<$'ask homefree.example\nask homefree.example'
	[[ $output == *cache-failed* && ${lines[-1]} == "homefree.example enforce "* && $(sts_requests mta-sts.homefree.example) == 1 ]]
}
@test "on a full disk it goes on from memory, says so, and keeps what it had" {
	[[ $(id -u) == 0 ]] || return 0	# nobody else can make a disk
	sts_policy early.example enforce 86400 mail.early.example
	sts_policy late.example enforce 86400 mail.late.example
	domain early.example 1
	domain late.example 1
	sed -e "\$a state-directory = $PAIR/full" "$PAIR/sts/etc/dawk.conf" >"$PAIR/sts/etc/full.conf"
	mkdir "$PAIR/full"
	mount -t tmpfs -o size=256k,mode=755 tmpfs "$PAIR/full"
	on_full() { run -0 in_net timeout 40 "$BIN/../tool/sts_ask" "$BIN" "$PAIR/sts/etc/full.conf"; }
	on_full <<<'ask early.example'
	dd if=/dev/zero of="$PAIR/full/rest" bs=4k 2>/dev/null || :
	on_full <<<$'ask late.example early.example\nfact late.example sts - - 1 - - -\nask late.example'
	rm "$PAIR/full/rest"
	local said=$output
	on_full <<<'ask early.example'
	wait_until umount "$PAIR/full"
	[[ $said == *"late.example enforce "* && $said == *"early.example enforce "* && $said == *cache-failed*space* && $said == *facts-failed*space* ]]
	[[ $output == *"early.example enforce "* && $(sts_requests mta-sts.early.example) == 1 ]]
}
@test "forty domains at once are each answered" {
	local names=()
	for ((i = 0; i < 40; i++)); do
		sts_policy "many$i.example" enforce 86400 "mail.many$i.example" &
		((i % 4 != 3)) || wait
		names+=("many$i.example")
	done
	wait
	{ cat "$PAIR/names"; for name in "${names[@]}"; do printf '_mta-sts.%s TXT v=STSv1; id=1;\nmta-sts.%s A 127.0.0.1\n' "$name" "$name"; done; } | pair_names
	run -0 sts_asked <<<"ask ${names[*]}"
	[[ $(grep -c '^many[0-9]*.example enforce ' <<<"$output") == 40 ]]
}
@test "the facts of sessions are counted by day, and go on after a restart (RFC 8460 4)" {
	day_lasts
	day=$(date -u +%F)
	rm -f "$PAIR/sts/state/sts/facts"/*
	sts_policy counted.example enforce 86400 mail.counted.example
	domain counted.example 1
	facts=$'ask counted.example\nfact counted.example sts - mail.counted.example 1 192.0.2.9 192.0.2.1 -\n'
	facts+=$'fact counted.example sts - mail2.counted.example 1 192.0.2.9 192.0.2.2 -\nfact counted.example sts - mail.counted.example 4 192.0.2.9 192.0.2.1 code_7\n'
	facts+=$'fact dane.example tlsa 3_1_1_ab|3_1_1_cd mx.dane.example 1 - - -\nfact bad..name none - - 1 - - -\nfact plain.example none - mx.plain.example 1 - - -\nask counted.example'
	run -0 sts_asked <<<"$facts"
	run -0 sts_asked <<<"$facts"
	run -0 sort "$PAIR/sts/state/sts/facts/$day"
	policy='version: STSv1|mode: enforce|mx: mail.counted.example|max_age: 86400'
	[[ $output == *$'4\tcounted.example\tsts\t'"$policy"$'\t\tsuccess\t\t\t'* ]]
	[[ $output == *$'2\tcounted.example\tsts\t'"$policy"$'\tmail.counted.example\tcertificate-expired\t192.0.2.9\t192.0.2.1\tcode 7'* ]]
	[[ $output == *$'2\tdane.example\ttlsa\t3 1 1 ab|3 1 1 cd\tmx.dane.example\tsuccess\t\t\t'* && $output == *$'2\tplain.example\tno-policy-found\t\t\tsuccess\t\t\t'* ]]
	[[ $output != *bad* && ${#lines[@]} == 6 ]]
}
@test "a policy that could not be fetched counts as a failed session (RFC 8460 4.3.2.2)" {
	sts_host mta-sts.unfetched.example
	sts_serves mta-sts.unfetched.example '503 Trouble' </dev/null
	domain unfetched.example 1
	run -0 sts_asked <<<'ask unfetched.example'
	run -0 grep -h $'\tunfetched.example\t' "$PAIR"/sts/state/sts/facts/*
	[[ $output == *$'\tunfetched.example\tsts\t\t\tsts-policy-fetch-error\t\t\tits host answers with HTTP status 503' ]]
}
@test "a policy that is in use is fetched again also when nobody asks (RFC 8461 10.2)" {
	wait_until grep -q next.idle.example "$PAIR/idle/sts/policies/idle.example"
	[[ $(sts_requests mta-sts.idle.example) == 1 ]]
}
