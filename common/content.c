/* Message content in pieces: see content.h. */
#include "content.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

void content_start(struct content *content, int fd, uint64_t offset, uint64_t length)
{
	*content = (struct content){ .fd = fd, .offset = offset, .left = length, .last = '\n' };
}

/* Drops the CR before each LF of LENGTH bytes, in place. Returns what is left. */
static size_t drop_carriage_returns(struct content *content, char *bytes, size_t length)
{
	char *from = bytes, *to = bytes, *end = bytes + length, *lf;

	while ((lf = memchr(from, '\n', (size_t)(end - from))) != NULL) {
		size_t line = (size_t)(lf - from);

		content->lines++;
		if (line > 0 && lf[-1] == '\r')
			line--;
		if (to != from)
			memmove(to, from, line);
		to += line;
		*to++ = '\n';
		from = lf + 1;
	}
	if (to != from)
		memmove(to, from, (size_t)(end - from));
	return (size_t)(to - bytes) + (size_t)(end - from);
}

static enum result fill(struct content *content, char *buffer, size_t size, size_t *length, struct why *why)
{
	ssize_t got;

	if (size > content->left)
		size = (size_t)content->left;
	do
		got = pread(content->fd, buffer, size, (off_t)content->offset);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return why_errno(why, RESULT_RETRY, "read the message");
	if (got == 0)
		return why_set(why, RESULT_RETRY, "read the message: its file ends early");
	content->offset += (uint64_t)got;
	content->left -= (uint64_t)got;
	*length = (size_t)got;
	return RESULT_OK;
}

/* At the end: a CR that was held, and the line end that is missing. */
static enum result finish(struct content *content, char *buffer, size_t *length)
{
	*length = 0;
	if (content->has_held_cr)
		buffer[(*length)++] = content->last = '\r';
	content->has_held_cr = false;
	if (content->last != '\n') {
		buffer[(*length)++] = content->last = '\n';
		content->lines++;
	}
	return *length > 0 ? RESULT_OK : RESULT_END;
}

enum result content_read(struct content *content, char *buffer, size_t size, size_t *length, struct why *why)
{
	do {
		size_t held = content->has_held_cr ? 1 : 0, got = 0;
		enum result result;

		if (content->left == 0)
			return finish(content, buffer, length);
		if (held > 0)
			buffer[0] = '\r';
		result = fill(content, buffer + held, size - held, &got, why);
		if (result != RESULT_OK)
			return result;
		got += held;
		content->has_held_cr = buffer[got - 1] == '\r';
		*length = drop_carriage_returns(content, buffer, content->has_held_cr ? got - 1 : got);
	} while (*length == 0);
	content->last = buffer[*length - 1];
	return RESULT_OK;
}
