# keyd, and a small service (tests/tool/tls_server.c) with opener, worker and keyd as smtpd and pop3d have
# them, talked to by stock clients.
load ../lib/suite

setup() {
	SUITE_SERVICES="" suite_make --submissions "127.0.0.1:$("$TOOLS/free-ports.py" 1)" --set 'smtpd-workers = 2'
	TLS_PORT=$($DAWK config listen-submissions)
	TLS_PORT=${TLS_PORT##*:}
	$DAWK cert make >/dev/null
	KEYS=$SUITE/etc/keys
	HELPERS=${BIN%/bin}/tool
}
teardown() {
	"$TOOLS/free-ports.py" --release "$TLS_PORT"
	suite_stop
}

# ask COMMAND..: the answers of keyd, a line each
ask() { printf '%s\n' "$@" | "$HELPERS/key_ask" "$BIN/keyd" "$SUITE/etc/dawk.conf" 2>"$SUITE/stderr/keyd"; }
id_of() { openssl pkey -in "$1" -pubout -outform DER | sha256sum | cut -d' ' -f1; }
hash_of() { printf %s "$1" | openssl dgst "-$2" -r | cut -d' ' -f1; }
make_key() { openssl genpkey -out "$SUITE/$1.key" "${@:2}" 2>/dev/null && id_of "$SUITE/$1.key"; }

tls_start() {
	mkdir "$SUITE/bin"
	chmod 755 "$SUITE/bin"
	cp "$HELPERS/tls_server" "$BIN/keyd" "$SUITE/bin/"
	setsid "$SUITE/bin/tls_server" -c "$SUITE/etc/dawk.conf" </dev/null >>"$SUITE/stderr/tls_server" 2>&1 3>&- 4>&- 5>&- 6>&- &
	echo $! >"$SUITE/pid/tls_server"
	wait_until each_has_certificates
	wait_until port_is_open "$TLS_PORT"
}
each_has_certificates() { [[ $(grep -c ' certificates count=' "$SUITE/stderr/tls_server") -ge 2 ]]; }	# of the two workers
tls() { printf 'hello\nBYE\n' | timeout 60 openssl s_client -connect "127.0.0.1:$TLS_PORT" -ign_eof "$@" 2>&1; }
served() { tls "$@" | openssl x509 -noout -fingerprint -sha256 | sed 's/.*=//'; }
fingerprint() { openssl x509 -in "$1" -noout -fingerprint -sha256 | sed 's/.*=//'; }
serves() { [[ $(served "${@:2}") == "$1" ]]; }
pids_of() { group_members "$(suite_pid tls_server)"; }
pid_of_part() { sed -n "s/.*started part=$1 index=${2:-0} pid=\([0-9]*\).*/\1/p" "$SUITE/stderr/tls_server" | tail -n 1; }
# make_certificate NAME HOST [openssl req options]: NAME.crt and NAME.key
make_certificate() {
	openssl req -x509 -newkey "${3:-ec}" "${@:4}" -nodes -keyout "$SUITE/$1.key" -out "$SUITE/$1.crt" -days 30 \
		-subj "/CN=$2" -addext "subjectAltName=DNS:$2" 2>/dev/null
}

@test "keyd signs with ECDSA, Ed25519 and RSA keys, and openssl agrees" {
	local ec ed rsa
	ec=$(make_key ec -algorithm EC -pkeyopt ec_paramgen_curve:P-256)
	ed=$(make_key ed -algorithm ed25519)
	rsa=$(make_key rsa -algorithm RSA -pkeyopt rsa_keygen_bits:2048)
	run -0 ask "open 1 1 1 $SUITE/ec.key" "open 1 1 1 $SUITE/ed.key" "open 1 1 1 $SUITE/rsa.key" \
		"sign 1 4 $ec $(hash_of text sha256)" "sign 1 7 $ed $(printf text | od -An -tx1 | tr -d ' ')" \
		"sign 1 8 $rsa $(hash_of text sha256)" "sign 1 13 $rsa $(hash_of text sha512)"
	[[ ${lines[0]} == "told 1 $ec 2" && ${lines[1]} == "told 1 $ed 3" && ${lines[2]} == "told 1 $rsa 1" ]]
	printf text >"$SUITE/text"
	for i in 3 4 5 6; do
		[[ ${lines[$i]} == 'signed 1 '* ]]
		echo "${lines[$i]#signed 1 }" | xxd -r -p >"$SUITE/signature.$i"
	done
	openssl dgst -sha256 -prverify "$SUITE/ec.key" -signature "$SUITE/signature.3" "$SUITE/text"
	openssl pkeyutl -verify -inkey "$SUITE/ed.key" -rawin -in "$SUITE/text" -sigfile "$SUITE/signature.4"
	openssl dgst -sha256 -prverify "$SUITE/rsa.key" -signature "$SUITE/signature.5" "$SUITE/text"
	openssl dgst -sha512 -prverify "$SUITE/rsa.key" -sigopt rsa_padding_mode:pss -signature "$SUITE/signature.6" "$SUITE/text"
}

@test "keyd refuses other purposes, unknown keys, wrong lengths, and lives through garbage" {
	local key hash
	key=$(id_of "$KEYS/self-signed.key") hash=$(hash_of text sha256)
	run -0 ask "open 1 1 1 $KEYS/self-signed.key" "sign 2 4 $key $hash" "sign 1 4 $key ${hash}00" "sign 1 8 $key $hash" \
		"sign 1 99 $key $hash" "sign 1 4 ${key/[0-9]/f} $hash" "sign 1 4 00 $hash" garbage "open 1 1 2 $KEYS/self-signed.key" \
		"sign 1 4 $key $hash"
	[[ ${lines[1]} == "signed 3 " && ${lines[2]} == "signed 3 " && ${lines[3]} == "signed 3 " && ${lines[4]} == "signed 3 " ]]
	[[ ${lines[6]} == "signed 2 " && ${lines[7]} == lost ]]
	[[ ${lines[8]} == "told 3  "* && ${lines[9]} == "signed 1 "* ]]
}

@test "for DKIM there are RSA keys of 1024 bits and Ed25519, no others (RFC 8301, RFC 8463)" {
	local rsa ed
	rsa=$(make_key rsa -algorithm RSA -pkeyopt rsa_keygen_bits:1024)
	ed=$(make_key ed -algorithm ed25519)
	make_key short -algorithm RSA -pkeyopt rsa_keygen_bits:768 >/dev/null
	make_key ec -algorithm EC -pkeyopt ec_paramgen_curve:P-256 >/dev/null
	run -0 ask "open 1 1 2 $SUITE/rsa.key" "open 1 1 2 $SUITE/ed.key" "open 1 1 2 $SUITE/short.key" "open 1 1 2 $SUITE/ec.key" \
		"sign 2 8 $rsa $(hash_of text sha256)" "sign 2 7 $ed $(hash_of text sha256)" "sign 1 7 $ed 00" \
		"open 1 1 1 $SUITE/ed.key"
	[[ ${lines[0]} == "told 1 $rsa 1" && ${lines[1]} == "told 1 $ed 3" ]]
	[[ ${lines[2]} == *"768 bits is too short, 1024 are the least" && ${lines[3]} == *"Ed25519 and RSA are used" && ${lines[3]} != *ECDSA,* ]]
	[[ ${lines[4]} == "signed 1 "* && ${lines[5]} == "signed 1 "* && ${lines[6]} == "signed 3 " ]]
	[[ ${lines[7]} == "told 3  the same key serves TLS and DKIM"* ]]
}

@test "keyd takes keys from its opener alone" {
	local key
	key=$(make_key other -algorithm ed25519)
	run -0 ask "open 1 1 1 $KEYS/self-signed.key" "smuggle $SUITE/other.key" "sign 1 7 $key 00"
	[[ ${lines[1]} == "signed 2 " ]]
}

@test "keyd forgets a key once two sets without it have come, and says what is wrong with a file" {
	local key hash
	key=$(id_of "$KEYS/self-signed.key") hash=$(hash_of text sha256)
	make_key new -algorithm ed25519 >/dev/null
	make_key short -algorithm RSA -pkeyopt rsa_keygen_bits:1024 >/dev/null
	openssl pkey -in "$SUITE/new.key" -aes256 -passout pass:x -out "$SUITE/sealed.key"
	echo nothing >"$SUITE/no.key"
	run -0 ask "open 1 0 1 $KEYS/self-signed.key" "open 2 1 1 $SUITE/new.key" "sign 1 4 $key $hash" "open 3 2 1 $SUITE/new.key" \
		"sign 1 4 $key $hash" "open 3 2 1 $SUITE/short.key" "open 3 2 1 $SUITE/sealed.key" "open 3 2 1 $SUITE/no.key" "open 3 2 1 /dev/null"
	[[ ${lines[2]} == "signed 1 "* && ${lines[4]} == "signed 2 " ]]
	[[ ${lines[5]} == *"too short"* && ${lines[6]} == *"passphrase"* && ${lines[7]} == *"no private key"* && ${lines[8]} == *"not a file"* ]]
	wait_until grep -q 'key-refused file=.*short.key.*why=' "$SUITE/stderr/keyd"
	run ! grep -q 'BEGIN' "$SUITE/stderr/keyd"
}

@test "a key of the set in force stays however many sets were tried and refused since, and goes with that set" {
	local key hash
	key=$(id_of "$KEYS/self-signed.key") hash=$(hash_of text sha256)
	make_key tried -algorithm ed25519 >/dev/null
	run -0 ask "open 1 0 1 $KEYS/self-signed.key" "open 2 1 1 $KEYS/self-signed.key" "open 3 1 1 $SUITE/tried.key" \
		"sign 1 4 $key $hash" "open 4 1 1 $SUITE/tried.key" "sign 1 4 $key $hash" "open 5 4 1 $SUITE/tried.key" "sign 1 4 $key $hash"
	[[ ${lines[3]} == "signed 1 "* && ${lines[5]} == "signed 1 "* && ${lines[7]} == "signed 2 " ]]
}

@test "TLS 1.3 and 1.2 work with openssl, and nothing older (RFC 8996)" {
	tls_start
	run tls -tls1_3
	[[ $output == *"220 ready"* && $output == *hello* && $output == *"New, TLSv1.3"* ]]
	run tls -tls1_2
	[[ $output == *"220 ready"* && $output == *"New, TLSv1.2"* ]]
	run tls -tls1_1 -cipher 'ALL@SECLEVEL=0'
	[[ $output != *"220 ready"* ]]
	wait_until logged tls_server 'session tls=TLSv1.3 cipher=TLS_'
	wait_until logged tls_server 'session tls=TLSv1.2 cipher=TLS_ECDHE_ECDSA_'
}

@test "gnutls-cli trusts the self-signed certificate once it has it, verifies its name, and resumes" {
	tls_start
	run timeout 60 gnutls-cli --port "$TLS_PORT" --x509cafile "$KEYS/self-signed.crt" --sni-hostname mail.local.example \
		--verify-hostname mail.local.example --resume --waitresumption 127.0.0.1 <<<BYE
	[[ $output == *"The certificate is trusted."* && $output == *"This is a resumed session"* && $output == *"220 ready"* ]]
	run timeout 60 gnutls-cli --port "$TLS_PORT" --x509cafile "$KEYS/self-signed.crt" --verify-hostname other.example 127.0.0.1 <<<BYE
	[[ $output == *"name in the certificate does not match"* || $output == *"NOT trusted"* ]]
}

@test "session tickets resume with every worker of the service (RFC 8446 2.2)" {
	tls_start
	local i resumed=0
	tls -sess_out "$SUITE/session" >/dev/null
	for i in 1 2 3 4 5 6; do
		tls -sess_in "$SUITE/session" | grep -q '^Reused, TLSv1.3' && resumed=$((resumed + 1))
	done
	[[ $resumed == 6 ]]
	wait_until logged tls_server 'resumed=yes'
}

@test "the name chooses among certificates, ECDSA and RSA side by side (RFC 6066 3)" {
	make_certificate one one.example ec -pkeyopt ec_paramgen_curve:P-256
	make_certificate two two.example ec -pkeyopt ec_paramgen_curve:P-384
	make_certificate rsa one.example rsa:2048
	echo "tls-certificate = $SUITE/one.crt $SUITE/two.crt $SUITE/rsa.crt" >>"$SUITE/etc/dawk.conf"
	echo "tls-key = $SUITE/one.key $SUITE/two.key $SUITE/rsa.key" >>"$SUITE/etc/dawk.conf"
	tls_start
	serves "$(fingerprint "$SUITE/one.crt")" -servername one.example
	serves "$(fingerprint "$SUITE/two.crt")" -servername two.example
	serves "$(fingerprint "$SUITE/rsa.crt")" -servername one.example -sigalgs rsa_pss_rsae_sha256
	serves "$(fingerprint "$SUITE/rsa.crt")" -servername one.example -tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256
	serves "$(fingerprint "$SUITE/one.crt")" -servername elsewhere.example
	serves "$(fingerprint "$SUITE/one.crt")" -noservername
	run -0 $DAWK cert
	[[ $output == *"names        two.example"* ]]
}

@test "a certificate is replaced while the service runs, a key that does not fit changes nothing" {
	tls_start
	local old
	old=$(fingerprint "$KEYS/self-signed.crt")
	serves "$old"
	make_certificate wrong mail.local.example ec -pkeyopt ec_paramgen_curve:P-256
	cp "$SUITE/wrong.crt" "$KEYS/self-signed.crt"
	wait_until logged tls_server 'certificates-refused why="the certificates of before stay in force'
	serves "$old"
	run ! $DAWK cert show
	[[ $output == *"is the key of another certificate"* ]]
	$DAWK cert make --renew
	wait_until serves "$(fingerprint "$KEYS/self-signed.crt")"
}

refusals() { [[ $(grep -c 'certificates-refused.*stay in force' "$SUITE/stderr/tls_server") -ge $1 ]]; }

@test "files that do not fit change nothing, however often they change" {
	tls_start
	local old
	old=$(fingerprint "$KEYS/self-signed.crt")
	make_certificate one mail.local.example ec -pkeyopt ec_paramgen_curve:P-256
	make_certificate two mail.local.example ec -pkeyopt ec_paramgen_curve:P-256
	cp "$SUITE/one.crt" "$KEYS/self-signed.crt"
	wait_until refusals 1
	serves "$old"
	cp "$SUITE/two.key" "$KEYS/self-signed.key"
	wait_until refusals 2
	serves "$old"
	cp "$SUITE/two.crt" "$KEYS/self-signed.crt"
	wait_until serves "$(fingerprint "$SUITE/two.crt")"
}

refused_twice() { [[ $(grep -c 'certificate-refused .*Too many open files' "$SUITE/stderr/tls_server") -ge 2 ]]; }

@test "a certificate that is renewed while descriptors are short is taken once there are some" {
	tls_start
	make_certificate new mail.local.example ec -pkeyopt ec_paramgen_curve:P-256
	prlimit --pid "$(suite_pid tls_server)" --nofile=4:
	cp "$SUITE/new.crt" "$KEYS/self-signed.crt"
	cp "$SUITE/new.key" "$KEYS/self-signed.key"
	wait_until refused_twice
	prlimit --pid "$(suite_pid tls_server)" --nofile=1024:
	wait_until serves "$(fingerprint "$SUITE/new.crt")"
}

@test "a certificate that is renewed beside files that do not fit is served as before, and renewed once they fit" {
	local name old
	for name in one two; do
		make_certificate $name $name.example ec -pkeyopt ec_paramgen_curve:P-256
		make_certificate new-$name $name.example ec -pkeyopt ec_paramgen_curve:P-256
	done
	echo "tls-certificate = $SUITE/one.crt $SUITE/two.crt" >>"$SUITE/etc/dawk.conf"
	echo "tls-key = $SUITE/one.key $SUITE/two.key" >>"$SUITE/etc/dawk.conf"
	tls_start
	old=$(fingerprint "$SUITE/one.crt")
	cp "$SUITE/new-two.crt" "$SUITE/two.crt"
	wait_until refusals 1
	serves "$old" -servername one.example
	cp "$SUITE/new-one.crt" "$SUITE/one.crt"
	cp "$SUITE/new-one.key" "$SUITE/one.key"
	wait_until refusals 2
	serves "$old" -servername one.example
	cp "$SUITE/new-two.key" "$SUITE/two.key"
	wait_until serves "$(fingerprint "$SUITE/new-one.crt")" -servername one.example
	serves "$(fingerprint "$SUITE/new-two.crt")" -servername two.example
}

@test "a pair that does not fit from the start on keeps no other from its renewal, nor one that fits late" {
	local name
	for name in one two three new; do make_certificate $name $name.example ec -pkeyopt ec_paramgen_curve:P-256; done
	cp "$SUITE/two.key" "$SUITE/kept"
	cp "$SUITE/three.key" "$SUITE/two.key"
	rm "$SUITE/three.key"
	echo "tls-certificate = $SUITE/one.crt $SUITE/two.crt $SUITE/three.crt" >>"$SUITE/etc/dawk.conf"
	echo "tls-key = $SUITE/one.key $SUITE/two.key $SUITE/three.key" >>"$SUITE/etc/dawk.conf"
	tls_start
	serves "$(fingerprint "$SUITE/one.crt")" -servername two.example
	cp "$SUITE/kept" "$SUITE/two.key"
	wait_until serves "$(fingerprint "$SUITE/two.crt")" -servername two.example
	cp "$SUITE/new.crt" "$SUITE/one.crt"
	cp "$SUITE/new.key" "$SUITE/one.key"
	wait_until serves "$(fingerprint "$SUITE/new.crt")" -servername three.example
	cp "$SUITE/kept" "$SUITE/one.key"
	wait_until refusals 1
	serves "$(fingerprint "$SUITE/new.crt")" -servername three.example
}

@test "no process but keyd has a private key in reach: not open, not readable, not in its memory" {
	tls_start
	tls >/dev/null
	local pid fd keyd needle
	keyd=$(pid_of_part keyd)
	# the key's own 32 bytes; they are looked for in the memory of every process
	needle=$(openssl pkey -in "$KEYS/self-signed.key" -text -noout | sed -n '/priv:/,/pub:/p' | grep '^ ' | tr -d ' :\n')
	[[ ${#needle} -ge 64 && $(pids_of | wc -l) == 4 ]]
	for pid in $(pids_of); do
		for fd in /proc/"$pid"/fd/*; do
			[[ $(readlink "$fd") != *"/keys/"* && $(readlink "$fd") != *.key ]]
		done
		[[ $(id -u) == 0 ]] || continue	# only root may look into memory
		if [[ $pid == "$keyd" ]]; then
			"$TOOLS/memory-holds.py" "$pid" "$needle"
		else
			run -1 "$TOOLS/memory-holds.py" "$pid" "$needle"
		fi
	done
	if [[ $(id -u) == 0 ]]; then
		[[ $(stat -c %a "$KEYS") == 700 && $(stat -c %u "$KEYS") == 0 ]]
		[[ $(awk '/^Uid:/ { print $2 }' "/proc/$(pid_of_part worker)/status") == "$(id -u dawks)" ]]
		[[ $(awk '/^Uid:/ { print $2 }' "/proc/$keyd/status") == "$(id -u dawkk)" ]]
	fi
}

@test "a certificate file that holds a private key is refused, not handed on" {
	cat "$KEYS/self-signed.key" >>"$KEYS/self-signed.crt"
	run ! $DAWK cert show
	[[ $output == *"holds a private key"* ]]
	mkdir "$SUITE/bin"
	cp "$HELPERS/tls_server" "$BIN/keyd" "$SUITE/bin/"
	chmod 755 "$SUITE/bin"
	setsid "$SUITE/bin/tls_server" -c "$SUITE/etc/dawk.conf" </dev/null >>"$SUITE/stderr/tls_server" 2>&1 3>&- 4>&- 5>&- 6>&- &
	echo $! >"$SUITE/pid/tls_server"
	wait_until logged tls_server 'certificate-refused file=.*holds a private key'
	wait_until logged tls_server 'certificates-refused why="there is no TLS'
}

@test "clients that send garbage or hang cost no other client its session" {
	tls_start
	local i
	for i in 1 2 3; do
		exec {hang}<>"/dev/tcp/127.0.0.1/$TLS_PORT"
		printf 'EHLO client.example\r\n' >&"$hang"
		exec {silent}<>"/dev/tcp/127.0.0.1/$TLS_PORT"
	done
	run tls
	[[ $output == *"220 ready"* ]]
	wait_until logged tls_server 'broken why="the TLS handshake failed'
}

@test "dawk cert make keeps a pair that is there and mends one that does not fit" {
	local first
	first=$(fingerprint "$KEYS/self-signed.crt")
	$DAWK cert make
	[[ $(fingerprint "$KEYS/self-signed.crt") == "$first" && $(stat -c %a "$KEYS/self-signed.key") == 600 ]]
	openssl x509 -in "$KEYS/self-signed.crt" -noout -checkhost mail.local.example | grep -q 'does match'
	: >"$KEYS/self-signed.key"
	run -78 $DAWK cert show
	run -0 $DAWK cert make
	run -0 $DAWK cert show
	[[ $(fingerprint "$KEYS/self-signed.crt") != "$first" && $output == *"names        mail.local.example"* ]]
	run -64 $DAWK cert break
}
