# SMTP AUTH (RFC 4954): smtpd and its authd.
load ../lib/suite
load ../lib/logins
export SUITE_SERVICES=smtpd

setup()    { logins_make --set 'smtpd-workers = 1'; }
teardown() { logins_stop; }

secure() { run -0 talk "$@" --tls "$SMTPS_PORT"; }
logins_are() { [[ $(grep -c "authd login .*$2" "$SUITE/stderr/smtpd") == "$1" ]]; }	# COUNT PATTERN
envelope_of_new() { sed '/^$/q' "$SUITE"/queue/new/* | tr -d '\0'; }

@test "AUTH is offered under TLS on the ports for submission, and nowhere else (RFC 4954 4, RFC 8314)" {
	suite_run
	secure <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		S+ 250-AUTH PLAIN LOGIN
	EOF
	run -0 talk "$SUBMISSION_PORT" <<-EOF
		S: 220
		C: EHLO client.example
		S: 250
		S- 250-AUTH
		C: AUTH PLAIN $(base64_of '\0alice\0secret')
		S: 538 5.7.11
		C: MAIL FROM:<alice@local.example>
		S: 530 5.7.0
		C: STARTTLS
		S: 220
		T: mail.local.example
		C: EHLO client.example
		S: 250
		S+ 250-AUTH PLAIN LOGIN
		C: MAIL FROM:<alice@local.example>
		S: 530 5.7.0
		C: AUTH PLAIN $(base64_of '\0alice\0secret')
		S: 235 2.7.0
		C: MAIL FROM:<alice@local.example>
		S: 250
	EOF
	run -0 talk smtpd <<-EOF
		S: 220
		C: EHLO client.example
		S: 250
		S- 250-AUTH
		C: STARTTLS
		S: 220
		T: mail.local.example
		C: EHLO client.example
		S: 250
		S- 250-AUTH
		C: AUTH PLAIN $(base64_of '\0alice\0secret')
		S: 502 5.5.1
	EOF
}

@test "auth-listeners offers AUTH on port 25 too, under TLS alone" {
	echo 'auth-listeners = smtp' >>"$SUITE/etc/dawk.conf"
	suite_run
	run -0 talk smtpd <<-EOF
		S: 220
		C: EHLO client.example
		S: 250
		S- 250-AUTH
		C: AUTH PLAIN $(base64_of '\0alice\0secret')
		S: 538 5.7.11
		C: STARTTLS
		S: 220
		T: mail.local.example
		C: EHLO client.example
		S: 250
		S+ 250-AUTH PLAIN LOGIN
		C: AUTH PLAIN $(base64_of '\0alice\0secret')
		S: 235 2.7.0
	EOF
	secure <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		S- 250-AUTH
	EOF
}

@test "PLAIN and LOGIN with and without an initial response, byte by byte too (RFC 4954 4, RFC 4616)" {
	suite_run
	for name in alice alice@local.example ALICE@Local.Example; do
		secure <<-EOF
			S: 220
			C: EHLO client.example
			S: 250
			C: AUTH PLAIN $(base64_of "\0000$name\0000secret")
			S: 235 2.7.0
			C: QUIT
			S: 221
		EOF
	done
	secure --bytes <<-EOF
		S: 220
		C: EHLO client.example
		S: 250
		C: auth plain
		S~ ^334 $
		C: $(base64_of 'alice@local.example\0alice@local.example\0secret')
		S: 235 2.7.0
	EOF
	secure --bytes <<-EOF
		S: 220
		C: EHLO client.example
		S: 250
		C: AUTH LOGIN
		S: 334 VXNlcm5hbWU6
		C: $(base64_of alice)
		S: 334 UGFzc3dvcmQ6
		C: $(base64_of secret)
		S: 235 2.7.0
	EOF
	secure <<-EOF
		S: 220
		C: EHLO client.example
		S: 250
		C: AUTH LOGIN $(base64_of alice)
		S: 334 UGFzc3dvcmQ6
		C: $(base64_of secret)
		S: 235 2.7.0
	EOF
	wait_until logins_are 6 'client=127.0.0.1 user=alice@local.example for=submission mechanism='
}

@test "what may not be: syntax, order, a second login, unknown mechanisms, bad base64 (RFC 4954 4, 6)" {
	suite_run
	secure <<-EOF
		S: 220
		C: AUTH PLAIN
		S: 503 5.5.1
		C: HELO client.example
		S: 250
		C: AUTH PLAIN
		S: 503 5.5.1
		C: EHLO client.example
		S: 250
		C: AUTH
		S: 501 5.5.4
		C: AUTH PLAIN a b
		S: 501 5.5.4
		C: AUTH NO+NAME
		S: 501 5.5.4
		C: AUTH EXTERNAL
		S: 504 5.5.4
		C: AUTH CRAM-MD5
		S: 504 5.5.4
		C: AUTH SCRAM-SHA-256-PLUS
		S: 504 5.5.4
		C: QUIT
		S: 221
	EOF
	secure <<-EOF
		S: 220
		C: EHLO client.example
		S: 250
		C: AUTH PLAIN AGFsaWNl*
		S: 501 5.5.2
		C: AUTH PLAIN AGFsaWNlAHNlY3JldA
		S: 501 5.5.2
		C: AUTH PLAIN $(base64_of 'alice\0secret')
		S: 501 5.5.2
		C: AUTH PLAIN =
		S: 501 5.5.2
		C: AUTH LOGIN =
		S: 501 5.5.2
		C: AUTH PLAIN
		S: 334
		C: =
		S: 501 5.5.2
		C: AUTH PLAIN
		S: 334
		C: *
		S: 501 5.7.0
		C: NOOP
		S: 250
		C: AUTH PLAIN $(base64_of '\0alice\0secret')
		S: 235 2.7.0
		C: AUTH PLAIN $(base64_of '\0alice\0secret')
		S: 503 5.5.1
		C: MAIL FROM:<alice@local.example>
		S: 250
		C: AUTH PLAIN
		S: 503 5.5.1
		C: RSET
		S: 250
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<alice@local.example>
		S: 250
		C: QUIT
		S: 221
	EOF
	secure <<-EOF
		S: 220
		C: EHLO client.example
		S: 250
		C: AUTH PLAIN $(base64_of 'bob\0alice\0secret')
		S: 501 5.5.2
		C: AUTH PLAIN $(base64_of '\0alice\0wrong')
		S: 535 5.7.8
		C: AUTH PLAIN $(base64_of '\0alice\0secret')
		S: 235 2.7.0
	EOF
}

@test "lines of 12,288 octets are taken, longer ones refused, and the dialog goes on (RFC 4954 4)" {
	suite_run
	run -0 /usr/bin/python3 - "$SMTPS_PORT" <<-'EOF'
		import base64, socket, ssl, sys
		context = ssl._create_unverified_context()
		s = context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60))
		f = s.makefile("rb")
		def reply():
		    while True:
		        line = f.readline()
		        if line[3:4] != b"-": return line[:9]
		def say(line):
		    s.sendall(line + b"\r\n")
		    return reply()
		reply(); say(b"EHLO x")
		most = base64.b64encode(b"\0" * 9216)
		assert len(most) == 12288
		assert say(b"AUTH PLAIN " + most) == b"501 5.5.2"	# no message of PLAIN, but taken
		assert say(b"AUTH PLAIN") == b"334 \r\n"
		assert say(most) == b"501 5.5.2"
		assert say(b"AUTH PLAIN") == b"334 \r\n"
		assert say(b"A" * 12288 + b"AAAA" * 20) == b"500 5.5.6"
		assert say(b"AUTH PLAIN " + b"A" * 20000).startswith(b"500 5.5.")
		assert say(b"NOOP") == b"250 2.0.0"
		assert say(b"X" * 5000) == b"500 5.5.2"	# any other line stays short
		assert say(b"AUTH PLAIN " + base64.b64encode(b"\0alice\0secret")) == b"235 2.7.0"
	EOF
}

@test "a login is waited for, and what is pipelined behind it runs in order (RFC 4954 4, RFC 2920)" {
	suite_run
	secure <<-EOF
		S: 220
		C: EHLO client.example
		S: 250
		C: AUTH PLAIN $(base64_of '\0alice\0wrong')
		C: NOOP
		C: AUTH PLAIN $(base64_of '\0alice\0secret')
		C: MAIL FROM:<alice@local.example>
		C: RCPT TO:<bob@local.example>
		C: DATA
		S: 535 5.7.8
		S: 250 2.0.0
		S: 235 2.7.0
		S: 250 2.1.0
		S: 250 2.1.5
		S: 354
		C: Subject: hi
		C:
		C: .
		S: 250 2.0.0
	EOF
	grep -q '^protocol ESMTPSA' <<<"$(envelope_of_new)" || grep -q 'with ESMTPSA' "$SUITE"/queue/new/*
	grep -q 'authenticated.*alice@local.example' <<<"$(envelope_of_new)"
}

@test "who has logged in may send anywhere, who has not may send nothing (RFC 6409 4.3)" {
	suite_run
	secure <<-EOF
		S: 220
		C: EHLO client.example
		S: 250
		C: AUTH PLAIN $(base64_of '\0alice\0secret')
		S: 235
		C: MAIL FROM:<alice@local.example> AUTH=<>
		S: 250
		C: RCPT TO:<someone@far.example>
		S: 250
		C: RSET
		S: 250
		C: MAIL FROM:<alice@local.example> AUTH=alice@local.example
		S: 250
		C: RSET
		S: 250
		C: MAIL FROM:<alice@local.example> AUTH=e+3Dmc2@example.com
		S: 250
		C: RSET
		S: 250
		C: MAIL FROM:<alice@local.example> AUTH=
		S: 501
		C: MAIL FROM:<alice@local.example> AUTH=e+3mc2
		S: 501
		C: MAIL FROM:<alice@local.example> AUTH
		S: 501
	EOF
	run -0 talk smtpd <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<stranger@far.example> AUTH=alice@local.example
		S: 250
		C: RCPT TO:<bob@local.example>
		S: 250
	EOF
}

@test "an unknown name and a wrong password get the same reply after the same time, by every mechanism" {
	logins_know carol@local.example pencil
	suite_run
	run -0 /usr/bin/python3 - "$SMTPS_PORT" "$TOOLS/scram-client.py" <<-'EOF'
		import base64, smtplib, ssl, subprocess, sys, time
		port = int(sys.argv[1])
		def plain(user):
		    s = smtplib.SMTP_SSL("127.0.0.1", port, context=ssl._create_unverified_context(), timeout=60)
		    s.ehlo()
		    began = time.monotonic()
		    reply = s.docmd("AUTH", "PLAIN " + base64.b64encode(b"\0" + user + b"\0wrong").decode())
		    return reply, time.monotonic() - began
		def scram(user):
		    client = [sys.argv[2], "smtp", str(port), user.decode(), "wrong", "print=seconds"]
		    seconds, reply = subprocess.run(client, stdout=subprocess.PIPE, timeout=60).stdout.split(b" ", 1)
		    return reply, float(seconds)
		for way in plain, scram:
		    replies = set()
		    for user in b"carol", b"nobody", b"carol@local.example", b"x@far.example", b"postmaster", b"@":
		        for _ in range(10):	# a busy machine adds to the second, never takes from it
		            reply, seconds = way(user)
		            replies.add(reply)
		            assert seconds >= 0.999, (way, user, seconds)
		            if seconds < 2: break
		        else: raise SystemExit("%s never took a second" % user)
		    assert len(replies) == 1 and b"5.7.8" in (replies.pop()[1] if way is plain else replies.pop()), replies
	EOF
	salts() { scram_client smtp "$1" wrong print=salt | head -n 1; }
	first=$(salts nobody@local.example)
	[[ $first == *" 15000" && $(salts carol@local.example) == *" 15000" ]]
	[[ $(salts other@local.example) != "$first" ]]
	suite_restart smtpd
	[[ $(salts nobody@local.example) == "$first" ]]	# as a stored one would
}

@test "no password comes into the log, not even one sent where a command is awaited" {
	suite_run
	secret=$(base64_of Geheim17)
	secure <<-EOF
		S: 220
		C: EHLO client.example
		S: 250
		C: AUTH PLAIN $(base64_of '\0alice\0Geheim17')
		S: 535
		C: AUTH LOGIN
		S: 334
		C: $secret
		S: 334
		C: $secret
		S: 535
		C: AUTH LOGIN NOT/BASE64!$secret
		S: 501
		C: $secret
		S: 500
		C: AUTH CRAM-MD5 $secret
		S: 504
		C: $secret
		S: 500
		C: QUIT
		S: 221
	EOF
	run -0 talk "$SUBMISSION_PORT" <<-EOF
		S: 220
		C: EHLO client.example
		S: 250
		C: AUTH PLAIN $(base64_of '\0alice\0Geheim17')
		S: 538
		C: $secret
		S: 500
	EOF
	wait_until logged smtpd 'refused .*code=538 .*command="?AUTH PLAIN"?$'
	run -1 grep -E "Geheim17|$secret|$(base64_of '\0alice\0Geheim17')" "$SUITE/stderr/smtpd"
}

@test "a client that goes while authd works, or while it is asked, harms nobody" {
	suite_run
	run -0 /usr/bin/python3 - "$SMTPS_PORT" <<-'EOF'
		import base64, socket, ssl, sys
		context = ssl._create_unverified_context()
		def session():
		    s = context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60))
		    f = s.makefile("rb"); f.readline()
		    s.sendall(b"EHLO x\r\n")
		    while f.readline()[3:4] == b"-": pass
		    return s, f
		for i in range(30):
		    s, f = session()
		    s.sendall(b"AUTH PLAIN " + base64.b64encode(b"\0alice\0wrong") + b"\r\n")
		    s.close()
		    s, f = session()
		    s.sendall(b"AUTH LOGIN\r\n")
		    assert f.readline().startswith(b"334")
		    s.close()
		s, f = session()
		s.sendall(b"AUTH PLAIN " + base64.b64encode(b"\0alice\0secret") + b"\r\n")
		assert f.readline().startswith(b"235")
	EOF
}

@test "while authd is gone a login is told to come later" {
	suite_run
	authd=$(sed -n 's/.*started part=authd index=0 pid=\([0-9]*\).*/\1/p' "$SUITE/stderr/smtpd")
	kill -STOP "$authd"
	printf 'S: 220\nC: EHLO x\nS: 250\nC: AUTH PLAIN %s\nS: 454 4.7.0\n' "$(base64_of '\0alice\0secret')" |
		PYTHONUNBUFFERED=1 talk --tls "$SMTPS_PORT" >"$SUITE/talk.out" 2>&1 3>&- &
	client=$!
	wait_until grep -q '^C: AUTH' "$SUITE/talk.out"
	kill -KILL "$authd"
	wait "$client" || grep -q '^S: 421' "$SUITE/talk.out"	# the command may come when the end is near
	wait_until suite_has_ended smtpd
	rm -f "$SUITE/pid/smtpd"
}

