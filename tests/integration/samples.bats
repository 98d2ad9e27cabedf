# The sample files in etc/ are ones that dawk takes, and the sample configuration is the defaults.
load ../lib/suite

setup() {
	SUITE=$(mktemp -d "${TMPDIR:-/tmp}/dawk-test.XXXXXX")
	"$BIN/dawk" init "$SUITE/host" --domain example.org --domain example.net --hostname mail.example.org >/dev/null
	etc=$SUITE/host/etc
}
teardown() { rm -rf "$SUITE"; }

@test "the sample tables compile" {
	for table in users aliases access; do
		cp "$ROOT/etc/$table.sample" "$etc/$table"
	done
	chmod 600 "$etc/users"
	echo dave@example.com >"$etc/friends.list"
	"$BIN/dawk" -c "$etc/dawk.conf" update
}

@test "every name of the configuration stands in the sample" {
	sed -n 's/^# \([a-z0-9-]*\) =.*/\1/p' "$ROOT/etc/dawk.conf.sample" | sort >"$SUITE/sample"
	"$BIN/dawk" -c "$etc/dawk.conf" config | sed 's/ .*//' | sort >"$SUITE/names"
	[[ $(wc -l <"$SUITE/names") -gt 40 ]]
	diff "$SUITE/names" "$SUITE/sample"
}

@test "every value of the sample configuration that is no example is the default" {
	echo 'hostname = mail.example.org' >"$etc/plain.conf"
	"$BIN/dawk" -c "$etc/plain.conf" config | sed 's/ *#.*//' | sort >"$SUITE/defaults"
	sed -n -e '/# example/d' -e 's/^# \([a-z0-9-]* =.*\)/\1/p' "$ROOT/etc/dawk.conf.sample" >>"$etc/plain.conf"
	[[ $(wc -l <"$etc/plain.conf") -gt 25 ]]
	"$BIN/dawk" -c "$etc/plain.conf" config | sed 's/ *#.*//' | sort >"$SUITE/sample"
	diff "$SUITE/defaults" "$SUITE/sample"
}
