# Hosts of MTA-STS policies for a test, with an authority of their own, in the namespace of pair.bash (port 443 there).
#
#   sts_make		after pair_net: an authority in $PAIR/ca, sts-host.py on 127.0.0.1; $PAIR/hosts holds what it serves
#   sts_host NAME [AUTHORITY [CERTIFICATE-NAME]]	a certificate for NAME
#   sts_serves NAME STATUS|HEADER..	what it answers from now on, the body from standard input
#   sts_policy DOMAIN MODE MAX-AGE MX..	the host mta-sts.DOMAIN, which serves this policy
#   sts_requests NAME		how many requests it had
#   day_lasts			waits for the next day of UTC when this one ends within two minutes: what is counted belongs to one
#   sts_asked < LINES		dnsd and stsd of the instance `sts`, asked by tests/tool/sts_ask

sts_make() {
	mkdir "$PAIR/ca" "$PAIR/hosts"
	chmod 755 "$PAIR/ca"
	sts_authority ca && sts_authority stranger && sts_host default || return 1
	in_net_background sts-host "$TOOLS/sts-host.py" 127.0.0.1 443 "$PAIR/hosts"
	wait_until grep -q ready "$PAIR/sts-host.out"
}

sts_authority() {
	printf 'cn = "%s"\nca\ncert_signing_key\nexpiration_days = 30\n' "$1" >"$PAIR/ca/$1.template"
	certtool --generate-privkey --key-type ecdsa --outfile "$PAIR/ca/$1.key" 2>/dev/null &&
		certtool --generate-self-signed --load-privkey "$PAIR/ca/$1.key" --template "$PAIR/ca/$1.template" \
			--outfile "$PAIR/ca/$1.pem" 2>/dev/null
	chmod 644 "$PAIR/ca/$1.pem"
}

sts_host() {	# LIFE: lines of certtool's template, in place of 30 days
	local authority=${2:-ca} named=${3:-$1} files=$PAIR/hosts/$1
	printf 'cn = "%s"\ndns_name = "%s"\ntls_www_server\nsigning_key\n%s\n' "$named" "$named" "${LIFE:-expiration_days = 30}" >"$files.template"
	certtool --generate-privkey --key-type ecdsa --outfile "$files.key" 2>/dev/null &&
		certtool --generate-certificate --load-privkey "$files.key" --load-ca-certificate "$PAIR/ca/$authority.pem" \
			--load-ca-privkey "$PAIR/ca/$authority.key" --template "$files.template" --outfile "$files.crt" 2>/dev/null &&
		cat "$files.key" "$files.crt" >"$files.pem"
}

sts_serves() { { printf '%s\n' "$2"; cat; } >"$PAIR/hosts/$1.part" && mv "$PAIR/hosts/$1.part" "$PAIR/hosts/$1.http"; }

sts_policy() {
	local domain=$1 mode=$2 age=$3
	shift 3
	[[ -s $PAIR/hosts/mta-sts.$domain.pem ]] || sts_host "mta-sts.$domain" || return 1
	{
		printf 'version: STSv1\r\nmode: %s\r\n' "$mode"
		[[ $# == 0 ]] || printf 'mx: %s\r\n' "$@"
		printf 'max_age: %s\r\n' "$age"
	} | sts_serves "mta-sts.$domain" '200 OK|Content-Type: text/plain; charset=utf-8'
}

sts_requests() { grep -c "^$1 GET /.well-known/mta-sts.txt " "$PAIR/sts-host.out"; }

day_lasts() { WAIT_SECONDS=130 wait_until two_minutes_are_left; }
two_minutes_are_left() { (($(date +%s) % 86400 < 86400 - 120)); }

sts_asked() { in_net timeout "${STS_SECONDS:-100}" "$BIN/../tool/sts_ask" "$BIN" "$PAIR/sts/etc/dawk.conf"; }
