#include "remoted/reply.h"
#include "common/text.h"

#include <stdio.h>
#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void append(struct reply *reply, const char *bytes, size_t length)
{
	size_t room = REPLY_TEXT_MAX - reply->length;

	if (length > room)
		length = room;
	memcpy(reply->text + reply->length, bytes, length);
	text_clean(reply->text + reply->length, length, ' ');
	reply->length += length;
	reply->text[reply->length] = 0;
}

const char *reply_line_words(const char *line, size_t length, size_t *words_length)
{
	if (length <= 4) {
		*words_length = 0;
		return line + length;
	}
	*words_length = length - 4;
	return line + 4;
}

enum result reply_take_line(struct reply *reply, const char *line, size_t length, struct why *why)
{
	const char *words;
	size_t words_length;
	int code;

	if (length < 3 || !is_digit(line[0]) || !is_digit(line[1]) || !is_digit(line[2]) || line[0] < '2' || line[0] > '5' ||
	    (length > 3 && line[3] != ' ' && line[3] != '-'))
		return why_set(why, RESULT_PEER, "no SMTP reply: \"%.*s\"", (int)(length < 100 ? length : 100), line);
	code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
	if (reply->code && reply->code != code)
		return why_set(why, RESULT_PEER, "the lines of one reply have two codes, %d and %d", reply->code, code);
	if (++reply->lines > REPLY_LINES_MAX)
		return why_set(why, RESULT_PEER, "a reply of more than %d lines", REPLY_LINES_MAX);
	words = reply_line_words(line, length, &words_length);
	if (reply->lines == 1)
		append(reply, line, 3);
	append(reply, reply->lines == 1 ? " " : " / ", reply->lines == 1 ? 1 : 3);
	append(reply, words, words_length);
	reply->code = code;
	reply->is_whole = length == 3 || line[3] == ' ';
	return RESULT_OK;
}

/* "x.y.z" at AT, x being CLASS, without leading zeros (RFC 3463 2): its length, or 0. */
static size_t status_length(const char *at, char class)
{
	size_t i = 1, part, digits;

	if (at[0] != class)
		return 0;
	for (part = 0; part < 2; part++) {
		if (at[i++] != '.' || (at[i] == '0' && is_digit(at[i + 1])))
			return 0;
		for (digits = 0; is_digit(at[i]); i++)
			digits++;
		if (!digits || digits > 3)
			return 0;
	}
	return !at[i] || at[i] == ' ' ? i : 0;
}

bool reply_is_text(const char *words)
{
	return is_digit(words[0]) && is_digit(words[1]) && is_digit(words[2]) && words[3] == ' ';
}

void reply_status(const struct reply *reply, const char *fallback, char *out)
{
	char class = (char)('0' + reply->code / 100);
	size_t length = reply->length > 4 ? status_length(reply->text + 4, class) : 0;

	if (length)
		snprintf(out, 12, "%.*s", (int)length, reply->text + 4);
	else
		snprintf(out, 12, "%c%.10s", class, fallback + 1);
}
