/* Trace lines: see trace.h. */
#include "trace.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

size_t trace_prefix(char out[TRACE_PREFIX_MAX], const char *reverse_path, const char *address)
{
	int length = snprintf(out, TRACE_PREFIX_MAX, "Return-Path: <%s>\nDelivered-To: %s\n", reverse_path, address);

	return length < TRACE_PREFIX_MAX ? (size_t)length : TRACE_PREFIX_MAX - 1;
}

static bool take_line(const char *line, size_t length, stralloc *values)
{
	static const char name[] = "delivered-to:";
	enum { NAME_LENGTH = sizeof(name) - 1 };
	size_t start;

	if (length < NAME_LENGTH || !text_equal_folded(line, NAME_LENGTH, name, NAME_LENGTH))
		return true;
	line += NAME_LENGTH;
	length -= NAME_LENGTH;
	for (; length > 0 && (*line == ' ' || *line == '\t'); length--)
		line++;
	while (length > 0 && (line[length - 1] == '\r' || line[length - 1] == ' ' || line[length - 1] == '\t'))
		length--;
	start = values->len;
	if (!text_append(values, line, length) || !text_append(values, "\n", 1))
		return false;
	text_lower(values->s + start, length);
	return true;
}

/* Takes the whole lines of LENGTH bytes. *USED: up to where. RESULT_END: the header is over. */
static enum result take_lines(const char *bytes, size_t length, size_t *used, stralloc *values, struct why *why)
{
	const char *at = bytes, *end = bytes + length, *lf;

	while ((lf = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		if (lf == at || (lf == at + 1 && *at == '\r'))
			return RESULT_END;
		if (!take_line(at, (size_t)(lf - at), values))
			return why_set(why, RESULT_RETRY, "read the header: out of memory");
		at = lf + 1;
	}
	*used = (size_t)(at - bytes);
	return RESULT_OK;
}

enum result trace_collect(int message, uint64_t offset, uint64_t length, stralloc *values, struct why *why)
{
	char buffer[8192];
	size_t kept = 0, used = 0;
	uint64_t left = length < TRACE_HEADER_MAX ? length : TRACE_HEADER_MAX;
	enum result result = RESULT_OK;

	values->len = 0;
	while (left > 0 && result == RESULT_OK) {
		size_t want = sizeof(buffer) - kept < left ? sizeof(buffer) - kept : (size_t)left;
		ssize_t got = pread(message, buffer + kept, want, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return why_errno(why, RESULT_RETRY, "read the header of the message");
		offset += (uint64_t)got;
		left -= (uint64_t)got;
		kept += (size_t)got;
		result = take_lines(buffer, kept, &used, values, why);
		if (result == RESULT_OK && used == 0 && kept == sizeof(buffer))
			used = kept;	/* a line longer than any address: not the one we look for */
		if (result == RESULT_OK) {
			kept -= used;
			memmove(buffer, buffer + used, kept);
		}
	}
	return result == RESULT_RETRY ? result : RESULT_OK;
}

bool trace_has(const stralloc *values, const char *address)
{
	const char *at = values->s, *end = at + values->len, *lf;
	size_t length = strlen(address);

	while (at < end && (lf = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		if (text_equal_folded(at, (size_t)(lf - at), address, length))
			return true;
		at = lf + 1;
	}
	return false;
}
