# dawk update, dawk explain, dawk check: tables from their sources, without a daemon.
load ../lib/suite

setup()    { suite_make; }
teardown() { suite_stop; }

# source NAME: the file of a table, from standard input
source_is() { cat >"$SUITE/etc/$1"; }
# What explain says of ADDRESS has to hold TEXT.
explains() { $DAWK explain "$1" | grep -qF -- "$2"; }

@test "an update says what it compiled" {
	run -0 $DAWK update
	[[ $output == "users 3, secrets 0, aliases "*", routes 0, site 0, access 0, relay-recipients 0, senders 0, limits 0" ]]
	run -0 $DAWK update --quiet
	[[ -z $output ]]
}

@test "compiled tables have the modes that keep hashes from daemons" {
	[[ $(stat -c %a "$SUITE/etc/tables") == 755 && $(stat -c %a "$SUITE/etc/secret") == 700 ]]
	[[ $(stat -c %a "$SUITE/etc/tables/users.cdb") == 644 && $(stat -c %a "$SUITE/etc/secret/users.cdb") == 600 ]]
	grep -qF '$2b$04$' "$SUITE/etc/secret/users.cdb"
	run -1 grep -qF '$2b$04$' "$SUITE/etc/tables/users.cdb"
	[[ ! -e $SUITE/etc/tables/next && ! -e $SUITE/etc/secret/next ]]
}

@test "a user that is added is known after an update, and not before" {
	suite_add_mailbox carol
	run -67 $DAWK explain carol@local.example
	$DAWK update
	run -0 $DAWK explain carol@local.example
	[[ $output == *"mailbox carol@local.example"* ]]
}

@test "empty fields of a user take their defaults, the others are taken as they are" {
	cat >>"$SUITE/etc/users" <<-EOF
		dora@local.example
		emil@local.example::1234:1235:/home/emil/Maildir/:50M,100
		fred@local.example::1234:1235:sub/fred.mbox
	EOF
	$DAWK update
	explains dora@local.example "maildir $SUITE/mail/local.example/dora "
	explains dora@local.example "quota none"
	explains emil@local.example "maildir /home/emil/Maildir "
	explains emil@local.example "uid 1234"
	explains emil@local.example "gid 1235"
	explains emil@local.example "quota 50M,100"
	explains fred@local.example "mbox file $SUITE/mail/sub/fred.mbox"
}

