# Instances whose clients log in, for tests of AUTH.
#
#   logins_make [dawk-init-args..]	suite_make with ports for submission and TLS: SUBMISSION_PORT, SMTPS_PORT, POP3S_PORT
#   logins_stop				for teardown, with suite_stop in it
#   logins_know USER PASSWORD		a mailbox with a SCRAM key, and none without one
#   logins_judge			an oauth-checker: the token "good..." is right
#   base64_of 'TEXT\0WITH\0ESCAPES'
#   scram_client PROTOCOL NAME PASSWORD [OPTION=VALUE..]	tests/tool/scram-client.py, at the port with TLS

logins_make() {
	read -r SUBMISSION_PORT SMTPS_PORT POP3S_PORT <<<"$("$TOOLS/free-ports.py" 3)"
	export SUBMISSION_PORT SMTPS_PORT POP3S_PORT
	suite_make --submission "127.0.0.1:$SUBMISSION_PORT" --submissions "127.0.0.1:$SMTPS_PORT" --pop3s "127.0.0.1:$POP3S_PORT" "$@"
}
logins_stop() {
	"$TOOLS/free-ports.py" --release "$SUBMISSION_PORT" "$SMTPS_PORT" "$POP3S_PORT"
	suite_stop
}
logins_know() {
	sed -i '/^\(alice\|bob\)@/d' "$SUITE/etc/users"
	$DAWK user add "$1" <<<"$2" >/dev/null
}
# Who has the token "good" is who he says he is, or carol; "later" can't be judged.
logins_judge() {
	echo "oauth-checker = $SUITE/judge" >>"$SUITE/etc/dawk.conf"
	cat >"$SUITE/judge" <<-'EOT'
		#!/usr/bin/python3
		import os, sys
		user, token, rest = os.read(3, 65536).split(b"\0")
		assert rest == b"" and len(sys.argv) == 1
		if token == b"later": sys.exit(111)
		if not token.startswith(b"good"): sys.exit(1)
		print(user.decode() or "carol@local.example")
	EOT
	chmod 755 "$SUITE/judge"
}
# A NUL is written \0000: behind \0 the first digits of a password would count as octal.
base64_of() { printf '%b' "$1" | base64 -w0; }
scram_client() {
	local protocol=$1 port=$SMTPS_PORT
	shift
	[[ $protocol == smtp ]] || port=$POP3S_PORT
	timeout 60 "$TOOLS/scram-client.py" "$protocol" "$port" "$@"
}