@test "SCRAM-SHA-256 and -PLUS, with what a client may get wrong (RFC 5802, RFC 7677, RFC 9266)" {
	logins_know carol@local.example pencil
	echo 'auth-mechanisms = auto scram-sha-256-plus' >>"$SUITE/etc/dawk.conf"
	suite_run
	secure <<-'EOF'
		S: 220
		C: EHLO client.example
		S: 250
		S+ 250-AUTH PLAIN LOGIN SCRAM-SHA-256-PLUS SCRAM-SHA-256
	EOF
	ok() { [[ $(scram_client smtp carol@local.example pencil "$@") == 235* ]] || { echo "not ok: $*"; return 1; }; }
	no() { local wanted=$1; shift; got=$(scram_client smtp carol@local.example pencil "$@"); [[ $got == "$wanted"* ]] || { echo "$*: $got"; return 1; }; }
	ok
	ok mechanism=SCRAM-SHA-256-PLUS
	ok authzid=carol@local.example
	ok authzid=carol
	no 535 authzid=alice@local.example
	no 535 proof=wrong
	no 535 nonce=wrong
	no 535 flag=y	# somebody took -PLUS out of the offer, RFC 5802 6
	no 535 flag=p=tls-exporter
	no 535 mechanism=SCRAM-SHA-256-PLUS binding=wrong
	no 535 mechanism=SCRAM-SHA-256-PLUS binding=none
	no 535 mechanism=SCRAM-SHA-256-PLUS flag=n
	no 535 mechanism=SCRAM-SHA-256-PLUS flag=y
	no 501 mechanism=SCRAM-SHA-256-PLUS flag=p=tls-unique
	no 501 first=x
	no 501 first=n,,m=x,n=carol,r=abc
	no 535 final=x
	no 501 last=eA==
	[[ $(scram_client smtp nobody@local.example pencil) == 535* ]]
	[[ $(scram_client smtp carol@local.example pencils) == 535* ]]
	[[ $(scram_client smtp carol@local.example pencil mechanism=scram-sha-256) == 235* ]]
	wait_until logged smtpd 'authd login .*mechanism=SCRAM-SHA-256-PLUS secret=password'
	echo 'auth-mechanisms = scram-sha-256' >>"$SUITE/etc/dawk.conf"
	suite_restart smtpd
	ok flag=y	# nothing was hidden from it
	no 504 mechanism=SCRAM-SHA-256-PLUS
}

