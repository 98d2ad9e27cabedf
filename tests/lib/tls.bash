# Clients of TLS for tests.
#
#   tls_client PORT [s_client options]	openssl: connects, says QUIT, prints everything
#   tls_serves PORT FINGERPRINT [..]	is this the certificate?
#   tls_fingerprint FILE		of a certificate
#   tls_certificate NAME HOST TYPE..	$SUITE/NAME.crt and .key; TYPE as of openssl req -newkey, then its options
#   tls_versions_are_right PORT [PROTOCOL]	1.2 and 1.3 work, nothing older does; PROTOCOL: after STARTTLS
#   pid_of_part SERVICE PART [INDEX]	of the latest start

tls_client() {
	local port=$1
	shift
	printf 'QUIT\r\n' | timeout 60 openssl s_client -connect "127.0.0.1:$port" -ign_eof "$@" 2>&1
}
tls_fingerprint() { openssl x509 -in "$1" -noout -fingerprint -sha256 | sed 's/.*=//'; }
tls_serves() {
	local port=$1 wanted=$2
	shift 2
	[[ $(tls_client "$port" "$@" | openssl x509 -noout -fingerprint -sha256 | sed 's/.*=//') == "$wanted" ]]
}
tls_certificate() {
	openssl req -x509 -newkey "$3" "${@:4}" -nodes -keyout "$SUITE/$1.key" -out "$SUITE/$1.crt" -days 30 \
		-subj "/CN=$2" -addext "subjectAltName=DNS:$2" 2>/dev/null
	chmod 600 "$SUITE/$1.key"
}

tls_versions_are_right() {
	local port=$1 starttls=(${2:+-starttls "$2"}) version out
	for version in tls1_2 tls1_3; do
		out=$(tls_client "$port" "${starttls[@]}" "-$version" || :)
		grep -q '^New, TLS' <<<"$out" || { echo "$port $version: $out"; return 1; }
	done
	for version in tls1 tls1_1; do
		out=$(tls_client "$port" "${starttls[@]}" "-$version" -cipher 'ALL@SECLEVEL=0' || :)
		! grep -q '^New, TLS' <<<"$out" || { echo "$port $version: $out"; return 1; }
	done
	for version in VERS-TLS1.2 VERS-TLS1.3; do
		out=$(printf 'QUIT\r\n' | timeout 60 gnutls-cli --insecure --port "$port" ${2:+--starttls-proto "$2"} \
			--priority "NORMAL:-VERS-ALL:+$version" 127.0.0.1 2>&1 || :)
		grep -q 'Handshake was completed' <<<"$out" || { echo "$port $version: $out"; return 1; }
	done
	for version in VERS-TLS1.0 VERS-TLS1.1; do
		out=$(printf 'QUIT\r\n' | timeout 60 gnutls-cli --insecure --port "$port" ${2:+--starttls-proto "$2"} \
			--priority "NORMAL:-VERS-ALL:+$version" 127.0.0.1 2>&1 || :)
		! grep -q 'Handshake was completed' <<<"$out" || { echo "$port $version: $out"; return 1; }
	done
}

pid_of_part() { sed -n "s/.*started part=$2 index=${3:-0} pid=\([0-9]*\).*/\1/p" "$SUITE/stderr/$1" | tail -n 1; }
