# dawk attack: all holds on an instance of ours; each weakness of a weak server is found.
load ../lib/suite
load ../lib/certificates
load ../lib/net

setup() { suite_make --set 'relay-networks = none' --set 'clear-login = none' --submission "127.0.0.1:$("$TOOLS/free-ports.py" 1)" "$@"; }
teardown() {
	[[ -z ${server:-} ]] || kill "$server" 2>/dev/null
	[[ -z ${NET_PID:-} ]] || kill "$NET_PID" 2>/dev/null
	suite_stop
}

# weak KIND [ADDRESS]: sets PORT
weak() {
	[[ -e $SUITE/weak.crt ]] || openssl req -x509 -newkey rsa:2048 -nodes -keyout "$SUITE/weak.key" -out "$SUITE/weak.crt" -days 2 -subj /CN=weak.example 2>/dev/null
	cat "$SUITE/weak.key" "$SUITE/weak.crt" >"$SUITE/weak.pem"
	${IN_NET:-} "$TOOLS/weak-server.py" "$1" "${2:-127.0.0.1}" "$SUITE/weak.pem" >"$SUITE/port" 2>>"$SUITE/stderr/weak" 3>&- &
	server=$!
	wait_until test -s "$SUITE/port"
	PORT=$(cat "$SUITE/port")
}
outcome_of() { grep -E "^(held|OPEN|skip) +$1" <<<"$output" | head -n 1 | cut -c 1-4; }
all_are() {	# OUTCOME TRY..
	local want=$1 try
	shift
	for try in "$@"; do
		[[ $(outcome_of "$try") == "$want" ]] || { echo "$try: $(outcome_of "$try"), not $want"; return 1; }
	done
}

@test "all that is tried against an instance holds, on every port; no mail leaves it, and its postmaster alone got some" {
	suite_run
	run -0 timeout 400 $DAWK attack 127.0.0.1
	[[ $output == *' 0 open, '* ]]
	all_are held 'relay: percent hack ' 'relay: quoted address at ours' 'relay: source route ' 'relay: UTF-8 domain' 'relay from: nobody' \
		'smuggling: LF . LF ' 'smuggling: CR . CR ' 'smuggling: the end of DATA in a BDAT' 'names: VRFY' 'names: RCPT guesses' 'names: USER' \
		'clear: AUTH offered' 'clear: login offered' 'injection: a command behind STARTTLS' 'injection: a command behind STLS' \
		'old TLS: TLS 1.0' 'limits: a line of 4 MB' 'limits: errors' 'limits: recipients' 'names: words of a failed login'
	wait_until queue_is_empty
	run -1 grep -v 'from=postmaster@local.example' <(grep 'smtpd accepted' "$SUITE/stderr/smtpd")
	run -1 logged queued '^queued .*example.org'
}

@test "each weakness of a weak SMTP server is found, and the exit code says so" {
	weak smtp
	run -1 timeout 300 $DAWK attack "127.0.0.1:$PORT"
	all_are OPEN 'relay: plainly' 'relay: percent hack ' 'relay: bang path ' 'relay: source route ' 'relay: fullwidth at' 'relay from: nobody' \
		'smuggling: LF . LF ' 'smuggling: LF . CR LF' 'smuggling: CR LF . LF' 'smuggling: CR . CR ' 'smuggling: CR LF NUL . CR LF' \
		'smuggling: the end of DATA in a BDAT' 'smuggling: commands in a BDAT that is refused' 'smuggling: DATA behind BDAT' \
		'smuggling: BDAT of 0x10 bytes' \
		'names: VRFY' 'names: EXPN' 'names: RCPT guesses' 'names: words of a failed login' 'names: time of a failed login' \
		'clear: AUTH offered' 'clear: AUTH PLAIN' 'clear: AUTH LOGIN' 'injection: a command behind STARTTLS' \
		'injection: a sender from before STARTTLS' 'old TLS: TLS 1.0' 'old TLS: TLS 1.1' \
		'limits: a line of 100,000 bytes' 'limits: a line of 4 MB' 'limits: commands in an HTTP request' 'limits: errors' \
		'limits: commands without result' 'limits: recipients' 'limits: SIZE of a message'
}

