#include "authd/cache.h"

#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <string.h>

struct cache_mark cache_mark(const struct cache *cache, const char *name, const char *secret, const void *hashes, size_t length)
{
	struct hmac_sha256_ctx context;
	struct cache_mark mark;

	hmac_sha256_set_key(&context, sizeof cache->key, cache->key);
	hmac_sha256_update(&context, strlen(name) + 1, (const uint8_t *)name);
	hmac_sha256_update(&context, strlen(secret) + 1, (const uint8_t *)secret);
	hmac_sha256_update(&context, length, hashes);
	hmac_sha256_digest(&context, sizeof mark.bytes, mark.bytes);
	explicit_bzero(&context, sizeof context);
	return mark;
}

static struct cache_entry *set_of(struct cache *cache, const struct cache_mark *mark)
{
	uint32_t place;

	memcpy(&place, mark->bytes, sizeof place);
	return cache->entries[place % CACHE_SETS];
}

bool cache_find(struct cache *cache, const struct cache_mark *mark, uint64_t now_ms, uint64_t until_ms, unsigned *which)
{
	struct cache_entry *set = set_of(cache, mark);

	for (int i = 0; i < CACHE_WAYS; i++) {
		if (set[i].until_ms <= now_ms || !memeql_sec(set[i].mark, mark->bytes, sizeof mark->bytes))
			continue;
		set[i].until_ms = until_ms;
		*which = set[i].which;
		return true;
	}
	return false;
}

void cache_add(struct cache *cache, const struct cache_mark *mark, unsigned which, uint64_t until_ms)
{
	struct cache_entry *set = set_of(cache, mark), *oldest = set;

	for (int i = 1; i < CACHE_WAYS; i++)
		if (set[i].until_ms < oldest->until_ms)
			oldest = &set[i];
	oldest->until_ms = until_ms;
	oldest->which = which;
	memcpy(oldest->mark, mark->bytes, sizeof mark->bytes);
}
