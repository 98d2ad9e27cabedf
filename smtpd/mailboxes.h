/* The addresses in a From or Sender field: RFC 5322 3.4 with its obsolete forms (4.4), groups (RFC 6854), UTF-8
 * (RFC 6532). Pure; fuzzed. Used by submission.c.
 *
 * Strict where readers could differ: what is not certainly one list of addresses is refused, so that nobody
 * sees an author in it that was not judged. A display name in the form of an address ("a@b <c@d>", which old
 * programs write) counts as an address too. */
#ifndef SMTPD_MAILBOXES_H
#define SMTPD_MAILBOXES_H

#include "common/address.h"

enum { MAILBOXES_MAX = 100 };	/* of one field */

/* TEXT: the value of the field, LENGTH bytes, folding and all. FOUND gets each address, comments and folding gone, in
 * the form of address.h; its domain may be empty. FOUND returns false: enough. *COUNT: how many there were so far.
 * RESULT_OK: all were found (there may be none: an empty group); RESULT_END: FOUND said so; RESULT_NEVER: no list of
 * addresses, WHY says what is wrong. */
enum result mailboxes_read(const char *text, size_t length, bool (*found)(void *context, const struct address *address),
                           void *context, size_t *count, struct why *why);

#endif
