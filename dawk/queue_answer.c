/* What comes of acting on the queue, in words or as JSON. */
#include "command.h"
#include "common/log.h"
#include "common/text.h"
#include "queue_command.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void queue_teller_begin(struct queue_teller *teller, bool is_json)
{
	*teller = (struct queue_teller){ .is_json = is_json };
	if (is_json)
		putchar('[');
}

void queue_teller_end(struct queue_teller *teller)
{
	if (teller->is_json)
		fputs("]\n", stdout);
}

int queue_tell(struct queue_teller *teller, int code, const char *format, ...)
{
	char words[4096];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(words, sizeof words, format, arguments);
	va_end(arguments);
	if (code)
		command_fail("queue", code, "%s", words);
	if (teller->is_json) {
		printf("%s{\"code\":%d,\"words\":", teller->count++ ? ",\n" : "", code);
		json_string(stdout, words, strlen(words));
		putchar('}');
	} else if (!code && *words) {
		puts(words);
	}
	return code;
}

static bool is_number(const char *value, size_t length)
{
	uint64_t number;
	return length < 16 && (length == 1 || *value != '0') && text_to_number(value, length, &number);
}

/* A number as a number, all else as a string. */
static void print_value(const char *value, size_t length)
{
	if (is_number(value, length))
		printf("%.*s", (int)length, value);
	else
		json_string(stdout, value, length);
}

static unsigned hex_worth(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* The value that starts with the quote at AT, up to the next one: \", \\ and \xHH as log.h has them. Returns what is behind it. */
static const char *print_quoted(const char *at, const char *end)
{
	char text[LOG_LINE_MAX] = "";
	size_t length = 0;
	for (at++; at < end && *at != '"' && length < sizeof text; at++) {
		char c = *at;
		if (c == '\\' && end - at > 3 && at[1] == 'x') {
			c = (char)(hex_worth(at[2]) << 4 | hex_worth(at[3]));
			at += 3;
		} else if (c == '\\' && end - at > 1) {
			c = *++at;
		}
		text[length++] = c;
	}
	json_string(stdout, text, length);
	return at < end ? at + 1 : end;
}

void queue_tell_row(struct queue_teller *teller, const char *row, size_t length)
{
	const char *at = row, *end = row + length, *equals;
	if (!teller->is_json) {
		print_shown(stdout, "%.*s\n", (int)length, row);
		return;
	}
	fputs(teller->count++ ? ",\n{" : "{", stdout);
	while (at < end && (equals = memchr(at, '=', (size_t)(end - at)))) {
		const char *value = equals + 1, *stop = memchr(value, ' ', (size_t)(end - value));
		if (at != row)
			putchar(',');
		json_string(stdout, at, (size_t)(equals - at));
		putchar(':');
		if (value < end && *value == '"')
			stop = print_quoted(value, end);
		else
			print_value(value, (size_t)((stop ? stop : end) - value));
		at = stop ? stop + 1 : end;
	}
	putchar('}');
}
