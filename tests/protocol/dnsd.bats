# dnsd alone, asked as smtpd and remoted do (tests/tool/dns_ask.c), with nsd as the name server: zones unsigned, signed,
# and signed wrongly. RFC 1035, RFC 4035.
load ../lib/suite

A=1 MX=15 TXT=16 AAAA=28 TLSA=52
export A MX TXT AAAA TLSA

setup_file() {
	read -r DNS_PORT <<<"$("$TOOLS/free-ports.py" 1)"
	export DNS_PORT
	suite_make --resolver "127.0.0.1@$DNS_PORT" --set 'trust-anchor = anchors'
	mkdir "$SUITE/zones" && cd "$SUITE/zones" || return 1
	zone plain.example
	zone signed.example && sign signed.example && anchor signed.example
	zone expired.example && sign expired.example -i 20200101000000 -e 20200201000000 && anchor expired.example
	zone forged.example && sign forged.example && anchor forged.example
	sed -i 's/^\(mx\.forged\.example\.[[:space:]].*[[:space:]]A[[:space:]]*\)192\.0\.2\.1$/\1192.0.2.66/' forged.example.zone
	sign_unknown stripped.example
	name_server_start
}
teardown_file() {
	kill "$(cat "$SUITE/nsd.pid")"
	wait_until nsd_has_ended
	"$TOOLS/free-ports.py" --release "$DNS_PORT"
	suite_stop
}
nsd_has_ended() { ! kill -0 "$(cat "$SUITE/nsd.pid")" 2>/dev/null; }

zone() {	# NAME
	cat >"$1.zone" <<-ZONE
		\$ORIGIN $1.
		\$TTL 300
		@ IN SOA ns hostmaster 1 3600 600 86400 60
		@ IN NS ns
		ns IN A 127.0.0.1
		@ IN MX 20 backup
		@ IN MX 10 MX
		mx IN A 192.0.2.1
		mx IN AAAA 2001:db8::1
		backup IN A 192.0.2.2
		backup IN A 192.0.2.3
		alias IN CNAME mx
		chain IN CNAME alias
		nowhere IN CNAME gone
		null IN MX 0 .
		text IN TXT "one" "two"
		_25._tcp.mx IN TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
	ZONE
}
sign() {	# NAME [OPTIONS]: in place, the key's name stays in NAME.key
	local name=$1
	shift
	ldns-keygen -k -a ECDSAP256SHA256 "$name" >"$name.key" || return 1
	ldns-signzone "$@" -f "$name.signed" "$name.zone" "$(cat "$name.key")" && mv "$name.signed" "$name.zone"
}
anchor() { cat "$(cat "$1.key").ds" >>"$SUITE/etc/anchors"; }
sign_unknown() {	# anchored, and served without any signature
	zone "$1" && sign "$1" && anchor "$1" && zone "$1"
}

name_server_start() {
	local name
	{
		printf 'server:\n ip-address: 127.0.0.1@%s\n username: ""\n database: ""\n zonesdir: "%s/zones"\n' "$DNS_PORT" "$SUITE"
		printf ' pidfile: "%s/nsd.pidfile"\n xfrdfile: ""\n zonelistfile: "%s/nsd.list"\n xfrdir: "%s"\n' "$SUITE" "$SUITE" "$SUITE"
		printf 'remote-control:\n control-enable: no\n'
		for name in plain signed expired forged stripped unloaded; do
			printf 'zone:\n name: %s.example\n zonefile: %s.example.zone\n' "$name" "$name"
		done
	} >"$SUITE/nsd.conf"
	"$("$TOOLS/counterpart" nsd /usr/sbin/nsd)" -d -c "$SUITE/nsd.conf" >"$SUITE/nsd.out" 2>&1 </dev/null 3>&- 4>&- 5>&- &
	echo $! >"$SUITE/nsd.pid"
	wait_until grep -q 'nsd started' "$SUITE/nsd.out"
}

# asked NAME TYPE..: dnsd started, asked all, gone
asked() { timeout 100 "$BIN/../tool/dns_ask" "$BIN/dnsd" "$SUITE/etc/dawk.conf" "$@"; }

