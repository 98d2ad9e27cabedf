# A full disk or a broken mailbox: 4xx or a deferral and a log line, and the mail arrives once it is mended.
load ../lib/suite

setup()    { suite_make --set 'retry = 1h'; }
teardown() { suite_stop; }
deferred() { [[ $(find "$SUITE/queue/cur" -type f | wc -l) -eq $1 ]]; }
send_to_alice() { printf 'Subject: through trouble\n\nhello\n' | send_message bob@client.example alice@local.example; }

# The code of the first refusal on the way of a message of KB kilobytes, or 250.
code_for() {	# KB
	/usr/bin/python3 - "$SMTP_PORT" "$1" <<-'EOF'
		import smtplib, sys
		text = "Subject: big\r\n\r\n" + ("y" * 62 + "\r\n") * (16 * int(sys.argv[2]))
		with smtplib.SMTP("127.0.0.1", int(sys.argv[1]), local_hostname="client.example", timeout=60) as s:
		    s.ehlo()
		    for step in (lambda: s.mail("bob@client.example"), lambda: s.rcpt("alice@local.example"), lambda: s.data(text)):
		        try:
		            code, words = step()
		        except smtplib.SMTPDataError as error:
		            code, words = error.smtp_code, error.smtp_error
		        if code != 250:
		            break
		    print(code, words.decode())
	EOF
}

@test "a full disk under the queue: 452, the session goes on, and mail is taken once there is room" {
	mount_small "$SUITE/queue" 600k
	suite_run
	head -c 1000000 /dev/zero >"$SUITE/queue/filler" || :
	run -0 code_for 50
	[[ $output == "452 4.3.1 "* ]]
	wait_until logged smtpd 'ENOSPC|[Nn]o space'
	rm "$SUITE/queue/filler"
	run -0 code_for 50
	[[ $output == "250 "* ]]
	wait_until delivered_to alice 1
	wait_until queue_is_empty
}

@test "a disk that fills up in the middle of a message: 452, nothing is left behind" {
	mount_small "$SUITE/queue" 600k
	suite_run
	run -0 code_for 2000
	[[ $output == "452 4.3.1 "* ]]
	run -0 code_for 50
	[[ $output == "250 "* ]]
	wait_until delivered_to alice 1
	wait_until queue_is_empty
}

@test "no inodes under the queue: 452, and mail is taken once there are some" {
	mount_small "$SUITE/queue" 8m nr_inodes=64
	suite_run
	for ((i = 0; i < 64; i++)); do : >"$SUITE/queue/filler$i" || break; done 2>/dev/null
	run -0 code_for 1
	[[ $output == "452 4.3.1 "* ]]
	rm -f "$SUITE"/queue/filler*
	run -0 code_for 1
	[[ $output == "250 "* ]]
	wait_until delivered_to alice 1
}

@test "a mailbox that can't be written: deferred and logged, delivered once it is mended" {
	suite_run
	send_to_alice
	wait_until delivered_to alice 1
	wait_until queue_is_empty
	empty_mailboxes
	chown 0:0 "$(maildir_of alice)/tmp"
	chmod 755 "$(maildir_of alice)/tmp"
	send_to_alice
	wait_until deferred 1
	wait_until logged queued 'deferred.*alice|alice.*deferred'
	chown --reference="$(maildir_of alice)" "$(maildir_of alice)/tmp"
	run -0 $DAWK queue flush
	wait_until delivered_to alice 1
	wait_until queue_is_empty
}

@test "a full disk under a mailbox: deferred, others get their mail, delivered once there is room" {
	suite_run
	send_to_alice
	wait_until delivered_to alice 1
	empty_mailboxes
	mount_small "$(maildir_of alice)" 100k
	head -c 200000 /dev/zero >"$(maildir_of alice)/filler" || :
	printf 'Subject: for both\n\nhello\n' | send_message bob@client.example alice@local.example bob@local.example
	wait_until delivered_to bob 1
	wait_until deferred 1
	delivered_to alice 0
	[[ $(find "$(maildir_of alice)/tmp" -type f | wc -l) -eq 0 ]]
	rm "$(maildir_of alice)/filler"
	run -0 $DAWK queue flush
	wait_until delivered_to alice 1
	delivered_to bob 1
	wait_until queue_is_empty
}
