/* The messages that wait for their next attempt, or for room to be loaded: a compact heap, so that a
 * million of them cost 32 MB and no open file. Pure memory. */
#ifndef QUEUED_WAITING_H
#define QUEUED_WAITING_H

#include "common/queue.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct waiting {
	char id[QUEUE_ID_LENGTH];	/* not NUL-ended */
	uint32_t due_seconds;		/* of the monotonic clock */
	uint32_t site;			/* site->hash of where it waits for, 0: not known */
	bool is_fresh;			/* named by trigger or scan: lies in new/, without a state unless maybe_state */
	bool maybe_state;
};

/* Zeroed is empty. Earliest due first, then by ID, which is by arrival. */
struct waiting_heap {
	struct waiting *items;
	size_t count, size;
	size_t unite_at;		/* waiting_push_once's */
};

/* false: no memory. */
bool waiting_push(struct waiting_heap *heap, const struct waiting *waiting);
/* The same for a heap that names may come into twice: drops what is there twice before it grows to double its size. */
bool waiting_push_once(struct waiting_heap *heap, const struct waiting *waiting);
/* The next one, or NULL. */
const struct waiting *waiting_first(const struct waiting_heap *heap);
/* Removes the next one into OUT; the heap must not be empty. */
void waiting_pop(struct waiting_heap *heap, struct waiting *out);
/* The place of ID, or SIZE_MAX: looks at each, so for the admin's commands only. */
size_t waiting_find(const struct waiting_heap *heap, const char *id);
void waiting_remove(struct waiting_heap *heap, size_t place);
/* Makes the one at PLACE due now. Its place changes. */
void waiting_hurry(struct waiting_heap *heap, size_t place);
/* Makes those due now whose ID is one of COUNT at IDS, QUEUE_ID_LENGTH bytes each, sorted. */
void waiting_hurry_these(struct waiting_heap *heap, const char *ids, size_t count);
/* Makes those due now that wait for SITE, if they are not. */
void waiting_hurry_site(struct waiting_heap *heap, uint32_t site, uint32_t now_seconds);
/* Makes the next one due now of those that wait for SITE. */
void waiting_hurry_one(struct waiting_heap *heap, uint32_t site, uint32_t now_seconds);
/* Makes all due now. */
void waiting_hurry_all(struct waiting_heap *heap);
/* Drops all but one of entries with the same ID; for a heap whose entries are all due alike. */
void waiting_unite(struct waiting_heap *heap);
void waiting_free(struct waiting_heap *heap);

#endif