@test "SCRAM is offered while every password has its key, and no key outlives its password" {
	offers() { printf 'S: 220\nC: EHLO x\nS: 250\nS%s 250-AUTH PLAIN LOGIN%s\n' "$1" "$2" | talk --tls "$SMTPS_PORT" >/dev/null 2>&1; }
	suite_run
	offers + ''
	run -0 talk --tls "$SMTPS_PORT" <<<$'S: 220\nC: EHLO x\nS: 250\nS- 250-AUTH PLAIN LOGIN SCRAM'
	logins_know carol@local.example pencil
	suite_add_mailbox alice
	$DAWK update
	suite_restart smtpd
	run -0 talk --tls "$SMTPS_PORT" <<<$'S: 220\nC: EHLO x\nS: 250\nS- 250-AUTH PLAIN LOGIN SCRAM'
	$DAWK user passwd alice@local.example <<<other
	wait_until offers + ' SCRAM-SHA-256'	# no restart
	[[ $(scram_client smtp alice other) == 235* ]]
	# a hash that is changed by hand leaves the key of the old password behind
	sed -i "s|^alice@local.example:[^:]*|alice@local.example:$SECRET_HASH|" "$SUITE/etc/users"
	$DAWK update
	[[ $(scram_client smtp alice other) != 235* ]]
	[[ $(scram_client smtp alice secret) != 235* ]]
	run -0 talk --tls "$SMTPS_PORT" <<<$'S: 220\nC: EHLO x\nS: 250\nC: AUTH PLAIN '"$(base64_of '\0alice\0secret')"$'\nS: 235'
}

