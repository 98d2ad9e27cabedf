# A gateway asks the host of a relay domain whether it takes a recipient, at RCPT, so that it need not report later.
load ../lib/suite

setup() { export SUITE_SERVICES=smtpd; }
teardown() {
	[[ -z ${ODD_PID:-} ]] || { kill "$ODD_PID" 2>/dev/null; wait "$ODD_PID" 2>/dev/null || true; }
	suite_stop
}

inner_host() {
	[[ -z ${ODD_PID:-} ]] || { kill "$ODD_PID"; wait "$ODD_PID" 2>/dev/null || :; }
	rm -rf "$SUITE/odd"
	mkdir "$SUITE/odd"
	"$TOOLS/odd-server.py" "$SUITE/odd" "$@" </dev/null >/dev/null 2>&1 3>&- 4>&- &
	ODD_PID=$!
	wait_until test -e "$SUITE/odd/port"
	route "smtp:[127.0.0.1]:$(cat "$SUITE/odd/port")"
}
route() { echo "inner.example $1" >"$SUITE/etc/routes" && $DAWK update >/dev/null; }
gateway() { suite_make --set 'relay-domains = inner.example other.example' --set 'relay-networks = none' --set 'error-limit = 100' "$@"; }
asked() { cat "$SUITE/odd/commands"; }

rcpt() {	# ADDRESS REPLY
	run -0 talk --timeout 60 smtpd <<-END
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<bob@client.example>
		S: 250
		C: RCPT TO:<$1>
		S: $2
		C: QUIT
		S: 221
	END
}

@test "what the inner host refuses is refused here, with its words; what it takes is taken (RFC 5321 3.6.2, 4.5.5)" {
	gateway
	inner_host 'rcpt=nobody:550 5.1.1 no such user'
	suite_run
	rcpt alice@inner.example '250 2.1.5'
	rcpt nobody@inner.example '550 5.1.1 the host of this domain refuses the recipient: 550 5.1.1 no such user'
	asked | grep -qx 'MAIL FROM:<>'
	asked | grep -qx 'RCPT TO:<nobody@inner.example>'
	run ! grep -qE '^(DATA|BDAT)' <<<"$(asked)"
	wait_until logged smtpd 'recipient-asked to=nobody@inner.example verdict=refused'
	[[ ! -e $SUITE/odd/message.1 ]]
}

@test "an answer is remembered for all workers, whatever the case of the letters" {
	gateway --set 'smtpd-workers = 3'
	inner_host 'rcpt=nobody:550 5.1.1 no such user'
	suite_run
	for i in {1..6}; do
		rcpt nobody@inner.example 550
		rcpt NoBody@Inner.Example 550
		rcpt alice@inner.example 250
	done
	[[ $(asked | grep -c '^RCPT') == 2 ]]
}

@test "several recipients of one transaction are asked one by one, over few connections" {
	gateway
	inner_host 'rcpt=nobody:550 5.1.1 no such user'
	suite_run
	run -0 talk smtpd <<-'END'
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<bob@client.example>
		C: RCPT TO:<alice@inner.example>
		C: RCPT TO:<nobody@inner.example>
		C: RCPT TO:<carol@inner.example>
		C: RCPT TO:<alice@local.example>
		C: DATA
		S: 250 2.1.0
		S: 250 2.1.5
		S: 550 5.1.1
		S: 250 2.1.5
		S: 250 2.1.5
		S: 354
		C: Subject: hi
		C:
		C: .
		S: 250 2.0.0
	END
	[[ $(asked | grep -c '^EHLO') -le 3 && $(asked | grep -c '^RCPT') == 3 ]]
	queue_holds 1
}

@test "what it does not take now comes again later" {
	gateway
	inner_host 'rcpt=full:452 4.2.2 mailbox full' 'rcpt=grey:450 4.2.0 greylisted'
	suite_run
	rcpt full@inner.example '450 4.2.0 the host of this domain does not take the recipient now: 452 4.2.2 mailbox full'
	rcpt grey@inner.example '450 4.2.0'
}

