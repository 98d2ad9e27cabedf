# dawk user: mailboxes and their passwords.
load ../lib/suite

setup() { suite_make; }
teardown() { suite_stop; }
user() { $DAWK user "$@"; }
add() { user add "$@" <<<secret; }

@test "a mailbox that is added is in force at once, its password hashed with yescrypt" {
	run -0 add carol@local.example
	[[ $output == *"$SUITE/mail/local.example/carol"* ]]
	grep -q '^carol@local\.example:\$y\$' "$SUITE/etc/users"
	[ "$(stat -c %a "$SUITE/etc/users")" = 600 ]
	run -0 $DAWK explain carol@local.example
	[[ $output == *"$SUITE/mail/local.example/carol"* ]]
}

@test "adding one that exists is an error, in whatever case it is written" {
	before=$(cksum "$SUITE/etc/users")
	run -65 add alice@local.example
	[[ $output == *"already"* ]]
	run -65 add Alice@LOCAL.example
	[ "$before" = "$(cksum "$SUITE/etc/users")" ]
}

@test "a domain that does not live here, and names that can be no folder, are refused" {
	for address in carol@other.example carol ../carol@local.example .carol@local.example a/b@local.example '"a b"@local.example' '#carol@local.example'; do
		run -65 add "$address"
		[ -n "$output" ]
	done
}

@test "a mailbox of an international domain is made, changed and found by U-labels as by A-labels (RFC 6531 3.2)" {
	sed -i 's/^domains = .*/& bücher.example/' "$SUITE/etc/dawk.conf"
	run -0 add carol@bücher.example
	[[ $output == *"$SUITE/mail/xn--bcher-kva.example/carol"* ]]
	[[ -d $SUITE/mail/xn--bcher-kva.example && ! -e $SUITE/mail/bücher.example ]]
	run -65 add carol@xn--bcher-kva.example
	run -0 user passwd carol@bücher.example <<<another
	run -0 user app-password add carol@bücher.example phone
	run -0 user list carol@xn--bcher-kva.example
	run -0 user del carol@Bücher.example
	run -1 grep carol "$SUITE/etc/users" "$SUITE/etc/secrets"
}

@test "options of add come into the table" {
	run -0 add carol@local.example --maildir post/carol/ --uid 4711 --gid 4712 --quota 50M
	grep -q '^carol@local\.example:[^:]*:4711:4712:post/carol/:50M$' "$SUITE/etc/users"
	run -65 add dave@local.example --quota lots
	run -65 add dave@local.example --uid 0
	run -64 user list --quota 50M
}

@test "a mailbox of another account is refused where the instance does not run as root" {
	local own="setpriv --reuid=12345 --regid=12345 --clear-groups --inh-caps=-all"
	mkdir "$SUITE/own" && chown 12345:12345 "$SUITE/own"
	$own "$BIN/dawk" init "$SUITE/own" --domain local.example --hostname mail.local.example
	run -65 $own "$BIN/dawk" -c "$SUITE/own/etc/dawk.conf" user add carol@local.example --uid 4711 <<<secret
	[[ $output == *"runs as uid 12345"* ]]
	run -1 grep carol "$SUITE/own/etc/users"
	run -0 $own "$BIN/dawk" -c "$SUITE/own/etc/dawk.conf" user add carol@local.example --uid 12345 <<<secret
}

@test "passwd changes the hash and nothing else; comments and order stay" {
	printf '# a comment\n\n' >>"$SUITE/etc/users"
	suite_add_mailbox carol
	before=$(sed 's/^alice@local.example:[^:]*/alice/' "$SUITE/etc/users")
	old=$(grep ^alice "$SUITE/etc/users")
	run -0 user passwd alice@local.example <<<another
	[ "$before" = "$(sed 's/^alice@local.example:[^:]*/alice/' "$SUITE/etc/users")" ]
	[ "$old" != "$(grep ^alice "$SUITE/etc/users")" ]
	run -67 user passwd nobody@local.example <<<another
}

@test "lines as an editor leaves them, an address alone or blanks around fields, are mailboxes for all of user" {
	printf '%s\n' 'dave@local.example' 'Erna@local.example : : : :erna : 50M ' $'fred@local.example\r' ' # gone@local.example:!' >>"$SUITE/etc/users"
	run -0 $DAWK update
	[ -z "$stderr" ]
	run -0 user list
	[[ $output == *dave@local.example*no-password* && $output == *"50M      $SUITE/mail/erna"* && $output != *gone* ]]
	for name in dave erna fred; do
		run -65 add "$name@local.example"
		[[ $output == *already* ]]
		run -0 user passwd "$name@local.example" <<<another
		run -0 user list "$name@local.example"
		[[ $output != *no-password* ]]
	done
	run -0 user del dave@local.example
	run ! grep dave "$SUITE/etc/users"
	grep -q '^Erna@local.example : \$y\$[^:]*: : :erna : 50M $' "$SUITE/etc/users"
	grep -q '^ # gone@local.example:!$' "$SUITE/etc/users"
}

