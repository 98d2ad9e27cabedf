# A name server of a test's own, tests/tool/name-server.py, for the instance that suite_make is about to make.
#   names_port		sets DNS_PORT, for `suite_make --resolver 127.0.0.1@$DNS_PORT`
#   names_serve		once there is $SUITE: serves the lines of standard input, ready when it returns
#   names_stop		for teardown_file, before suite_stop
names_port() { read -r DNS_PORT <<<"$("$TOOLS/free-ports.py" 1)"; export DNS_PORT; }

names_serve() {
	cat >"$SUITE/names"
	"$TOOLS/name-server.py" "$DNS_PORT" "$SUITE/names" >"$SUITE/names.out" 2>&1 </dev/null 3>&- 4>&- 5>&- &
	echo $! >"$SUITE/names.pid"
	wait_until grep -q ready "$SUITE/names.out"
}

names_stop() {
	[[ -s $SUITE/names.pid ]] && kill "$(cat "$SUITE/names.pid")"
	"$TOOLS/free-ports.py" --release "$DNS_PORT"
}
