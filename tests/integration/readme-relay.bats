# README's "Mail to other hosts", line by line as it stands there, on two hosts and a DNS.
load ../lib/suite
load ../lib/pair

setup() {
	pair_net
	{
		printf '%s\n' 'here.example MX 10 mail.here.example' 'mail.here.example A 127.0.0.2' 'partner.example MX 10 mail.partner.example' \
			'mail.partner.example A 127.0.0.3' 'crowd.example MX 10 many.crowd.example'
		for i in {10..69}; do echo "many.crowd.example A 127.0.1.$i"; done
		echo 'many.crowd.example A 127.0.0.3'
	} | pair_names
	pair_start here 127.0.0.2
	pair_make partner 127.0.0.3 -- --set 'domains = partner.example crowd.example'
	printf '%s\n' 'carol@partner.example: alice@partner.example' '@crowd.example: bob@partner.example' >>"$PAIR/partner/etc/aliases"
	dawk_on partner update
	mkdir "$PAIR/bin"
	printf '#!/bin/sh\nexec nsenter --net=/proc/%s/ns/net %s/dawk -c %s/here/etc/dawk.conf "$@"\n' "$NET_PID" "$BIN" "$PAIR" >"$PAIR/bin/dawk"
	printf '#!/bin/sh\nexec %s/sendmail -C %s/here/etc/dawk.conf "$@"\n' "$BIN" "$PAIR" >"$PAIR/bin/sendmail"
	chmod 755 "$PAIR"/bin/*
}
teardown() { pair_stop; }

section() { sed -n '/^## Mail to other hosts/,/^## /p' "$ROOT/README.md"; }
# The commands of the section that hold PATTERN, as a person would type them.
as_written() {
	local line
	line=$(section | grep -E "^    .*$1" | sed 's/^ *//; s/  *#.*//' | head -n 1)
	[[ -n $line ]] || { echo "README has no line with $1"; return 1; }
	PATH=$PAIR/bin:$PATH bash -c "${line//ID/$2}"
}
partner_at() { on partner message_of alice | xargs cat | tr -d '\r'; }

@test "explain, send, look, retry, show: each command of the section does what it says" {
	run -0 as_written 'dawk explain'
	[[ $output == *'mail exchangers of partner.example: 10 mail.partner.example'* && $output == *'127.0.0.3 port 25'* ]]
	as_written 'sendmail carol@partner.example'
	waits() { as_written 'dawk queue  ' | grep -q 'carol@partner.example.*Connection refused'; }
	wait_until waits
	id=$(as_written 'dawk queue  ' | awk 'length($1) == 20 { print $1; exit }')
	as_written 'dawk queue sites' | grep -q 'site=smtp:mail.partner.example:25 .*aside=[0-9]*s words=.*Connection refused'
	as_written 'dawk queue show' "$id" | grep -q 'carol@partner.example'
	on partner suite_run
	as_written 'dawk queue retry partner.example'
	wait_until on partner delivered_to alice 1
	partner_at | grep -q '^It works.'
	wait_until on here queue_is_empty
}

@test "a host with sixty addresses is tried in bounded count, and its mail waits or arrives" {
	on partner suite_run
	printf 'Subject: hi\n\nhello\n' | "$TOOLS/queue-put" "$PAIR/here/queue" alice@here.example x@crowd.example >/dev/null
	arrives_or_waits() { on partner delivered_to bob 1 || on here logged queued 'deferred .*to=x@crowd.example status=4.4.1'; }
	wait_until arrives_or_waits
	on here suite_restart queued
}