@test "an empty password, or none, changes nothing" {
	before=$(cksum "$SUITE/etc/users")
	run -65 user passwd alice@local.example </dev/null
	run -65 user passwd alice@local.example <<<""
	[ "$before" = "$(cksum "$SUITE/etc/users")" ]
}

@test "del takes the mailbox out of the table, leaves its mail and says where" {
	mkdir -p "$SUITE/mail/local.example/alice/new"
	touch "$SUITE/mail/local.example/alice/new/1"
	run -0 user del alice@local.example
	[[ $output == *"$SUITE/mail/local.example/alice"* ]]
	[ -e "$SUITE/mail/local.example/alice/new/1" ]
	run ! grep -q ^alice "$SUITE/etc/users"
	run -67 user del alice@local.example
}

@test "del leaves a mailbox that aliases need, the postmaster's first of all, and says what to do first (RFC 5321 4.5.1)" {
	local address before
	before=$(cksum "$SUITE/etc/users")
	run -65 user del postmaster@local.example
	[[ $output == *'the alias `postmaster` in '"$SUITE/etc/aliases"*"another address"*'`dawk update` first'* ]]
	printf '%s\n' 'postmaster: root' 'root: postmaster@local.example' 'alice@local.example: alice@local.example, bob@local.example' \
		'@local.example: bob@local.example' >"$SUITE/etc/aliases"
	$DAWK update
	for address in postmaster alice bob; do
		run -65 user del $address@local.example
		[[ $output == *"brings its mail to $address@local.example"* ]]
	done
	echo '# none' >"$SUITE/etc/aliases"
	$DAWK update
	run -65 user del Postmaster@local.example
	[[ $output == *'a line `postmaster: ADDRESS` into'* ]]
	[ "$before" = "$(cksum "$SUITE/etc/users")" ]
	run -0 user del bob@local.example
	printf '%s\n' 'postmaster: alice' 'root: postmaster@local.example' >"$SUITE/etc/aliases"
	$DAWK update
	run -0 user del postmaster@local.example
	run -0 $DAWK update
	run -0 $DAWK explain postmaster@local.example
	[[ $output == *"maildir $SUITE/mail/local.example/alice"* ]]
	run -67 user del postmaster@local.example
}

@test "list shows all mailboxes, or one" {
	run -0 user list
	[[ $output == *"postmaster@local.example"*"no-password"* ]]
	[[ $output == *"alice@local.example"*"$SUITE/mail/local.example/alice"* ]]
	run -0 user list bob@local.example
	[ "${#lines[@]}" -eq 1 ]
	run -67 user list nobody@local.example
}

@test "several at once lose no edit" {
	pids=()
	for i in 1 2 3 4 5 6; do
		add "user$i@local.example" >/dev/null 3>&- &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do wait "$pid"; done
	[ "$(grep -c '^user[1-6]@' "$SUITE/etc/users")" -eq 6 ]
}

@test "passwd makes a SCRAM key beside the hash, with one salt an address; del takes all secrets along" {
	run -0 add carol@local.example
	run -0 add dave@local.example
	[[ $(grep -c '^carol@local\.example:password:scram-sha-256:15000,' "$SUITE/etc/secrets") == 1 ]]
	[ "$(stat -c %a "$SUITE/etc/secrets")" = 600 ]
	salt() { grep "^$1@local.example:$2:scram" "$SUITE/etc/secrets" | cut -d, -f2; }
	before=$(salt carol password)
	[[ $before != "$(salt dave password)" ]]
	run -0 user app-password add carol@local.example phone
	run -0 user passwd carol@local.example <<<other
	[[ $(salt carol password) == "$before" && $(salt carol phone) == "$before" && $(grep -c '^carol@local\.example:password:' "$SUITE/etc/secrets") == 1 ]]
	printf 'route:smart:user:open sesame\n# a comment\n' >>"$SUITE/etc/secrets"
	run -0 user passwd carol@local.example <<<$'a\tb'	# SCRAM's clients can't agree on it
	[[ $output == *"by PLAIN"* ]]
	[[ -z $(salt carol password) ]]
	run -0 user del carol@local.example
	run -1 grep '^carol' "$SUITE/etc/secrets"
	grep -q '^route:smart:user:open sesame$' "$SUITE/etc/secrets"
	grep -q '^# a comment$' "$SUITE/etc/secrets"
	[[ -n $(salt dave password) ]]
}

@test "update refuses a SCRAM key that is none, by file and line" {
	for value in x 4095,QQ==,QQ==,QQ== 15000,W22ZaJ0SNY7soEsUEjb6gQ==,QQ==,QQ==; do
		printf 'alice@local.example:x:SCRAM-SHA-256:%s\n' "$value" >"$SUITE/etc/secrets"
		chmod 600 "$SUITE/etc/secrets"
		run -65 $DAWK update
		[[ $output == *"secrets:1: expected ITERATIONS"* ]]
	done
}

