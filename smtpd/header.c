#include "header.h"

#include <string.h>

enum { AT_START, IN_NAME, IN_VALUE, AT_FIRST_LINE };

static const struct { const char *name; uint8_t bit; } wanted[] = {
	{ "date", HEADER_DATE }, { "from", HEADER_FROM }, { "message-id", HEADER_MESSAGE_ID },
};

void header_start(struct header *header)
{
	*header = (struct header){ .state = AT_FIRST_LINE };
}

static void header_note(struct header *header)
{
	size_t length = header->name_length;

	if (length == strlen("received") && !memcmp(header->name, "received", length))
		header->received_count++;
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
		if (length == strlen(wanted[i].name) && !memcmp(header->name, wanted[i].name, length))
			header->fields |= wanted[i].bit;
}

/* A line that is no field ends the header, RFC 5322 2.2; as the first line it says there is none. */
static void header_end(struct header *header, bool is_first)
{
	header->is_over = true;
	header->is_missing = is_first;
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
	if (c == '\r' || c == '\n' || c == ':') {
		header_end(header, is_first && c == ':');
	} else if (c == ' ' || c == '\t') {
		header->state = IN_VALUE;
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
			at = memchr(at, '\n', (size_t)(end - at));
			if (!at)
				return;
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
