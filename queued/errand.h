/* A change on disk for a message that is not loaded: moved, removed, a line appended. Until it is done nothing else is begun
 * with that message: a load of it is put off, a command is asked to come again. */
#ifndef QUEUED_ERRAND_H
#define QUEUED_ERRAND_H

#include "queued/scheduler.h"

struct errand {
	struct record record;		/* filled in by the caller from errand_make on */
	struct scheduler *scheduler;
	void (*then)(struct errand *errand);	/* may be NULL; record.result tells how it went (a failure is logged) */
	char child[QUEUE_ID_LENGTH + 1];	/* the caller's */
	uint64_t client;
	const char *said;
	bool is_awaited;		/* its message was due meanwhile */
	struct errand *next;		/* in its bucket */
};

/* NULL: no memory. */
struct errand *errand_make(struct scheduler *s, const char *id, enum queue_place from, enum queue_place to);
/* Does it, calls then, frees it. */
void errand_submit(struct errand *errand);
/* One under way for message ID, or NULL. */
struct errand *errand_find(const struct scheduler *s, const char *id);
void errand_free(struct errand *errand);	/* one that was not submitted */

#endif
