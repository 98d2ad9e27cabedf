/* The checkpassword interface, https://cr.yp.to/checkpwd/interface.html: the program reads
 * user NUL password NUL stamp NUL from descriptor 3; exit code 1 refuses; on success it takes on the
 * user's uid, gid and HOME and runs the program that its arguments name. That is authd again, which
 * says on standard output what it has become.
 *
 * And the judge of bearer tokens: user NUL token NUL on descriptor 3, exit code 0 for a token that is good, 1 for
 * one that is not; it may say on standard output, in a line, whose it is. It runs as dawkx. */
#include "authd/starter.h"
#include "common/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

enum { CHECKPASSWORD_INPUT_MAX = 512, INPUT_MAX = WIRE_SASL_MAX + WIRE_ADDRESS_MAX + 2, WORDS_MAX = 16, EXIT_WRONG = 1, CLEAR_OF_LOW_FDS = 10, POLL_MS = 10 };

struct reply {
	size_t length;
	char bytes[WIRE_PATH_LENGTH_MAX + 64];
};

int checkpassword_reply(void)
{
	const char *home = getenv("HOME");

	if (!home || home[0] != '/' || strchr(home, '\n'))
		return EX_CONFIG;
	printf("%lu %lu %s\n", (unsigned long)getuid(), (unsigned long)getgid(), home);
	return fflush(stdout) ? EX_IOERR : EX_OK;
}

static void become(const struct program *program)
{
	if (geteuid() != 0 || program->uid == 0)
		return;
	if (setgroups(0, NULL) || setresgid(program->gid, program->gid, program->gid) ||
	    setresuid(program->uid, program->uid, program->uid) || setuid(0) == 0)
		_exit(EX_OSERR);
}

/* In the child: the program's descriptors, then the program. */
static void run_program(const struct program *program, int input, int output)
{
	char text[WIRE_PATH_LENGTH_MAX], reply[] = CHECKPASSWORD_REPLY, *words[WORDS_MAX + 3], *rest = text;
	size_t count = 0;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	if (strlen(program->command) >= sizeof text || null < 0)
		_exit(EX_OSERR);
	memcpy(text, program->command, strlen(program->command) + 1);
	while (count < WORDS_MAX && (words[count] = strtok_r(rest, " \t", &rest)))
		count++;
	if (count == 0)
		_exit(EX_CONFIG);
	words[count] = program->ours ? strdup(program->ours) : NULL;
	words[count + 1] = reply;
	words[count + 2] = NULL;
	input = fcntl(input, F_DUPFD, CLEAR_OF_LOW_FDS);
	output = fcntl(output, F_DUPFD, CLEAR_OF_LOW_FDS);
	if (dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(input, 3) < 0)
		_exit(EX_OSERR);
	close_range(4, ~0U, 0);
	become(program);
	signal(SIGPIPE, SIG_DFL);
	execv(words[0], words);
	_exit(EX_UNAVAILABLE);
}

/* User NUL secret NUL, and for checkpassword the time stamp, which no password needs. */
static enum result write_input(int fd, const struct frame *ask)
{
	const struct wire_value *user = &ask->value[PROGRAM_ASK_USER], *secret = &ask->value[PROGRAM_ASK_SECRET];
	bool is_checkpassword = ask->value[PROGRAM_ASK_KIND].number == PROGRAM_CHECKPASSWORD;
	static char bytes[INPUT_MAX + 1];
	size_t length = user->length + secret->length + 2;
	ssize_t wrote;

	if (length > (is_checkpassword ? CHECKPASSWORD_INPUT_MAX - 1 : INPUT_MAX))
		return RESULT_NEVER;
	memset(bytes, 0, sizeof bytes);
	if (user->length)
		memcpy(bytes, user->bytes, user->length);
	if (secret->length)
		memcpy(bytes + user->length + 1, secret->bytes, secret->length);
	length += is_checkpassword;
	wrote = write(fd, bytes, length);	/* less than a pipe holds: never blocks */
	explicit_bzero(bytes, sizeof bytes);
	return wrote == (ssize_t)length ? RESULT_OK : RESULT_RETRY;
}

