/* What comes of acting on the queue, in words or as JSON. */
#include "command.h"
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

/* A number as a number; a value in quotes, which is the last, without them. */
static void print_value(const char *value, size_t length)
{
	if (is_number(value, length))
		printf("%.*s", (int)length, value);
	else if (length > 1 && *value == '"')
		json_string(stdout, value + 1, length - 2);
	else
		json_string(stdout, value, length);
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
		const char *value = equals + 1, *blank = memchr(value, ' ', (size_t)(end - value));
		const char *stop = !blank || *value == '"' ? end : blank;
		if (at != row)
			putchar(',');
		json_string(stdout, at, (size_t)(equals - at));
		putchar(':');
		print_value(value, (size_t)(stop - value));
		at = stop + 1;
	}
	putchar('}');
}
