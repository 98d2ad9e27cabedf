# smtpd and dnsd: the confirmed host names of clients, in the access table and the trace header.
load ../lib/suite

setup_file() {
	export SUITE_SERVICES=smtpd
	read -r DNS_PORT <<<"$("$TOOLS/free-ports.py" 1)"
	suite_make --set 'relay-networks = 127.0.0.20/32' --set 'dnssec = no' --resolver "127.0.0.1@$DNS_PORT"
	cat >"$SUITE/names" <<-'EOF'
		client.example A 192.0.2.1
		3.0.0.127.in-addr.arpa PTR good.names.example
		good.names.example A 127.0.0.3
		4.0.0.127.in-addr.arpa PTR liar.names.example
		liar.names.example A 192.0.2.1
		5.0.0.127.in-addr.arpa PTR bad.pests.example
		bad.pests.example A 127.0.0.5
		6.0.0.127.in-addr.arpa PTR spared.pests.example
		spared.pests.example A 127.0.0.6
		1.0.0.127.in-addr.arpa silent
		7.0.0.127.in-addr.arpa silent
		8.0.0.127.in-addr.arpa PTR relay.names.example
		relay.names.example A 127.0.0.8
		9.0.0.127.in-addr.arpa PTR liar.names.example
		9.0.0.127.in-addr.arpa PTR second.names.example
		second.names.example A 127.0.0.9
	EOF
	cat >>"$SUITE/etc/access" <<-'EOF'
		client:.pests.example reject no pests
		client:spared.pests.example allow
		client:127.0.0.2/31 reject that network
		client:good.names.example allow
		client:relay.names.example relay
	EOF
	"$TOOLS/name-server.py" "$DNS_PORT" "$SUITE/names" >"$SUITE/names.out" 2>&1 </dev/null 3>&- 4>&- 5>&- &
	echo $! >"$SUITE/names.pid"
	export DNS_PORT
	wait_until grep -q ready "$SUITE/names.out"
	$DAWK update && suite_run
}
teardown_file() {
	kill "$(cat "$SUITE/names.pid")"
	"$TOOLS/free-ports.py" --release "$DNS_PORT"
	suite_stop
}
setup() { rm -f "$SUITE"/queue/new/*; }

received_from() {	# ADDRESS
	talk --source "$1" smtpd <<-'EOF' >/dev/null || return 1
		S: 220
		C: EHLO client.example
		C: MAIL FROM:<bob@client.example>
		C: RCPT TO:<alice@local.example>
		C: DATA
		S*3: 250
		S: 354
		C: .
		S: 250
	EOF
	grep -h '^Received: from' "$SUITE"/queue/new/* | tr -d '\r'
}

@test "a name that has the address stands in the trace header, and is more particular than a network (RFC 5321 4.4)" {
	run -0 received_from 127.0.0.3
	[[ $output == "Received: from client.example (good.names.example [127.0.0.3])" ]]
}
@test "the second name of an address counts when the first is not confirmed" {
	run -0 received_from 127.0.0.9
	[[ $output == "Received: from client.example (second.names.example [127.0.0.9])" ]]
}
@test "a name that does not have the address is none" {
	run -0 received_from 127.0.0.10
	[[ $output == "Received: from client.example ([127.0.0.10])" ]]
	run -0 talk --source 127.0.0.20 smtpd <<-'EOF'
		S: 220
	EOF
	echo 'client:liar.names.example reject liar' >>"$SUITE/etc/access"
	$DAWK update
	run -0 talk --source 127.0.0.9 smtpd <<-'EOF'
		S: 220
	EOF
}
@test "access: a confirmed name below a domain is refused, the name itself spared, another may relay" {
	run -0 talk --source 127.0.0.5 smtpd <<-'EOF'
		S: 554 5.7.1 no pests
		E:
	EOF
	run -0 talk --source 127.0.0.6 smtpd <<-'EOF'
		S: 220
	EOF
	run -0 talk --source 127.0.0.8 smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		C: MAIL FROM:<bob@client.example>
		C: RCPT TO:<x@far.example>
		S*3: 250
	EOF
}
@test "a client whose name does not come is served after five seconds" {
	run -0 talk --source 127.0.0.7 smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		C: QUIT
		S: 221
	EOF
}

@test "a stranger that has spoken when its greeting is due gets 554 and the end, our own client is served (RFC 5321 4.3.1)" {
	local dnsd	# stopped, so that the greeting is not due before the bytes are there
	dnsd=$(suite_log smtpd | sed -n 's/.*started part=dnsd .*pid=//p' | tail -n 1)
	kill -STOP "$dnsd"
	run talk --source 127.0.0.10 smtpd <<-'EOF'
		C: EHLO client.example
		C: QUIT
		S: 554 5.5.1
		E:
	EOF
	kill -CONT "$dnsd"
	[[ $status == 0 && $output != *250* ]]
	run -0 talk --source 127.0.0.20 smtpd <<-'EOF'
		C: EHLO client.example
		C: QUIT
		S: 220
		S: 250
		S: 221
	EOF
}

@test "status waits for the greeting as long as smtpd for a client's name" {
	run $DAWK status
	[[ $output == *"smtpd    up   127.0.0.1:$SMTP_PORT"* && $output != *DOWN*":$SMTP_PORT"* ]]
}
