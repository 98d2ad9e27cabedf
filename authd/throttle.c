#include "authd/throttle.h"

#include <string.h>

/* IPv4 whole, of IPv6 the network that one customer gets. Never 0, which marks a free entry. */
static uint64_t key_of(const struct address_ip *ip)
{
	uint64_t key = 0;

	memcpy(&key, ip->bytes, ip->family == 4 ? 4 : 8);
	return (key ^ ip->family) * 0x9e3779b97f4a7c15 | 1;
}

static void forget(struct throttle_entry *entry, uint64_t now_ms)
{
	uint64_t halvings = (now_ms - entry->last_ms) / THROTTLE_HALVE_MS;

	if (!halvings)
		return;
	entry->failures = halvings < 32 ? entry->failures >> halvings : 0;
	entry->last_ms += halvings * THROTTLE_HALVE_MS;
}

/* The entry of KEY, or the one that is the least loss. */
static struct throttle_entry *find_entry(struct throttle_entry *set, uint64_t key, uint64_t now_ms)
{
	struct throttle_entry *least = set;

	for (int i = 0; i < THROTTLE_WAYS; i++) {
		if (set[i].key == key)
			return &set[i];
		forget(&set[i], now_ms);
		if (set[i].failures < least->failures)
			least = &set[i];
	}
	*least = (struct throttle_entry){ .key = key, .last_ms = now_ms };
	return least;
}

uint64_t throttle_fail(struct throttle *throttle, const struct address_ip *ip, uint64_t now_ms)
{
	uint64_t key = key_of(ip);
	struct throttle_entry *entry = find_entry(throttle->entries[(key >> 32) % THROTTLE_SETS], key, now_ms);
	uint64_t wait;

	forget(entry, now_ms);
	wait = entry->failures < 4 ? (uint64_t)THROTTLE_FIRST_MS << entry->failures : THROTTLE_MOST_MS;
	if (entry->failures < UINT32_MAX)
		entry->failures++;
	return wait;
}
