# `dawk tlsrpt`: the facts of a day become reports, by mail to another instance and by HTTPS. RFC 8460.
load ../lib/suite
load ../lib/pair
load ../lib/sts

DAY=2026-11-20

setup_file() {
	pair_net
	sts_make
	pair_names <<-'EOT'
		us.example A 127.0.0.2
		them.example MX 10 mail.them.example
		mail.them.example A 127.0.0.3
		_smtp._tls.them.example TXT v=TLSRPTv1; rua=mailto:alice@them.example
		_smtp._tls.posted.example TXT v=TLSRPTv1;rua=https://reports.posted.example/v1/tlsrpt?x=1;
		reports.posted.example A 127.0.0.1
		_smtp._tls.both.example TXT v=TLSRPTv1; rua=mailto:bob@them.example, https://reports.posted.example/both
		_smtp._tls.refused.example TXT v=TLSRPTv1; rua=https://refused.posted.example/
		refused.posted.example A 127.0.0.1
		_smtp._tls.odd.example TXT v=TLSRPTv1; rua=ftp://nobody.example/
		_smtp._tls.twice.example TXT v=TLSRPTv1; rua=mailto:alice@them.example
		_smtp._tls.twice.example TXT v=TLSRPTv1; rua=mailto:bob@them.example
		_smtp._tls.mute.example servfail
	EOT
	sts_host reports.posted.example
	sts_serves reports.posted.example '201 Created' </dev/null
	pair_start us 127.0.0.2 -- --set "mta-sts-authorities = $PAIR/ca/ca.pem"
	pair_start them 127.0.0.3
}
teardown_file() { pair_stop; }

# facts DAY: lines of standard input, COUNT DOMAIN TYPE POLICY MX RESULT SENDING RECEIVING REASON; "-": empty, "+": a blank
facts() {
	local file=$PAIR/us/state/sts/facts/$1
	{
		echo 'dawk-tls-facts 1'
		sed 's/^[[:space:]]*//; s/ /\t/g; s/\t-/\t/g; s/+/ /g'
		echo end
	} >"$file"
	chown dawkt: "$file"
}
tlsrpt() { in_net timeout 60 "$BIN/dawk" -c "$PAIR/us/etc/dawk.conf" tlsrpt "$@"; }
posted() { gunzip -c <"$PAIR/hosts/$1.posted"; }
posts() { grep -c "^$1 POST " "$PAIR/sts-host.out"; }
has_mail() { on them delivered_to "$@"; }

