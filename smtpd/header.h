/* Watches the header of a message go by (RFC 5322 2.2): which fields there are, how many Received,
 * whether there is a header at all. Pure, constant memory, any splitting of the bytes. */
#ifndef SMTPD_HEADER_H
#define SMTPD_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HEADER_NAME_MAX = 16 };

/* The fields that are looked for, as bits of struct header's fields. */
enum { HEADER_DATE = 1, HEADER_FROM = 2, HEADER_MESSAGE_ID = 4 };

struct header {
	uint8_t state;			/* the module's own */
	uint8_t name_length;
	char name[HEADER_NAME_MAX];	/* of the line at hand, as far as seen, in lower case */
	uint8_t fields;
	bool has_field;			/* a field was seen */
	uint32_t received_count;
	bool is_over;			/* the body has begun */
	bool is_missing;		/* the first line is no field: the message has no header */
};

void header_start(struct header *header);
/* The next LENGTH bytes of content, CRLF line ends. Costs nothing once the header is over. */
void header_feed(struct header *header, const char *bytes, size_t length);

#endif
