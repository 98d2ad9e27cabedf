# Clients that log in, for tests. SMTPS_PORT is listen-submissions, SUBMISSION_PORT listen-submission.
#
#   submit_make [dawk-init-args..]	suite_make with both ports; submit_stop for teardown
#   submit [talk-options..] USER	a dialog from standard input, by TLS and logged in as USER@local.example
#   submit_message USER FROM TO [HEADER-LINE..]	one message with these header fields; prints the transcript

submit_make() {
	read -r SUBMISSION_PORT SMTPS_PORT <<<"$("$TOOLS/free-ports.py" 2)"
	export SUBMISSION_PORT SMTPS_PORT
	suite_make --submission "127.0.0.1:$SUBMISSION_PORT" --submissions "0.0.0.0:$SMTPS_PORT" --set 'smtpd-workers = 2' \
		--set 'error-limit = 1000' "$@"
}
submit_stop() {
	"$TOOLS/free-ports.py" --release "$SUBMISSION_PORT" "$SMTPS_PORT"
	suite_stop
}

plain_of() { printf '\0%s@local.example\0secret' "$1" | base64 -w 0; }

submit() {
	local user=${*: -1}
	set -- "${@:1:$#-1}"
	{
		printf 'S: 220\nC: EHLO client.example\nS: 250\nC: AUTH PLAIN %s\nS: 235\n' "$(plain_of "$user")"
		cat
	} | talk --tls "$@" "$SMTPS_PORT"
}

submit_message() {
	local user=$1 from=$2 to=$3
	shift 3
	{
		printf 'C: MAIL FROM:<%s>\nS: 250\nC: RCPT TO:<%s>\nS: 250\nC: DATA\nS: 354\n' "$from" "$to"
		printf 'C: %s\n' "$@" '' 'hello' .
		printf 'S: 250 2.0.0\nC: QUIT\nS: 221\n'
	} | submit "$user"
}
