# Users who submit, from their mail programs to the mailboxes: whose mail it is, and what happens when a password was stolen.
load ../lib/suite
load ../lib/submit

setup()    { submit_make --set 'user-strangers-hour = 4'; }
teardown() { submit_stop; }

@test "msmtp, curl, swaks and python send as their user, and are told why not as another" {
	suite_run
	cat >"$SUITE/msmtprc" <<-EOT
		defaults
		auth on
		tls on
		tls_certcheck off
		host 127.0.0.1
		user alice@local.example
		password secret
		account starttls
		port $SUBMISSION_PORT
		from alice@local.example
		account implicit
		port $SMTPS_PORT
		tls_starttls off
		from ceo@bank.example
	EOT
	chmod 600 "$SUITE/msmtprc"
	printf 'Subject: by msmtp\n\nhello\n' | timeout 60 msmtp -C "$SUITE/msmtprc" -a starttls bob@local.example
	wait_until delivered_to bob 1
	grep -qxE 'From: <?alice@local.example>?' "$(message_of bob)"
	grep -q '^Message-ID: ' "$(message_of bob)"
	run timeout 60 msmtp -C "$SUITE/msmtprc" -a implicit bob@local.example <<<'Subject: forged'
	[[ $status -ne 0 && $output == *"553 5.7.1 reverse-path: <ceo@bank.example> is not an address of alice@local.example"* ]]
	printf 'From: ceo@bank.example\r\nSubject: forged\r\n\r\nhello\r\n' >"$SUITE/forged"
	run timeout 60 curl -sS -k --url "smtps://127.0.0.1:$SMTPS_PORT" -u alice@local.example:secret --mail-from alice@local.example \
		--mail-rcpt bob@local.example -T "$SUITE/forged" -v
	[[ $status -ne 0 && $output == *"550 5.7.1 From: <ceo@bank.example> is not an address of alice@local.example"* ]]
	run -0 timeout 60 swaks --server "127.0.0.1:$SUBMISSION_PORT" -tls --auth PLAIN --auth-user alice@local.example --auth-password secret \
		--from alice+swaks@local.example --to bob@local.example
	run -0 timeout 60 /usr/bin/python3 - "$SMTPS_PORT" <<-'EOT'
		import smtplib, ssl, sys
		from email.headerregistry import Address
		from email.message import EmailMessage
		message = EmailMessage()
		message["From"] = Address("Zo\xeb, of the bank", addr_spec="alice@local.example")
		message["To"] = "bob@local.example"
		message.set_content("hello")
		with smtplib.SMTP_SSL("127.0.0.1", int(sys.argv[1]), context=ssl._create_unverified_context(), timeout=60) as client:
		    client.login("alice@local.example", "secret")
		    client.send_message(message)
	EOT
	wait_until delivered_to bob 3
}

@test "a stolen password is used: the account is held, owner and postmaster read why, the outbox keeps its mail until the release" {
	suite_run
	local i
	for i in 1 2 3 4; do
		run -0 submit_message alice alice@local.example "bob+$i@local.example" 'From: alice@local.example'
	done
	run -1 submit_message alice alice@local.example bob+5@local.example 'From: alice@local.example'
	[[ $output == *"450 4.7.1 mail of alice@local.example is held: its owner was told why, postmaster@local.example can release it"* ]]
	wait_until delivered_to alice 1
	wait_until delivered_to postmaster 1
	grep -qx 'Return-Path: <>' "$(message_of alice)"
	grep -q '5 recipients it had not written to before within an hour, 4 are the limit (user-strangers-hour)' "$(message_of alice)"
	cmp <(sed '1,/^$/d' "$(message_of alice)") <(sed '1,/^$/d' "$(message_of postmaster)")
	# mail for the account arrives as before, and others send
	run -0 submit_message bob bob@local.example alice@local.example 'From: bob@local.example'
	wait_until delivered_to alice 2
	run -0 $DAWK user release alice@local.example
	run -0 submit_message alice alice@local.example bob+5@local.example 'From: alice@local.example'
	wait_until delivered_to bob 5
	wait_until queue_is_empty
	delivered_to postmaster 1
}
