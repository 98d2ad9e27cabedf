#include "authd/session.h"
#include "authd/session_commands.h"
#include "common/helper.h"
#include "common/log.h"
#include "common/sandbox.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sysexits.h>
#include <unistd.h>

/* One session a process. */
static struct session session;

static void set_timeouts(int fd, uint32_t seconds)
{
	struct timeval wait = { .tv_sec = seconds };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
}

static enum result enter(const struct session_start *start, struct why *why)
{
	const struct identity identity = { .uid = start->uid, .gid = start->gid };
	const struct sandbox_path path = {
		start->maildir, ALLOW_READ | ALLOW_LIST | ALLOW_WRITE | ALLOW_MAKE | ALLOW_REMOVE,
	};
	return sandbox_enter(ROLE_POP3_SESSION, &identity, &path, 1, why);
}

static bool is_file(const char *path)
{
	struct stat status;

	return !stat(path, &status) && S_ISREG(status.st_mode);
}

/* RFC 2449 8.1, RFC 3206: codes that tell a busy mailbox from one that is broken. */
static void say_failure(const struct session_start *start, enum result result, const struct why *why)
{
	if (why->errno_value == ENOTDIR && is_file(start->maildir))
		output_format(&session.output, "-ERR %s\r\n", SESSION_IS_MBOX);
	else
		output_format(&session.output, "-ERR [%s] %s\r\n",
		              result == RESULT_PEER ? "IN-USE" : result == RESULT_NEVER ? "SYS/PERM" : "SYS/TEMP",
		              result == RESULT_PEER ? why->text : "unable to open the mailbox");
	output_flush(&session.output);
}

static enum result open_mailbox(const struct session_start *start, struct why *why)
{
	enum result result = enter(start, why);

	if (result == RESULT_OK)
		result = maildrop_open(start->maildir, &session.drop, why);
	if (result == RESULT_OK)
		return RESULT_OK;
	say_failure(start, result, why);
	return result;
}

/* Waits for more input, after sending what was answered. false: no more of it. */
static bool fill_input(void)
{
	struct input *in = &session.input;
	ssize_t got;

	output_flush(&session.output);
	if (session.output.is_broken)
		return false;
	memmove(in->bytes, in->bytes + in->used, in->length - in->used);
	in->length -= in->used;
	in->used = 0;
	session_read_ahead(&session);
	helper_limit_again();
	do
		got = recv(session.output.fd, in->bytes + in->length, sizeof in->bytes - in->length, 0);
	while (got < 0 && errno == EINTR);
	if (got <= 0) {
		session.end = got == 0 ? "hung-up" : errno == EAGAIN ? "timeout" : "error";
		return false;
	}
	in->length += (size_t)got;
	return true;
}

static void serve(void)
{
	const char *line;
	size_t length;

	while (!session.is_over) {
		switch (input_take_line(&session.input, &line, &length)) {
		case RESULT_OK:
			session_command(&session, line, length);
			break;
		case RESULT_RETRY:
			if (!fill_input())
				return;
			break;
		default:
			session_bad_command(&session, "line too long");
		}
	}
	output_flush(&session.output);
}

static void log_session(const struct session_start *start, const struct why *why)
{
	struct log_line line;

	log_start(&line, "session-end");
	log_text(&line, "session", start->session);
	log_text(&line, "user", start->user);
	log_text(&line, "client", start->client);
	log_text(&line, "end", session.end);
	log_number(&line, "messages", session.drop.count);
	log_number(&line, "retrieved", session.retrieved);
	log_number(&line, "deleted", session.removed);
	log_number(&line, "bytes", session.output.sent_bytes);
	log_seconds(&line, "seconds", time_monotonic_ms() - session.began_ms);
	log_why(&line, why->text[0] ? why : &session.why);
	log_end(&line);
	log_flush();
}

int session_run(const struct session_start *start)
{
	struct why why = { 0 };

	log_open("pop3-session");
	session.start = start;
	session.output.fd = start->fd;
	session.end = "failed";
	session.began_ms = time_monotonic_ms();
	set_timeouts(start->fd, start->timeout_seconds);
	helper_limit(SESSION_OPEN_SECONDS);
	if (open_mailbox(start, &why) != RESULT_OK) {
		log_session(start, &why);
		return EX_TEMPFAIL;
	}
	*start->is_open = true;
	helper_limit(start->timeout_seconds + SESSION_GRACE_SECONDS);
	session_greet(&session);
	serve();
	if (session.output.is_broken)
		session.end = "hung-up";
	log_session(start, &why);
	return EX_OK;
}