@test "app passwords: each opens, is logged by its name, and is revoked alone" {
	logins_know carol@local.example pencil
	phone=$($DAWK user app-password add carol@local.example phone)
	tablet=$($DAWK user app-password add carol@local.example tablet)
	[[ $phone =~ ^([a-z2-9]{4}-){4}[a-z2-9]{4}$ && $phone != "$tablet" ]]
	suite_run
	plain() { printf 'S: 220\nC: EHLO x\nS: 250\nC: AUTH PLAIN %s\nS: %s\n' "$(base64_of "\0000carol\0000$1")" "$2" | talk --tls "$SMTPS_PORT"; }
	for secret in pencil "$phone" "$tablet"; do
		plain "$secret" 235
		plain "$secret" 235	# and from the cache
		[[ $(scram_client smtp carol "$secret") == 235* ]]
	done
	for name in password phone tablet; do
		wait_until logins_are 2 "mechanism=PLAIN secret=$name\$"
		wait_until logins_are 1 "mechanism=SCRAM-SHA-256 secret=$name\$"
	done
	run -0 $DAWK user app-password list carol@local.example
	[[ $output == *"phone "*crypt*"phone "*scram-sha-256*"tablet "* && $output != *password* ]]
	run -0 $DAWK user app-password del carol@local.example phone
	plain "$phone" 535
	[[ $(scram_client smtp carol "$phone") == 535* ]]
	plain "$tablet" 235
	plain pencil 235
	$DAWK user passwd carol@local.example <<<pen
	plain pencil 535
	[[ $(scram_client smtp carol pencil) == 535* ]]
	plain pen 235
	[[ $(scram_client smtp carol pen) == 235* && $(scram_client smtp carol "$tablet") == 235* ]]
	run -65 $DAWK user app-password add carol@local.example tablet
	run -65 $DAWK user app-password add carol@local.example password
	run -67 $DAWK user app-password add nobody@local.example phone
	run -67 $DAWK user app-password del carol@local.example phone
	$DAWK user del carol@local.example
	run -1 grep carol "$SUITE/etc/secrets"
	plain "$tablet" 535
	plain pen 535
}
