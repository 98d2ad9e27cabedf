# dawk init: a complete instance below a folder.
load ../lib/suite

setup() {
	SUITE=$(mktemp -d "${TMPDIR:-/tmp}/dawk-test.XXXXXX")
	chmod 755 "$SUITE"
	export SUITE
}
teardown() { rm -rf "$SUITE"; }
mode_of() { stat -c %a "$1"; }
value() { "$BIN/dawk" -c "$SUITE/host/etc/dawk.conf" config "$1"; }
init() { "$BIN/dawk" init "$SUITE/host" --domain local.example --domain two.example --hostname mail.local.example "$@"; }

@test "init makes folders, configuration, tables, queue and services with their modes" {
	run -0 init --smtp 127.0.0.1:2525
	for name in etc queue mail run state log service; do [ -d "$SUITE/host/$name" ]; done
	[ "$(mode_of "$SUITE/host/etc/secret")" = 700 ]
	[ "$(mode_of "$SUITE/host/etc/users")" = 600 ]
	[ "$(mode_of "$SUITE/host/queue/new")" = 1730 ]
	[ "$(mode_of "$SUITE/host/queue/cur")" = 700 ]
	[ -p "$SUITE/host/queue/trigger" ]
	[ -s "$SUITE/host/etc/tables/aliases.cdb" ]
	[ -s "$SUITE/host/etc/secret/users.cdb" ]
	for name in smtpd queued pop3d; do
		[ -x "$SUITE/host/service/$name/run" ]
		[ -x "$SUITE/host/service/$name/log/run" ]
	done
	[ -d "$SUITE/host/mail/two.example" ]
}

@test "a listener that is not named is off, and what is set comes into the configuration" {
	run -0 init --smtp 127.0.0.1:2525 --resolver 127.0.0.1@5300 --set 'message-size-limit=1M' --set 'retry = 1s 2s'
	[ "$(value listen-smtp)" = 127.0.0.1:2525 ]
	[ "$(value listen-pop3)" = none ]
	[ "$(value message-size-limit)" = 1M ]
	[ "$(value resolver)" = 127.0.0.1@5300 ]
	[ "$(value hostname)" = mail.local.example ]
	[ "$(value domains)" = "local.example two.example" ]
}

@test "postmaster and its like arrive in every domain" {
	run -0 init
	for name in postmaster root abuse hostmaster mailer-daemon; do
		for domain in local.example two.example; do
			run -0 "$BIN/dawk" -c "$SUITE/host/etc/dawk.conf" explain "$name@$domain"
			[[ $output == *postmaster@local.example* ]]
		done
	done
}

@test "a domain that is added later has its postmaster, and check tells of one that has none (RFC 5321 4.5.1)" {
	run -0 init
	sed -i 's/^domains.*/& three.example/' "$SUITE/host/etc/dawk.conf"
	for name in postmaster abuse; do
		run -0 "$BIN/dawk" -c "$SUITE/host/etc/dawk.conf" explain "$name@three.example"
		[[ $output == *"postmaster@local.example"* ]]
	done
	run "$BIN/dawk" -c "$SUITE/host/etc/dawk.conf" check
	[[ $output != *"postmaster@"* ]]
	echo 'postmaster@two.example: postmaster@local.example' >"$SUITE/host/etc/aliases"
	run -0 "$BIN/dawk" -c "$SUITE/host/etc/dawk.conf" update
	run -78 "$BIN/dawk" -c "$SUITE/host/etc/dawk.conf" check
	[[ $output == *"postmaster@three.example is no mailbox and no alias"*"a line \`postmaster: ADDRESS\` in $SUITE/host/etc/aliases"* ]]
	[[ $output != *"postmaster@two.example is"* && $output != *"postmaster@local.example is"* ]]
	echo '@three.example: postmaster@local.example' >>"$SUITE/host/etc/aliases"
	run -0 "$BIN/dawk" -c "$SUITE/host/etc/dawk.conf" update
	run "$BIN/dawk" -c "$SUITE/host/etc/dawk.conf" check
	[[ $output != *"postmaster@three"* ]]
}

@test "an instance that is there already is left as it is" {
	run -0 init --smtp 127.0.0.1:2525
	before=$(find "$SUITE/host" -type f -exec cksum {} + | sort)
	run -0 init --smtp 127.0.0.1:2626 --set 'recipient-limit = 5'
	[[ $output == *"left as it is"* ]]
	[ "$before" = "$(find "$SUITE/host" -type f -exec cksum {} + | sort)" ]
}

@test "init makes what the queue of an instance lacks, wherever it is by now, as check says" {
	run -0 init
	host="$BIN/dawk -c $SUITE/host/etc/dawk.conf"
	rmdir "$SUITE/host/queue/state"
	run -78 $host check
	[[ $output == *"queue/state: No such file"*"run \`dawk init $SUITE/host\`"* ]]
	run -0 init
	run -0 $host check
	sed -i "s,^queue = .*,queue = $SUITE/elsewhere," "$SUITE/host/etc/dawk.conf"
	run -78 $host check
	[[ $output == *"$SUITE/elsewhere: No such file"* ]]
	run -0 init
	[[ $output == *"left as it is"*"$SUITE/elsewhere"* ]]
	run -0 $host check
	[[ -p $SUITE/elsewhere/trigger && $(mode_of "$SUITE/elsewhere/new") == 1730 ]]
}

