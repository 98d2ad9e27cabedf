#include "reply.h"
#include "common/text.h"

#include <stdio.h>
#include <string.h>

enum after { GO_ON, HANG_UP };

static const struct { int code; const char *enhanced; enum after after; const char *words; } rows[SAY_END] = {
#define REPLY_ROW(name, code, enhanced, after, words) [SAY_##name] = { code, enhanced, after, words },
	REPLIES(REPLY_ROW)
#undef REPLY_ROW
};

int reply_code(enum reply reply)
{
	return rows[reply].code;
}

bool reply_hangs_up(enum reply reply)
{
	return rows[reply].after == HANG_UP;
}

const char *reply_enhanced(enum reply reply)
{
	return rows[reply].enhanced;
}

/* The row's words with '%' and '@' replaced. */
static void reply_fill(char *out, size_t size, const char *row, const char *words, const char *host)
{
	size_t length = 0;

	for (; *row && length + 1 < size; row++) {
		const char *piece = *row == '%' ? words : *row == '@' ? host : NULL;
		if (*row != '%' && *row != '@')
			out[length++] = *row;
		for (; piece && *piece && length + 1 < size; piece++)
			out[length++] = *piece;
	}
	out[length] = '\0';
}

size_t reply_format(char *out, size_t size, enum reply reply, const char *words, const char *host)
{
	char text[REPLY_WORDS_MAX + 256];
	size_t used = 0;
	const char *enhanced = rows[reply].enhanced;

	reply_fill(text, sizeof text, rows[reply].words, words, host);
	for (char *line = text, *end; line; line = end) {
		size_t length = strcspn(line, "\n");
		end = line[length] ? line + length + 1 : NULL;
		line[length] = '\0';
		text_clean(line, length, '?');
		int n = snprintf(out + used, size - used, "%d%c%s%s%s\r\n", rows[reply].code, end ? '-' : ' ',
		                 enhanced, *enhanced ? " " : "", line);
		if (n < 0 || (size_t)n >= size - used)
			break;
		used += (size_t)n;
	}
	return used;
}

enum result reply_put(struct stream *stream, enum reply reply, const char *words, const char *host)
{
	char out[2 * REPLY_WORDS_MAX];
	size_t length = reply_format(out, sizeof out, reply, words, host);

	return stream_put(stream, out, length);
}
