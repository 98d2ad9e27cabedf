# smtpd alone: which recipients are taken, aliases, relaying, the access table.
load ../lib/suite

setup_file() {
	export SUITE_SERVICES=smtpd
	suite_make --set 'relay-networks = 127.0.0.2/32' --set 'relay-domains = backup.example inner.example .inner.example whole.example' --set 'relay-check = table' --set 'error-limit = 100' \
		--set 'vrfy = yes' --set 'recipient-limit = 3' --domain second.example
	{
		cat <<-'EOF'
			info@local.example: alice@local.example
			team@local.example: alice@local.example, bob@local.example, carol@far.example
			list@local.example: alice@local.example, bob@local.example
			owner-list@local.example: bob@local.example
			prog@local.example: |/bin/true
			zoë@local.example: alice@local.example
			"two words"@local.example: alice@local.example
			@second.example: alice@local.example
		EOF
		for ((i = 0; i < 100; i++)); do printf 'part%d@local.example:%s\n' "$i" "$(printf " u%d@far$i.example," {1..99}) x@far$i.example"; done
		printf '%s@local.example:%s part99@local.example\n' all "$(printf ' part%d@local.example,' {0..98})" every "$(printf ' part%d@local.example,' {0..98})"
	} >>"$SUITE/etc/aliases"
	cat >>"$SUITE/etc/relay-recipients" <<-'EOF'
		Alice@Inner.example
		bob@inner.example
		carol@branch.inner.example
		@whole.example
	EOF
	cat >>"$SUITE/etc/access" <<-'EOF'
		client:127.0.0.16/28 reject not from this network
		client:127.0.0.17 allow
		client:127.0.0.18 defer not now
		client:127.0.0.19 relay
		helo:bad.example reject bad name
		helo:.worse.example reject
		from:spam.example reject no thanks
		from:good@spam.example allow
		from:.below.example defer
		evil@client.example reject
		to:closed.example reject
		to:bob@local.example defer come back
		to:open.example relay
	EOF
	suite_add_mailbox roomy ':::50M'
	suite_add_mailbox full ':::1k'
	$DAWK update && suite_run
	mkdir -p "$SUITE/mail/local.example/full/"{tmp,new,cur}
	printf '1024S\n5000 1\n' >"$SUITE/mail/local.example/full/maildirsize"
	[[ $(id -u) != 0 ]] || chown -R dawkm: "$SUITE/mail/local.example/full"
}
teardown_file() { suite_stop; }
setup()         { rm -f "$SUITE"/queue/new/*; }

rcpt() {	# RECIPIENT REPLY [talk-options..]
	local to=$1 reply=$2
	shift 2
	run -0 talk "$@" smtpd <<-EOF
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<bob@client.example>
		S: 250
		C: RCPT TO:$to
		S: $reply
	EOF
}
# A message to all RECIPIENTs, each argument what stands behind RCPT TO:
send_to() {
	{
		printf 'S: 220\nC: EHLO client.example\nS: 250\nC: MAIL FROM:<bob@client.example>\nS: 250\n'
		for to in "$@"; do printf 'C: RCPT TO:%s\nS: 250\n' "$to"; done
		printf 'C: DATA\nS: 354\nC: .\nS: 250\n'
	} | talk smtpd
}
recipients() { sed -n '/^recipient /,/^Received:/p' "$SUITE"/queue/new/* | sed '/^Received:/d'; }

@test "a mailbox, an alias, an extension, a catch-all: 250 2.1.5" {
	rcpt '<alice@local.example>' '250 2.1.5'
	rcpt '<info@local.example>' '250 2.1.5'
	rcpt '<alice+list@local.example>' '250 2.1.5'
	rcpt '<whoever@second.example>' '250 2.1.5'
}
@test "an unknown local recipient: 550 5.1.1 right there" {
	rcpt '<nobody@local.example>' '550 5.1.1'
}
@test "bare postmaster, in any case, is always taken (RFC 5321 4.5.1)" {
	rcpt '<Postmaster>' '250 2.1.5'
	rcpt 'postmaster' '250 2.1.5'
	rcpt '<postmaster@second.example>' '250 2.1.5'
}
@test "another bare name is a stranger's mistake, and our first domain's for our own networks" {
	rcpt '<alice>' '553 5.1.3'
	rcpt '<alice>' '250 2.1.5' --source 127.0.0.2
	rcpt '<nobody>' '550 5.1.1' --source 127.0.0.2
}
@test "the address the client talks to is a domain of ours (RFC 5321 4.1.3)" {
	rcpt '<alice@[127.0.0.1]>' '250 2.1.5'
	rcpt '<alice@[192.0.2.1]>' '550 5.7.1'
}
@test "relaying: for relay-networks, to relay-domains, and for nobody else" {
	rcpt '<x@far.example>' '550 5.7.1'
	rcpt '<x@far.example>' '250 2.1.5' --source 127.0.0.2
	rcpt '<x@backup.example>' '250 2.1.5'
}
@test "of a relay domain in relay-recipients only those are taken, from our own clients too" {
	rcpt '<alice@inner.example>' '250 2.1.5'
	rcpt '<BOB+shop@inner.example>' '250 2.1.5'
	rcpt '<nobody@inner.example>' '550 5.1.1'
	rcpt '<nobody@inner.example>' '550 5.1.1' --source 127.0.0.2
	rcpt '<carol@branch.inner.example>' '250 2.1.5'
	rcpt '<alice@branch.inner.example>' '550 5.1.1'
	rcpt '<alice@other.inner.example>' '250 2.1.5'
	rcpt '<anybody@whole.example>' '250 2.1.5'
	rcpt '<anybody@backup.example>' '250 2.1.5'
	rcpt '<alice%far.example@inner.example>' '550 5.7.1'
	run -67 $DAWK explain nobody@inner.example
	[[ $output == *"not among the recipients of its domain: refused with 550 5.1.1"* ]]
}
@test "no route in a local part reaches a host we relay for" {
	rcpt '<x%far.example@backup.example>' '550 5.7.1'
	rcpt '<far.example!x@backup.example>' '550 5.7.1'
	rcpt '<"x@far.example"@backup.example>' '550 5.7.1'
}
@test "aliases become their members, addresses only; one with a program stays" {
	run -0 send_to '<team@local.example>' '<prog@local.example>'
	run -0 recipients
	[[ $output == *"recipient alice@local.example"*"recipient bob@local.example"*"recipient carol@far.example"*"recipient prog@local.example"* ]]
	[[ $output != *"/bin/true"* ]]
}
@test "a list of lists is expanded once a message, however often it is named, and members that are looked at count" {
	run -0 send_to '<all@local.example>' '<ALL@local.example>' '<all@Local.example>'
	run -0 recipients
	[[ $(grep -c '^recipient ' <<<"$output") == 10000 ]]
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<bob@client.example>
		S: 250
		C: RCPT TO:<all@local.example>
		S: 250
		C: RCPT TO:<every@local.example>
		S: 452 4.5.3
		C: RCPT TO:<team@local.example>
		S: 452 4.5.3
		C: RCPT TO:<all@local.example>
		S: 250
	EOF
}
@test "one member inherits NOTIFY and ORCPT (RFC 3461 5.2.7.1)" {
	run -0 send_to '<info@local.example> NOTIFY=SUCCESS ORCPT=rfc822;x@y.example'
	run -0 recipients
	[[ $output == "recipient alice@local.example"*"as info@local.example"*"rfc822;x@y.example"* ]]
}
@test "several members lose SUCCESS, the alias itself owes one expanded report (RFC 3461 5.2.7.2)" {
	run -0 send_to '<team@local.example> NOTIFY=SUCCESS,FAILURE'
	run -0 recipients
	[[ $(grep -c '^recipient ' <<<"$output") == 4 ]]
	[[ $(grep -c '^expanded' <<<"$output") == 1 ]]
}
@test "a list with an owner: failures go to the owner (RFC 3461 5.2.7.3)" {
	run -0 send_to '<list@local.example>'
	run -0 recipients
	[[ $(grep -c '^owner owner-list@local.example' <<<"$output") == 2 ]]
}
@test "over recipient-limit: 452 4.5.3, those before are served (RFC 5321 4.5.3.1.10)" {
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		S+ 250-LIMITS MAILMAX=10000 RCPTMAX=3
	EOF
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<bob@client.example>
		S: 250
		C: RCPT TO:<alice@local.example>
		C: RCPT TO:<info@local.example>
		C: RCPT TO:<a@second.example>
		C: RCPT TO:<b@second.example>
		S*3: 250
		S: 452 4.5.3
		C: DATA
		S: 354
		C: .
		S: 250
	EOF
}
@test "VRFY tells the truth where configured (RFC 5321 3.5.3)" {
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: VRFY alice
		S: 250 2.1.5 <alice@local.example>
		C: VRFY <info@local.example>
		S: 250 2.1.5 <info@local.example>
		C: VRFY nobody
		S: 550 5.1.1
		C: VRFY x@far.example
		S: 252 2.5.2
		C: VRFY
		S: 501 5.5.4
		C: VRFY alice@second.example
		S: 250 2.1.5 <alice@second.example>
		C: VRFY prog
		S: 250 2.1.5 <prog@local.example>
	EOF
}
@test "VRFY: one name or address, in quotes with blanks in it, and no second word but SMTPUTF8 (RFC 5321 4.1.1.6, RFC 6531 3.7.4.2)" {
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: VRFY alice nobody
		S: 501 5.5.4 syntax error: one name or address
		C: VRFY Alice Doe <alice@local.example>
		S: 501 5.5.4
		C: VRFY <alice@local.example> bob
		S: 501 5.5.4
		C: VRFY <alice@local.example>bob
		S: 501 5.5.4
		C: VRFY <alice@local.example
		S: 501 5.5.4
		C: VRFY "alice
		S: 501 5.5.4
		C: VRFY <>
		S: 501 5.5.4 syntax error: a name or an address is needed
		C: VRFY "two words"
		S: 250 2.1.5 <"two words"@local.example>
		C: VRFY "two words"@local.example
		S: 250 2.1.5 <"two words"@local.example>
		C: VRFY "three short words"
		S: 550 5.1.1
		C: VRFY "alice"
		S: 250 2.1.5 <alice@local.example>
		C: VRFY "alice@local.example"
		S: 250 2.1.5 <alice@local.example>
		C: VRFY "nobody@local.example"
		S: 550 5.1.1
		C: VRFY "alice@local.example"@local.example
		S: 550 5.1.1
		C: VRFY alice SMTPUTF8
		S: 250 2.1.5 <alice@local.example>
		C: VRFY "alice@local.example"  smtputf8
		S: 250 2.1.5 <alice@local.example>
		C: VRFY alice SMTPUTF8 SMTPUTF8
		S: 501 5.5.4
		C: VRFY alice SMTPUTF8=1
		S: 501 5.5.4
		C: VRFY zoë
		S: 252 2.6.8
		C: VRFY zoë SMTPUTF8
		S: 250 2.1.5 <zoë@local.example>
	EOF
}
@test "access: a client's network is refused with the table's words, its address allowed: the most particular key wins" {
	run -0 talk --source 127.0.0.20 smtpd <<-'EOF'
		S: 554 5.7.1 not from this network
		E:
	EOF
	rcpt '<alice@local.example>' '250' --source 127.0.0.17
	run -0 talk --source 127.0.0.18 smtpd <<-'EOF'
		S: 421 4.7.1 not now
		E:
	EOF
}
@test "access: relay lets a client relay, or everybody to a domain" {
	rcpt '<x@far.example>' '250' --source 127.0.0.19
	rcpt '<x@open.example>' '250'
}
@test "access: HELO names, senders and recipients are judged where they are said" {
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: EHLO bad.example
		S: 550 5.7.1 bad name
		C: EHLO very.worse.example
		S: 550 5.7.1
		C: EHLO worse.example
		S: 250
		C: MAIL FROM:<x@spam.example>
		S: 550 5.7.1 no thanks
		C: MAIL FROM:<x@deep.below.example>
		S: 450 4.7.1
		C: MAIL FROM:<Evil@client.example>
		S: 550 5.7.1
		C: MAIL FROM:<good@spam.example>
		S: 250
		C: RCPT TO:<bob@local.example>
		S: 450 4.7.1 come back
		C: RCPT TO:<x@closed.example>
		S: 550 5.7.1
		C: RCPT TO:<alice@local.example>
		S: 250
	EOF
}
@test "a table that is compiled anew is in force at once" {
	rcpt '<later@local.example>' '550 5.1.1'
	echo 'later@local.example: alice@local.example' >>"$SUITE/etc/aliases"
	$DAWK update
	rcpt '<later@local.example>' '250 2.1.5'
}
@test "a mailbox with a quota is asked about, replies of a pipelined group stay in order" {
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<bob@client.example>
		C: RCPT TO:<roomy@local.example>
		C: RCPT TO:<nobody@local.example>
		C: RCPT TO:<full@local.example>
		C: RCPT TO:<alice@local.example>
		C: DATA
		S: 250 2.1.0
		S: 250 2.1.5
		S: 550 5.1.1
		S: 452 4.2.2
		S: 250 2.1.5
		S: 354
		C: .
		S: 250 2.0.0
	EOF
	run -0 recipients
	[[ $output == *"recipient roomy@local.example"*"recipient alice@local.example"* && $output != *full@* ]]
}
