# Certificates for tests, by openssl. In the folder at hand:
#
#   authority_make NAME			NAME.crt, NAME.key: an authority that signs
#   certificate_make FILE AUTHORITY NAME[,DNS:NAME..] [openssl-x509-option..]	FILE: key, certificate and the authority's, PEM;
#					valid for a day
#   tlsa_of FILE SELECTOR MATCHING	"SELECTOR MATCHING DATA" of the first certificate in FILE

authority_make() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.crt" -days 2 -subj "/CN=$1" \
		-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign 2>/dev/null
}
certificate_make() {
	local file=$1 authority=$2 name=$3
	shift 3
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$file.key" -subj "/CN=a mail host" -out "$file.csr" 2>/dev/null &&
		openssl x509 -req -in "$file.csr" -CA "$authority.crt" -CAkey "$authority.key" -CAcreateserial -days 1 "$@" -out "$file.crt" \
			-extfile <(printf 'subjectAltName=DNS:%s\nbasicConstraints=CA:FALSE\n' "$name") 2>/dev/null &&
		cat "$file.key" "$file.crt" "$authority.crt" >"$file" && rm -f "$file.csr" "$file.key" "$file.crt"
}
tlsa_of() {
	local selector=$2 matching=$3
	openssl x509 -in "$1" -outform DER >"$1.der"
	if [[ $selector == 1 ]]; then openssl x509 -in "$1" -noout -pubkey | openssl pkey -pubin -outform DER >"$1.der"; fi
	printf '%s %s ' "$selector" "$matching"
	case $matching in
	0)	xxd -p "$1.der" | tr -d '\n' ;;
	1)	sha256sum "$1.der" | cut -d' ' -f1 ;;
	2)	sha512sum "$1.der" | cut -d' ' -f1 ;;
	esac
}
