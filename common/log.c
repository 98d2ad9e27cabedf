#include "log.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LOG_BUFFER_SIZE = 16384, LOG_TAIL = 16 };	/* LOG_TAIL: room kept for " cut=yes\n" */

static const char *process_name = "dawk";
static char waiting[LOG_BUFFER_SIZE];
static size_t waiting_length;

void log_open(const char *name)
{
	process_name = name;
}

void log_flush(void)
{
	size_t sent = 0;

	while (sent < waiting_length) {
		ssize_t n = write(2, waiting + sent, waiting_length - sent);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;	/* nobody reads: the line is lost, the service goes on */
		sent += (size_t)n;
	}
	waiting_length = 0;
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
	size_t i;

	if (!put(line, "\"", 1))
		return false;
	for (i = 0; i < length; i++) {
		char escape[4] = { '\\', (char)bytes[i], 0, 0 };
		bool is_ok;
		if (bytes[i] == '"' || bytes[i] == '\\') {
			is_ok = put(line, escape, 2);
		} else if (bytes[i] < 0x20 || bytes[i] == 0x7f) {
			escape[1] = 'x';
			escape[2] = digits[bytes[i] >> 4];
			escape[3] = digits[bytes[i] & 15];
			is_ok = put(line, escape, 4);
		} else {
			is_ok = put(line, (const char *)bytes + i, 1);
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
		log_flush();
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
