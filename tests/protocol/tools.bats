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

@test "a port is free for a test where it is so for TCP and for UDP" {
	local port
	port=$("$TOOLS/free-ports.py" 1)
	run -0 python3 -c '
import socket, sys
tool = {}
exec(open(sys.argv[1]).read().removesuffix("main()\n"), tool)
port = int(sys.argv[2])
for address, family in (("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        assert tool["is_free"](port)
        with socket.socket(family, kind) as taken:
            try:
                taken.bind((address, port))
            except OSError:
                continue    # no IPv6
            assert not tool["is_free"](port), (address, kind)' "$TOOLS/free-ports.py" "$port"
	"$TOOLS/free-ports.py" --release "$port"
}
