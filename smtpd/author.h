/* What the header of a submitted message says of its authors, and which fields its DKIM signatures cover though they
 * are missing: such a field must not be added (RFC 6376 5.4.2). Bounded memory; hangs on header.h. */
#ifndef SMTPD_AUTHOR_H
#define SMTPD_AUTHOR_H

#include "common/text.h"
#include "header.h"

enum { AUTHOR_FIELD_MAX = 16384 };	/* bytes of a From or Sender field */

struct author {
	stralloc from, sender;		/* the value of the first of each */
	uint32_t from_count, sender_count;
	bool is_too_long;		/* one was over AUTHOR_FIELD_MAX */
	bool is_short_of_memory;
	uint8_t signed_fields;		/* HEADER_ bits: named in the h= of a DKIM-Signature */
	uint8_t state, word_length;	/* of the tags of a signature */
	uint8_t field;
	char word[HEADER_NAME_MAX];
};

/* HEADER has just been started; AUTHOR is filled as it goes by, and has to stay where it is. */
void author_watch(struct author *author, struct header *header);
void author_free(struct author *author);	/* what it owns; accepts a zeroed one */

#endif
