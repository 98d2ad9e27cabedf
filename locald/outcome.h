/* What came of a recipient, or of a part of it. Used by all of locald. */
#ifndef LOCALD_OUTCOME_H
#define LOCALD_OUTCOME_H

#include "common/result.h"
#include "common/wire.h"

struct outcome {
	enum delivery_verdict verdict;	/* 0: nothing came of it yet */
	char status[12];		/* RFC 3463 */
	char *words;			/* malloc'd, NULL: none; printable */
};

/* Replaces OUTCOME. WORDS: formatted text. */
void outcome_set(struct outcome *outcome, enum delivery_verdict verdict, const char *status, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* A recipient with several parts has the worst outcome of them: deferred before failed, so that the
 * part that may still come right is tried; forwarded before delivered. FROM is empty afterwards. */
void outcome_merge(struct outcome *into, struct outcome *from);
void outcome_free(struct outcome *outcome);	/* accepts a zeroed one */

/* Fills OUTCOME for a mailbox that can't be written: deferred, whatever the reason, since an admin
 * may mend it; 4.3.1 or 4.2.2 where space is what is missing (RFC 3463 3.3, 3.4). */
void outcome_of_trouble(struct outcome *outcome, const struct why *why);

#endif
