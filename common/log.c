#include "log.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	LOG_BUFFER_SIZE = 65536,
	LOG_TAIL = 16,			/* room kept for " cut=yes\n" */
	LOG_FLUSH_MS = 1000,		/* log_flush waits no longer for a reader */
};

static const char *process_name = "dawk";
static char waiting[LOG_BUFFER_SIZE];
static size_t waiting_length;
static uint64_t lost_lines;

void log_open(const char *name)
{
	process_name = name;
}

void log_never_wait(void)
{
	struct stat status;

	if (!fstat(2, &status) && S_ISFIFO(status.st_mode))
		fcntl(2, F_SETFL, fcntl(2, F_GETFL) | O_NONBLOCK);
}

/* Whole lines, PIPE_BUF at most: a pipe takes them in one piece, between those of other processes. */
static size_t piece_length(const char *bytes, size_t length)
{
	if (length <= PIPE_BUF)
		return length;
	for (size_t n = PIPE_BUF; n > 0; n--)
		if (bytes[n - 1] == '\n')
			return n;
	return PIPE_BUF;
}

/* Says how many lines found no room, before the next one that does. */
static void tell_lost(void)
{
	char text[128];
	int length = snprintf(text, sizeof text, "%s log-lost lines=%llu\n", process_name, (unsigned long long)lost_lines);

	if (lost_lines && write(2, text, (size_t)length) == length)
		lost_lines = 0;
}

/* false: the reader stands still. */
static bool send_waiting(void)
{
	size_t sent = 0;
	bool is_ok = true;

	while (sent < waiting_length && is_ok) {
		ssize_t n = write(2, waiting + sent, piece_length(waiting + sent, waiting_length - sent));
		if (n > 0)
			sent += (size_t)n;
		else if (n < 0 && errno == EAGAIN)
			is_ok = false;
		else if (n == 0 || errno != EINTR)
			sent = waiting_length;	/* nobody reads: the lines are lost, the service goes on */
	}
	memmove(waiting, waiting + sent, waiting_length - sent);
	waiting_length -= sent;
	if (is_ok)
		tell_lost();
	return is_ok;
}

bool log_try_flush(void)
{
	return (!waiting_length && !lost_lines) || send_waiting();
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void log_flush(void)
{
	int64_t end_ms = now_ms() + LOG_FLUSH_MS, left_ms;
	struct pollfd reader = { .fd = 2, .events = POLLOUT };

	while (!log_try_flush() && (left_ms = end_ms - now_ms()) > 0)
		poll(&reader, 1, (int)left_ms);
}

/* false: no room; the line then ends before the whole KEY=VALUE, never inside it. */
static bool put(struct log_line *line, const char *bytes, size_t length)
{
	if (line->length + length > LOG_LINE_MAX - LOG_TAIL)
		return false;
	memcpy(line->text + line->length, bytes, length);
	line->length += length;
	return true;
}

void log_start(struct log_line *line, const char *event)
{
	line->length = 0;
	put(line, process_name, strlen(process_name));
	put(line, " ", 1);
	put(line, event, strlen(event));
}

static bool is_safe(unsigned char c)
{
	return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
}

static bool put_quoted(struct log_line *line, const unsigned char *bytes, size_t length)
{
	static const char digits[] = "0123456789abcdef";
	size_t i, shown;

	if (!put(line, "\"", 1))
		return false;
	for (i = 0; i < length; i++) {
		char escape[4] = { '\\', (char)bytes[i], 0, 0 };
		bool is_ok;
		shown = text_shown_length(bytes + i, length - i);
		if (bytes[i] == '"' || bytes[i] == '\\') {
			is_ok = put(line, escape, 2);
		} else if (shown == 0) {
			escape[1] = 'x';
			escape[2] = digits[bytes[i] >> 4];
			escape[3] = digits[bytes[i] & 15];
			is_ok = put(line, escape, 4);
		} else {
			is_ok = put(line, (const char *)bytes + i, shown);
			i += shown - 1;
		}
		if (!is_ok)
			return false;
	}
	return put(line, "\"", 1);
}

void log_bytes(struct log_line *line, const char *key, const void *value, size_t length)
{
	const unsigned char *bytes = value;
	size_t start = line->length, i;
	bool is_ok = put(line, " ", 1) && put(line, key, strlen(key)) && put(line, "=", 1);

	for (i = 0; i < length && is_safe(bytes[i]); i++)
		;
	if (is_ok)
		is_ok = i == length && length ? put(line, value, length) : put_quoted(line, bytes, length);
	if (is_ok)
		return;
	line->length = start;
	if (start < 9 || memcmp(line->text + start - 8, " cut=yes", 8)) {
		memcpy(line->text + start, " cut=yes", 8);	/* LOG_TAIL keeps the room */
		line->length = start + 8;
	}
}

void log_text(struct log_line *line, const char *key, const char *value)
{
	if (value)
		log_bytes(line, key, value, strlen(value));
}

void log_number(struct log_line *line, const char *key, uint64_t value)
{
	char text[24];
	int length = snprintf(text, sizeof text, "%llu", (unsigned long long)value);

	log_bytes(line, key, text, (size_t)length);
}

void log_seconds(struct log_line *line, const char *key, uint64_t milliseconds)
{
	char text[32];
	int length = snprintf(text, sizeof text, "%llu.%03u", (unsigned long long)(milliseconds / 1000),
	                      (unsigned)(milliseconds % 1000));

	log_bytes(line, key, text, (size_t)length);
}

void log_why(struct log_line *line, const struct why *why)
{
	if (why && why->text[0])
		log_text(line, "why", why->text);
}

void log_end(struct log_line *line)
{
	if (waiting_length + line->length + 1 > sizeof waiting)
		log_try_flush();
	if (waiting_length + line->length + 1 > sizeof waiting) {
		lost_lines++;
		return;
	}
	memcpy(waiting + waiting_length, line->text, line->length);
	waiting_length += line->length;
	waiting[waiting_length++] = '\n';
}

void log_failure(const char *event, const struct why *why)
{
	struct log_line line;

	log_start(&line, event);
	log_why(&line, why);
	log_end(&line);
	log_flush();
}
