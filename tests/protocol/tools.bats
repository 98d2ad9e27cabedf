# What the tests themselves stand on, where a slip would fail them by chance alone.
load ../lib/suite

@test "a package that the lists do not name is fetched with new lists, one that they do without" {
	cd "$BATS_TEST_TMPDIR"
	mkdir bin
	cat >bin/apt-get <<-'EOT'
		#!/bin/sh
		echo "$*" >>calls
		case "$*" in *update) touch lists ;; *) [ -e lists ] && touch "some_1.deb" ;; esac
	EOT
	chmod 755 bin/apt-get
	PATH=$PWD/bin:$PATH "$TOOLS/fetch-package" some
	[[ -e some_1.deb && $(grep -c ' update$' calls) == 1 ]]
	PATH=$PWD/bin:$PATH "$TOOLS/fetch-package" some
	[[ $(grep -c ' update$' calls) == 1 && $(tail -n 1 calls) == *' download some' ]]
}