@test "the JSON of a report has its policies, sums and failures (RFC 8460 4.4)" {
	facts $DAY <<-'EOT'
		9 them.example sts version:+STSv1|mode:+testing|mx:+mail.them.example|mx:+*.them.example|max_age:+86400 - success - - -
		2 them.example sts version:+STSv1|mode:+testing|mx:+mail.them.example|mx:+*.them.example|max_age:+86400 mail.them.example certificate-expired 192.0.2.9 2001:db8::1 code+7
		1 them.example sts version:+STSv1|mode:+testing|mx:+mail.them.example|mx:+*.them.example|max_age:+86400 mail2.them.example starttls-not-supported 192.0.2.9 192.0.2.2 -
		4 dane.example tlsa 3+1+1+ab|3+1+1+cd mx1.dane.example success - - -
		1 dane.example tlsa 3+1+1+ab|3+1+1+cd mx2.dane.example tlsa-invalid 192.0.2.9 192.0.2.3 "quoted\"
		7 dane.example no-policy-found - - success - - -
	EOT
	run -0 tlsrpt --day $DAY --show
	[[ ${#lines[@]} == 2 ]]
	python3 - "${lines[@]}" <<-'EOT'
		import json, sys
		dane, them = (json.loads(line) for line in sys.argv[1:])
		assert list(them) == ["organization-name", "date-range", "contact-info", "report-id", "policies"], list(them)
		assert them["organization-name"] == "us.example" and them["contact-info"] == "postmaster@us.example"
		assert them["date-range"] == {"start-datetime": "2026-11-20T00:00:00Z", "end-datetime": "2026-11-20T23:59:59Z"}
		assert "them.example" in them["report-id"]
		assert them["policies"] == [{
		    "policy": {"policy-type": "sts", "policy-string": ["version: STSv1", "mode: testing", "mx: mail.them.example",
		               "mx: *.them.example", "max_age: 86400"], "policy-domain": "them.example",
		               "mx-host": ["mail.them.example", "*.them.example"]},
		    "summary": {"total-successful-session-count": 9, "total-failure-session-count": 3},
		    "failure-details": [
		        {"result-type": "certificate-expired", "sending-mta-ip": "192.0.2.9", "receiving-mx-hostname": "mail.them.example",
		         "receiving-ip": "2001:db8::1", "failed-session-count": 2, "failure-reason-code": "code 7"},
		        {"result-type": "starttls-not-supported", "sending-mta-ip": "192.0.2.9", "receiving-mx-hostname": "mail2.them.example",
		         "receiving-ip": "192.0.2.2", "failed-session-count": 1}]}], them["policies"]
		assert [policy["policy"]["policy-domain"] for policy in dane["policies"]] == ["dane.example", "mx1.dane.example", "mx2.dane.example"]
		assert dane["policies"][0] == {"policy": {"policy-type": "no-policy-found", "policy-domain": "dane.example"},
		    "summary": {"total-successful-session-count": 7, "total-failure-session-count": 0}}
		assert dane["policies"][1]["policy"]["policy-string"] == ["3 1 1 ab", "3 1 1 cd"]
		assert dane["policies"][2]["failure-details"][0]["failure-reason-code"] == '"quoted\\"'
	EOT
	run -0 tlsrpt --day $DAY --show them.example
	[[ ${#lines[@]} == 1 && $output == *them.example* ]]
}

@test "who wants reports by mail gets one, with a gzip attachment and the fields of its header (RFC 8460 5.3)" {
	facts $DAY <<<'5 them.example sts version:+STSv1 - success - - -'
	run -0 tlsrpt --day $DAY
	[[ $output == *"them.example: 5 sessions, 0 failed: sent to mailto:alice@them.example"* && $output == *"1 sent, 0 not sent, 0 domains want none"* ]]
	wait_until has_mail alice 1
	python3 - "$(on them message_of alice)" <<-'EOT'
		import email, email.policy, gzip, json, sys
		message = email.message_from_binary_file(open(sys.argv[1], "rb"), policy=email.policy.default)
		assert message.get_content_type() == "multipart/report" and message.get_param("report-type") == "tlsrpt"
		assert message["TLS-Report-Domain"] == "them.example" and message["TLS-Report-Submitter"] == "us.example"
		assert message["TLS-Required"] == "No" and message["From"] == "postmaster@us.example" and message["To"] == "alice@them.example"
		assert message["Return-Path"] == "<postmaster@us.example>", message["Return-Path"]
		words, report = message.iter_parts()
		assert words.get_content_type() == "text/plain" and "5 went well" in words.get_content()
		assert report.get_content_type() == "application/tlsrpt+gzip" and report.get_content_disposition() == "attachment"
		assert report.get_filename() == "us.example!them.example!1795132800!1795219199.json.gz", report.get_filename()
		found = json.loads(gzip.decompress(report.get_content()))
		assert found["policies"][0]["summary"]["total-successful-session-count"] == 5
		assert message["Subject"].split() == ["Report", "Domain:", "them.example", "Submitter:", "us.example", "Report-ID:", f"<{found['report-id']}>"], message["Subject"]
	EOT
}

@test "a second run sends nothing twice" {
	run -0 tlsrpt --day $DAY
	[[ $output == "$DAY: 0 sent, 0 not sent, 0 domains want none" ]]
}

@test "who wants them by HTTPS has them posted (RFC 8460 5.4)" {
	facts 2026-11-19 <<<'3 posted.example no-policy-found - - success - - -'
	run -0 tlsrpt --day 2026-11-19
	[[ $output == *"posted.example: 3 sessions, 0 failed: sent to https://reports.posted.example/v1/tlsrpt?x=1"* ]]
	grep -qE '^reports.posted.example POST /v1/tlsrpt\?x=1 [0-9]+ application/tlsrpt\+gzip$' "$PAIR/sts-host.out"
	posted reports.posted.example | python3 -c 'import json, sys; assert json.load(sys.stdin)["policies"][0]["policy"]["policy-domain"] == "posted.example"'
}

@test "a long report is posted whole (RFC 8460 5.4)" {
	python3 -c 'import random
for i in range(9000):
	print("1 posted.example sts version:+STSv1 mail.posted.example certificate-expired 192.0.2.9 192.0.2.1", "%0128x" % random.getrandbits(512))' |
		facts 2026-11-12
	run -0 tlsrpt --day 2026-11-12
	[[ $output == *"posted.example: 9000 sessions, 9000 failed: sent to https://"* ]]
	(($(stat -c %s "$PAIR/hosts/reports.posted.example.posted") > 500000))
	posted reports.posted.example | python3 -c 'import json, sys; assert len(json.load(sys.stdin)["policies"][0]["failure-details"]) == 9000'
}

@test "of two addresses, the one that failed is tried again alone" {
	facts 2026-11-18 <<<'1 both.example no-policy-found - - success - - -'
	sts_serves reports.posted.example '500 Trouble' </dev/null
	run -75 tlsrpt --day 2026-11-18
	[[ $output == *'sent to mailto:bob@them.example'* && $output == *"NOT sent to https://reports.posted.example/both: "*"HTTP status 500"* ]]
	sts_serves reports.posted.example '200 OK' </dev/null
	run -0 tlsrpt --day 2026-11-18
	[[ $output != *mailto:* && $output == *'sent to https://reports.posted.example/both'* ]]
	wait_until has_mail bob 1
}

@test "a host of reports without a valid certificate gets none" {
	sts_host refused.posted.example stranger
	sts_serves refused.posted.example '200 OK' </dev/null
	facts 2026-11-17 <<<'1 refused.example no-policy-found - - success - - -'
	run -75 tlsrpt --day 2026-11-17
	[[ $output == *"refused.example: 1 sessions, 0 failed: NOT sent to https://refused.posted.example/: "*certificate* ]]
	run -1 posts refused.posted.example
}

@test "without a record, with several, or with kinds of addresses that are not known, nothing is sent (RFC 8460 3)" {
	facts 2026-11-16 <<-'EOT'
		1 silent.example no-policy-found - - success - - -
		1 odd.example no-policy-found - - success - - -
		1 twice.example no-policy-found - - success - - -
	EOT
	run -0 tlsrpt --day 2026-11-16
	[[ $output == *'0 sent, 0 not sent, 1 domains want none' && $output == *"odd.example: NOT sent: "*kinds* && $output == *"twice.example: NOT sent: there are 2 records"* ]]
	facts 2026-11-15 <<<'1 mute.example no-policy-found - - success - - -'
	run -75 tlsrpt --day 2026-11-15
}

@test "without the mail service a report waits for the next run" {
	facts 2026-11-14 <<<'1 them.example no-policy-found - - success - - -'
	on us suite_end smtpd
	run -75 tlsrpt --day 2026-11-14
	[[ $output == *'NOT sent to mailto:alice@them.example'* ]]
	on us suite_run
	run -0 tlsrpt --day 2026-11-14
	[[ $output == *'sent to mailto:alice@them.example'* ]]
}

@test "facts that stsd has counted become a report of the day" {
	sts_policy counted.example testing 86400 mail.counted.example
	{ cat "$PAIR/names"; printf '_mta-sts.counted.example TXT v=STSv1; id=1;\nmta-sts.counted.example A 127.0.0.1\n'; } | pair_names
	on us suite_end queued
	in_net timeout 40 "$BIN/../tool/sts_ask" "$BIN" "$PAIR/us/etc/dawk.conf" <<-'EOT'
		ask counted.example
		fact counted.example sts - mail.counted.example 1 192.0.2.9 192.0.2.1 -
		fact counted.example sts - mail.counted.example 3 192.0.2.9 192.0.2.1 -
		ask counted.example
	EOT
	on us suite_run
	run -0 tlsrpt --day "$(date -u +%F)" --show counted.example
	python3 - "$output" <<-'EOT'
		import json, sys
		policy, = json.loads(sys.argv[1])["policies"]
		assert policy["policy"]["mx-host"] == ["mail.counted.example"] and "mode: testing" in policy["policy"]["policy-string"]
		assert policy["summary"] == {"total-successful-session-count": 1, "total-failure-session-count": 1}
		assert policy["failure-details"][0]["result-type"] == "certificate-host-mismatch"
	EOT
}

@test "its files belong to stsd's account, a day without facts is no error, a wrong day is (sysexits 64)" {
	[[ $(stat -c '%U %a' "$PAIR/us/state/sts/sent/$DAY") == 'dawkt 600' ]]
	run -0 tlsrpt --day 2020-01-01
	[[ $output == *'no facts of 2020-01-01'* ]]
	run -64 tlsrpt --day yesterday
	run -64 tlsrpt --no-such-option
	run -0 tlsrpt
	run -0 "$BIN/dawk" tlsrpt -h
	[[ $output == *"--day YYYY-MM-DD"* ]]
}

@test "two runs at the same time send nothing twice" {
	facts 2026-11-13 <<<'1 them.example no-policy-found - - success - - -'
	install -o dawkt -m 600 /dev/null "$PAIR/us/state/sts/sent/2026-11-13"
	exec {lock}<>"$PAIR/us/state/sts/sent/2026-11-13"
	flock "$lock"
	run -75 tlsrpt --day 2026-11-13
	[[ $output == *'another run'* ]]
	exec {lock}>&-
	run -0 tlsrpt --day 2026-11-13
	[[ $output == *'sent to mailto:alice@them.example'* ]]
}