@test "Ctrl-C at the prompt ends it and leaves the terminal's echo on" {
	run -0 timeout 400 /usr/bin/python3 - $DAWK <<-'EOF'
		import os, pty, select, signal, sys, termios, time
		for how in ("ctrl-c", "term", "password"):
		    pid, fd = pty.fork()
		    if pid == 0:
		        os.execv(sys.argv[1], sys.argv[1:] + ["user", "passwd", "alice@local.example"])
		    seen, deadline = b"", time.monotonic() + 100
		    def read_until(word):
		        global seen
		        while word not in seen:
		            assert time.monotonic() < deadline and select.select([fd], [], [], 100)[0], seen
		            seen += os.read(fd, 1000)
		    read_until(b"password for")
		    while termios.tcgetattr(fd)[3] & termios.ECHO: assert time.monotonic() < deadline; time.sleep(0.01)
		    if how == "ctrl-c":
		        os.write(fd, b"half\x03")
		    elif how == "term":
		        os.kill(pid, signal.SIGTERM)
		    else:
		        os.write(fd, b"new\n")
		        read_until(b"once more")
		        while termios.tcgetattr(fd)[3] & termios.ECHO: assert time.monotonic() < deadline; time.sleep(0.01)
		        os.write(fd, b"new\n")
		        read_until(b"has the new password")
		    status = os.waitpid(pid, 0)[1]
		    assert termios.tcgetattr(fd)[3] & termios.ECHO, how
		    if how == "password": assert status == 0, status
		    else: assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == (signal.SIGINT if how == "ctrl-c" else signal.SIGTERM), (how, status)
		    os.close(fd)
	EOF
}

@test "an app password is shown once even where another table has a mistake, and is in force once that is mended" {
	cp "$SUITE/etc/limits" "$SUITE/limits"
	echo bad >>"$SUITE/etc/limits"
	run -65 user app-password add alice@local.example phone
	[[ $output == *"$SUITE/etc/secrets is written, but not in force"* && $output != *"etc/users is"* ]]
	password=$(user app-password add alice@local.example tablet 2>/dev/null) || :
	[[ $password =~ ^[a-z0-9-]{12,}$ ]]
	cp "$SUITE/limits" "$SUITE/etc/limits"
	$DAWK update
	run -0 user app-password list alice@local.example
	[[ $output == *phone*tablet* ]]
}

@test "in another account's instance root acts as its owner: links there lead to nothing that is not his, and what is made is his" {
	local own="setpriv --reuid=12345 --regid=12345 --clear-groups --inh-caps=-all" as_root="$BIN/dawk -c $SUITE/own/etc/dawk.conf" what
	mkdir "$SUITE/own" "$SUITE/elsewhere" && chown 12345:12345 "$SUITE/own"
	$own "$BIN/dawk" init "$SUITE/own" --domain local.example --hostname mail.local.example
	rm -r "$SUITE/own/mail/local.example"
	run -0 $as_root user add carol@local.example <<<secret
	[[ $(stat -c %u:%g "$SUITE/own/mail/local.example") == 12345:12345 ]]
	run -0 $as_root cert make --renew
	run -0 $as_root update
	run -0 $as_root user hold carol@local.example
	[[ -z $(find "$SUITE/own" ! -uid 12345) ]]
	for what in mail etc/tables etc/keys; do
		mv "$SUITE/own/$what" "$SUITE/own/$what.old"
		ln -s "$SUITE/elsewhere" "$SUITE/own/$what"
	done
	run ! $as_root user add dave@local.example <<<secret
	[[ $output == *"Permission denied"* ]]
	run ! $as_root update
	run ! $as_root cert make --renew
	[[ -z $(ls -A "$SUITE/elsewhere") ]]
}

@test "root's edits leave the tables of another account's instance to their owner" {
	local own="setpriv --reuid=12345 --regid=12345 --clear-groups --inh-caps=-all"
	mkdir "$SUITE/own" && chown 12345:12345 "$SUITE/own"
	$own "$BIN/dawk" init "$SUITE/own" --domain local.example --hostname mail.local.example
	run -0 "$BIN/dawk" -c "$SUITE/own/etc/dawk.conf" user add carol@local.example <<<secret
	[[ $(stat -c %u:%g:%a "$SUITE/own/etc/users" "$SUITE/own/etc/secrets" | sort -u) == 12345:12345:600 ]]
	run -0 $own "$BIN/dawk" -c "$SUITE/own/etc/dawk.conf" update
	run -0 $own "$BIN/dawk" -c "$SUITE/own/etc/dawk.conf" user list carol@local.example
}

@test "a wrong call of user lists all that it does (sysexits 64)" {
	run -64 user frobnicate
	for verb in add passwd del list app-password hold release held; do [[ $output == *"$verb"* ]]; done
}
