/* Watches the header of a message go by (RFC 5322 2.2): which fields there are, how many Received,
 * whether there is a header at all. Pure, constant memory, any splitting of the bytes. */
#ifndef SMTPD_HEADER_H
#define SMTPD_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HEADER_NAME_MAX = 16 };

/* The fields that are looked for, as bits of struct header's fields. */
enum { HEADER_DATE = 1, HEADER_FROM = 2, HEADER_MESSAGE_ID = 4, HEADER_SENDER = 8, HEADER_DKIM_SIGNATURE = 16, HEADER_TLS_REQUIRED = 32 };

struct header {
	uint8_t state;			/* the module's own */
	uint8_t name_length;
	char name[HEADER_NAME_MAX];	/* of the line at hand, as far as seen, in lower case */
	uint8_t fields;
	uint8_t field;			/* the one whose value goes by, 0: none of these */
	bool has_field;			/* a field was seen */
	uint32_t received_count;
	bool is_tls_optional;		/* "TLS-Required: No", RFC 8689 3 */
	uint8_t value_length;		/* of the TLS-Required field that goes by, blanks apart */
	char value[4];
	bool is_over;			/* the body has begun */
	bool is_missing;		/* the first line is no field: the message has no header */
	bool is_broken;			/* a later line ended it that is neither empty nor a field: readers differ on what follows */
	/* NULL, or gets the values of these fields piece by piece, from behind the colon, folding and line ends
	 * included. LENGTH 0: another value of FIELD begins; FIELD 0: the one before is over. */
	void (*take)(void *context, unsigned field, const char *bytes, size_t length);
	void *context;
};

void header_start(struct header *header);
/* The next LENGTH bytes of content, CRLF line ends. Costs nothing once the header is over. */
void header_feed(struct header *header, const char *bytes, size_t length);
/* The message ended: what was seen is all, also where no line ended the header. */
void header_close(struct header *header);

#endif
