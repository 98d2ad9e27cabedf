# `dawk tlsrpt`: the facts of a day become reports, by mail to another instance and by HTTPS. RFC 8460.
load ../lib/suite
load ../lib/pair
load ../lib/sts

# Days of UTC so many days ago; what is older than a month is forgotten.
ago() { date -u -d "@$((BEGAN - $1 * 86400))" +%F; }

setup_file() {
	BEGAN=$(date +%s)
	DAY=$(ago 2)
	export BEGAN DAY
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
tlsrpt() { in_net timeout 100 "$BIN/dawk" -c "$PAIR/us/etc/dawk.conf" tlsrpt "$@"; }
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
		import json, os, sys
		dane, them = (json.loads(line) for line in sys.argv[1:])
		assert list(them) == ["organization-name", "date-range", "contact-info", "report-id", "policies"], list(them)
		assert them["organization-name"] == "us.example" and them["contact-info"] == "postmaster@us.example"
		assert them["date-range"] == {"start-datetime": os.environ["DAY"] + "T00:00:00Z", "end-datetime": os.environ["DAY"] + "T23:59:59Z"}
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
	python3 - "$(on them message_of alice)" "$(date -u -d "$DAY" +%s)" <<-'EOT'
		import email, email.policy, gzip, json, sys
		message = email.message_from_binary_file(open(sys.argv[1], "rb"), policy=email.policy.default)
		assert message.get_content_type() == "multipart/report" and message.get_param("report-type") == "tlsrpt"
		assert message["TLS-Report-Domain"] == "them.example" and message["TLS-Report-Submitter"] == "us.example"
		assert message["TLS-Required"] == "No" and message["From"] == "postmaster@us.example" and message["To"] == "alice@them.example"
		assert message["Return-Path"] == "<postmaster@us.example>", message["Return-Path"]
		words, report = message.iter_parts()
		assert words.get_content_type() == "text/plain" and "5 went well" in words.get_content()
		assert report.get_content_type() == "application/tlsrpt+gzip" and report.get_content_disposition() == "attachment"
		begin = int(sys.argv[2])
		assert report.get_filename() == "us.example!them.example!%d!%d.json.gz" % (begin, begin + 86399), report.get_filename()
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
	facts "$(ago 3)" <<<'3 posted.example no-policy-found - - success - - -'
	run -0 tlsrpt --day "$(ago 3)"
	[[ $output == *"posted.example: 3 sessions, 0 failed: sent to https://reports.posted.example/v1/tlsrpt?x=1"* ]]
	grep -qE '^reports.posted.example POST /v1/tlsrpt\?x=1 [0-9]+ application/tlsrpt\+gzip$' "$PAIR/sts-host.out"
	posted reports.posted.example | python3 -c 'import json, sys; assert json.load(sys.stdin)["policies"][0]["policy"]["policy-domain"] == "posted.example"'
}

@test "a long report is posted whole (RFC 8460 5.4)" {
	python3 -c 'import random
for i in range(9000):
	print("1 posted.example sts version:+STSv1 mail.posted.example certificate-expired 192.0.2.9 192.0.2.1", "%0128x" % random.getrandbits(512))' |
		facts "$(ago 10)"
	run -0 tlsrpt --day "$(ago 10)"
	[[ $output == *"posted.example: 9000 sessions, 9000 failed: sent to https://"* ]]
	(($(stat -c %s "$PAIR/hosts/reports.posted.example.posted") > 500000))
	posted reports.posted.example | python3 -c 'import json, sys; assert len(json.load(sys.stdin)["policies"][0]["failure-details"]) == 9000'
}

@test "of two addresses, the one that failed is tried again alone" {
	facts "$(ago 4)" <<<'1 both.example no-policy-found - - success - - -'
	sts_serves reports.posted.example '500 Trouble' </dev/null
	run -75 tlsrpt --day "$(ago 4)"
	[[ $output == *'sent to mailto:bob@them.example'* && $output == *"NOT sent to https://reports.posted.example/both: "*"HTTP status 500"* ]]
	sts_serves reports.posted.example '200 OK' </dev/null
	run -0 tlsrpt --day "$(ago 4)"
	[[ $output != *mailto:* && $output == *'sent to https://reports.posted.example/both'* ]]
	wait_until has_mail bob 1
}

