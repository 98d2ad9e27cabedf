# dnsd behind a name server that takes DNSSEC out of its answers: an unsigned root stands for it, while
# dnsd holds an anchor for a signed one.
load ../lib/suite

setup() {
	read -r DNS_PORT <<<"$("$TOOLS/free-ports.py" 1)"
	suite_make --resolver "127.0.0.1@$DNS_PORT" --set 'trust-anchor = anchors'
	cd "$SUITE" || return 1
	printf '%s\n' '. 300 IN SOA ns.example. root.example. 1 3600 600 86400 60' '. 300 IN NS ns.example.' \
		'ns.example. 300 IN A 127.0.0.1' 'plain.example. 300 IN MX 10 mx.plain.example.' >root.zone
	cat "$(ldns-keygen -k -a ECDSAP256SHA256 .).ds" >etc/anchors
	printf 'server:\n ip-address: 127.0.0.1@%s\n username: ""\n database: ""\n zonesdir: "%s"\n pidfile: ""\n xfrdfile: ""\n xfrdir: "%s"\n zonelistfile: "%s/nsd.list"\nremote-control:\n control-enable: no\nzone:\n name: .\n zonefile: root.zone\n' \
		"$DNS_PORT" "$SUITE" "$SUITE" "$SUITE" >nsd.conf
	"$("$TOOLS/counterpart" nsd /usr/sbin/nsd)" -d -c nsd.conf >nsd.out 2>&1 </dev/null 3>&- 4>&- 5>&- &
	NSD_PID=$!
	wait_until grep -q 'nsd started' nsd.out
}
teardown() {
	kill "$NSD_PID"
	wait "$NSD_PID" || :
	"$TOOLS/free-ports.py" --release "$DNS_PORT"
	suite_stop
}

@test "a forwarder that strips DNSSEC is noticed, said, and used without it (RFC 4035 4.7)" {
	run timeout 60 "$BIN/../tool/dns_ask" "$BIN/dnsd" "$SUITE/etc/dawk.conf" plain.example 15
	[[ $output == *"dnssec-stripped"* ]]
	[[ $output == *"plain.example 15 answer secure=0 10:mx.plain.example"* ]]
}
