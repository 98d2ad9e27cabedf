# POP3 AUTH (RFC 5034) with all mechanisms, in TLS and in clear.
load ../lib/suite
load ../lib/logins
export SUITE_SERVICES=pop3d

setup()    { logins_make --set 'pop3d-workers = 1' --set 'auth-mechanisms = auto scram-sha-256-plus'; }
teardown() { logins_stop; }

@test "CAPA and AUTH list the mechanisms; those that bind channels within TLS alone (RFC 5034 6, RFC 9266)" {
	logins_know carol@local.example pencil
	suite_run
	run -0 talk pop3d <<-'EOF'
		S: +OK
		C: CAPA
		M: +OK
		S+ SASL PLAIN LOGIN SCRAM-SHA-256
		C: AUTH
		M: +OK
		S+ PLAIN
		S+ LOGIN
		S+ SCRAM-SHA-256
		S- SCRAM-SHA-256-PLUS
		C: AUTH SCRAM-SHA-256-PLUS
		S: -ERR
		C: QUIT
		S: +OK
	EOF
	run -0 talk --tls "$POP3S_PORT" <<-'EOF'
		S: +OK
		C: CAPA
		M: +OK
		S+ SASL PLAIN LOGIN SCRAM-SHA-256-PLUS SCRAM-SHA-256
		C: AUTH
		M: +OK
		S+ SCRAM-SHA-256-PLUS
		C: QUIT
		S: +OK
	EOF
}

@test "outside clear-login AUTH is neither offered nor taken without TLS, within TLS it is" {
	echo 'clear-login = 192.0.2.0/24' >>"$SUITE/etc/dawk.conf"
	suite_run
	run -0 talk pop3d <<-EOF
		S: +OK
		C: CAPA
		M: +OK
		S- SASL
		C: AUTH
		M: +OK
		S- PLAIN
		C: AUTH PLAIN $(base64_of '\0alice\0secret')
		S: -ERR
		C: AUTH LOGIN
		S: -ERR
		C: STLS
		S: +OK
		T: mail.local.example
		C: AUTH PLAIN $(base64_of '\0alice\0secret')
		S: +OK
		C: QUIT
		S: +OK
	EOF
}

@test "SCRAM-SHA-256 and -PLUS open the mailbox, and fail as a wrong password does (RFC 5802, RFC 7677)" {
	logins_know carol@local.example pencil
	suite_run
	[[ $(scram_client pop3 carol@local.example pencil) == +OK* ]]
	[[ $(scram_client pop3 carol@local.example pencil mechanism=SCRAM-SHA-256-PLUS) == +OK* ]]
	for lie in 'proof=wrong' 'flag=y' 'mechanism=SCRAM-SHA-256-PLUS binding=wrong' 'mechanism=SCRAM-SHA-256-PLUS flag=n'; do
		# shellcheck disable=SC2086
		[[ $(scram_client pop3 carol@local.example pencil $lie) == '-ERR [AUTH] authentication failed' ]]
	done
	[[ $(scram_client pop3 nobody@local.example pencil) == '-ERR [AUTH] authentication failed' ]]
	wait_until logged pop3d 'authd login .*user=carol@local.example for=pop3 mechanism=SCRAM-SHA-256-PLUS secret=password'
}

@test "a dialog is cancelled, malformed, too long, cut off, byte by byte (RFC 5034 4)" {
	suite_run
	run -0 talk --bytes pop3d <<-EOF
		S: +OK
		C: AUTH PLAIN
		S: +
		C: *
		S: -ERR cancelled
		C: AUTH PLAIN =
		S: -ERR
		C: AUTH PLAIN $(base64_of 'bob\0alice\0secret')
		S: -ERR
		C: AUTH LOGIN
		S: + VXNlcm5hbWU6
		C: =
		S: -ERR
		C: AUTH NO+NAME
		S: -ERR
		C: AUTH USER/PASS $(base64_of '\0alice\0secret')
		S: -ERR
		C: AUTH LOGIN $(base64_of alice)
		S: + UGFzc3dvcmQ6
		C: $(base64_of secret)
		S: +OK
		C: QUIT
		S: +OK
	EOF
	run -0 /usr/bin/python3 - "$POP3_PORT" <<-'EOF'
		import base64, socket, sys
		for i in range(50):	# those who go while they are asked
		    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20) as s:
		        f = s.makefile("rb"); f.readline()
		        s.sendall(b"AUTH LOGIN\r\n")
		        assert f.readline().startswith(b"+ ")
		with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20) as s:
		    f = s.makefile("rb"); f.readline()
		    s.sendall(b"AUTH PLAIN " + base64.b64encode(b"\0" * 9216) + b"\r\n")
		    assert f.readline().startswith(b"-ERR this is no response")
		    s.sendall(b"AUTH PLAIN\r\n")
		    assert f.readline() == b"+ \r\n"
		    s.sendall(b"A" * 13000 + b"\r\n")
		    assert f.readline() == b"-ERR line too long\r\n"
		    s.sendall(b"*\r\nAUTH PLAIN " + base64.b64encode(b"\0alice\0secret") + b"\r\n")
		    assert f.readline().startswith(b"-ERR") and f.readline().startswith(b"+OK")
	EOF
}