@test "for a host that is away a backup MX takes the mail (RFC 5321 5.1); relay-away = defer puts it off" {
	gateway
	route 'smtp:[127.0.0.1]:1'
	suite_run
	rcpt alice@inner.example '250 2.1.5'
	wait_until logged smtpd 'recipient-asked to=alice@inner.example verdict=away words=.*Connection refused'
	echo 'relay-away = defer' >>"$SUITE/etc/dawk.conf"
	suite_restart smtpd
	rcpt alice@inner.example "451 4.4.1 the host of this domain can't be asked now"
}

@test "while it is away what it said before counts" {
	gateway
	inner_host 'rcpt=nobody:550 5.1.1 no such user'
	suite_run
	rcpt nobody@inner.example 550
	kill "$ODD_PID"
	wait "$ODD_PID" || :
	ODD_PID=
	rcpt nobody@inner.example 550
	rcpt carol@inner.example 250
}

@test "a host that refuses our sender, hangs up or talks nonsense can't be asked" {
	gateway --set 'relay-away = defer'
	for habit in 'at=mail:550 5.7.1 not you' drop=rcpt 'at=greet:554 no' 'at=ehlo:hello' drop=ehlo; do
		inner_host "$habit"
		suite_run
		rcpt alice@inner.example '451 4.4.1'
		suite_end smtpd
	done
}

@test "a host that does not answer costs one client ten seconds, the next ones nothing" {
	gateway --set 'relay-away = defer'
	/usr/bin/python3 -c 'import socket, sys, time
s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1], flush=True); time.sleep(300)' >"$SUITE/mute" 3>&- 4>&- &
	ODD_PID=$!
	wait_until test -s "$SUITE/mute"
	route "smtp:[127.0.0.1]:$(cat "$SUITE/mute")"
	suite_run
	rcpt alice@inner.example '451 4.4.1'
	before=$SECONDS
	for i in {1..10}; do rcpt "u$i@inner.example" '451 4.4.1'; done
	((SECONDS - before < 50))	# and not a hundred
}

@test "a recipient in the table is not asked about, nor is anybody with relay-check = table" {
	gateway
	inner_host 'rcpt=listed:550 5.1.1 no such user' 'rcpt=nobody:550 5.1.1 no such user'
	echo 'listed@inner.example' >"$SUITE/etc/relay-recipients"
	$DAWK update >/dev/null
	suite_run
	rcpt listed@inner.example 250
	rcpt nobody@inner.example '550 5.1.1 no such recipient here'
	[[ ! -e $SUITE/odd/commands ]]
	suite_end smtpd
	: >"$SUITE/etc/relay-recipients"
	$DAWK update >/dev/null
	echo 'relay-check = table' >>"$SUITE/etc/dawk.conf"
	suite_run
	rcpt nobody@inner.example 250
	[[ ! -e $SUITE/odd/commands ]]
	[[ -z $(pgrep -f -- "^remoted -c $SUITE/") ]]
}

@test "remoted killed: the next client is served by another one" {
	gateway
	inner_host 'rcpt=nobody:550 5.1.1 no such user'
	suite_run
	rcpt nobody@inner.example 550
	kill -KILL "$(pgrep -f -- "^remoted -c $SUITE/")"
	started_twice() { [[ $(grep -c 'started part=remoted' "$SUITE/stderr/smtpd") -ge 2 ]]; }
	wait_until started_twice
	is_refused() { rcpt nobody@inner.example 5 2>/dev/null; }
	wait_until is_refused
}

@test "many clients at once are served over few connections" {
	local i pids=()
	gateway
	inner_host slow 'rcpt=nobody:550 5.1.1 no such user'
	suite_run
	for i in {1..40}; do
		talk smtpd >"$SUITE/talk.$i" <<-END 3>&- 4>&- &
			S: 220
			C: EHLO client.example
			S: 250
			C: MAIL FROM:<bob@client.example>
			S: 250
			C: RCPT TO:<u$i@inner.example>
			S: 250
			C: RCPT TO:<nobody@inner.example>
			S: 550 5.1.1
		END
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	[[ $(asked | grep -c '^EHLO') -le 5 && $(asked | grep -c '^RCPT TO:<u') == 40 ]]
}
