#include "pop3d/command.h"

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

bool credential_is_fit(const char *bytes, size_t length)
{
	return length > 0 && length <= SECRET_MAX_BYTES && !memchr(bytes, 0, length) && !memchr(bytes, '\n', length) && !memchr(bytes, '\r', length);
}

bool credential_copy(const char *bytes, size_t length, char *out, size_t size)
{
	if (length >= size || !credential_is_fit(bytes, length))
		return false;
	memcpy(out, bytes, length);
	out[length] = 0;
	return true;
}
