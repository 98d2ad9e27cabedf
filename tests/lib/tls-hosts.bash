# remoted alone, with its TLS: tests/tool/remote_driver.c plays queued and stsd, tests/tool/tls-host.py the next host, nsd has
# the zones: plain.example without DNSSEC, signed.example with it and a domain a case, forged.example with a forged record.
# After `load ../lib/suite`, certificates and zones.
#
#   tls_hosts_make, tls_hosts_end	for setup_file and teardown_file; certificates lie in $SUITE
#   host_prepare			for setup
#   host_start [habit..], host_stop	the next host, on $HOST_PORT of 127.0.0.1
#   send_to DOMAIN [route-option..]	by way of its MX records; $JOBS messages; $output has results and log
#   route_to DOMAIN HOP [..]		by a route; MORE_ROUTES stand beside it
#   taken / put_off STATUS WORDS	what came of it; log_has, host_saw, times_seen

tls_hosts_make() {
	local name
	read -r DNS_PORT HOST_PORT <<<"$("$TOOLS/free-ports.py" 2)"
	export DNS_PORT HOST_PORT
	SUITE_SERVICES="" suite_make --resolver "127.0.0.1@$DNS_PORT" --set 'trust-anchor = anchors' --set 'tls-authorities = authority.crt' \
		--set 'starttls-timeout = 5s'
	cd "$SUITE/etc" || return 1
	authority_make authority
	cd "$SUITE" && mkdir zones
	authority_make stranger
	certificate_make right.pem etc/authority mx.plain.example,DNS:mx.signed.example,DNS:ta-mx.signed.example
	certificate_make domain.pem etc/authority plain.example
	certificate_make other.pem etc/authority else.example
	certificate_make expired.pem etc/authority mx.plain.example -days -1
	certificate_make untrusted.pem stranger mx.plain.example
	cd zones || return 1
	zone_head plain.example >plain.example.zone
	printf '@ MX 10 mx\nmx A 127.0.0.1\nalone A 127.0.0.1\nlent MX 10 wrong-mx.signed.example.\nother MX 10 mx\n' >>plain.example.zone
	signed_zone
	name_server_start plain.example signed.example forged.example
	printf 'Subject: hi\r\n\r\nhello\r\n' >"$SUITE/message"
}
tls_hosts_end() {
	name_server_stop
	"$TOOLS/free-ports.py" --release "$DNS_PORT" "$HOST_PORT"
	suite_stop
}
host_prepare() { mkdir -p "$SUITE/host"; : >"$SUITE/etc/site"; }

zone_head() { printf '$ORIGIN %s.\n$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n' "$1"; }
member() {	# NAME [TLSA-DATA]: a domain with a mail host of its own
	printf '%s MX 10 %s-mx\n%s-mx A 127.0.0.1\n' "$1" "$1" "$1"
	[[ -z ${2:-} ]] || printf '_%s._tcp.%s-mx TLSA %s\n' "$HOST_PORT" "$1" "$2"
}
signed_zone() {
	local right="$SUITE/right.pem" zeros
	zeros=$(printf '0%.0s' {1..64})
	{
		zone_head signed.example
		printf '@ MX 10 mx\nmx A 127.0.0.1\n'
		member ee "3 $(tlsa_of "$right" 1 1)"
		member whole "3 $(tlsa_of "$right" 0 0)"
		member ta "2 $(tlsa_of "$SUITE/etc/authority.crt" 0 1)"
		member stranger-ta "2 $(tlsa_of "$SUITE/stranger.crt" 0 1)"
		member wrong "3 1 1 $zeros"
		member odd "1 1 1 $zeros"
		member none
		member alias
		printf 'linked MX 10 linked-mx\nlinked-mx CNAME ee-mx\n'
		printf 'far MX 10 far-mx\nfar-mx CNAME mx.plain.example.\n_%s._tcp.far-mx TLSA 3 %s\n' "$HOST_PORT" "$(tlsa_of "$right" 1 1)"
		printf 'outside MX 10 mx.plain.example.\n'
	} >signed.example.zone
	zone_sign signed.example && zone_anchor signed.example || return 1
	{ zone_head forged.example; member bogus "3 1 1 $zeros"; } >forged.example.zone
	zone_sign forged.example && zone_anchor forged.example
	sed -i 's/\(TLSA[[:space:]]*3 1 1 \)0000/\11111/' forged.example.zone
}

host_start() {
	"$TOOLS/tls-host.py" "$SUITE/host" "at=127.0.0.1:$HOST_PORT" "$@" </dev/null >"$SUITE/host.out" 2>&1 3>&- 4>&- &
	HOST_PID=$!
	wait_until test -e "$SUITE/host/port"
}
host_stop() {
	[[ -z ${HOST_PID:-} ]] || { kill "$HOST_PID" 2>/dev/null; wait "$HOST_PID" 2>/dev/null || true; }
	HOST_PID=
	rm -f "$SUITE"/host/*
}
# send_to DOMAIN [ROUTE-OPTIONS]: JOBS messages by way of its MX; the lines of results and the log in $output
send_to() {
	local domain=$1
	shift
	route_to "$domain" "smtp:$domain:$HOST_PORT" "$@"
}
route_to() {
	local domain=$1
	shift
	printf '%s\n' "$domain $*" "${MORE_ROUTES:-}" >"$SUITE/etc/routes"
	$DAWK update >"$SUITE/update.out" 2>&1 || { cat "$SUITE/update.out"; return 1; }
	run -0 timeout 100 "${BIN%/bin}/tool/remote_driver" "$BIN" "$SUITE/etc/dawk.conf" "$domain" bob@client.example "$SUITE/message" "${JOBS:-1}" "alice@$domain"
}
taken() { [[ $output == *"result 0 0 relayed 2.0.0"* ]] || { echo "$output"; cat "$SUITE/host/commands"; false; }; }
put_off() {	# STATUS WORDS
	[[ $output == *"result 0 0 deferred $1 "*"$2"* ]] || { echo "$output"; false; }
	nothing_went
}
nothing_went() {
	if grep -s ' MAIL ' "$SUITE/host/commands" || compgen -G "$SUITE/host/message.*"; then return 1; fi
}
log_has() { [[ $output == *"$1"* ]] || { echo "missing: $1"; echo "$output"; false; }; }
host_saw() { grep -q "$1" "$SUITE/host/commands" || { cat "$SUITE/host/commands"; false; }; }
times_seen() { grep -c "$1" "$SUITE/host/commands" || :; }
