/* Which parts of a deferred recipient are done already, so that its next attempt does not deliver
 * them once more. Kept in the spawner's memory alone, for as many as there is room: what is forgotten is
 * delivered twice, never not at all. Used by the spawner and by deliverers. */
#ifndef LOCALD_DONE_H
#define LOCALD_DONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DONE_KEYS_MAX = 16 };	/* of one recipient */

struct done { uint64_t keys[DONE_KEYS_MAX]; size_t count; };

/* What names a part: the text of an alias's member or of an entry in ~/.forward. Never 0. */
uint64_t done_key(const char *text, size_t length);
bool done_has(const struct done *done, uint64_t key);
void done_add(struct done *done, uint64_t key);		/* a key too many, or 0, is not kept */

/* For ADDRESS in the message ID. */
void done_load(const char *id, const char *address, struct done *done);
void done_store(const char *id, const char *address, const struct done *done);

#endif
