/* Passwords that were right a short while ago, so that pollers cost no slow hash again. No password is kept
 * but an HMAC, under a key of this process, of the name, the password and the stored hashes: whoever's entry
 * changes is checked anew. Bounded. The time is an argument. Used by login_check.c. */
#ifndef AUTHD_CACHE_H
#define AUTHD_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CACHE_SETS = 2048, CACHE_WAYS = 4, CACHE_MARK_SIZE = 24, CACHE_KEY_SIZE = 32 };

struct cache {
	unsigned char key[CACHE_KEY_SIZE];	/* random */
	struct cache_entry { uint64_t until_ms; unsigned which; unsigned char mark[CACHE_MARK_SIZE]; } entries[CACHE_SETS][CACHE_WAYS];
};

/* What stands for NAME and SECRET (NUL-ended) while LENGTH bytes at HASHES are what they are checked by. */
struct cache_mark { unsigned char bytes[CACHE_MARK_SIZE]; };
struct cache_mark cache_mark(const struct cache *cache, const char *name, const char *secret, const void *hashes, size_t length);
/* Was it right lately? Then it is so until UNTIL_MS, and *WHICH says by which of the hashes. */
bool cache_find(struct cache *cache, const struct cache_mark *mark, uint64_t now_ms, uint64_t until_ms, unsigned *which);
void cache_add(struct cache *cache, const struct cache_mark *mark, unsigned which, uint64_t until_ms);

#endif
