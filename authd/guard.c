#include "authd/guard.h"

#include <nettle/sha2.h>
#include <string.h>

/* Of IPv4 the /24, of IPv6 the /48, which one household or office has; whole: the address, of IPv6 the /64. */
static size_t network_length(const struct address_ip *ip, bool is_whole)
{
	if (ip->family == 4)
		return is_whole ? 4 : 3;
	return is_whole ? 8 : 6;
}

/* Never 0, which marks a free entry. NAME, IP: NULL for none. */
static uint64_t key_of(const struct guard *guard, const char *name, const struct address_ip *ip, bool is_whole)
{
	struct sha256_ctx context;
	uint8_t digest[SHA256_DIGEST_SIZE];
	uint64_t key;

	sha256_init(&context);
	sha256_update(&context, sizeof guard->seed, (const uint8_t *)&guard->seed);
	if (ip) {
		sha256_update(&context, 1, &ip->family);
		sha256_update(&context, network_length(ip, is_whole), ip->bytes);
	}
	if (name)
		sha256_update(&context, strlen(name), (const uint8_t *)name);
	sha256_digest(&context, sizeof digest, digest);
	memcpy(&key, digest, sizeof key);
	return key | 1;
}

/* What was long ago counts no more. */
static void forget(const struct guard *guard, struct guard_entry *entry, uint64_t now_ms)
{
	uint64_t each = guard->limit ? GUARD_FORGET_MS / guard->limit : GUARD_FORGET_MS, count;

	if (entry->until_ms && entry->until_ms <= now_ms) {
		entry->until_ms = 0;
		entry->failures = 0;
	}
	count = (now_ms - entry->since_ms) / (each ? each : 1);
	if (count == 0)
		return;
	entry->failures = entry->failures > count ? entry->failures - (uint32_t)count : 0;
	entry->since_ms = now_ms;
}

static struct guard_entry *find(struct guard_entry table[GUARD_SETS][GUARD_WAYS], uint64_t key)
{
	struct guard_entry *set = table[(key >> 32) % GUARD_SETS];

	for (int i = 0; i < GUARD_WAYS; i++)
		if (set[i].key == key)
			return &set[i];
	return NULL;
}

/* Which of two is less loss: who is not shut out, then who failed less, then the older one. */
static bool is_less(const struct guard_entry *a, const struct guard_entry *b)
{
	if (!a->key || !b->key)
		return !a->key && b->key;
	if (!a->until_ms != !b->until_ms)
		return !a->until_ms;
	return a->failures != b->failures ? a->failures < b->failures : a->since_ms < b->since_ms;
}

/* The entry of KEY, or the place of the one that is the least loss. */
static struct guard_entry *find_or_make(struct guard_entry table[GUARD_SETS][GUARD_WAYS], uint64_t key, uint64_t now_ms)
{
	struct guard_entry *entry = find(table, key), *set = table[(key >> 32) % GUARD_SETS];

	if (entry)
		return entry;
	entry = set;
	for (int i = 1; i < GUARD_WAYS; i++)
		if (is_less(&set[i], entry))
			entry = &set[i];
	*entry = (struct guard_entry){ .key = key, .since_ms = now_ms, .spared_ms = now_ms };
	return entry;
}

static bool is_shut(const struct guard_entry *entry, uint64_t now_ms, uint64_t *left_ms)
{
	if (!entry || entry->until_ms <= now_ms)
		return false;
	*left_ms = entry->until_ms - now_ms;
	return true;
}

static bool is_known(struct guard *guard, uint64_t pair, uint64_t now_ms)
{
	const struct guard_entry *entry = find(guard->known, pair);

	return entry && now_ms - entry->since_ms < GUARD_KNOWN_MS;
}

enum guard_block guard_ask(struct guard *guard, const char *name, const struct address_ip *ip, uint64_t now_ms, uint64_t *left_ms)
{
	uint64_t pair = key_of(guard, name, ip, false);

	if (guard->limit == 0 || !ip->family)
		return GUARD_FREE;
	if (is_shut(find(guard->addresses, key_of(guard, NULL, ip, true)), now_ms, left_ms))
		return GUARD_ADDRESS;
	if (!*name)
		return GUARD_FREE;
	if (is_shut(find(guard->pairs, pair), now_ms, left_ms))
		return GUARD_NAME_FROM_NETWORK;
	if (is_shut(find(guard->names, key_of(guard, name, NULL, false)), now_ms, left_ms) && !is_known(guard, pair, now_ms))
		return GUARD_NAME;
	return GUARD_FREE;
}

static bool is_spared(struct guard_entry *entry, uint64_t now_ms)
{
	uint64_t rest = now_ms - entry->spared_ms, most = (uint64_t)GUARD_SPARE_MS * GUARD_SPARES_MAX;

	if (rest < GUARD_SPARE_MS)
		return false;
	entry->spared_ms = now_ms - (rest < most ? rest : most) + GUARD_SPARE_MS;
	return true;
}

static bool is_further_guess(struct guard_entry *entry, uint64_t guess, uint64_t now_ms)
{
	bool is_same = guess == entry->guess;

	if (!guess)
		return !is_spared(entry, now_ms);
	entry->guess = guess;
	return !is_same;
}

/* true: a block begins. */
static bool count(const struct guard *guard, struct guard_entry *entry, uint32_t limit, uint64_t guess, uint64_t now_ms)
{
	bool is_further = is_further_guess(entry, guess, now_ms);

	forget(guard, entry, now_ms);
	if (!is_further || entry->until_ms)
		return false;
	if (++entry->failures < limit)
		return false;
	entry->until_ms = now_ms + guard->block_ms;
	return true;
}

enum guard_block guard_fail(struct guard *guard, const char *name, const struct address_ip *ip, uint64_t guess, uint64_t now_ms)
{
	uint64_t pair = key_of(guard, name, ip, false), alone = key_of(guard, name, NULL, false);
	bool is_pair, is_address, is_name;

	if (guard->limit == 0 || !ip->family)
		return GUARD_FREE;
	is_pair = *name && count(guard, find_or_make(guard->pairs, pair, now_ms), guard->limit, guess, now_ms);
	is_address = count(guard, find_or_make(guard->addresses, key_of(guard, NULL, ip, true), now_ms),
	                   guard->limit * GUARD_ADDRESS_FACTOR, guess, now_ms);
	is_name = *name && !is_known(guard, pair, now_ms) &&
	          count(guard, find_or_make(guard->names, alone, now_ms), guard->limit * GUARD_NAME_FACTOR, guess, now_ms);
	return is_address ? GUARD_ADDRESS : is_name ? GUARD_NAME : is_pair ? GUARD_NAME_FROM_NETWORK : GUARD_FREE;
}

void guard_succeed(struct guard *guard, const char *name, const struct address_ip *ip, uint64_t now_ms)
{
	uint64_t pair = key_of(guard, name, ip, false);
	struct guard_entry *entry;

	if (guard->limit == 0 || !ip->family)
		return;
	find_or_make(guard->known, pair, now_ms)->since_ms = now_ms;
	entry = find(guard->pairs, pair);
	if (entry)
		*entry = (struct guard_entry){ 0 };
}

const char *guard_block_name(enum guard_block block)
{
	static const char *const names[] = { "none", "address", "user-network", "user" };

	return names[block];
}
