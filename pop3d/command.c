#include "pop3d/command.h"

#include <stdint.h>
#include <string.h>

enum result line_take(const char *bytes, size_t length, bool *is_skipping, size_t *used,
                      const char **line, size_t *line_length)
{
	bool was_skipping = *is_skipping;
	const char *newline;

	*used = 0;
	if (was_skipping) {
		newline = memchr(bytes, '\n', length);
		*used = newline ? (size_t)(newline - bytes) + 1 : length;
		*is_skipping = !newline;
	}
	bytes += *used;
	length -= *used;
	newline = memchr(bytes, '\n', length < LINE_MAX_BYTES ? length : LINE_MAX_BYTES);
	if (!newline && length < LINE_MAX_BYTES)
		return RESULT_RETRY;
	if (!newline) {
		*is_skipping = true;
		return RESULT_PEER;
	}
	*line = bytes;
	*line_length = (size_t)(newline - bytes);
	*used += *line_length + 1;
	if (*line_length && bytes[*line_length - 1] == '\r')
		--*line_length;
	return RESULT_OK;
}

void line_split(const char *line, size_t length, size_t *verb_length,
                const char **argument, size_t *argument_length)
{
	const char *blank = memchr(line, ' ', length);

	*verb_length = blank ? (size_t)(blank - line) : length;
	*argument = blank ? blank + 1 : line + length;
	*argument_length = (size_t)(line + length - *argument);
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four characters, the last ones may be padding; *COUNT bytes into OUT. */
static bool decode_quad(const char *quad, bool is_last, unsigned char out[3], size_t *count)
{
	size_t digits = is_last && quad[3] == '=' ? (quad[2] == '=' ? 2 : 3) : 4;
	uint32_t bits = 0;

	for (size_t i = 0; i < 4; i++) {
		int value = i < digits ? base64_value(quad[i]) : 0;
		if (value < 0)
			return false;
		bits = bits << 6 | (uint32_t)value;
	}
	*count = digits - 1;
	out[0] = (unsigned char)(bits >> 16);
	out[1] = (unsigned char)(bits >> 8);
	out[2] = (unsigned char)bits;
	return (digits != 2 || !(bits & 0xffff)) && (digits != 3 || !(bits & 0xff));
}

bool base64_decode(const char *text, size_t length, char *out, size_t size, size_t *out_length)
{
	unsigned char three[3];
	size_t count;

	*out_length = 0;
	if (length == 1 && text[0] == '=')
		return true;
	if (length % 4)
		return false;
	for (size_t at = 0; at < length; at += 4) {
		if (!decode_quad(text + at, at + 4 == length, three, &count) || count > size - *out_length)
			return false;
		memcpy(out + *out_length, three, count);
		*out_length += count;
	}
	return true;
}

bool credential_copy(const char *bytes, size_t length, char *out, size_t size)
{
	if (!length || length >= size || memchr(bytes, 0, length) || memchr(bytes, '\n', length) || memchr(bytes, '\r', length))
		return false;
	memcpy(out, bytes, length);
	out[length] = 0;
	return true;
}

bool plain_parse(const char *bytes, size_t length, struct credentials *credentials)
{
	const char *end = bytes + length;
	const char *first = length ? memchr(bytes, 0, length) : NULL;
	const char *second = first ? memchr(first + 1, 0, (size_t)(end - first - 1)) : NULL;
	size_t name_length;

	if (!second)
		return false;
	name_length = (size_t)(second - first - 1);
	if (first > bytes && ((size_t)(first - bytes) != name_length || memcmp(bytes, first + 1, name_length)))
		return false;
	return credential_copy(first + 1, name_length, credentials->name, sizeof credentials->name) &&
	       credential_copy(second + 1, (size_t)(end - second - 1), credentials->secret, sizeof credentials->secret);
}