@test "every fault of every source is listed with file and line, and nothing is replaced" {
	before=$(sha256sum "$SUITE"/etc/tables/*.cdb "$SUITE"/etc/secret/*.cdb)
	cat >>"$SUITE/etc/users" <<-'EOF'
		gina@local.example:nonsense
		gina@nowhere.example
		gina@local.example::0
		gina@local.example::::../x
		gina@local.example:::::much
		Alice@local.example
		no-domain
	EOF
	source_is aliases <<-'EOF'
		noentry
		x@remote.example: alice@local.example
		dup: alice@local.example
		dup: bob@local.example
		bad: two words
		empty:
		prog: |
	EOF
	echo 'example.net nonsense' | source_is routes
	echo 'example.net tls=maybe' | source_is site
	echo '10.0.0.1/8 allow' | source_is access
	run -65 --separate-stderr $DAWK update
	last=$(wc -l <"$SUITE/etc/users")
	for row in "users:$((last - 6)): expected a password hash" "users:$((last - 5)): expected a domain" "users:$((last - 4)): expected a UID" \
		"users:$((last - 3)): expected a MAILDIR without" "users:$((last - 2)): expected a QUOTA" \
		"users:$((last - 1)): expected each key once" "users:$last: expected user@domain" \
		"aliases:1: expected NAME" "aliases:2: expected a domain" "aliases:4: expected each key once" \
		"aliases:5: expected an address" "aliases:6: expected members" "aliases:7: expected a program" \
		"routes:1: expected smtp:" "site:1: expected tls=" "access:1: expected client:"; do
		[[ $stderr == *"$SUITE/etc/$row"* ]] || { echo "missing: $row"; echo "$stderr"; return 1; }
	done
	[[ $stderr == *"nothing was changed"* ]]
	[[ $(sha256sum "$SUITE"/etc/tables/*.cdb "$SUITE"/etc/secret/*.cdb) == "$before" ]]
	[[ ! -e $SUITE/etc/tables/next && ! -e $SUITE/etc/secret/next ]]
}

@test "of many faults twenty are listed and the rest is counted" {
	for i in {1..50}; do echo "broken line $i"; done | source_is routes
	run -65 --separate-stderr $DAWK update
	[[ $(grep -c "routes:" <<<"$stderr") == 20 && $stderr == *"and 30 more"* ]]
}

@test "a loop of aliases is an error that shows the way around" {
	source_is aliases <<-'EOF'
		one@local.example: two
		two: three@local.example, alice@local.example
		three@local.example: one@local.example
	EOF
	run -65 $DAWK update
	[[ $output == *"found a loop: "*"one@local.example -> two -> three@local.example"* ]]
}

@test "a catch-all that leads to nobody is a loop" {
	echo '@local.example: nobody-here@local.example' | source_is aliases
	run -65 $DAWK update
	[[ $output == *"aliases:1: "*"loop: @local.example -> @local.example"* ]]
}

@test "an alias that names itself needs the mailbox that it means" {
	echo 'ghost@local.example: ghost@local.example' | source_is aliases
	run -65 $DAWK update
	[[ $output == *"aliases:1: expected a mailbox for ghost@local.example, which names itself only"* ]]
	echo 'alice@local.example: alice@local.example, bob@local.example' | source_is aliases
	run -0 $DAWK update
	run -0 $DAWK explain alice@local.example
	[[ $output == *"itself, its mailbox"*"the envelope would hold:"*"alice@local.example"*"bob@local.example" ]]
}

@test "aliases nested too deep are an error" {
	{ for i in {1..25}; do echo "deep$i: deep$((i + 1))"; done; echo "deep26: alice@local.example"; } | source_is aliases
	run -65 $DAWK update
	[[ $output == *"nested less than 20 deep"* ]]
}

@test "a member without mailbox or alias is told, and does no harm" {
	echo 'team@local.example: alice@local.example, typo@local.example' | source_is aliases
	run -0 $DAWK update
	[[ $output == *"aliases:1: warning: team@local.example has the member typo@local.example"* ]]
}

@test "a list of 100,000 members is included, each once, and stays one recipient" {
	seq -f 'member%.0f@example.net' 100000 >"$SUITE/etc/members"
	echo 'Member7@example.net, member7@EXAMPLE.net' >>"$SUITE/etc/members"
	printf 'list@local.example: :include:members\nowner-list: alice@local.example\n' | source_is aliases
	run -0 $DAWK update
	run -0 $DAWK explain list@local.example
	[[ $output == *"alias list@local.example with 100001 members (a long list"* ]]
	[[ $output == *"failures are reported to owner-list@local.example"* ]]
	[[ $output == *"the envelope would hold:"$'\n'"    list@local.example, failures to owner-list@local.example" ]]
}

@test "an included file may hold addresses only" {
	printf 'alice@local.example\n|/bin/sh\n' >"$SUITE/etc/members"
	echo 'list@local.example: :include:members' | source_is aliases
	run -65 $DAWK update
	[[ $output == *"etc/members:2: expected an address"* ]]
	printf ':include:aliases\n' >"$SUITE/etc/members"
	run -65 $DAWK update
	[[ $output == *"etc/members:1: expected an address"* ]]
	rm "$SUITE/etc/members"
	run -65 $DAWK update
	[[ $output == *"aliases:1: expected a file to include"* ]]
}

@test "programs and paths of aliases are kept with their quotes taken off" {
	printf '%s\n' 'prog@local.example: "|/bin/cat -u, \"x\" >/dev/null", |/bin/true, /var/box,' \
		'	/var/dir/, /dev/null, Alice@Local.Example' | source_is aliases
	$DAWK update
	run -0 $DAWK explain prog@local.example
	[[ $output == *'program run as dawkx: /bin/cat -u, "x" >/dev/null'* && $output == *"dawkx: /bin/true"* ]]
	[[ $output == *"mbox file written as dawkx: /var/box"* && $output == *"maildir written as dawkx: /var/dir/"* ]]
	[[ $output == *"discarded: /dev/null"* ]]
	[[ $output == *"the envelope would hold:"*"prog@local.example"*"alice@local.example" ]]
}

@test "a source that others may write, or read where it is secret, is refused" {
	chmod g+w "$SUITE/etc/aliases"
	run -65 $DAWK update
	[[ $output == *"etc/aliases: expected mode 0644 or stricter"* ]]
	chmod g-w "$SUITE/etc/aliases"
	chmod 640 "$SUITE/etc/users"
	run -65 $DAWK update
	[[ $output == *"etc/users: expected mode 0600 or stricter"* ]]
}

@test "a source that is missing is an empty table" {
	rm -f "$SUITE/etc/aliases" "$SUITE/etc/routes" "$SUITE/etc/site" "$SUITE/etc/access" "$SUITE/etc/secrets"
	run -0 $DAWK update
	[[ $output == "users 3, secrets 0, aliases 0, routes 0, site 0, access 0, relay-recipients 0, senders 0, limits 0" ]]
}

@test "routes are found by address, domain, domain above and star" {
	source_is routes <<-'EOF'
		one@route.example  smtp:[192.0.2.1]:2525
		route.example      smtp:[relay.route.example]
		.route.example     lmtp:unix:/run/x.sock
		*                  smtp:[2001:db8::1]:587 secret=smart
	EOF
	echo '* concurrency=5 rate=10/s' | source_is site
	$DAWK update
	explains one@route.example "next hop smtp:[192.0.2.1]:2525"
	explains two@route.example "next hop smtp:[relay.route.example]"
	explains two@a.b.route.example "next hop lmtp:unix:/run/x.sock"
	explains two@else.example "next hop smtp:[2001:db8::1]:587 secret=smart"
	explains two@else.example "treated with concurrency=5 rate=10/s"
}

@test "relay-recipients are addresses in relay-domains, once each" {
	source_is relay-recipients <<<'alice@inner.example'
	run -65 $DAWK update
	[[ $output == *'relay-recipients:1: expected a domain of relay-domains, found "inner.example"'* ]]
	echo 'relay-domains = inner.example' >>"$SUITE/etc/dawk.conf"
	source_is relay-recipients <<-'EOF'
		alice@inner.example
		Bob@Inner.example # a comment is none here
		bob
		@
		ALICE@inner.example
	EOF
	run -65 $DAWK update
	[[ $output == *'relay-recipients:2: expected one address a line, found "#"'* ]]
	[[ $output == *'relay-recipients:3: expected user@domain or @domain, found "bob"'* ]]
	[[ $output == *'relay-recipients:4: expected'* && $output == *'relay-recipients:5:'* ]]
	source_is relay-recipients <<<'@inner.example'
	run -0 $DAWK update
	[[ $output == *'relay-recipients 1, '* ]]
}

@test "keys of the access table come out in one form" {
	source_is access <<-'EOF'
		192.0.2.0/24 REJECT  go away
		2001:DB8::1 allow
		client:.Bad.Example defer
		HELO:evil.example reject
		Spam@Bad.Example reject
		to:local.example allow
		from:<> allow
	EOF
	$DAWK update
	for text in 'client:192.0.2.0/24reject go away' 'client:2001:db8::1/128allow' 'client:.bad.exampledefer' \
		'helo:evil.examplereject' 'from:spam@bad.examplereject' 'to:local.exampleallow' 'from:<>allow' 'prefixes4:24 6:128'; do
		grep -qaF -- "$text" "$SUITE/etc/tables/access.cdb" || { echo "missing: $text"; return 1; }
	done
}

@test "a network in the manner of other mail servers is told in the access table: it is a name that nobody has" {
	source_is access <<<$'192.0.2 reject\n10 reject\nCLIENT:192.0.3 reject\n192.0.2.1 reject\nhelo:192.0.2.1 reject\nclient:1.example reject'
	run -0 $DAWK update
	for line in 1 2 3; do
		[[ $output == *"access:$line: warning: "*" is no address, and a name that nobody has; a network is written as 192.0.2.0/24"* ]]
	done
	[[ $output != *access:[456]:* ]]
}

@test "secrets of one address come together, and lie in the folder of secrets alone" {
	(umask 077 && cat >"$SUITE/etc/secrets" <<-'EOF')
		alice@local.example:phone:APOP:tanstaaf
		route:smart:user:pass:word
		alice@local.example:mail:crypt:$2b$04$x
	EOF
	run -0 $DAWK update
	[[ $output == *"secrets 3"* ]]
	grep -qaF 'phone:apop:tanstaaf' "$SUITE/etc/secret/secrets.cdb"
	run -1 grep -raqF tanstaaf "$SUITE/etc/tables"
	echo 'alice@local.example:phone:rot13:x' >>"$SUITE/etc/secrets"
	run -65 $DAWK update
	[[ $output == *"secrets:4: expected ADDRESS:NAME:SCHEME:VALUE"* ]]
}

@test "what can never work is told: a route's login that is not there, a hash of a method that is refused" {
	(umask 077 && echo 'route:smart:user:password' >"$SUITE/etc/secrets")
	printf '%s\n' 'near.example smtp:[127.0.0.1]:587 secret=smart' 'far.example smtp:[127.0.0.1]:587 secret=smrat' | source_is routes
	echo 'old@local.example:$1$abcdefgh$1wTvMSJpGxJ8zOuZnXkUq/:::' >>"$SUITE/etc/users"
	echo 'des@local.example:abJnggxhB/yWI:::' >>"$SUITE/etc/users"
	printf '%s\n' 'bob@local.example:phone:crypt:$1$abcdefgh$1wTvMSJpGxJ8zOuZnXkUq/' 'bob@local.example:tablet:crypt:!off' >>"$SUITE/etc/secrets"
	run -0 $DAWK update
	[[ $output == *"routes:2: "*"etc/secrets has no line route:smrat:USER:PASSWORD"* && $output != *"routes:1:"* ]]
	last=$(wc -l <"$SUITE/etc/users")
	[[ $output == *"users:$((last - 1)): "*"too weak"*"dawk user passwd"*"users:$last: "*"too weak"* ]]
	[[ $output == *"secrets:2: "*"too weak"*"dawk user app-password add"* ]]
	[[ $(grep -c 'too weak' <<<"$output") == 3 ]]
	run -78 $DAWK check
	[[ $output == *"etc/users: 2 password hashes "*"too weak"*"first that of "*"dawk user passwd"* ]]
	[[ $output == *"etc/secrets: 1 password hash "*"first that of bob@local.example"*"dawk user app-password"* ]]
	echo 'bob@local.example:tv:crypt:open sesame' >>"$SUITE/etc/secrets"
	run -65 $DAWK update
	[[ $output == *"secrets:4: expected a password hash"* ]]
}

@test "check finds mechanisms of tokens without a program that judges them" {
	echo 'auth-mechanisms = plain oauthbearer' >>"$SUITE/etc/dawk.conf"
	run -78 $DAWK check
	[[ $output == *"there is no oauth-checker"* ]]
	echo 'oauth-checker = /bin/true' >>"$SUITE/etc/dawk.conf"
	run -0 $DAWK check
}

@test "explain tells every look-up, and knows an unknown recipient from a known one" {
	run -0 $DAWK explain Alice+shop@LOCAL.example
	[[ $output == *"look up aliases alice+shop@local.example: not there"*"look up users   alice@local.example: found"* ]]
	[[ $output == *"maildir $SUITE/mail/local.example/alice"* ]]
	run -67 $DAWK explain nobody@local.example
	[[ $output == *"unknown"*"550 5.1.1"* ]]
	run -64 $DAWK explain 'not an address'
	run -64 $DAWK explain
}

@test "check finds an edit that is not in force, a table that is missing and modes that are too wide" {
	run -0 $DAWK check
	[[ $output == *"all is well"* ]]
	touch -d '+1 minute' "$SUITE/etc/aliases"
	chmod 755 "$SUITE/etc/secret"
	chmod 644 "$SUITE/etc/users"
	rm "$SUITE/etc/tables/routes.cdb"
	run -78 $DAWK check
	[[ $output == *"etc/aliases was edited after its table was compiled"* ]]
	[[ $output == *"chmod 0700 $SUITE/etc/secret"* && $output == *"chmod 0600 $SUITE/etc/users"* ]]
	[[ $output == *"etc/tables/routes.cdb"*"run \`dawk update\`"* ]]
}

@test "check looks for the program of checkpassword, without its arguments" {
	echo 'checkpassword = /bin/true --quiet' >>"$SUITE/etc/dawk.conf"
	run -0 $DAWK check
	echo 'checkpassword = /bin/there-is-none --quiet' >>"$SUITE/etc/dawk.conf"
	sed -i '/true/d' "$SUITE/etc/dawk.conf"
	run -78 $DAWK check
	[[ $output == *"checkpassword: /bin/there-is-none: No such file"* ]]
}

@test "check says when nobody is there to vouch for the hosts of policies (RFC 8461 3.3)" {
	echo 'mta-sts-authorities = none.pem' >>"$SUITE/etc/dawk.conf"
	run -0 $DAWK check
	[[ $output == *"$SUITE/etc/none.pem can't be read"*mta-sts-authorities* ]]
	echo 'mta-sts = no' >>"$SUITE/etc/dawk.conf"
	run -0 $DAWK check
	[[ $output != *none.pem* ]]
}

@test "check finds an edit in a file that the aliases include" {
	echo alice@local.example >"$SUITE/etc/members"
	printf 'x: bob@local.example\nlist@local.example: :include:members, bob@local.example\n' | source_is aliases
	$DAWK update
	run -0 $DAWK check
	touch -d '+1 minute' "$SUITE/etc/members"
	run -78 $DAWK check
	[[ $output == *"etc/members was edited after the aliases were compiled"* ]]
}

@test "an instance of one's own is compiled without root, its mailboxes are its owner's" {
	chmod 755 "$SUITE"
	mkdir "$SUITE/own" && chown 12345:12345 "$SUITE/own"
	own="setpriv --reuid=12345 --regid=12345 --clear-groups --inh-caps=-all"
	$own "$BIN/dawk" init "$SUITE/own" --domain local.example --hostname mail.local.example
	printf 'carol@local.example\n' >>"$SUITE/own/etc/users"
	run -0 $own "$BIN/dawk" -c "$SUITE/own/etc/dawk.conf" update
	run -0 $own "$BIN/dawk" -c "$SUITE/own/etc/dawk.conf" explain carol@local.example
	[[ $output == *"written as uid 12345"*"gid 12345"* ]]
	chown 54321 "$SUITE/own/etc/aliases"
	run -65 $own "$BIN/dawk" -c "$SUITE/own/etc/dawk.conf" update
	[[ $output == *"etc/aliases: expected a file of yours or root's, found one of uid 54321 (put a copy of your own"*"chown 12345)"* ]]
	run -78 $own "$BIN/dawk" -c "$SUITE/own/etc/dawk.conf" check
	[[ $output == *"etc/aliases belongs to uid 54321, expected yourself or root"*"put a copy of your own"*"chown 12345 $SUITE/own/etc/aliases"* ]]
	[[ $output != *"chown root"* ]]
	chown 54321 "$SUITE/etc/aliases"
	run -65 $DAWK update
	[[ $output == *"etc/aliases: expected a file of root, found one of uid 54321 (chown root)"* ]]
	run -78 $DAWK check
	[[ $output == *"etc/aliases belongs to uid 54321, expected root"*"chown root $SUITE/etc/aliases"* ]]
}

@test "check finds a port that another program holds" {
	python3 -c 'import socket, sys, time
s = socket.socket(); s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen(); time.sleep(60)' "$SMTP_PORT" 3>&- 4>&- & holder=$!
	wait_until port_is_open "$SMTP_PORT"
	run $DAWK check
	kill "$holder"
	[[ $status == 78 && $output == *"listen-smtp 127.0.0.1:$SMTP_PORT is in use by "*python* ]]
}

@test "check finds mailboxes and messages of accounts with other numbers, as a restoration leaves them; its advice mends" {
	[[ $(id -u) == 0 ]] || return 0		# nobody else can give files away
	run -0 $DAWK check
	mkdir -p "$SUITE"/mail/local.example/{alice,bob}/new "$SUITE/state/sts"
	touch "$SUITE/queue/cur/1k1fjs9yqc0s12jy59wd" "$SUITE/queue/state/1k1fjs9yqc0s12jy59wd" "$SUITE/state/sts/facts"
	chown -R 54321:54321 "$SUITE"/mail/local.example/* "$SUITE"/queue/{cur,state}/* "$SUITE/state/sts"
	run -78 $DAWK check
	[[ $output == *"wrong: 2 mailboxes have another uid than users gives"*"local.example/"*"of uid 54321, expected $(id -u dawkm)"* ]]
	[[ $output == *"queue/cur/1k1fjs9yqc0s12jy59wd belongs to uid 54321, expected dawkq"*"queue/state/1k1fjs9yqc0s12jy59wd belongs to"* ]]
	[[ $output == *"state/sts/facts belongs to uid 54321, expected dawkt"* ]]
	for round in 1 2; do	# a mailbox a round
		while read -r command; do $command; done < <($DAWK check | sed -n 's/^ mend: \(chown -R [^,]*\).*/\1/p')
	done
	run -0 $DAWK check
	[[ $(stat -c %U:%G "$SUITE/mail/local.example/bob/new" "$SUITE/queue/cur" "$SUITE/queue/new" | paste -sd' ') == "dawkm:dawkm dawkq:dawks dawkq:dawks" ]]
}

@test "check does not mistake a server at another address for one that holds a port" {
	python3 -c 'import socket, sys, time
port = int(sys.argv[1])
held = [socket.create_server((f"127.0.0.{last}", port)) for last in (2, 3, 4, 5)]
print("ready", flush=True)
time.sleep(100)' "$SMTP_PORT" >"$SUITE/others" 3>&- 4>&- & others=$!
	wait_until grep -q ready "$SUITE/others"
	suite_run
	run -0 $DAWK check
	echo "listen-pop3 = 198.51.100.7:$SMTP_PORT" >>"$SUITE/etc/dawk.conf"	# no address of this host
	run -78 $DAWK check
	kill "$others"
	[[ $output == *"listen-pop3: unable to listen on 198.51.100.7 port $SMTP_PORT: Cannot assign"* && $output != *"in use"* ]]
}

@test "senders are addresses, domains or all of them, for users who live here" {
	source_is senders <<-'EOF'
		alice@local.example: Sales@local.example, @Home.example,
		 alice@elsewhere.example
		@local.example: noreply@local.example
		bob@local.example: *
	EOF
	run -0 $DAWK update
	[[ $output == *"senders 3, limits 0" ]]
	run -0 $DAWK explain --as alice@local.example sales@local.example
	[[ $output == *"the table senders gives it to him"* ]]
	run -0 $DAWK explain --as Alice any.body@home.example
	run -0 $DAWK explain --as alice@local.example alice@elsewhere.example
	run -0 $DAWK explain --as alice@local.example alice+x@local.example
	[[ $output == *"his own address"* ]]
	run -0 $DAWK explain --as bob@local.example ceo@bank.example
	run -77 $DAWK explain --as alice@local.example ceo@bank.example
	run -77 $DAWK explain --as alice@local.example bob@local.example
	run -77 $DAWK explain --as alice@local.example any.body@below.home.example
	run -67 $DAWK explain --as nobody@local.example nobody@local.example
	[[ $output == *"nobody@local.example has no mailbox here"* ]]
	echo 'checkpassword = /bin/true' >>"$SUITE/etc/dawk.conf"	# it may know others
	run -0 $DAWK explain --as nobody@local.example nobody@local.example

	source_is senders <<-'EOF'
		alice@local.example sales@local.example
		carol@remote.example: x@local.example
		bob@local.example:
		bob@local.example: sales
		bob@local.example: a@b.example
		BOB@local.example: a@b.example
	EOF
	run -65 $DAWK update
	[[ $output == *"senders:1: expected USER: ADDRESS"* && $output == *'senders:2: expected a domain that lives here'* ]]
	[[ $output == *"senders:3: expected addresses"* && $output == *'senders:4: expected user@domain, @domain or *, found "sales"'* ]]
	[[ $output == *"senders:6: expected each key once"* ]]
}

@test "limits of single users are names with a number or off" {
	source_is limits <<-'EOF'
		alice@local.example messages-hour=7 strangers-hour=off
		*                   Messages-Day=11
	EOF
	run -0 $DAWK update
	[[ $output == *"senders 0, limits 2" ]]
	run -0 $DAWK explain --as alice@local.example alice@local.example
	[[ $output == *"messages-hour=7 messages-day=1000 "*"strangers-hour=off"* ]]
	run -0 $DAWK explain --as bob@local.example bob@local.example
	[[ $output == *"messages-hour=200 messages-day=11 "* ]]
	source_is limits <<-'EOF'
		alice@local.example
		bob@local.example messages=5
		@local.example messages-hour=0
		carol@remote.example messages-hour=5
		* networks-hour=99
	EOF
	run -65 $DAWK update
	[[ $output == *"limits:1: expected NAME=NUMBER"* && $output == *'limits:2: expected NAME=NUMBER'*'"messages=5"'* ]]
	[[ $output == *"limits:3: expected"* && $output == *"limits:4: expected a domain that lives here"* && $output == *"limits:5: expected"* ]]
}

@test "an account is held by hand, listed, and released" {
	run -0 $DAWK user held
	[[ $output == "no account is held" ]]
	run -0 $DAWK user hold Alice@local.example spam wave
	run -65 $DAWK user hold alice@local.example
	[[ $output == *"is held already"* ]]
	run -0 $DAWK user held
	[[ $output == "alice@local.example "*" since "*"Z by "*": spam wave" ]]
	run -0 $DAWK explain --as alice@local.example alice@local.example
	[[ $output == *"his account is held"* ]]
	run -69 $DAWK status
	[[ $output == *"held     alice@local.example by "*": spam wave"* ]]
	[[ $({ $DAWK status --json || :; } | /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["held"][0]["address"])') == alice@local.example ]]
	run -0 $DAWK user release alice@local.example
	run -67 $DAWK user release alice@local.example
	run -65 $DAWK user hold alice@remote.example
	run -64 $DAWK user hold
	run -0 $DAWK user held
	[[ $output == "no account is held" ]]
}

@test "without its compiled tables a service refuses nobody's mail for good" {
	mv "$SUITE/etc/tables/users.cdb" "$SUITE/users.cdb"
	SUITE_SERVICES=smtpd suite_run
	talk smtpd <<-EOF
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<bob@client.example>
		S: 250
		C: RCPT TO:<alice@local.example>
		S: 451
		C: QUIT
		S: 221
	EOF
	$DAWK update >/dev/null
	talk smtpd <<-EOF
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<bob@client.example>
		S: 250
		C: RCPT TO:<alice@local.example>
		S: 250
		C: RCPT TO:<nobody@local.example>
		S: 550 5.1.1
		C: QUIT
		S: 221
	EOF
}