@test "a host of reports without a valid certificate gets none" {
	sts_host refused.posted.example stranger
	sts_serves refused.posted.example '200 OK' </dev/null
	facts "$(ago 5)" <<<'1 refused.example no-policy-found - - success - - -'
	run -75 tlsrpt --day "$(ago 5)"
	[[ $output == *"refused.example: 1 sessions, 0 failed: NOT sent to https://refused.posted.example/: "*certificate* ]]
	run -1 posts refused.posted.example
}

@test "without a record, with several, or with kinds of addresses that are not known, nothing is sent (RFC 8460 3)" {
	facts "$(ago 6)" <<-'EOT'
		1 silent.example no-policy-found - - success - - -
		1 odd.example no-policy-found - - success - - -
		1 twice.example no-policy-found - - success - - -
	EOT
	run -0 tlsrpt --day "$(ago 6)"
	[[ $output == *'0 sent, 0 not sent, 1 domains want none' && $output == *"odd.example: NOT sent: "*kinds* && $output == *"twice.example: NOT sent: there are 2 records"* ]]
	facts "$(ago 7)" <<<'1 mute.example no-policy-found - - success - - -'
	run -75 tlsrpt --day "$(ago 7)"
}

@test "without the mail service a report waits for the next run" {
	facts "$(ago 8)" <<<'1 them.example no-policy-found - - success - - -'
	on us suite_end smtpd
	run -75 tlsrpt --day "$(ago 8)"
	[[ $output == *'NOT sent to mailto:alice@them.example'* ]]
	on us suite_run
	arrived=$(on them messages_of alice | wc -l)
	run -0 tlsrpt --day "$(ago 8)"
	[[ $output == *'sent to mailto:alice@them.example'* ]]
	wait_until has_mail alice $((arrived + 1))	# or the next test finds it
}

@test "facts that stsd has counted become a report of the day" {
	day_lasts
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
	facts "$(ago 9)" <<<'1 them.example no-policy-found - - success - - -'
	install -o dawkt -m 600 /dev/null "$PAIR/us/state/sts/sent/$(ago 9)"
	exec {lock}<>"$PAIR/us/state/sts/sent/$(ago 9)"
	flock "$lock"
	run -75 tlsrpt --day "$(ago 9)"
	[[ $output == *'another run'* ]]
	exec {lock}>&-
	arrived=$(on them messages_of alice | wc -l)
	run -0 tlsrpt --day "$(ago 9)"
	[[ $output == *'sent to mailto:alice@them.example'* ]]
	wait_until has_mail alice $((arrived + 1))
}

# ---- signatures: RFC 8460 3, RFC 6376 ----

CONTACT=tls-reports@us.example

# sign_with KEY-FILE: settings of "us" for the runs that follow
sign_with() {
	local conf=$PAIR/us/etc/dawk.conf
	sed -i '/^tls-report-/d' "$conf"
	printf 'tls-report-contact = %s\ntls-report-key = %s\ntls-report-selector = 2026._tls\n' "$CONTACT" "$1" >>"$conf"
}
make_key() { (umask 077 && openssl genpkey -out "$PAIR/$1.key" "${@:2}" 2>/dev/null); }
empty_mailbox() { on them messages_of "$1" | xargs -r rm; }
# arrives DAY USER: a report of that day is sent to USER, who has no other mail
arrives() {
	empty_mailbox "$2"
	facts "$1" <<<'5 them.example sts version:+STSv1 - success - - -'
	run -0 tlsrpt --day "$1"
	[[ $output == *"sent to mailto:$2@them.example"* ]]
	wait_until has_mail "$2" 1
}
record() { tlsrpt --record >"$PAIR/record"; }
verifies() { "$TOOLS/dkim-verify.py" "$1" "$PAIR/record"; }
is_alive() { [[ -e /proc/$1 && $(awk '/^State:/ { print $2 }' "/proc/$1/status") != Z ]]; }
child_of() { pgrep -P "$1" -x "$2"; }
uid_of() { awk '/^Uid:/ { print $2, $3, $4, $5 }' "/proc/$1/status"; }
runs_as() { local uid; uid=$(id -u "$2") && [[ $(uid_of "$1") == "$uid $uid $uid $uid" ]]; }	# PID ACCOUNT

