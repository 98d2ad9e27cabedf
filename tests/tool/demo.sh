#!/bin/bash
# demo.sh (`make demo`): an instance on free loopback ports; a message is sent and fetched before
# one's eyes. Nothing but bash is needed beside the suite. Ends by itself and leaves nothing behind.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/suite.bash

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() { printf '  $ %s\n' "$*"; "$@" 2>&1 | sed 's/^/    /'; }
clean_up() { BATS_TEST_COMPLETED=1 suite_stop; }
trap 'clean_up; exit 1' INT TERM

# converse PORT: plays "C: " lines from standard input; after each it reads one reply. A reply ends
# where SMTP's code is followed by a blank, or with the first line of POP3, or after RETR at the dot.
converse() {
	local line reply
	exec {server}<>"/dev/tcp/127.0.0.1/$1" || return 1
	hear ''
	while IFS= read -r line; do
		printf '  C: %s\n' "$line"
		printf '%s\r\n' "$line" >&"$server"
		# Between DATA and the lone dot the server listens silently.
		[[ ${in_data:-} && $line != . ]] && continue
		in_data=
		[[ $line == DATA ]] && in_data=yes
		hear "$line"
	done
	exec {server}>&-
}
hear() {	# COMMAND
	while IFS= read -r -t 10 reply <&"$server"; do
		reply=${reply%$'\r'}
		printf '  S: %s\n' "$reply"
		[[ $1 == RETR* && $reply != . && $reply != -ERR* ]] && continue
		[[ $reply =~ ^[0-9]{3}- ]] || return 0
	done
}

say "1. A complete instance in a folder of its own, with free ports on the loopback address"
suite_make || exit 1
sed 's/^/    /' "$SUITE/init.out"
say "2. A mailbox: the password comes from a prompt, or from one line of standard input"
printf '  $ echo open-sesame | dawk user add carol@local.example\n'
echo open-sesame | $DAWK user add carol@local.example 2>&1 | sed 's/^/    /'
show $DAWK explain carol+news@local.example
say "3. The three services, here without a supervisor"
suite_run || { clean_up; exit 1; }
for name in smtpd queued pop3d; do printf '    %s runs as process %s\n' "$name" "$(suite_pid "$name")"; done
printf '    TLS: by a certificate that dawk init made\n'
show $DAWK cert
say "4. A message by SMTP, typed as a person would, to 127.0.0.1 port $SMTP_PORT"
converse "$SMTP_PORT" <<'X'
EHLO laptop.local.example
MAIL FROM:<alice@local.example>
RCPT TO:<carol@local.example>
DATA
From: Alice <alice@local.example>
To: Carol <carol@local.example>
Subject: the runners carry

Hello Carol, this went through four small programs.
.
QUIT
X
WAIT_SECONDS=10 wait_until delivered_to carol 1 || { suite_stop; exit 1; }
say "5. It lies in the mailbox, a plain file"
message_of carol | sed "s,^$SUITE,    ...,"
say "6. Fetched by POP3, from 127.0.0.1 port $POP3_PORT"
converse "$POP3_PORT" <<'X'
USER carol@local.example
PASS open-sesame
STAT
RETR 1
DELE 1
QUIT
X
wait_until delivered_to carol 0
say "7. What the programs logged about it"
cat "$SUITE"/stderr/* | sed 's/^/    /'
say "8. The end: all is stopped and removed"
clean_up
