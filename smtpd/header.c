#include "header.h"

#include <string.h>

enum { AT_START, IN_NAME, IN_VALUE, AT_FIRST_LINE };

static const struct { const char *name; uint8_t bit; } wanted[] = {
	{ "date", HEADER_DATE }, { "from", HEADER_FROM }, { "message-id", HEADER_MESSAGE_ID },
	{ "sender", HEADER_SENDER }, { "dkim-signature", HEADER_DKIM_SIGNATURE }, { "tls-required", HEADER_TLS_REQUIRED },
};

void header_start(struct header *header)
{
	*header = (struct header){ .state = AT_FIRST_LINE };
}

/* As much of the value as tells "No" from others. */
static void header_keep_value(struct header *header, const char *bytes, size_t length)
{
	if (length == 0)
		header->value_length = 0;
	for (; length > 0 && header->value_length < sizeof header->value; bytes++, length--)
		if (!strchr(" \t\r\n", *bytes))
			header->value[header->value_length++] = (char)(*bytes | 0x20);
}

static void header_pass(struct header *header, const char *bytes, size_t length)
{
	if (header->field == HEADER_TLS_REQUIRED)
		header_keep_value(header, bytes, length);
	else if (header->take && header->field)
		header->take(header->context, header->field, bytes, length);
}

/* The value that went by is over. */
static void header_leave(struct header *header)
{
	if (header->field == HEADER_TLS_REQUIRED)
		header->is_tls_optional |= header->value_length == 2 && !memcmp(header->value, "no", 2);
	else if (header->take && header->field)
		header->take(header->context, 0, NULL, 0);
	header->field = 0;
}

static void header_note(struct header *header)
{
	size_t length = header->name_length;

	if (length == strlen("received") && !memcmp(header->name, "received", length))
		header->received_count++;
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
		if (length == strlen(wanted[i].name) && !memcmp(header->name, wanted[i].name, length))
			header->field = wanted[i].bit;
	header->fields |= header->field;
	header_pass(header, NULL, 0);
}

/* A line that is no field ends the header, RFC 5322 2.2; as the first line it says there is none. */
static void header_end(struct header *header, bool is_first)
{
	header->is_over = true;
	header->is_missing = is_first;
	header->is_broken = !is_first;
}

/* RFC 5322 4.5: old programs put blanks before the colon. */
static void header_name_byte(struct header *header, char c)
{
	if (c >= 'A' && c <= 'Z')
		c = (char)(c + ('a' - 'A'));
	if (c == ' ' || c == '\t')
		return;
	if (header->name_length < HEADER_NAME_MAX)
		header->name[header->name_length++] = c;
}

static void header_line_start(struct header *header, char c)
{
	bool is_first = header->state == AT_FIRST_LINE;

	header->name_length = 0;
	if (c != ' ' && c != '\t')
		header_leave(header);
	if (c == '\r' || c == '\n' || c == ':') {
		header->is_over = true;
		if (c == ':')
			header_end(header, is_first);
	} else if (c == ' ' || c == '\t') {
		header->state = IN_VALUE;
		header_pass(header, &c, 1);
		if (is_first)
			header_end(header, true);
	} else {
		header->state = IN_NAME;
		header_name_byte(header, c);
	}
}

void header_feed(struct header *header, const char *bytes, size_t length)
{
	for (const char *at = bytes, *end = bytes + length; at < end && !header->is_over; at++) {
		if (header->state == IN_VALUE) {
			const char *newline = memchr(at, '\n', (size_t)(end - at)), *stop = newline ? newline + 1 : end;
			header_pass(header, at, (size_t)(stop - at));
			if (!newline)
				return;
			at = newline;
			header->state = AT_START;
		} else if (header->state != IN_NAME) {
			header_line_start(header, *at);
		} else if (*at == ':') {
			header_note(header);
			header->has_field = true;
			header->state = IN_VALUE;
		} else if (*at == '\r' || *at == '\n' || (unsigned char)*at < 0x20) {
			header_end(header, !header->has_field);
		} else {
			header_name_byte(header, *at);
		}
	}
}

void header_close(struct header *header)
{
	header_leave(header);
	if (!header->is_over && header->state == IN_NAME)
		header_end(header, !header->has_field);	/* a last line without its end, by BDAT, and no field */
	header->is_over = true;
}
