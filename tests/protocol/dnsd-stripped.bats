# dnsd behind a name server that takes DNSSEC out of its answers: an unsigned root stands for it, while
# dnsd holds an anchor for a signed one.
load ../lib/suite

setup() {
	read -r DNS_PORT <<<"$("$TOOLS/free-ports.py" 1)"
	suite_make --resolver "127.0.0.1@$DNS_PORT" --set 'trust-anchor = anchors'
	cd "$SUITE" || return 1
	printf '%s\n' '. 300 IN SOA ns.example. root.example. 1 3600 600 86400 60' '. 300 IN NS ns.example.' \
		'ns.example. 300 IN A 127.0.0.1' 'plain.example. 300 IN MX 10 mx.plain.example.' >root.zone
	ldns-keygen -k -a ECDSAP256SHA256 . >key
	cat "$(cat key).ds" >etc/anchors
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

# jump SECONDS: the clocks are wrong by so many from now on
jump() { printf '%-30s %-30s\n\n' "$1" "$1" | dd of="$SUITE/clock" bs=64 conv=notrunc,sync 2>/dev/null; }
says() { grep -q "plain.example 15 answer $1 10:mx.plain.example" "$SUITE/answers"; }

@test "that is looked at again after a minute, so that nobody who strips one answer has a day without DNSSEC" {
	jump 0
	ODD_CLOCK=$SUITE/clock LD_PRELOAD="$BIN/../tool/odd_clock.so" ASAN_OPTIONS=$ASAN_OPTIONS:verify_asan_link_order=0 \
		DNS_ASK_UNTIL_SECURE=yes timeout 200 "$BIN/../tool/dns_ask" "$BIN/dnsd" "$SUITE/etc/dawk.conf" plain.example 15 >answers 2>&1 3>&- &
	asker=$!
	wait_until says secure=0
	ldns-signzone -f root.signed root.zone "$(cat key)"
	mv root.signed root.zone
	kill -HUP "$NSD_PID"
	wait_until is_signed
	jump 70
	wait "$asker"
	says secure=1
}
is_signed() { drill -D -p "$DNS_PORT" @127.0.0.1 . NS | grep -q RRSIG; }
