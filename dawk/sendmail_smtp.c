/* The SMTP client of sendmail: over smtpd's local socket, which knows our uid. RFC 5321. */
#include "submit.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { PATIENCE_SECONDS = 600 };	/* RFC 5321 4.5.3.2.6, the longest of its waits */

enum result submission_connect(const char *path, int *fd, struct why *why)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct timeval patience = { .tv_sec = PATIENCE_SECONDS };
	if (!path)
		return why_set(why, RESULT_RETRY, "local programs can't send: listen-local is switched off in the configuration");
	if (strlen(path) >= sizeof address.sun_path)
		return why_set(why, RESULT_NEVER, "the path of listen-local is too long for a socket: %s", path);
	memcpy(address.sun_path, path, strlen(path));
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return why_errno(why, RESULT_RETRY, "unable to make a socket");
	if (connect(*fd, (const struct sockaddr *)&address, sizeof address) < 0) {
		why_errno(why, RESULT_RETRY, "the mail service does not run here (%s", path);
		strncat(why->text, "); not sent, try again later", WHY_MAX - 1 - strlen(why->text));
		close(*fd);
		*fd = -1;
		return RESULT_RETRY;
	}
	setsockopt(*fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(*fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	return RESULT_OK;
}

void submission_close(struct submission *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

static enum result gone(const char *what, struct why *why)
{
	if (errno == EAGAIN)
		return why_set(why, RESULT_RETRY, "the mail service did not answer in time (%s)", what);
	return why_errno(why, RESULT_RETRY, "the mail service hung up (%s)", what);
}

static enum result send_all(struct submission *s, const char *bytes, size_t length, struct why *why)
{
	while (length) {
		ssize_t sent = send(s->fd, bytes, length, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return gone("while sending", why);
		bytes += sent;
		length -= (size_t)sent;
	}
	return RESULT_OK;
}

/* One line without its CRLF; what is longer than LINE is cut. */
static enum result read_line(struct submission *s, char *line, size_t size, struct why *why)
{
	size_t length = 0;
	for (;;) {
		if (s->in_used == s->in_length) {
			ssize_t got = recv(s->fd, s->in, sizeof s->in, 0);
			if (got < 0 && errno == EINTR)
				continue;
			if (got < 0)
				return gone("while waiting", why);
			if (!got)
				return why_set(why, RESULT_RETRY, "the mail service hung up in the middle");
			s->in_used = 0;
			s->in_length = (size_t)got;
		}
		char c = s->in[s->in_used++];
		if (c == '\n')
			break;
		if (c != '\r' && length + 1 < size)
			line[length++] = c;
	}
	line[length] = 0;
	return RESULT_OK;
}

static void note_extension(struct submission *s, const char *line)
{
	const struct { const char *name; bool *has; } rows[] = {
		{ "SIZE", &s->has_size }, { "8BITMIME", &s->has_8bitmime },
		{ "SMTPUTF8", &s->has_smtputf8 }, { "DSN", &s->has_dsn },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t length = strlen(rows[i].name);
		if (!strncasecmp(line, rows[i].name, length) && (!line[length] || line[length] == ' '))
			*rows[i].has = true;
	}
}

/* RFC 5321 4.2.1: "250-words" more lines, "250 words" the last. */
static enum result read_reply(struct submission *s, struct why *why)
{
	char line[SUBMIT_LINE_MAX] = "";
	size_t length = 0;
	s->words[0] = 0;
	for (;;) {
		enum result result = read_line(s, line, sizeof line, why);
		if (result != RESULT_OK)
			return result;
		if (s->is_verbose)
			printf("<<< %s\n", line);
		bool is_last = strlen(line) < 4 || line[3] == ' ';
		if (strlen(line) > 4)
			note_extension(s, line + 4);
		int written = snprintf(s->words + length, sizeof s->words - length, "%s%s", length ? " / " : "", line);
		length += (size_t)written < sizeof s->words - length ? (size_t)written : sizeof s->words - length - 1;
		if (is_last)
			break;
	}
	if (s->words[0] == '2' || s->words[0] == '3')
		return RESULT_OK;
	return why_set(why, s->words[0] == '5' ? RESULT_NEVER : RESULT_RETRY, "%.250s", s->words);
}

enum result submission_command(struct submission *s, struct why *why, const char *format, ...)
{
	char line[2048];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(line, sizeof line - 2, format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= sizeof line - 2)
		return why_set(why, RESULT_NEVER, "a command would be longer than SMTP allows");
	if (s->is_verbose)
		printf(">>> %s\n", line);
	memcpy(line + length, "\r\n", 2);
	enum result result = send_all(s, line, (size_t)length + 2, why);
	return result == RESULT_OK ? read_reply(s, why) : result;
}

enum result submission_open(struct submission *s, const char *path, const char *hostname, bool is_verbose, struct why *why)
{
	*s = (struct submission){ .fd = -1, .is_verbose = is_verbose };
	enum result result = submission_connect(path, &s->fd, why);
	if (result == RESULT_OK)
		result = read_reply(s, why);
	if (result == RESULT_OK)
		result = submission_command(s, why, "EHLO %s", hostname);
	return result;
}

/* RFC 5321 4.5.2: a dot that begins a line is doubled. *AT_START: BYTES begin a line. */
static enum result send_stuffed(struct submission *s, const char *bytes, size_t length, bool *at_start, struct why *why)
{
	const char *end = bytes + length;
	enum result result = RESULT_OK;
	while (bytes < end && result == RESULT_OK) {
		const char *from = bytes, *at = bytes;
		if (*at_start && *at == '.')
			result = send_all(s, ".", 1, why);
		*at_start = false;
		/* up to a line that needs a dot, or the end */
		while (at < end) {
			const char *newline = memchr(at, '\n', (size_t)(end - at));
			at = newline ? newline + 1 : end;
			*at_start = newline != NULL;
			if (at < end && *at == '.')
				break;
		}
		if (result == RESULT_OK)
			result = send_all(s, from, (size_t)(at - from), why);
		bytes = at;
	}
	return result;
}

static enum result send_file(struct submission *s, int fd, uint64_t length, bool *at_start, struct why *why)
{
	char block[65536];
	uint64_t offset = 0;
	enum result result = RESULT_OK;
	while (offset < length && result == RESULT_OK) {
		ssize_t got = pread(fd, block, sizeof block, (off_t)offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return why_errno(why, RESULT_RETRY, "unable to read the message back from its temporary file");
		result = send_stuffed(s, block, (size_t)got, at_start, why);
		offset += (uint64_t)got;
	}
	return result;
}

enum result submission_content(struct submission *s, const stralloc *header, const struct message *message, size_t skip, struct why *why)
{
	bool at_start = true;
	struct why reason = { 0 };
	enum result result = send_stuffed(s, header->s, header->len, &at_start, why);
	if (result == RESULT_OK)
		result = send_stuffed(s, message->head.s + skip, message->head.len - skip, &at_start, why);
	if (result == RESULT_OK && message->rest >= 0)
		result = send_file(s, message->rest, message->length - message->head.len, &at_start, why);
	if (result == RESULT_OK)
		result = send_all(s, ".\r\n", 3, why);
	if (result != RESULT_OK) {
		/* it may have said why before it hung up */
		enum result said = read_reply(s, &reason);
		if (said == RESULT_NEVER || (said == RESULT_RETRY && s->words[0] == '4')) {
			*why = reason;
			return said;
		}
		return result;
	}
	return read_reply(s, why);
}
