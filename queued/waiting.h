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

/* IDs, a bounded number of them, that are looked for among all that wait. Zeroed has no room. */
struct waiting_set {
	char (*ids)[QUEUE_ID_LENGTH];
	uint32_t *slots;		/* by hash: a place in ids and one, 0: free */
	size_t count, most;
	unsigned shift;			/* what is left of a hash is a slot */
};

/* Room for MOST. false: no memory. */
bool waiting_set_make(struct waiting_set *set, size_t most);
/* false: it is full. An ID that is in it already stays there once. */
bool waiting_set_add(struct waiting_set *set, const char *id);
bool waiting_set_has(const struct waiting_set *set, const char *id);
void waiting_set_clear(struct waiting_set *set);
void waiting_set_free(struct waiting_set *set);

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
/* Takes those out whose ID is in SET: one look at each, so many IDs at a time. Returns how many. */
size_t waiting_remove_these(struct waiting_heap *heap, const struct waiting_set *set);
/* Makes those due now whose ID is in SET. */
void waiting_hurry_these(struct waiting_heap *heap, const struct waiting_set *set);
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
