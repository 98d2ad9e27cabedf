/* The client of queued's control socket, RUN/queued: hold, release, retry, remove, flush, status, sites. */
#include "command.h"
#include "queue_command.h"
#include "common/channel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	ANSWER_PATIENCE_MS = 60000,
	/* Commands without an answer: queued makes what comes together durable together, and looks once for all of it among
	 * what waits. So that much comes together, the next are sent when half of them are answered. */
	AT_A_TIME = 1000,
};

static enum result reach(const struct configuration *conf, int *fd, struct why *why)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int length = snprintf(address.sun_path, sizeof address.sun_path, "%s/queued", conf->run_directory);
	if (length < 0 || length >= (int)sizeof address.sun_path)
		return why_set(why, RESULT_NEVER, "the path of run-directory is too long for a socket: %s", conf->run_directory);
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return why_errno(why, RESULT_RETRY, "unable to make a socket");
	if (connect(*fd, (const struct sockaddr *)&address, sizeof address) == 0)
		return RESULT_OK;
	enum result result = errno == ENOENT || errno == ECONNREFUSED ? RESULT_END :
	                     why_errno(why, RESULT_NEVER, "unable to reach queued at %s", address.sun_path);
	close(*fd);
	return result;
}

/* Tells rows as they come, until the answer to one command. */
static enum result take_answer(struct channel *channel, struct queue_teller *teller, int *code, struct why *why)
{
	struct frame f;
	for (;;) {
		enum result result = channel_wait(channel, &f, ANSWER_PATIENCE_MS, why);
		if (result == RESULT_END || result == RESULT_PEER)
			return why_set(why, RESULT_RETRY, "queued hung up before it answered; see its log");
		if (result != RESULT_OK)
			return why_set(why, RESULT_RETRY, "queued did not answer within %d seconds", ANSWER_PATIENCE_MS / 1000);
		if (f.type == FRAME_QUEUE_ROW) {
			if (teller && f.value[QUEUE_ROW_WORDS].length)
				queue_tell_row(teller, (const char *)f.value[QUEUE_ROW_WORDS].bytes, f.value[QUEUE_ROW_WORDS].length);
			continue;
		}
		if (f.type != FRAME_QUEUE_ANSWER)
			return why_set(why, RESULT_RETRY, "queued answered with a %s frame", frame_name(f.type));
		int said = (int)(f.value[QUEUE_ANSWER_CODE].number & 0xff);
		int length = (int)f.value[QUEUE_ANSWER_WORDS].length;
		if (teller && (said || length))
			queue_tell(teller, said, "%.*s", length, f.value[QUEUE_ANSWER_WORDS].bytes);
		else if (said)
			command_fail("queue", said, "%.*s", length, f.value[QUEUE_ANSWER_WORDS].bytes);
		if (said > *code)
			*code = said;
		return RESULT_OK;
	}
}

static enum result send_command(struct channel *channel, const char *verb, const char *argument, struct why *why)
{
	const struct wire_value values[QUEUE_COMMAND_FIELDS] = {
		[QUEUE_COMMAND_VERB] = WIRE_STRING(verb), [QUEUE_COMMAND_ARGUMENT] = WIRE_STRING(argument),
	};
	return channel_send(channel, FRAME_QUEUE_COMMAND, values, -1, why);
}

enum result queue_control(const struct configuration *conf, const char *verb, char *const *arguments, int count,
                          struct queue_teller *teller, int *code, struct why *why)
{
	struct channel channel;
	int fd = -1;
	*code = 0;
	enum result result = reach(conf, &fd, why);
	if (result != RESULT_OK)
		return result;
	result = channel_open(&channel, NULL, fd, NULL, NULL, why);
	for (int sent = 0, answered = 0; answered < count && result == RESULT_OK; answered++) {
		int most = sent - answered <= AT_A_TIME / 2 ? AT_A_TIME : 0;
		for (; sent < count && sent - answered < most && result == RESULT_OK; sent++)
			result = send_command(&channel, verb, arguments[sent], why);
		if (result == RESULT_OK)
			result = take_answer(&channel, teller, code, why);
	}
	channel_close(&channel);
	return result;
}