@test "each weakness of a weak POP3 server is found" {
	weak pop3
	run -1 timeout 300 $DAWK attack "127.0.0.1:$PORT"
	all_are OPEN 'names: USER' 'clear: login offered' 'clear: USER' 'clear: AUTH PLAIN' \
		'injection: a command behind STLS' 'old TLS: TLS 1.0' 'limits: errors'
}

@test "a host that hangs up in the midst of what is sent under TLS ends a try, not all of them" {
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$SUITE/short.key" -out "$SUITE/short.crt" -days 2 -subj /CN=short.example 2>/dev/null
	python3 -c '
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
while True:
    connection = server.accept()[0]
    try:
        connection = context.wrap_socket(connection, server_side=True)
        connection.sendall(b"+OK\r\n")
        connection.recv(100)
        connection.shutdown(socket.SHUT_WR)	# then, with bytes unread, a reset: the next write there is a broken pipe
    except OSError:
        pass
    connection.close()' "$SUITE/short.crt" "$SUITE/short.key" >"$SUITE/port" 2>/dev/null 3>&- & server=$!
	wait_until test -s "$SUITE/port"
	echo "listen-pop3s = 127.0.0.1:$(cat "$SUITE/port")" >>"$SUITE/etc/dawk.conf"
	run timeout 300 $DAWK attack "127.0.0.1:$(cat "$SUITE/port")"
	[[ $status == [01] && $output == *'limits: errors'*' open, '* ]]
}

@test "the JSON form has every try with its outcome" {
	weak pop3
	run -1 timeout 300 $DAWK attack --json "127.0.0.1:$PORT"
	python3 -c 'import json, sys
a = json.loads(sys.argv[1])
assert a["open"] > 5 and a["open"] == sum(t["outcome"] == "OPEN" for t in a["tries"]), a
assert {"target", "try", "outcome", "words"} <= set(a["tries"][0])' "$output"
}

@test "a host that is not this one is not attacked without --i-may" {
	run -77 $DAWK attack 192.0.2.55
	[[ $output == *'192.0.2.55 is not this host; --i-may says that you may do this to it'* ]]
	run -64 $DAWK attack
	run -64 $DAWK attack --what 127.0.0.1
	run -64 $DAWK attack 127.0.0.1:99999
}

@test "where our address may relay and log in clearly by the configuration, nothing is said of it" {
	sed -i '/^relay-networks/d; /^clear-login/d' "$SUITE/etc/dawk.conf"
	suite_run
	run -0 timeout 300 $DAWK attack "127.0.0.1:$SMTP_PORT"
	[[ $(outcome_of relay) == skip && $output == *'our address is in relay-networks and may relay'* ]]
	run -0 timeout 300 $DAWK attack "127.0.0.1:$POP3_PORT"
	[[ $output == *'our address is in clear-login and may'* ]]
}

@test "what is asked of strangers alone is tried from an address that is no loopback: early talk, floods, a byte at a time" {
	[[ $(id -u) == 0 ]] || return 0
	net_make
	in_net ip addr add 192.0.2.1/32 dev lo
	sed -i "s/^listen-smtp.*/listen-smtp = 192.0.2.1:$SMTP_PORT/" "$SUITE/etc/dawk.conf"
	printf 'smtp-timeout = 3s\nclient-limit = 20\n' >>"$SUITE/etc/dawk.conf"
	: >"$SUITE/stderr/smtpd"
	exec_in_net setsid "$BIN/smtpd" -c "$SUITE/etc/dawk.conf" </dev/null >>"$SUITE/stderr/smtpd" 2>&1 3>&- &
	echo $! >"$SUITE/pid/smtpd"
	wait_until logged smtpd 'started part=authd'
	run -0 in_net timeout 300 $DAWK attack --slow "192.0.2.1:$SMTP_PORT"
	all_are held 'limits: talking before the greeting' 'limits: connections from one address' 'limits: a byte at a time' 'relay: plainly'
	IN_NET=exec_in_net weak smtp 192.0.2.1
	run -1 in_net timeout 300 $DAWK attack "192.0.2.1:$PORT"
	all_are OPEN 'limits: talking before the greeting' 'limits: connections from one address'
}