@test "without a key reports go unsigned, and the run says so, once" {
	arrives "$(ago 11)" alice
	[[ $(grep -c 'without a signature' <<<"$output") == 1 && $output == *"1 went by mail without a signature"*"set tls-report-key, then run"* ]]
	run -1 grep -qi '^DKIM-Signature:' "$(on them message_of alice)"
	run -78 tlsrpt --record
	[[ $output == *"has no tls-report-key"* ]]
	run -78 tlsrpt --make-key
}

@test "--make-key makes an RSA key for its owner alone, never over one, and prints the record that --record prints" {
	sign_with "$PAIR/us/keys of mail/rsa.key"
	run -0 tlsrpt --make-key
	local made=$output
	[[ $made == '2026._tls._domainkey.us.example. TXT "v=DKIM1; k=rsa; s=tlsrpt; p='* ]]
	[[ $(stat -c '%a %F' "$PAIR/us/keys of mail/rsa.key") == '600 regular file' && $(stat -c %a "$PAIR/us/keys of mail") == 700 ]]
	[[ $(ls -A "$PAIR/us/keys of mail") == rsa.key ]]
	openssl pkey -in "$PAIR/us/keys of mail/rsa.key" -noout -text | grep -q '(2048 bit'
	run -0 tlsrpt --record
	[[ $output == "$made" ]]
	python3 - "$made" "$(openssl pkey -in "$PAIR/us/keys of mail/rsa.key" -pubout -outform DER | base64 -w 0)" <<-'PY'
		import re, sys
		strings = re.findall(r'"([^"]*)"', sys.argv[1])
		assert len(strings[0]) == 255 and max(map(len, strings)) == 255, strings
		assert "".join(strings) == "v=DKIM1; k=rsa; s=tlsrpt; p=" + sys.argv[2], strings
	PY
	local sum
	sum=$(sha256sum <"$PAIR/us/keys of mail/rsa.key")
	run -73 tlsrpt --make-key
	[[ $output == *"is there already"* && $(sha256sum <"$PAIR/us/keys of mail/rsa.key") == "$sum" ]]
	run -64 tlsrpt --make-key --day "$(ago 11)"
	run -64 tlsrpt them.example --record
}

@test "reports by mail are signed with RSA, as python3-dkim sees it, and nothing in them may change (RFC 6376)" {
	sign_with "$PAIR/us/keys of mail/rsa.key"
	record
	arrives "$(ago 12)" alice
	[[ $output != *"without a signature"* && $output != *key-loaded* ]]
	local mail
	mail=$(on them message_of alice)
	run -0 verifies "$mail"
	[[ $output == *$'\n'a=rsa-sha256$'\n'* && $output == *c=relaxed/relaxed* && $output == *d=us.example* && $output == *s=2026._tls* ]]
	[[ $output == *$'\n'h=From:From:* && $output == *TLS-Report-Domain:TLS-Report-Domain* && $output == *Content-Type* && $output == *$'\n't=[0-9]* ]]
	[[ $output != *$'\n'l=* ]]
	run -0 awk '{ sub(/\r$/, "") } length > 78 && /^\t/' "$mail"
	[[ -z $output ]]
	sed 's/5 went well/6 went well/' "$mail" >"$PAIR/altered"
	run -1 verifies "$PAIR/altered"
	sed 's/^Subject: Report/Subject: report/' "$mail" >"$PAIR/altered"
	run -1 verifies "$PAIR/altered"
	{ echo 'From: <somebody@else.example>'; cat "$mail"; } >"$PAIR/altered"
	run -1 verifies "$PAIR/altered"
	{ echo 'X-Trace: added on the way'; cat "$mail"; } >"$PAIR/altered"
	run -0 verifies "$PAIR/altered"
}

@test "and with Ed25519 (RFC 8463)" {
	make_key ed -algorithm ed25519
	sign_with "$PAIR/ed.key"
	record
	[[ $(<"$PAIR/record") == '2026._tls._domainkey.us.example. TXT "v=DKIM1; k=ed25519; s=tlsrpt; p='*'="' ]]
	arrives "$(ago 13)" alice
	local mail
	mail=$(on them message_of alice)
	run -0 verifies "$mail"
	[[ $output == *a=ed25519-sha256* ]]
	sed 's/5 went well/6 went well/' "$mail" >"$PAIR/altered"
	run -1 verifies "$PAIR/altered"
}

