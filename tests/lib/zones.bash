# nsd on a loopback port with zones that are signed, or not, or wrongly. After `load ../lib/suite`; zone files NAME.zone lie
# in $SUITE/zones, the folder at hand.
#
#   zone_sign NAME [ldns-signzone-options..]	in place; the key's name stays in NAME.key
#   zone_anchor NAME			its key becomes a trust anchor: $SUITE/etc/anchors
#   name_server_start ZONE..		on 127.0.0.1, port $DNS_PORT
#   name_server_stop

zone_sign() {
	local name=$1
	shift
	[[ -e $name.key ]] || ldns-keygen -k -a ECDSAP256SHA256 "$name" >"$name.key" || return 1
	ldns-signzone "$@" -f "$name.signed" "$name.zone" "$(cat "$name.key")" && mv "$name.signed" "$name.zone"
}
zone_anchor() { cat "$(cat "$1.key").ds" >>"$SUITE/etc/anchors"; }

name_server_start() {
	local name
	{
		printf 'server:\n ip-address: 127.0.0.1@%s\n username: ""\n database: ""\n zonesdir: "%s/zones"\n' "$DNS_PORT" "$SUITE"
		printf ' pidfile: "%s/nsd.pidfile"\n xfrdfile: ""\n zonelistfile: "%s/nsd.list"\n xfrdir: "%s"\n' "$SUITE" "$SUITE" "$SUITE"
		printf 'remote-control:\n control-enable: no\n'
		for name; do printf 'zone:\n name: %s\n zonefile: %s.zone\n' "$name" "$name"; done
	} >"$SUITE/nsd.conf"
	"$("$TOOLS/counterpart" nsd /usr/sbin/nsd)" -d -c "$SUITE/nsd.conf" >"$SUITE/nsd.out" 2>&1 </dev/null 3>&- 4>&- 5>&- &
	echo $! >"$SUITE/nsd.pid"
	wait_until grep -q 'nsd started' "$SUITE/nsd.out"
}
name_server_stop() {
	[[ -e $SUITE/nsd.pid ]] || return 0
	kill "$(cat "$SUITE/nsd.pid")"
	wait_until name_server_has_ended
}
name_server_has_ended() { ! kill -0 "$(cat "$SUITE/nsd.pid")" 2>/dev/null; }
