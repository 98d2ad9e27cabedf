/* Counters of connections: whose they are. */
#include "common/limits.h"
#include "unit.h"
#include <stdlib.h>

enum { STARTS = 64, KEYS = 1024 };

static struct why why;

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static bool all_differ(uint64_t keys[KEYS])
{
	qsort(keys, KEYS, sizeof *keys, compare);
	for (int i = 1; i < KEYS; i++)
		if (keys[i] == keys[i - 1])
			return false;
	return true;
}

/* The secret is another one at each start: what held for some of them alone would be luck. */
static struct limits *start(void)
{
	struct limits *limits = NULL;

	CHECK(limits_make(1, &limits, &why) == RESULT_OK);
	return limits;
}

static void no_two_uids_share_a_counter(void)
{
	uint64_t keys[KEYS];

	for (int i = 0; i < STARTS; i++) {
		const struct limits *limits = start();
		for (uint32_t uid = 0; uid < KEYS; uid++)
			keys[uid] = limits_key_of_uid(limits, uid);
		CHECK(all_differ(keys));
	}
}

static void no_two_addresses_share_a_counter(void)
{
	uint64_t keys[KEYS];

	for (int i = 0; i < STARTS; i++) {
		const struct limits *limits = start();
		for (int at = 0; at < KEYS; at++) {
			struct address_ip ip = { .family = at & 1 ? 6 : 4, .bytes = { (uint8_t)(at >> 2), 51, 100, at & 2 ? 8 : 7 } };
			keys[at] = limits_key_of_address(limits, &ip);
		}
		CHECK(all_differ(keys));
	}
}

static void a_network_of_64_bits_is_one_client(void)
{
	const struct limits *limits = start();
	struct address_ip a = { .family = 6, .bytes = { 0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 2, 3 } }, b = a;

	b.bytes[15] = 9;
	CHECK(limits_key_of_address(limits, &a) == limits_key_of_address(limits, &b));
	b.bytes[7] = 2;
	CHECK(limits_key_of_address(limits, &a) != limits_key_of_address(limits, &b));
}

static void connections_are_counted_over_workers_and_forgotten_with_one(void)
{
	struct limits *limits = NULL;

	CHECK(limits_make(2, &limits, &why) == RESULT_OK);
	uint64_t key = limits_key_of_uid(limits, 1000), other = limits_key_of_uid(limits, 1001);
	limits_add(limits, 0, key);
	limits_add(limits, 1, key);
	limits_add(limits, 1, key);
	CHECK(limits_count(limits, key) == 3);
	CHECK(limits_count(limits, other) == 0);
	limits_remove(limits, 1, key);
	CHECK(limits_count(limits, key) == 2);
	limits_forget(limits, 1);
	CHECK(limits_count(limits, key) == 1);
}

int main(void)
{
	UNIT_RUN(no_two_uids_share_a_counter);
	UNIT_RUN(no_two_addresses_share_a_counter);
	UNIT_RUN(a_network_of_64_bits_is_one_client);
	UNIT_RUN(connections_are_counted_over_workers_and_forgotten_with_one);
	return unit_end();
}