@test "records come with their order kept, names in lower case (RFC 1035 3.3.9)" {
	run -0 asked plain.example $MX
	[[ $output == "plain.example 15 answer secure=0 "*10:mx.plain.example* && $output == *20:backup.plain.example* ]]
	run -0 asked backup.plain.example $A mx.plain.example $AAAA
	[[ $output == *"192.0.2.2"* && $output == *"192.0.2.3"* && $output == *"28 answer secure=0 2001:db8::1"* ]]
}
@test "a name without such a record is told from a name that does not exist (RFC 2308 2)" {
	run -0 asked backup.plain.example $AAAA gone.plain.example $A plain.example $TXT
	[[ $output == *"backup.plain.example 28 no-data"* ]]
	[[ $output == *"gone.plain.example 1 no-name"* ]]
	[[ $output == *"plain.example 16 no-data"* ]]
}
@test "aliases are followed, one that leads nowhere does not exist (RFC 1034 3.6.2)" {
	run -0 asked alias.plain.example $A chain.plain.example $AAAA nowhere.plain.example $A
	[[ $output == *"alias.plain.example 1 answer secure=0 192.0.2.1"* ]]
	[[ $output == *"chain.plain.example 28 answer secure=0 2001:db8::1"* ]]
	[[ $output == *"nowhere.plain.example 1 no-name"* ]]
}
@test "a null MX is one record for the root (RFC 7505 3)" {
	run -0 asked null.plain.example $MX
	[[ $output == "null.plain.example 15 answer secure=0 0:" ]]
}
@test "a signed zone is secure, also what it says that there is not (RFC 4035 5)" {
	run -0 asked signed.example $MX chain.signed.example $A _25._tcp.mx.signed.example $TLSA gone.signed.example $A mx.signed.example $TXT
	[[ $output == *"signed.example 15 answer secure=1"* ]]
	[[ $output == *"chain.signed.example 1 answer secure=1 192.0.2.1"* ]]
	[[ $output == *"_25._tcp.mx.signed.example 52 answer secure=1 (35 bytes)"* ]]
	[[ $output == *"gone.signed.example 1 no-name secure=1"* ]]
	[[ $output == *"mx.signed.example 16 no-data secure=1"* ]]
}
@test "a signature that has expired, or does not fit, is trouble and no answer (RFC 4035 4.3)" {
	run -0 asked mx.expired.example $A mx.forged.example $A backup.forged.example $A
	[[ $output == *"mx.expired.example 1 later"*DNSSEC* ]]
	[[ $output == *"mx.forged.example 1 later"*DNSSEC* ]]
	[[ $output == *"backup.forged.example 1 answer secure=1"* ]]
	[[ $output != *192.0.2.66* ]]
}
@test "a zone that ought to be signed and is not is trouble and no answer (RFC 4035 4.3)" {
	run -0 asked mx.stripped.example $A gone.stripped.example $A
	[[ $output == *"mx.stripped.example 1 later"* && $output == *"gone.stripped.example 1 later"* ]]
}
@test "SERVFAIL and a refusal mean later (RFC 1035 4.1.1)" {
	run -0 asked mx.unloaded.example $A mx.unknown.example $A
	[[ $output == *"mx.unloaded.example 1 later"* && $output == *"mx.unknown.example 1 later"* ]]
}
@test "dnssec = no: no signature counts, none does harm" {
	sed 's/^trust-anchor.*/dnssec = no/' "$SUITE/etc/dawk.conf" >"$SUITE/etc/trusting.conf"
	run -0 timeout 60 "$BIN/../tool/dns_ask" "$BIN/dnsd" "$SUITE/etc/trusting.conf" mx.expired.example $A signed.example $MX
	[[ $output == *"mx.expired.example 1 answer secure=0 192.0.2.1"* && $output == *"signed.example 15 answer secure=0"* ]]
}
@test "sixty names at once are each answered" {
	local names=() i
	for ((i = 0; i < 20; i++)); do names+=("gone$i.plain.example" "$A" "gone$i.signed.example" "$MX" mx.plain.example "$A"); done
	run -0 asked "${names[@]}"
	[[ ${#lines[@]} == 60 ]]
	[[ $(grep -c ' no-name ' <<<"$output") == 40 && $(grep -c ' answer .*192.0.2.1' <<<"$output") == 20 ]]
}
@test "a resolver that does not answer means later, in bounded time" {
	local silent port
	read -r port <<<"$("$TOOLS/free-ports.py" 1)"
	python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", int(sys.argv[1]))); time.sleep(300)' "$port" 3>&- 4>&- 5>&- & silent=$!
	sed "s/127.0.0.1@$DNS_PORT/127.0.0.1@$port/" "$SUITE/etc/dawk.conf" >"$SUITE/etc/alone.conf"
	run -0 timeout 90 "$BIN/../tool/dns_ask" "$BIN/dnsd" "$SUITE/etc/alone.conf" mx.plain.example $A
	kill "$silent"
	"$TOOLS/free-ports.py" --release "$port"
	[[ $output == *"mx.plain.example 1 later"* ]]
}