/* Reads until the program has closed its output, at most until DEADLINE_MS. */
static void read_reply(int fd, uint64_t deadline_ms, struct reply *reply)
{
	struct pollfd waiting = { .fd = fd, .events = POLLIN };

	for (;;) {
		uint64_t now = time_monotonic_ms();
		ssize_t got;

		if (now >= deadline_ms || reply->length == sizeof reply->bytes)
			return;
		if (poll(&waiting, 1, (int)(deadline_ms - now)) <= 0)
			continue;
		got = read(fd, reply->bytes + reply->length, sizeof reply->bytes - reply->length);
		if (got <= 0)
			return;
		reply->length += (size_t)got;
	}
}

/* Its exit status; -1: it had to be killed. */
static int wait_program(pid_t pid, uint64_t deadline_ms)
{
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (time_monotonic_ms() >= deadline_ms) {
			kill(-pid, SIGKILL);
			waitpid(pid, &status, 0);
			return -1;
		}
		poll(NULL, 0, POLL_MS);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* "UID GID HOME\n" */
static bool parse_reply(const struct reply *reply, struct wire_value values[PROGRAM_TELL_FIELDS])
{
	const char *at = reply->bytes, *end = reply->bytes + reply->length, *word;
	size_t length;

	if (!reply->length || end[-1] != '\n')
		return false;
	end--;
	if (!text_next_word(&at, end, &word, &length) || !text_to_number(word, length, &values[PROGRAM_TELL_UID].number) ||
	    !text_next_word(&at, end, &word, &length) || !text_to_number(word, length, &values[PROGRAM_TELL_GID].number) ||
	    at == end)
		return false;
	values[PROGRAM_TELL_HOME] = (struct wire_value)WIRE_BYTES(at + 1, (size_t)(end - at - 1));
	return true;
}

/* A line, or nothing. */
static bool parse_owner(const struct reply *reply, struct wire_value values[PROGRAM_TELL_FIELDS])
{
	size_t length = reply->length;

	while (length > 0 && strchr("\r\n ", reply->bytes[length - 1]))
		length--;
	values[PROGRAM_TELL_USER] = (struct wire_value)WIRE_BYTES(reply->bytes, length);
	return length <= WIRE_ADDRESS_MAX;
}

static void tell(int answer, struct wire_value *values, enum login_verdict verdict)
{
	struct channel channel;

	values[PROGRAM_TELL_VERDICT].number = verdict;
	if (channel_open(&channel, NULL, answer, NULL, NULL, NULL) == RESULT_OK &&
	    channel_send(&channel, FRAME_PROGRAM_TELL, values, -1, NULL) == RESULT_OK)
		channel_flush(&channel, NULL);
}

int program_keep(const struct program *program, const struct frame *ask, int answer)
{
	uint64_t deadline_ms = time_monotonic_ms() + PROGRAM_SECONDS_MAX * 1000;
	struct wire_value values[PROGRAM_TELL_FIELDS] = { 0 };
	static struct reply reply;
	int input[2], output[2], status;
	enum result wrote;
	pid_t pid;

	if (!program->command || pipe2(input, O_CLOEXEC) || pipe2(output, O_CLOEXEC) || (pid = fork()) < 0)
		return EX_OSERR;
	if (!pid)
		run_program(program, input[0], output[1]);
	close(input[0]);
	close(output[1]);
	wrote = write_input(input[1], ask);
	close(input[1]);
	read_reply(output[0], deadline_ms, &reply);
	status = wait_program(pid, deadline_ms);
	values[PROGRAM_TELL_STATUS].number = status < 0 ? 256 : (uint64_t)status;
	if (wrote == RESULT_NEVER || status == EXIT_WRONG)
		tell(answer, values, LOGIN_REFUSED);
	else if (status == 0 && (program->ours ? parse_reply(&reply, values) : parse_owner(&reply, values)))
		tell(answer, values, LOGIN_OK);
	else
		tell(answer, values, LOGIN_LATER);
	return EX_OK;
}
