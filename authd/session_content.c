#include "authd/session_content.h"
#include "common/helper.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char block[CONTENT_BLOCK_BYTES];	/* one session a process */

void output_flush(struct output *output)
{
	size_t done = 0;

	while (done < output->length && !output->is_broken) {
		ssize_t sent = send(output->fd, output->bytes + done, output->length - done, MSG_NOSIGNAL);
		if (sent >= 0)
			done += (size_t)sent;
		else if (errno != EINTR)
			output->is_broken = true;
		helper_limit_again();
	}
	output->sent_bytes += done;
	output->length = 0;
}

void output_put(struct output *output, const void *bytes, size_t length)
{
	const char *at = bytes;

	while (length && !output->is_broken) {
		size_t room = OUTPUT_BYTES - output->length;
		size_t take = length < room ? length : room;

		memcpy(output->bytes + output->length, at, take);
		output->length += take;
		at += take;
		length -= take;
		if (output->length == OUTPUT_BYTES)
			output_flush(output);
	}
}

void output_format(struct output *output, const char *format, ...)
{
	char line[512];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	if (length > 0)
		output_put(output, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
}

/* A line has ended. false: it was the last one that TOP asked for. */
static bool end_line(struct content *content, bool is_empty)
{
	content->line_bytes = 0;
	if (!content->is_top)
		return true;
	if (content->in_body)
		content->body_lines--;
	else if (is_empty)
		content->in_body = true;
	return !content->in_body || content->body_lines;
}

bool content_put(struct content *content, struct output *output, const char *bytes, size_t length)
{
	const char *end = bytes + length;

	while (bytes < end) {
		const char *newline = memchr(bytes, '\n', (size_t)(end - bytes));
		size_t part = (size_t)((newline ? newline : end) - bytes);

		if (!content->line_bytes && *bytes == '.')
			output_put(output, ".", 1);
		if (part) {
			output_put(output, bytes, part);
			content->line_bytes += part;
			content->last = bytes[part - 1];
		}
		if (!newline)
			break;
		bool has_cr = content->line_bytes && content->last == '\r';
		output_put(output, "\r\n" + has_cr, 2 - has_cr);
		bytes = newline + 1;
		if (!end_line(content, content->line_bytes == has_cr))
			return false;
	}
	return true;
}

void content_end(const struct content *content, struct output *output)
{
	if (content->line_bytes)
		output_put(output, "\r\n", 2);
	output_put(output, ".\r\n", 3);
}

uint64_t content_octets(struct content *content, const char *bytes, size_t length)
{
	const char *end = bytes + length;
	uint64_t octets = length;

	while (bytes < end) {
		const char *newline = memchr(bytes, '\n', (size_t)(end - bytes));
		size_t part = (size_t)((newline ? newline : end) - bytes);

		if (part) {
			content->line_bytes += part;
			content->last = bytes[part - 1];
		}
		if (!newline)
			break;
		octets += !content->line_bytes || content->last != '\r';
		content->line_bytes = 0;
		bytes = newline + 1;
	}
	return octets;
}

uint64_t content_octets_end(const struct content *content)
{
	return content->line_bytes ? 2 : 0;
}

static ssize_t read_some(int fd, char bytes[CONTENT_BLOCK_BYTES])
{
	ssize_t got;

	helper_limit_again();
	do
		got = read(fd, bytes, CONTENT_BLOCK_BYTES);
	while (got < 0 && errno == EINTR);
	return got;
}

/* RESULT_END: end of file. */
static enum result read_block(int fd, size_t *length, struct why *why)
{
	ssize_t got = read_some(fd, block);

	*length = got > 0 ? (size_t)got : 0;
	if (got < 0)
		return why_errno(why, RESULT_RETRY, "read the message");
	return got ? RESULT_OK : RESULT_END;
}

void content_read_ahead(int fd, struct content_ahead *ahead)
{
	ssize_t got = read_some(fd, ahead->bytes);

	ahead->length = got > 0 ? (size_t)got : 0;
}

enum result content_send(int fd, const struct content_ahead *ahead, struct content *content, struct output *output, struct why *why)
{
	enum result result;
	size_t length;

	if (ahead && (!content_put(content, output, ahead->bytes, ahead->length) || output->is_broken))
		return RESULT_OK;
	while ((result = read_block(fd, &length, why)) == RESULT_OK)
		if (!content_put(content, output, block, length) || output->is_broken)
			return RESULT_OK;
	return result == RESULT_END ? RESULT_OK : result;
}

enum result content_measure(int fd, uint64_t *octets, struct why *why)
{
	struct content content = { 0 };
	enum result result;
	size_t length;

	*octets = 0;
	while ((result = read_block(fd, &length, why)) == RESULT_OK)
		*octets += content_octets(&content, block, length);
	*octets += content_octets_end(&content);
	return result == RESULT_END ? RESULT_OK : result;
}
