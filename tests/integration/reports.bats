# Delivery status notifications (RFC 3461, RFC 3464), read by an independent parser.
load ../lib/suite

setup_file() {
	suite_make --set 'retry = 1s' --set 'delay-warning = 2s' --set 'queue-lifetime = 1h'
	cat >>"$SUITE/etc/aliases" <<-EOF
		fail@local.example: |echo no such luck; exit 67
		later@local.example: |echo come again; exit 75
	EOF
	$DAWK update
	suite_run
}
teardown_file() { suite_stop; }
setup() { empty_mailboxes; }

# send FROM MAIL-PARAMETERS TO RCPT-PARAMETERS
send() {
	talk smtpd <<-EOF
		S: 220
		C: EHLO client.example
		S: 250
		S+ 250 DSN
		C: MAIL FROM:<$1> $2
		S: 250
		C: RCPT TO:<$3> $4
		S: 250
		C: DATA
		S: 354
		C: From: Alice <alice@local.example>
		C: Subject: the original
		C:
		C: the original text
		C: .
		S: 250 2.0.0
		C: QUIT
		S: 221
	EOF
}

# report FILE: prints the report's facts a line each
report() { "$TOOLS/report.py" "$1"; }

@test "a failure is reported in three parts with all fields (RFC 3464 2)" {
	run -0 send alice@local.example "RET=HDRS ENVID=QQ314159" fail@local.example "NOTIFY=FAILURE ORCPT=rfc822;first+2Bname@old.example"
	wait_until delivered_to alice 1
	run -0 report "$(message_of alice)"
	[[ $output == *"type: multipart/report; report-type=delivery-status"* ]]
	[[ $output == *"parts: text/plain message/delivery-status text/rfc822-headers"* ]]
	[[ $output == *"return-path: <>"* ]]
	[[ $output == *"auto-submitted: auto-replied"* ]]
	[[ $output == *"to: alice@local.example"* || $output == *"to: <alice@local.example>"* ]]
	[[ $output == *"message: reporting-mta: dns; mail.local.example"* ]]
	[[ $output == *"message: original-envelope-id: QQ314159"* ]]
	[[ $output == *"message: arrival-date: "* ]]
	[[ $output == *"recipient 1: final-recipient: rfc822; fail@local.example"* ]]
	[[ $output == *"recipient 1: original-recipient: rfc822; first+name@old.example"* ||
	   $output == *"recipient 1: original-recipient: rfc822;first+2Bname@old.example"* ||
	   $output == *"recipient 1: original-recipient: rfc822;first+name@old.example"* ]]
	[[ $output == *"recipient 1: action: failed"* ]]
	[[ $output == *"recipient 1: status: 5."* ]]
	[[ $output == *"no such luck"* ]]
	[[ $output == *"returned: Subject: the original"* ]]
	[[ $output != *"the original text"* ]]
	wait_until queue_is_empty
}

@test "RET=FULL returns the message (RFC 3461 4.3)" {
	run -0 send alice@local.example RET=FULL fail@local.example ""
	wait_until delivered_to alice 1
	run -0 report "$(message_of alice)"
	[[ $output == *"parts: text/plain message/delivery-status message/rfc822"* ]]
	[[ $output == *"the original text"* ]]
}

@test "NOTIFY=NEVER is silent (RFC 3461 4.1)" {
	run -0 send alice@local.example "" fail@local.example NOTIFY=NEVER
	wait_until queue_is_empty
	delivered_to alice 0
}

@test "NOTIFY=SUCCESS is told of the delivery (RFC 3461 6.2)" {
	run -0 send alice@local.example "" bob@local.example NOTIFY=SUCCESS
	wait_until delivered_to bob 1
	wait_until delivered_to alice 1
	run -0 report "$(message_of alice)"
	[[ $output == *"recipient 1: action: delivered"* ]]
	[[ $output == *"recipient 1: status: 2."* ]]
}

@test "a delay is told once, and removing ends it without another word (RFC 3464 2.3.3)" {
	run -0 send alice@local.example "" later@local.example NOTIFY=FAILURE,DELAY
	wait_until delivered_to alice 1
	run -0 report "$(message_of alice)"
	[[ $output == *"recipient 1: action: delayed"* ]]
	[[ $output == *"recipient 1: status: 4."* ]]
	[[ $output == *"recipient 1: will-retry-until: "* ]]
	wait_until queue_holds 1	# the report is out
	id=$(queue_files)
	run -0 $DAWK queue remove "${id##*/}"
	wait_until queue_is_empty
	delivered_to alice 1
}

@test "a failed message with the null reverse-path makes no report (RFC 5321 4.5.5)" {
	run -0 send "" "" fail@local.example ""
	wait_until queue_is_empty
	delivered_to alice 0
}

@test "a report that cannot be delivered goes to the postmaster" {
	run -0 send fail@local.example "" fail@local.example ""
	wait_until delivered_to postmaster 1
	wait_until queue_is_empty
}
