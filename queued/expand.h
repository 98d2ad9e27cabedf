/* Long lists: an alias of more members than smtpd expands itself (EXPAND_MEMBERS_MAX) is turned into
 * messages to EXPAND_PART_RECIPIENTS recipients each. */
#ifndef QUEUED_EXPAND_H
#define QUEUED_EXPAND_H

#include "queued/scheduler.h"

enum { EXPAND_PART_RECIPIENTS = 1000 };

/* Is the recipient such a list? Then it waits in PHASE_MAKING for its parts, or was given its result. */
bool expand_is_long_list(struct scheduler *s, struct message *m, uint32_t index);

/* Appends the next part of the list to RECIPIENTS (envelope_append_recipient) and tells in MAKING where
 * the part after it begins (STATE_OFFSET_END: none is left), its last member, and *COUNT.
 * OWNER: the reverse-path of the parts, ADDRESS_MAX + 1 bytes, "" when the list has none of its own.
 * RESULT_OK; RESULT_RETRY: tables, memory; RESULT_END: it is no long list any more. */
enum result expand_next_part(struct scheduler *s, const struct message *m, struct making *making,
                             stralloc *recipients, uint32_t *count, char *owner, struct why *why);

/* Appends ADDRESS as what it means here: the mailboxes and addresses behind it, or itself. DSN
 * parameters are those of ORIGINAL, whose address and as are replaced. */
enum result expand_address(struct scheduler *s, const char *address, const struct envelope_recipient *original,
                           stralloc *recipients, uint32_t *count, struct why *why);

#endif
