# remoted alone: a driver plays queued, a server with odd manners plays the next host.
load ../lib/suite

setup() {
	SUITE_SERVICES="" suite_make
	mkdir "$SUITE/odd"
	printf 'Subject: hi\r\n\r\n.a dot\r\nhello\r\n' >"$SUITE/message"
}
teardown() {
	[[ -z ${ODD_PID:-} ]] || { kill "$ODD_PID" 2>/dev/null; wait "$ODD_PID" 2>/dev/null || true; }
	rm -rf "$SUITE"
}

odd_server() {
	"$TOOLS/odd-server.py" "$SUITE/odd" "$@" </dev/null >/dev/null 2>&1 3>&- 4>&- &
	ODD_PID=$!
	wait_until test -e "$SUITE/odd/port"
	ODD_PORT=$(cat "$SUITE/odd/port")
}
route() { echo "odd.example ${1:-smtp:[127.0.0.1]:$ODD_PORT}" >"$SUITE/etc/routes"; $DAWK update >/dev/null; }
# send_it COUNT RCPT..: its lines about results in $output
send_it() {
	run -0 "${BIN%/bin}/tool/remote_driver" "$BIN" "$SUITE/etc/dawk.conf" odd.example bob@client.example "$SUITE/message" "$@"
}
commands() { cat "$SUITE/odd/commands"; }

@test "a message reaches the next host whole, its dots stuffed (RFC 5321 4.5.2)" {
	odd_server
	route
	send_it 1 alice@odd.example
	[[ $output == *"result 0 0 relayed 2.0.0 [127.0.0.1] 250 2.0.0 taken"* ]]
	cmp "$SUITE/odd/message.1" <(printf 'Subject: hi\r\n\r\n..a dot\r\nhello\r\n.\r\n')
}

@test "a CR or LF alone leaves as CRLF, so that nothing can be read in two ways (RFC 5321 2.3.8)" {
	odd_server
	route
	printf 'a\n.\nb\r.\rc\r\n.\r\nd' >"$SUITE/message"
	send_it 1 alice@odd.example
	cmp "$SUITE/odd/message.1" <(printf 'a\r\n..\r\nb\r\n..\r\nc\r\n..\r\nd\r\n.\r\n')
}

@test "a host that knows no EHLO gets HELO (RFC 5321 3.2)" {
	odd_server no-ehlo
	route
	send_it 1 alice@odd.example
	[[ $output == *"0 0 relayed"* ]]
	commands | grep -q '^HELO mail.local.example$'
}

@test "each recipient gets its own verdict (RFC 5321 3.3)" {
	odd_server 'rcpt=nobody:550 5.1.1 no such user' 'rcpt=full:452 4.2.2 no room' 'rcpt=old:552 too many'
	route
	send_it 1 alice@odd.example nobody@odd.example full@odd.example old@odd.example
	[[ $output == *"0 0 relayed 2.0.0"* ]]
	[[ $output == *"0 1 failed 5.1.1 [127.0.0.1] 550 5.1.1 no such user"* ]]
	[[ $output == *"0 2 deferred 4.2.2 [127.0.0.1] 452 4.2.2 no room"* ]]
	[[ $output == *"0 3 deferred 4."*"552 too many"* ]]
	commands | grep -c '^RCPT' | grep -qx 4
}

@test "the same without PIPELINING: one command at a time (RFC 2920)" {
	odd_server no-pipelining slow 'rcpt=nobody:550 5.1.1 no such user'
	route
	send_it 1 alice@odd.example nobody@odd.example
	[[ $output == *"0 0 relayed 2.0.0"* && $output == *"0 1 failed 5.1.1"* ]]
}