@test "an instance that was moved works in its new place, as INSTALL says" {
	mkdir "$SUITE/moved"
	$BIN/dawk init "$SUITE/moved/old" --domain local.example --hostname mail.local.example
	echo secret | $BIN/dawk -c "$SUITE/moved/old/etc/dawk.conf" user add alice@local.example
	mv "$SUITE/moved/old" "$SUITE/moved/new"
	sed -i "s|$SUITE/moved/old|$SUITE/moved/new|g" "$SUITE"/moved/new/etc/dawk.conf "$SUITE"/moved/new/service/*/run "$SUITE"/moved/new/service/*/log/run
	$BIN/dawk -c "$SUITE/moved/new/etc/dawk.conf" update
	run -0 $BIN/dawk -c "$SUITE/moved/new/etc/dawk.conf" check
	run -0 $BIN/dawk -c "$SUITE/moved/new/etc/dawk.conf" explain alice@local.example
	[[ $output == *"$SUITE/moved/new/mail/local.example/alice"* ]]
	run -1 grep -rlaF "$SUITE/moved/old" "$SUITE/moved/new"
}

@test "another account's instance is neither checked nor mended: the advice would ruin it (sysexits 77)" {
	local own="setpriv --reuid=12345 --regid=12345 --clear-groups --inh-caps=-all"
	run -0 init
	run -77 $own "$BIN/dawk" -c "$SUITE/host/etc/dawk.conf" check
	[[ $output == *"$SUITE/host/etc is the instance of root (uid 0)"* && $output != *chown* ]]
	mkdir "$SUITE/own" && chown 12345 "$SUITE/own"
	$own "$BIN/dawk" init "$SUITE/own" --domain local.example --hostname mail.local.example
	run -77 "$BIN/dawk" -c "$SUITE/own/etc/dawk.conf" check
	[[ $output == *"uid 12345"* && $output != *chown* ]]
	run -0 $own "$BIN/dawk" -c "$SUITE/own/etc/dawk.conf" check
	run -0 "$BIN/dawk" init "$SUITE/own"
	[[ $output == *"another account"* && $(stat -c %u "$SUITE/own/queue/cur") == 12345 ]]
}

@test "a relative folder becomes an absolute one in all that is written" {
	cd "$SUITE"
	run -0 "$BIN/dawk" init below/here --domain local.example
	grep -qF "$SUITE/below/here/queue" below/here/etc/dawk.conf
	grep -qF "'$SUITE/below/here/etc/dawk.conf'" below/here/service/smtpd/run
}

@test "a setting that is wrong makes no instance and says what was expected" {
	run init --set 'recipient-limit = many'
	[ "$status" -ne 0 ]
	[[ $output == *recipient-limit* ]]
	[ ! -e "$SUITE/host/etc/dawk.conf" ]
	run init --set 'no-such-name = 1'
	[ "$status" -ne 0 ]
	[[ $output == *no-such-name* ]]
	run -0 init
}

@test "a wrong call says what is wrong with it (sysexits 64)" {
	run -64 "$BIN/dawk" init
	run -64 "$BIN/dawk" init --no-such-option "$SUITE/host"
	run -64 "$BIN/dawk" init --set novalue "$SUITE/host"
	run -64 "$BIN/dawk" initt
	[[ $output == *"did you mean 'init'"* ]]
	run -64 "$BIN/dawk"
}

@test "not as root everything runs as the caller, and init says so" {
	if ((EUID == 0)); then
		chown nobody "$SUITE"
		run -0 setpriv --reuid nobody --regid "$(id -g nobody)" --clear-groups "$BIN/dawk" init "$SUITE/host" --domain local.example
	else
		run -0 init
	fi
	[[ $output == *"runs as "* ]]
	[ "$(stat -c %u "$SUITE/host/queue/cur")" = "$(stat -c %u "$SUITE/host/etc/users")" ]
}

@test "the run scripts are shell scripts that name the program and the configuration" {
	run -0 init
	for script in "$SUITE"/host/service/*/run "$SUITE"/host/service/*/log/run; do run -0 sh -n "$script"; done
	grep -qF "exec '$BIN/queued' -c '$SUITE/host/etc/dawk.conf'" "$SUITE/host/service/queued/run"
}

@test "every name of the configuration is listed with where it comes from" {
	run -0 init
	run -0 "$BIN/dawk" -c "$SUITE/host/etc/dawk.conf" config
	[[ $output == *"hostname"*"mail.local.example"*"dawk.conf:"* ]]
	[[ $output == *"smtp-timeout"*"# default"* ]]
	run -64 "$BIN/dawk" -c "$SUITE/host/etc/dawk.conf" config no-such-name
}

@test "without a configuration the command says how one is made" {
	run "$BIN/dawk" -c "$SUITE/none.conf" status
	[ "$status" -ne 0 ]
	[[ $output == *"$SUITE/none.conf"* && $output == *"dawk init"* ]]
}

@test "several dawk init at once make the missing accounts once" {
	[[ $(id -u) == 0 ]] || return 0
	mkdir "$SUITE/etc"
	cp -a /etc/. "$SUITE/etc/"
	sed -i '/^dawk[a-z]:/d' "$SUITE"/etc/{passwd,group,shadow,gshadow}
	# shellcheck disable=SC2016
	run -0 unshare -m bash -c 'mount --bind "$2/etc" /etc
		for i in 1 2 3 4; do "$1/dawk" init "$2/$i" --domain local.example --smtp 127.0.0.1:2525 >"$2/out.$i" 2>&1 & pids+=($!)
			until grep -q "^dawk[a-z]:" /etc/passwd; do kill -0 $! || break; done	# the first is at it: the files are replaced
		done
		for pid in "${pids[@]}"; do wait "$pid" || { cat "$2"/out.*; exit 1; }; done' - "$BIN" "$SUITE"
	[[ $(grep -c '^dawk[a-z]:' "$SUITE/etc/passwd") == 9 ]]
	[[ $(cat "$SUITE"/out.* | grep -c 'made the account') == 9 ]]
}
