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

@test "options of add come into the table" {
	run -0 add carol@local.example --maildir post/carol/ --uid 4711 --gid 4712 --quota 50M
	grep -q '^carol@local\.example:[^:]*:4711:4712:post/carol/:50M$' "$SUITE/etc/users"
	run -65 add dave@local.example --quota lots
	run -65 add dave@local.example --uid 0
	run -64 user list --quota 50M
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