@test "a right password is checked once and remembered, until the entry changes or login-cache is over" {
	checkers() { for p in $(pgrep -x authd:checker); do grep -qsF "$SUITE/" "/proc/$p/cmdline" && cat "/proc/$p/stat"; done; }
	checks() { checkers | awk '{ sum += $14 } END { print sum + 0 }'; }
	logins_know carol@local.example pencil	# yescrypt: some 20 ms each
	suite_run
	log_in() { printf 'S: +OK\nC: USER carol\nS: +OK\nC: PASS %s\nS: %s\nC: QUIT\nS: +OK\n' "$1" "$2" | talk pop3d; }
	log_in pencil +OK
	[[ -n $(checkers) ]]
	before=$(checks)
	for ((i = 0; i < 20; i++)); do log_in pencil +OK; done
	(($(checks) - before <= 2))	# hundredths of a second; 20 checks would be 40
	log_in pencils -ERR
	$DAWK user passwd carol@local.example <<<other
	log_in pencil -ERR
	log_in other +OK
}

@test "no process that talks to the network has a password hash in reach: not in its open files, not by its rights" {
	logins_know carol@local.example pencil
	export SUITE_SERVICES="smtpd pop3d"
	suite_run
	[[ $(scram_client pop3 carol pencil) == +OK* && $(scram_client smtp carol pencil) == 235* ]]
	printf 'S: +OK\nC: USER carol\nS: +OK\nC: PASS pencil\nS: +OK\nC: QUIT\nS: +OK\n' | talk pop3d
	count=0
	for service in smtpd pop3d; do
		for pid in $(sed -n 's/.*started part=worker index=[0-9]* pid=\([0-9]*\).*/\1/p' "$SUITE/stderr/$service"); do
			count=$((count + 1))
			# no table of hashes is open or mapped, nor the salt of SCRAM
			run -1 grep -rhaE 'secret/|/etc/secrets|/etc/users|shadow' <(ls -l "/proc/$pid/fd"; cat "/proc/$pid/maps")
			# it runs under an account that may not read them, without capabilities and within walls
			if [[ $(id -u) == 0 ]]; then
				[[ $(awk '/^Uid:/ { print $2 }' "/proc/$pid/status") != 0 ]]
				uid=$(awk '/^Uid:/ { print $2 }' "/proc/$pid/status") gid=$(awk '/^Gid:/ { print $2 }' "/proc/$pid/status")
				for file in secret secret/users.cdb secret/secrets.cdb secret/salt users secrets; do
					run -1 setpriv --reuid "$uid" --regid "$gid" --clear-groups test -r "$SUITE/etc/$file"
				done
			fi
			grep -q '^CapEff:[[:space:]]*0*$' "/proc/$pid/status"
			grep -q '^NoNewPrivs:[[:space:]]*1' "/proc/$pid/status"
			grep -q '^Seccomp:[[:space:]]*2' "/proc/$pid/status"
			[[ $(hashes_in_memory_of "$pid") == none ]]
		done
	done
	((count >= 2))
	# and the search finds them where they are
	if [[ $(id -u) == 0 ]]; then
		[[ $(hashes_in_memory_of "$(sed -n 's/.*started part=authd index=0 pid=\([0-9]*\).*/\1/p' "$SUITE/stderr/pop3d")") == some ]]
	fi
}

# Of carol, hash and SCRAM keys: "some" or "none".
hashes_in_memory_of() {
	timeout 60 /usr/bin/python3 - "$1" "$SUITE/etc/users" "$SUITE/etc/secrets" <<-'EOF'
		import re, sys
		wanted = [line.split(b":")[1] for line in open(sys.argv[2], "rb") if line.startswith(b"carol")]
		for line in open(sys.argv[3], "rb"):
		    if line.startswith(b"carol"): wanted += line.split(b":")[3].strip().split(b",")[2:4]
		assert len(wanted) == 3 and all(len(w) > 20 for w in wanted), wanted
		try:
		    memory = open("/proc/%s/mem" % sys.argv[1], "rb", 0)
		except PermissionError:
		    sys.exit(print("none"))	# an instance of one's own: nobody may look, we neither
		for line in open("/proc/%s/maps" % sys.argv[1]):
		    start, end, rights = re.match(r"([0-9a-f]+)-([0-9a-f]+) (....)", line).groups()
		    if rights[0] != "r" or "[v" in line or int(end, 16) - int(start, 16) > 1 << 30: continue	# a sanitizer's shadow
		    try:
		        memory.seek(int(start, 16))
		        data = memory.read(int(end, 16) - int(start, 16))
		    except OSError:
		        continue
		    if any(w in data for w in wanted): sys.exit(print("some"))
		print("none")
	EOF
}