@test "no content goes out when no recipient was taken, and a 354 in spite of it is ended empty" {
	odd_server 'at=rcpt:550 5.7.1 go away' 'at=data:354 go on'
	route
	send_it 1 alice@odd.example bob@odd.example
	[[ $output == *"0 0 failed 5.7.1"* && $output == *"0 1 failed 5.7.1"* ]]
	cmp "$SUITE/odd/message.1" <(printf '.\r\n')
}

@test "a multi-line reply is one reply, and its words are kept (RFC 5321 4.2.1)" {
	odd_server 'at=rcpt:550-5.1.1 no such user\r\n550 5.1.1 ask the postmaster'
	route
	send_it 1 alice@odd.example
	[[ $output == *"failed 5.1.1 [127.0.0.1] 550 5.1.1 no such user / 5.1.1 ask the postmaster"* ]]
}

@test "a lost connection defers, at every point of the session (RFC 5321 4.5.4.1)" {
	local state
	for state in greet ehlo mail rcpt data dot; do
		rm -f "$SUITE"/odd/*
		odd_server "drop=$state"
		route
		send_it 1 alice@odd.example
		[[ $output == *"0 0 deferred 4.4."* ]] || { echo "$state: $output"; false; }
		kill "$ODD_PID"
		wait "$ODD_PID" || :
	done
}

@test "garbage, endless replies and endless lines end the session in bounded time and defer" {
	local habit
	for habit in 'at=mail:hello there' endless=mail long=rcpt endless=greet 'at=rcpt:250-a\r\n550 b' 'at=dot:999 x'; do
		rm -f "$SUITE"/odd/*
		odd_server "$habit"
		route
		send_it 1 alice@odd.example
		[[ $output == *"0 0 deferred 4.4.2"* || $output == *"0 0 deferred 4.4.1"* ]] || { echo "$habit: $output"; false; }
		kill "$ODD_PID"
		wait "$ODD_PID" || :
	done
}

@test "a 421 defers with the host's words" {
	odd_server 'at=mail:421 4.3.2 closing for tea'
	route
	send_it 1 alice@odd.example
	[[ $output == *"deferred 4.3.2 [127.0.0.1] 421 4.3.2 closing for tea"* ]]
}

@test "any 2xx to MAIL and RCPT is a yes (RFC 5321 4.2.1)" {
	odd_server 'at=mail:251 ok' 'rcpt=alice:252 cannot verify it' 'rcpt=bob:200 ok'
	route
	send_it 1 alice@odd.example bob@odd.example
	[[ $output == *"0 0 relayed 2.0.0"* && $output == *"0 1 relayed 2.0.0"* ]]
}

@test "a greeting and an answer to EHLO that mean nothing put the message off, with a status that says so" {
	local habit
	for habit in 'at=greet:250 hi' 'at=greet:354 2.1.0 hi' 'at=ehlo:251 hi' 'at=ehlo:354 3.0.0 hi'; do
		rm -f "$SUITE"/odd/*
		odd_server "$habit"
		route
		send_it 1 alice@odd.example
		[[ $output == *"0 0 deferred 4."* ]] || { echo "$habit: $output"; false; }
		kill "$ODD_PID"
		wait "$ODD_PID" || :
	done
}

@test "an unreachable host defers, and says which address refused" {
	route "smtp:[127.0.0.1]:1"
	send_it 1 alice@odd.example
	[[ $output == *"deferred 4.4.1 - connect to [127.0.0.1]:1: Connection refused"* ]]
}

@test "an envelope of a thousand recipients goes out in groups, each with its verdict (RFC 2920)" {
	odd_server 'rcpt=r500:550 5.1.1 no such user'
	route
	mapfile -t names < <(printf 'r%d@odd.example\n' {1..1000})
	send_it 1 "${names[@]}"
	[[ $(grep -c ' relayed ' <<<"$output") -eq 999 && $output == *"0 499 failed 5.1.1"* ]]
	commands | grep -c '^RCPT' | grep -qx 1000
}

@test "a sender that is refused ends the envelope, whatever of it is under way (RFC 2920)" {
	odd_server 'at=mail:550 5.7.1 not you'
	route
	mapfile -t names < <(printf 'r%d@odd.example\n' {1..300})
	send_it 1 "${names[@]}"
	[[ $(grep -c ' failed 5.7.1 ' <<<"$output") -eq 300 ]]
	run ! grep -q '^DATA' <<<"$(commands)"
}

@test "a message larger than the host's SIZE is reported, not sent (RFC 1870)" {
	odd_server size=10
	route
	send_it 1 alice@odd.example
	[[ $output == *"failed 5.3.4"* ]]
	[[ ! -e $SUITE/odd/message.1 ]]
}

@test "8-bit text for a host without 8BITMIME is reported, never damaged (RFC 6152 3)" {
	odd_server no-8bitmime
	route
	printf 'Subject: hi\r\n\r\ngr\xc3\xbc\xc3\x9fe\r\n' >"$SUITE/message"
	send_it 1 alice@odd.example
	[[ $output == *"failed 5.6.3"* ]]
	printf 'Subject: hi\r\n\r\nplain\r\n' >"$SUITE/message"
	send_it 1 alice@odd.example
	[[ $output == *"relayed 2.0.0"* ]]
}

@test "many messages go over few connections, which are kept for a while" {
	odd_server
	route
	send_it 20 alice@odd.example
	[[ $(grep -c 'relayed 2.0.0' <<<"$output") == 20 ]]
	[[ $(find "$SUITE/odd" -name "message.*" | wc -l) == 20 ]]
}

@test "LMTP gives each recipient its own answer after the data (RFC 2033 4.2)" {
	odd_server lmtp 'rcpt=nobody:550 5.1.1 no such user' 'dot=full:452 4.2.2 no room'
	route "lmtp:[127.0.0.1]:$ODD_PORT"
	send_it 1 alice@odd.example nobody@odd.example full@odd.example bob@odd.example
	[[ $output == *"0 0 delivered 2.0.0"* && $output == *"0 1 failed 5.1.1"* ]]
	[[ $output == *"0 2 deferred 4.2.2"* && $output == *"0 3 delivered 2.0.0"* ]]
	commands | grep -q '^LHLO '
}

@test "LMTP goes over a Unix socket too (RFC 2033)" {
	odd_server lmtp "unix=$SUITE/odd.socket"
	chmod 755 "$SUITE"
	route "lmtp:unix:$SUITE/odd.socket"
	send_it 1 alice@odd.example
	[[ $output == *"0 0 delivered 2.0.0"* ]]
}

@test "a Unix socket is this host itself: mail that requires TLS goes there, and no parameter is said that is not offered (RFC 5321 2.2.1)" {
	odd_server lmtp "unix=$SUITE/odd.socket"
	chmod 755 "$SUITE"
	route "lmtp:unix:$SUITE/odd.socket"
	REMOTE_FLAGS=8 send_it 1 alice@odd.example
	[[ $output == *"0 0 delivered 2.0.0"* ]]
	commands | grep -qx 'MAIL FROM:<bob@client.example>'
}

@test "a host that takes chunks gets the message by BDAT, with its envelope, its dots as they are (RFC 3030 2)" {
	odd_server chunking
	route
	send_it 1 alice@odd.example bob@odd.example
	[[ $output == *"0 0 relayed 2.0.0 [127.0.0.1] 250 2.0.0 taken"* && $output == *"0 1 relayed 2.0.0"* ]]
	cmp "$SUITE/odd/message.1" "$SUITE/message"
	commands | grep -qx 'BDAT 30 LAST'
	run ! grep -q '^DATA' <<<"$(commands)"
}

@test "by BDAT too a CR or LF alone leaves as CRLF, and the last line is ended" {
	odd_server chunking
	route
	printf 'a\n.\nb\r.\rc\r\n.\r\nd' >"$SUITE/message"
	send_it 1 alice@odd.example
	cmp "$SUITE/odd/message.1" <(printf 'a\r\n.\r\nb\r\n.\r\nc\r\n.\r\nd\r\n')
	: >"$SUITE/message"
	send_it 1 alice@odd.example
	commands | grep -qx 'BDAT 0 LAST'
}

@test "a large message goes in chunks, one behind the other with PIPELINING, else one at a time (RFC 3030 2)" {
	local habit
	{ printf 'Subject: large\r\n\r\n'; yes '.a line of some length, again and again' | head -n 6000 | sed 's/$/\r/'; } >"$SUITE/message"
	for habit in dsn no-pipelining; do
		rm -f "$SUITE"/odd/*
		odd_server chunking $habit 'rcpt=nobody:550 5.1.1 no such user'
		route
		send_it 2 alice@odd.example nobody@odd.example
		[[ $(grep -c 'failed 5.1.1' <<<"$output") == 2 && $(grep -cE ' 0 (relayed|\?) 2.0.0' <<<"$output") == 2 ]]
		cmp "$SUITE/odd/message.1" "$SUITE/message"
		cmp "$SUITE/odd/message.2" "$SUITE/message"
		[[ $(commands | grep -c '^BDAT [0-9]*$') -ge 10 && $(commands | grep -c '^BDAT [0-9]* LAST$') == 2 ]]
		kill "$ODD_PID"
		wait "$ODD_PID" || :
	done
}

@test "a small message whose recipients are all refused was sent in vain, and the connection lives on (RFC 3030 2)" {
	odd_server chunking 'rcpt=nobody:550 5.1.1 no such user'
	route
	send_it 1 nobody@odd.example
	[[ $output == *"0 0 failed 5.1.1 [127.0.0.1] 550 5.1.1 no such user"* ]]
	[[ ! -e $SUITE/odd/message.1 ]]
	kill "$ODD_PID"
	wait "$ODD_PID" || :
	rm -f "$SUITE"/odd/*
	odd_server chunking 'at=mail:550 5.7.1 not you' 'at=rcpt:503 5.5.1 MAIL first'
	route
	send_it 1 alice@odd.example
	[[ $output == *"0 0 failed 5.7.1 [127.0.0.1] 550 5.7.1 not you"* && ! -e $SUITE/odd/message.1 ]]
}

@test "a chunk that is refused is the end of the message, with the host's words" {
	local size
	for size in 1 6000; do
		yes 'a line of some length, again and again' | head -n $size | sed 's/$/\r/' >"$SUITE/message"
		rm -f "$SUITE"/odd/*
		odd_server chunking 'at=dot:552 5.3.4 too large' 'at=bdat:552 5.3.4 too large'
		route
		send_it 1 alice@odd.example
		[[ $output == *"0 0 failed 5.3.4 [127.0.0.1] 552 5.3.4 too large"* ]] || { echo "$size: $output"; false; }
		kill "$ODD_PID"
		wait "$ODD_PID" || :
	done
}

@test "answers that nobody asked for, in the midst of chunks, mean nothing to the message: it is not whole there yet" {
	# more than sockets hold, so that the answers to the first chunk come before the last one is out; and more answers than chunks
	{ printf 'Subject: large\r\n\r\n'; head -c 20000000 /dev/zero | tr '\0' x | fold -w 76 | sed 's/$/\r/'; } >"$SUITE/message"
	odd_server chunking "at=bdat:250 ok$(printf '\\r\\n250 ok%.0s' {1..1000})"
	route
	send_it 1 alice@odd.example
	[[ $output == *"0 0 deferred 4."* && ! -e $SUITE/odd/message.1 ]] || { echo "$output"; false; }
}

@test "a host that offers CHUNKING and knows no BDAT costs a deferral, not the message" {
	odd_server chunking 'at=dot:500 5.5.1 what is BDAT?'
	route
	send_it 1 alice@odd.example
	[[ $output == *"0 0 deferred 4.5.1 [127.0.0.1] 500 5.5.1 what is BDAT?"* ]]
}

@test "chunking=no in the site table: DATA, whatever is offered" {
	odd_server chunking
	route
	echo 'odd.example chunking=no' >"$SUITE/etc/site"
	$DAWK update >/dev/null
	send_it 1 alice@odd.example
	[[ $output == *"0 0 relayed 2.0.0"* ]]
	commands | grep -qx DATA
	run ! grep -q '^BDAT' <<<"$(commands)"
}

@test "LMTP by BDAT: each recipient has its own answer to the last chunk (RFC 2033, RFC 3030)" {
	local lines
	for lines in 2 6000; do
		yes 'a line of some length, again and again' | head -n $lines | sed 's/$/\r/' >"$SUITE/message"
		rm -f "$SUITE"/odd/*
		odd_server lmtp chunking 'rcpt=nobody:550 5.1.1 no such user' 'dot=full:452 4.2.2 no room'
		route "lmtp:[127.0.0.1]:$ODD_PORT"
		send_it 1 alice@odd.example nobody@odd.example full@odd.example bob@odd.example
		[[ $output == *"0 0 delivered 2.0.0"* && $output == *"0 1 failed 5.1.1"* ]]
		[[ $output == *"0 2 deferred 4.2.2"* && $output == *"0 3 delivered 2.0.0"* ]]
		cmp "$SUITE/odd/message.1" "$SUITE/message"
		kill "$ODD_PID"
		wait "$ODD_PID" || :
	done
}

# The most bytes that one process sent between two waits of its loop.
most_in_a_turn() {
	awk '{ pid = $1 } /epoll_p?wait/ { sum[pid] = 0 } /(sendto|sendmsg|write)\(.* = [0-9]+$/ { sum[pid] += $NF; if (sum[pid] > most) most = sum[pid] }
		END { print most }' "$1"
}

@test "a large message to a fast host goes out in pieces, between which others have their turn" {
	local habit
	{ printf 'Subject: large\r\n\r\n'; head -c 8000000 /dev/zero | tr '\0' x | fold -w 76 | sed 's/$/\r/'; } >"$SUITE/message"
	for habit in size=99999999 chunking; do
		rm -f "$SUITE"/odd/*
		odd_server $habit
		route
		run -0 strace -f -e trace=sendto,epoll_wait,epoll_pwait,epoll_pwait2 -o "$SUITE/trace" \
			"${BIN%/bin}/tool/remote_driver" "$BIN" "$SUITE/etc/dawk.conf" odd.example bob@client.example "$SUITE/message" 1 alice@odd.example
		[[ $output == *"0 0 relayed 2.0.0"* ]] || { echo "$output"; false; }
		(($(stat -c %s "$SUITE/odd/message.1") >= 8000000))
		(($(most_in_a_turn "$SUITE/trace") <= 600000)) || { most_in_a_turn "$SUITE/trace"; false; }
		kill "$ODD_PID"
		wait "$ODD_PID" || :
	done
}

@test "a control character in an address never becomes a second command (RFC 5321 4.1.2)" {
	odd_server
	route
	send_it 1 alice@odd.example $'x\r\nRCPT TO:<victim@odd.example>\r\nNOOP@odd.example'
	[[ $(grep -c 'deferred 4.3.0' <<<"$output") == 2 && $output == *"the envelope holds what can't be sent"* ]]
	run ! grep -q victim <<<"$(commands)"
	run -0 "${BIN%/bin}/tool/remote_driver" "$BIN" "$SUITE/etc/dawk.conf" odd.example $'b\r\nRSET\r\n@client.example' "$SUITE/message" 1 alice@odd.example
	[[ $output == *"deferred 4.3.0"* ]]
	run ! grep -q '^RSET' <<<"$(commands)"
}