@test "a key that is not fit ends the run with words (sysexits 78), and nothing goes out unsigned" {
	local day ed=$PAIR/ed.key name
	day=$(ago 14)
	facts $day <<<'5 them.example sts version:+STSv1 - success - - -'
	make_key ec -algorithm EC -pkeyopt ec_paramgen_curve:P-256
	make_key short -algorithm RSA -pkeyopt rsa_keygen_bits:768
	(umask 077 && openssl pkey -in "$ed" -aes256 -passout pass:x -out "$PAIR/sealed.key" && echo nothing >"$PAIR/no.key")
	install -m 640 "$ed" "$PAIR/open.key"
	install -m 600 -o dawkt "$ed" "$PAIR/foreign.key"
	declare -A words=([missing]='unable to open' [ec]='Ed25519 and RSA' [short]='too short' [sealed]=passphrase [no]='no private key' [open]='others may read'
		[foreign]='belongs to another account')
	for name in missing ec short sealed no open foreign; do
		sign_with "$PAIR/$name.key"
		run -78 tlsrpt --day $day
		[[ $output == *"tls-report-key: "*"$name.key"* && $output == *"${words[$name]}"* && ${#lines[@]} == 1 ]]
		[[ $name == short ]] || run -78 tlsrpt --record
	done
	sign_with "$PAIR/open.key"
	run dawk_on us check
	[[ $output == *"open.key is a private key, and others may read"*"chmod 600 $PAIR/open.key"* ]]
	sign_with "$PAIR/missing.key"
	run dawk_on us check
	[[ $output == *"missing.key is not there, so no reports"*"tlsrpt --make-key"* ]]
	sign_with "$PAIR"
	run -78 tlsrpt --day $day
	[[ $output == *"is not a file"* ]]
	CONTACT='tls@[127.0.0.2]' sign_with "$ed"
	run -78 tlsrpt --day $day
	[[ ! -s $PAIR/us/state/sts/sent/$day ]]
	sign_with "$ed"
	arrives $day alice
	run -0 verifies "$(on them message_of alice)"
}

@test "a keyd that fails costs no report its signature: it waits for the next run (sysexits 75)" {
	sign_with "$PAIR/ed.key"
	facts "$(ago 15)" <<<'5 them.example sts version:+STSv1 - success - - -'
	mkdir "$PAIR/bin"
	cp "$BIN/tlsrpt" "$BIN/dawk" "$BIN/dnsd" "$PAIR/bin/"
	ln -s /bin/false "$PAIR/bin/keyd"
	run -75 in_net timeout 60 "$PAIR/bin/dawk" -c "$PAIR/us/etc/dawk.conf" tlsrpt --day "$(ago 15)"
	[[ $output == *"keyd has ended"* && ! -s $PAIR/us/state/sts/sent/$(ago 15) ]]
}

@test "the key is in keyd alone, which ends with tlsrpt; tlsrpt has no rights by then" {
	sign_with "$PAIR/ed.key"
	facts "$(ago 16)" <<<'1 waits.example no-policy-found - - success - - -'
	{ cat "$PAIR/names"; echo '_smtp._tls.waits.example silent'; } | pair_names
	in_net_background waiting "$BIN/dawk" -c "$PAIR/us/etc/dawk.conf" tlsrpt --day "$(ago 16)"
	local pid keyd fd needle
	pid=$(<"$PAIR/pids/waiting")
	disown "$pid"
	wait_until child_of "$pid" dnsd
	wait_until child_of "$pid" keyd
	keyd=$(child_of "$pid" keyd)
	wait_until runs_as "$keyd" dawkk
	wait_until runs_as "$pid" dawkt
	needle=$(openssl pkey -in "$PAIR/ed.key" -text -noout | sed -n '/priv:/,/pub:/p' | grep '^ ' | tr -d ' :\n')
	[[ ${#needle} == 64 ]]
	for fd in /proc/"$pid"/fd/* /proc/"$keyd"/fd/*; do
		[[ $(readlink "$fd") != *.key* ]]
	done
	wait_until "$TOOLS/memory-holds.py" "$keyd" "$needle"
	run -1 "$TOOLS/memory-holds.py" "$pid" "$needle"
	kill -KILL "$pid"
	wait_until eval "! is_alive $keyd"
}
