#!/bin/bash
# tls.sh: what TLS costs in dawk, in an instance on loopback ports: memory of an idle connection, CPU of a full handshake
# through keyd beside a server that holds its key itself (gnutls-serv, the same library), a big message by TLS and in clear.
#
# BENCH_DIR  folder of the instance (/var/tmp)    BENCH_SECONDS  of handshakes (10)    BENCH_BYTES  of the message (50000000)
cd "$(dirname "$0")/.." || exit 1
B=${B:-build}
export DAWK_BIN=${DAWK_BIN:-$B/bin} TMPDIR=${BENCH_DIR:-/var/tmp} WAIT_SECONDS=60
SECONDS_OF=${BENCH_SECONDS:-10} BYTES=${BENCH_BYTES:-50000000}
# shellcheck source=tests/lib/suite.bash
. tests/lib/suite.bash
row() { printf '%-64s %14s\n' "$1" "$2"; }
calculate() { awk "BEGIN { printf \"$1\", $2 }"; }
memory_kb() {
	local pid
	for pid in $(suite_processes); do cat "/proc/$pid/smaps_rollup" 2>/dev/null; done |
		awk -v field="^$1:" '$0 ~ field { t += $2 } END { print t + 0 }'
}
cpu_ms() {	# PID..
	local pid
	for pid; do sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null; done |
		awk -v hz="$(getconf CLK_TCK)" '{ t += $12 + $13 } END { printf "%d", t * 1000 / hz }'
}
port_of() { local listener; listener=$($DAWK config "$1"); echo "${listener##*:}"; }

idle() {	# NAME PORT
	local count pss private held out
	out=$(mktemp -u)	# not below $SUITE: the client's memory is not the instance's
	for count in 10 1000; do
		[ $count = 10 ] || suite_restart "$1"	# what connections of before gave back is at hand for the next
		pss=$(memory_kb Pss) private=$(memory_kb 'Private_(Clean|Dirty)')
		bench/tls-client.py hold "$2" $count "$out" &
		held=$!
		wait_until test -s "$out"
		row "$1: $count idle connections in TLS, memory each (PSS)" "$(calculate %.1f "($(memory_kb Pss) - $pss) / $count") KB"
		row "  private memory each" "$(calculate %.1f "($(memory_kb 'Private_(Clean|Dirty)') - $private) / $count") KB"
		rm "$out"
		wait $held
	done
}

# Full handshakes of one client, one after the other; prints how many, and the CPU in ms of each.
handshakes() {	# PORT VERSION PID..
	local port=$1 version=$2 before count
	shift 2
	before=$(cpu_ms "$@")
	count=$(openssl s_time -connect "127.0.0.1:$port" -new "$version" -time "$SECONDS_OF" 2>/dev/null |
		sed -n 's/^\([0-9]*\) connections in [0-9]* real.*/\1/p')
	calculate '%d %.3f' "${count:-0}, ($(cpu_ms "$@") - $before) / ${count:-1}"
}

handshake() {
	local version port server ours theirs before clear
	# shellcheck disable=SC2046
	set -- $(group_members "$(suite_pid smtpd)")
	before=$(cpu_ms "$@")
	bench/tls-client.py knock "$SMTP_PORT" 3000
	clear=$(calculate %.3f "($(cpu_ms "$@") - $before) / 3000")
	row "a connection in clear, its greeting and log line, CPU" "$clear ms"
	port=$("$TOOLS/free-ports.py" 1)
	gnutls-serv --echo --quiet --port "$port" --x509certfile "$SUITE/etc/keys/self-signed.crt" --x509keyfile "$SUITE/etc/keys/self-signed.key" \
		--priority "NORMAL:-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1" >/dev/null 2>&1 &
	server=$!
	wait_until port_is_open "$port"
	for version in -tls1_3 -tls1_2; do
		ours=$(handshakes "$(port_of listen-submissions)" $version "$@")
		theirs=$(handshakes "$port" $version $server)
		row "handshake, ECDSA P-256, ${version#-}: smtpd with keyd, CPU" "${ours#* } ms"
		row "  gnutls-serv, its key in the process" "${theirs#* } ms"
		row "  ratio (of ${ours% *} and ${theirs% *})" "$(calculate %.2f "${ours#* } / ${theirs#* }")"
		row "  ratio without what such a connection costs in clear" "$(calculate %.2f "(${ours#* } - $clear) / ${theirs#* }")"
	done
	kill $server
	wait $server 2>/dev/null
	"$TOOLS/free-ports.py" --release "$port"
}

big() {
	local how result before best=()
	for how in clear tls; do
		best=()
		# shellcheck disable=SC2046
		before=$(cpu_ms $(group_members "$(suite_pid smtpd)"))
		for _ in 1 2 3 4 5; do best+=("$(bench/tls-client.py send "$SMTP_PORT" "$BYTES" $how)"); done
		result=$(printf '%s\n' "${best[@]}" | sort -n | head -n 1)
		row "a message of $BYTES bytes, $how, best of 5" "$(calculate %.1f "$BYTES / 1000000 / ${result% *}") MB/s"
		# shellcheck disable=SC2046
		row "  CPU of smtpd for one" "$(calculate %.0f "($(cpu_ms $(group_members "$(suite_pid smtpd)")) - $before) / 5") ms"
		row "  CPU of the client" "$(calculate %.0f "1000 * ${result#* }") ms"
		[ $how = clear ] && clear=${result% *}
		rm -f "$SUITE"/queue/new/*
	done
	row "  by TLS, of clear" "$(calculate %.0f "100 * $clear / ${result% *}") %"
}

# shellcheck disable=SC2034
SUITE_SERVICES="smtpd pop3d"
suite_make --submissions "127.0.0.1:$("$TOOLS/free-ports.py" 1)" --pop3s "127.0.0.1:$("$TOOLS/free-ports.py" 1)" \
	--set 'smtp-timeout = 1h' --set 'pop3-timeout = 1h' --set 'client-limit = 20000' --set 'message-size-limit = 200M' || exit 1
trap 'BATS_TEST_COMPLETED=1 suite_stop; "$TOOLS/free-ports.py" --release $ports' EXIT
ports="$(port_of listen-submissions) $(port_of listen-pop3s)"
suite_run || exit 1
echo "$("$BIN/dawk" -V), $(nproc) cores shared with the client, $(stat -f -c %T "$TMPDIR") below $TMPDIR"
idle smtpd "$(port_of listen-submissions)"
idle pop3d "$(port_of listen-pop3s)"
handshake
big
