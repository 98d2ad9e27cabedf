# `dawk explain`: what TLS would have to be on the way to other hosts.
load ../lib/suite
load ../lib/certificates
load ../lib/zones
load ../lib/tls-hosts

setup_file() { tls_hosts_make; }
teardown_file() { tls_hosts_end; }
setup() { : >"$SUITE/etc/site"; : >"$SUITE/etc/routes"; }

# explained DOMAIN [ROUTE-OPTIONS]
explained() {
	echo "$1 smtp:$1:$HOST_PORT ${2:-}" >"$SUITE/etc/routes"
	$DAWK update >/dev/null
	run -0 $DAWK explain "x@$1"
}
says() { [[ $output == *"$1"* ]] || { echo "missing: $1"; echo "$output"; false; }; }

@test "the demand and who makes it are told" {
	explained plain.example
	says $'TLS:\n  where a host offers it, unless DANE or MTA-STS want more'
	says 'no DANE: DNSSEC does not vouch for the mail exchangers of plain.example'
	says 'no MTA-STS policy of plain.example is kept here'
	explained plain.example tls=verify
	says 'always, with a certificate that is valid for the host (the route says so)'
	echo '* tls=none' >"$SUITE/etc/site"
	explained plain.example
	says $'TLS:\n  none (the site table says so)'
	[[ $output != *DANE* && $output != *MTA-STS* ]]
}

@test "TLSA records are told, those that can't be used, and those that can't be looked up (RFC 7672)" {
	explained ee.signed.example
	says "ee-mx.signed.example: TLSA records of _$HOST_PORT._tcp.ee-mx.signed.example:"
	says '    3 1 1 '
	explained odd.signed.example
	says 'of which none can be used: TLS with any certificate'
	says ' (not usable)'
	explained none.signed.example
	says 'none-mx.signed.example: no TLSA record'
	explained bogus.forged.example
	says "bogus-mx.forged.example: gets nothing now, its TLSA records can't be looked up: DNSSEC"
}

@test "a policy that stsd keeps is told, and the hosts that it leaves out (RFC 8461 3.3)" {
	local folder
	folder=$($DAWK config state-directory)/sts/policies
	mkdir -p "$folder" "${folder%/*}/facts" "${folder%/*}/sent"
	printf 'dawk-sts 1 20261122 %s\nversion: STSv1\nmode: enforce\nmx: mx.else.example\nmx: *.plain.example\nmax_age: 86400\nend\n' "$(date +%s)" >"$folder/plain.example"
	explained plain.example
	says 'MTA-STS policy of plain.example, as it was fetched last: enforce, hosts mx.else.example *.plain.example'
	[[ $output != *"not named there"* ]]
	sed -i 's/^mx: \*.*/mx: mx.b.example/' "$folder/plain.example"
	explained plain.example
	says 'mx.plain.example: not named there, gets nothing unless TLSA records vouch for it'
}
