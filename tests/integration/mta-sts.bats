# MTA-STS from end to end: queued with remoted, stsd and dnsd sends to another instance, whose domain publishes a policy.
# RFC 8461; and what became of it, in the report of TLS that the other one gets. RFC 8460.
load ../lib/suite
load ../lib/pair
load ../lib/sts

setup_file() {
	pair_net
	sts_make
	day_lasts
	TODAY=$(date -u +%F)
	export TODAY
	sts_host mail.them.example
	mkdir "$PAIR/tls"
	cp "$PAIR/hosts/mail.them.example.crt" "$PAIR/hosts/mail.them.example.key" "$PAIR/tls/"
	chmod 600 "$PAIR/tls/mail.them.example.key"
	pair_names <<-'EOT'
		us.example A 127.0.0.2
		mail.them.example A 127.0.0.3
		wrong.them.example A 127.0.0.3
		them.example MX 10 mail.them.example
		kept.example MX 10 mail.them.example
		tested.example MX 10 wrong.them.example
		strict.example MX 10 wrong.them.example
		elsewhere.example MX 10 mail.them.example
		_mta-sts.kept.example TXT v=STSv1; id=1;
		_mta-sts.tested.example TXT v=STSv1; id=1;
		_mta-sts.strict.example TXT v=STSv1; id=1;
		_mta-sts.elsewhere.example TXT v=STSv1; id=1;
		mta-sts.kept.example A 127.0.0.1
		mta-sts.tested.example A 127.0.0.1
		mta-sts.strict.example A 127.0.0.1
		mta-sts.elsewhere.example A 127.0.0.1
		_smtp._tls.tested.example TXT v=TLSRPTv1; rua=mailto:alice@them.example
		_smtp._tls.strict.example TXT v=TLSRPTv1; rua=mailto:carol@strict.example
	EOT
	sts_policy kept.example enforce 86400 '*.them.example'
	sts_policy tested.example testing 86400 wrong.them.example
	sts_policy strict.example enforce 86400 wrong.them.example
	sts_policy elsewhere.example enforce 86400 mail.elsewhere.example
	pair_start us 127.0.0.2 -- --set "mta-sts-authorities = $PAIR/ca/ca.pem" --set "tls-authorities = $PAIR/ca/ca.pem"
	pair_start them 127.0.0.3 -- --set "tls-certificate = $PAIR/tls/mail.them.example.crt" --set "tls-key = $PAIR/tls/mail.them.example.key" \
		--set 'domains = them.example kept.example tested.example strict.example elsewhere.example'
	printf 'carol@strict.example: carol@them.example\n@kept.example: alice@them.example\n@tested.example: bob@them.example\n@strict.example: bob@them.example\n@elsewhere.example: bob@them.example\n' \
		>>"$PAIR/them/etc/aliases"
	printf 'carol@them.example:%s::::\n' "$SECRET_HASH" >>"$PAIR/them/etc/users"
	dawk_on them update
}
teardown_file() { pair_stop; }

our_log() { grep -hE -- "$1" "$PAIR/us/stderr/queued"; }
deferred() { dawk_on us queue list | grep -qE "$1"; }

@test "a policy that is enforced and kept: the mail goes by verified TLS (RFC 8461 4.2)" {
	send us bob@us.example alice@kept.example </dev/null
	wait_until on them delivered_to alice 1
	wait_until our_log 'domain=kept.example .*policy=verify from=mta-sts'
	[[ $(sts_requests mta-sts.kept.example) == 1 ]]
}
@test "a host whose certificate does not fit gets nothing while the policy is enforced, the mail waits (RFC 8461 5)" {
	send us bob@us.example alice@strict.example </dev/null
	wait_until deferred 'strict\.example'
	wait_until our_log 'domain=strict.example .*mta-sts'
	on them delivered_to bob 0
}
@test "a host that the policy does not name gets nothing (RFC 8461 4.1)" {
	send us bob@us.example alice@elsewhere.example </dev/null
	wait_until deferred 'elsewhere\.example'
	on them delivered_to bob 0
}
@test "under a policy in test the mail goes all the same, and the report says what would have failed (RFC 8461 5, RFC 8460 4)" {
	send us bob@us.example alice@tested.example </dev/null
	wait_until on them delivered_to bob 1
	on us suite_end queued	# what is counted is written
	on us suite_run
	run -0 in_net timeout 100 "$BIN/dawk" -c "$PAIR/us/etc/dawk.conf" tlsrpt --day "$TODAY" --show tested.example strict.example
	python3 - "${lines[@]}" <<-'EOT'
		import json, sys
		strict, tested = (json.loads(line)["policies"] for line in sys.argv[1:])
		policy, = [each for each in tested if each["policy"]["policy-type"] == "sts"]
		assert "mode: testing" in policy["policy"]["policy-string"] and policy["policy"]["mx-host"] == ["wrong.them.example"]
		details, = policy["failure-details"]
		assert details["result-type"] == "certificate-host-mismatch" and details["receiving-mx-hostname"] == "wrong.them.example"
		assert details["receiving-ip"] == "127.0.0.3" and details["failed-session-count"] >= 1
		assert strict[0]["summary"]["total-failure-session-count"] >= 1 and strict[0]["summary"]["total-successful-session-count"] == 0
	EOT
}
@test "reports arrive, also where the policy that failed is in force: it does not hold for them (RFC 8460 3, RFC 8689 5)" {
	before=$(on them messages_of alice | wc -l)
	run -0 in_net timeout 100 "$BIN/dawk" -c "$PAIR/us/etc/dawk.conf" tlsrpt --day "$TODAY"
	[[ $output == *'sent to mailto:alice@them.example'* && $output == *'sent to mailto:carol@strict.example'* ]]
	wait_until on them delivered_to alice $((before + 1))
	on them messages_of alice | xargs grep -l '^TLS-Report-Domain: tested.example'
	wait_until on them delivered_to carol 1
	on them messages_of carol | xargs grep -l '^TLS-Report-Domain: strict.example'
}
@test "a stsd that is killed comes back, with its policies" {
	kill -KILL "$(pgrep -f "stsd -c $PAIR/us/")"
	wait_until our_log 'ended part=stsd'
	before=$(on them messages_of alice | wc -l)
	sts_serves mta-sts.kept.example '500 Trouble' </dev/null
	on us suite_restart queued
	send us bob@us.example alice@kept.example </dev/null
	wait_until on them delivered_to alice $((before + 1))
	[[ $(our_log 'domain=kept.example .*policy=verify from=mta-sts' | wc -l) -ge 2 && $(sts_requests mta-sts.kept.example) == 1 ]]
}
