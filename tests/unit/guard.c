/* link: authd/guard.o authd/cache.o */
#include "unit.h"
#include "authd/cache.h"
#include "authd/guard.h"

static struct guard guard;
enum { MINUTE = 60000, BLOCK = 15 * MINUTE };

static struct address_ip ip_of(const char *text)
{
	struct address_ip ip = { 0 };

	CHECK(ip_parse(text, strlen(text), &ip));
	return ip;
}

static void start(uint32_t limit)
{
	memset(&guard, 0, sizeof guard);
	guard.limit = limit;
	guard.block_ms = BLOCK;
	guard.seed = 7;
}

static enum guard_block fail_times(unsigned times, const char *name, const struct address_ip *ip, uint64_t now)
{
	static uint64_t guess = 1;
	enum guard_block block = GUARD_FREE;

	while (times-- > 0)
		block = guard_fail(&guard, name, ip, guess++, now);
	return block;
}

static void a_name_from_one_network_is_shut_out_and_no_other(void)
{
	struct address_ip bad = ip_of("192.0.2.1"), near = ip_of("192.0.2.200"), far = ip_of("198.51.100.1");
	uint64_t left;

	start(10);
	CHECK(fail_times(9, "alice", &bad, 1000) == GUARD_FREE);
	CHECK(guard_ask(&guard, "alice", &bad, 1000, &left) == GUARD_FREE);
	CHECK(fail_times(1, "alice", &bad, 1000) == GUARD_NAME_FROM_NETWORK);
	CHECK(guard_ask(&guard, "alice", &bad, 2000, &left) == GUARD_NAME_FROM_NETWORK && left == BLOCK - 1000);
	CHECK(guard_ask(&guard, "alice", &near, 2000, &left) == GUARD_NAME_FROM_NETWORK);
	CHECK(guard_ask(&guard, "alice", &far, 2000, &left) == GUARD_FREE);
	CHECK(guard_ask(&guard, "bob", &bad, 2000, &left) == GUARD_FREE);
	CHECK(guard_ask(&guard, "alice", &bad, 1000 + BLOCK, &left) == GUARD_FREE);
	CHECK(fail_times(9, "alice", &bad, 1000 + BLOCK) == GUARD_FREE);	/* counts anew */
}

/* A mail program with an old password says it again and again, and its owner sits beside it. */
static void the_same_guess_again_counts_once(void)
{
	struct address_ip ip = ip_of("192.0.2.1");

	start(3);
	for (int i = 0; i < 100; i++)
		CHECK(guard_fail(&guard, "alice", &ip, 42, 1000) == GUARD_FREE);
	CHECK(guard_fail(&guard, "alice", &ip, 43, 1000) == GUARD_FREE);
	CHECK(guard_fail(&guard, "alice", &ip, 44, 1000) == GUARD_NAME_FROM_NETWORK);
	start(3);	/* a program that tries a proof first, then its password */
	CHECK(guard_fail(&guard, "alice", &ip, 42, 1000) == GUARD_FREE);
	CHECK(guard_fail(&guard, "alice", &ip, 0, 1000) == GUARD_FREE);
	CHECK(guard_fail(&guard, "alice", &ip, 42, 1000) == GUARD_FREE);
	CHECK(guard_fail(&guard, "alice", &ip, 43, 1000) == GUARD_NAME_FROM_NETWORK);
}

/* The same with APOP or SCRAM, of which nobody can tell that the secret is the same; TIMES at each poll, for two days. */
static bool may_poll(unsigned limit, unsigned minutes, unsigned times)
{
	struct address_ip ip = ip_of("192.0.2.1");
	bool is_free = true;

	start(limit);
	for (uint64_t now = 1000; now < 48 * 60 * (uint64_t)MINUTE; now += minutes * (uint64_t)MINUTE)
		for (unsigned i = 0; i < times; i++)
			is_free = guard_fail(&guard, "alice", &ip, 0, now + i * 1000) == GUARD_FREE && is_free;
	return is_free;
}

static void who_proves_an_old_secret_every_few_minutes_is_not_shut_out(void)
{
	CHECK(may_poll(3, 2, 1));
	CHECK(may_poll(3, 5, 2));
	CHECK(may_poll(10, 2, 1));
	CHECK(may_poll(10, 5, 2));
	CHECK(may_poll(10, 30, 3));
	CHECK(!may_poll(10, 1, 1));	/* thirty an hour are spared, no more */
	CHECK(!may_poll(10, 30, 20));
}

/* How many guesses by proofs, EACH_MS apart, until somebody is shut out. */
static unsigned guesses_until(enum guard_block *block, uint64_t now, uint64_t each_ms, unsigned names, unsigned hosts)
{
	struct address_ip ip = ip_of("10.0.0.1");
	char name[32];
	unsigned guesses = 0;

	for (*block = GUARD_FREE; *block == GUARD_FREE && guesses < 1000; guesses++, now += each_ms) {
		snprintf(name, sizeof name, "user%u", guesses % names);
		ip.bytes[1] = (uint8_t)(guesses % hosts);
		*block = guard_fail(&guard, name, &ip, 0, now);
	}
	return guesses;
}

static void who_proves_many_guesses_is_shut_out(void)
{
	struct address_ip ip = ip_of("10.0.0.1");
	enum guard_block block;

	start(10);
	CHECK(guesses_until(&block, 1000, 0, 1, 1) == 10 && block == GUARD_NAME_FROM_NETWORK);
	start(10);
	CHECK(guesses_until(&block, 1000, 10000, 1, 1) == 10 && block == GUARD_NAME_FROM_NETWORK);
	start(10);
	CHECK(guesses_until(&block, 1000, MINUTE / 2, 1, 1) < 20 && block == GUARD_NAME_FROM_NETWORK);
	start(10);
	CHECK(guesses_until(&block, 1000, 0, 1000, 1) == 10 * GUARD_ADDRESS_FACTOR && block == GUARD_ADDRESS);
	start(10);
	CHECK(guesses_until(&block, 1000, 0, 1, 200) == 10 * GUARD_NAME_FACTOR && block == GUARD_NAME);
	start(10);	/* after a rest */
	guard_fail(&guard, "user0", &ip, 0, 1000);
	CHECK(guesses_until(&block, 1000 + 600 * MINUTE, 0, 1, 1) == 10 + GUARD_SPARES_MAX && block == GUARD_NAME_FROM_NETWORK);
}

static void an_address_that_tries_many_names_is_shut_out(void)
{
	struct address_ip ip = ip_of("2001:db8:1:2::1"), same = ip_of("2001:db8:1:2::99"), other = ip_of("2001:db8:1:3::1");
	char name[32];
	uint64_t left;
	enum guard_block block = GUARD_FREE;

	start(10);
	for (int i = 0; i < 10 * GUARD_ADDRESS_FACTOR; i++) {
		CHECK(block == GUARD_FREE);
		snprintf(name, sizeof name, "user%d", i);
		block = guard_fail(&guard, name, &ip, (uint64_t)i + 1, 1000);
	}
	CHECK(block == GUARD_ADDRESS);
	CHECK(guard_ask(&guard, "alice", &same, 1000, &left) == GUARD_ADDRESS);
	CHECK(guard_ask(&guard, "alice", &other, 1000, &left) == GUARD_FREE);
}

/* A thousand hosts that guess one name shut it out, but not where its owner was right before. */
static void the_owner_is_not_locked_out_from_where_he_is_known(void)
{
	struct address_ip home = ip_of("198.51.100.7"), next_door = ip_of("198.51.100.8"), cafe = ip_of("203.0.113.5"), bot = ip_of("10.0.0.1");
	uint64_t left;

	start(10);
	guard_succeed(&guard, "alice", &home, 1000);
	for (unsigned i = 0; i < 10 * GUARD_NAME_FACTOR; i++) {
		bot.bytes[1] = (uint8_t)(i >> 8);
		bot.bytes[2] = (uint8_t)i;
		guard_fail(&guard, "alice", &bot, i + 1, 2000);
	}
	CHECK(guard_ask(&guard, "alice", &cafe, 3000, &left) == GUARD_NAME);
	CHECK(guard_ask(&guard, "alice", &home, 3000, &left) == GUARD_FREE);
	CHECK(guard_ask(&guard, "alice", &next_door, 3000, &left) == GUARD_FREE);
	CHECK(guard_ask(&guard, "bob", &cafe, 3000, &left) == GUARD_FREE);
	CHECK(guard_ask(&guard, "alice", &cafe, 2000 + BLOCK, &left) == GUARD_FREE);
	CHECK(guard_ask(&guard, "alice", &home, GUARD_KNOWN_MS + 5000ULL, &left) == GUARD_FREE);
}

static void success_clears_what_the_owner_mistyped(void)
{
	struct address_ip home = ip_of("198.51.100.7");

	start(10);
	CHECK(fail_times(9, "alice", &home, 1000) == GUARD_FREE);
	guard_succeed(&guard, "alice", &home, 2000);
	CHECK(fail_times(9, "alice", &home, 3000) == GUARD_FREE);
}

static void slow_failures_are_forgotten(void)
{
	struct address_ip ip = ip_of("192.0.2.1");
	uint64_t now = 1000;

	start(10);
	for (int i = 0; i < 50; i++, now += GUARD_FORGET_MS / 10 + 1)
		CHECK(fail_times(1, "alice", &ip, now) == GUARD_FREE);
}

static void who_is_shut_out_keeps_his_place(void)
{
	struct address_ip bad = ip_of("192.0.2.1"), other = ip_of("10.0.0.0");
	uint64_t left;

	start(10);
	fail_times(10, "alice", &bad, 1000);
	for (unsigned i = 0; i < 100000; i++) {
		memcpy(other.bytes + 1, &i, 3);
		guard_fail(&guard, "x", &other, i + 1, 1000);
	}
	CHECK(guard_ask(&guard, "alice", &bad, 2000, &left) == GUARD_NAME_FROM_NETWORK);
}

static void no_limit_shuts_nobody_out(void)
{
	struct address_ip ip = ip_of("192.0.2.1"), none = { 0 };
	uint64_t left;

	start(0);
	CHECK(fail_times(1000, "alice", &ip, 1000) == GUARD_FREE);
	start(1);
	CHECK(fail_times(1000, "alice", &none, 1000) == GUARD_FREE);
	CHECK(guard_ask(&guard, "alice", &none, 1000, &left) == GUARD_FREE);
}

static struct cache cache;

static void the_cache_knows_what_was_right_and_until_when(void)
{
	struct cache_mark mark = cache_mark(&cache, "alice", "secret", "hash", 4), other;
	unsigned which = 9;

	CHECK(!cache_find(&cache, &mark, 1000, 2000, &which));
	cache_add(&cache, &mark, 3, 2000);
	CHECK(cache_find(&cache, &mark, 1000, 2000, &which) && which == 3);
	CHECK(!cache_find(&cache, &mark, 2000, 3000, &which));
	cache_add(&cache, &mark, 0, 2000);
	CHECK(cache_find(&cache, &mark, 1999, 3000, &which));
	CHECK(cache_find(&cache, &mark, 2500, 3500, &which));	/* a poller keeps it */
	other = cache_mark(&cache, "alice", "secret", "hasH", 4);
	CHECK(!cache_find(&cache, &other, 2500, 3500, &which));	/* another hash is stored now */
	other = cache_mark(&cache, "alice", "secreT", "hash", 4);
	CHECK(!cache_find(&cache, &other, 2500, 3500, &which));
	other = cache_mark(&cache, "alic", "esecret", "hash", 4);
	CHECK(!cache_find(&cache, &other, 2500, 3500, &which));
}

static void the_cache_is_bounded(void)
{
	struct cache_mark mark;
	unsigned which, found = 0;
	char name[32];

	for (unsigned i = 0; i < 3 * CACHE_SETS * CACHE_WAYS; i++) {
		snprintf(name, sizeof name, "user%u", i);
		mark = cache_mark(&cache, name, "secret", "hash", 4);
		cache_add(&cache, &mark, i % 7, 10000 + i);
	}
	for (unsigned i = 0; i < 3 * CACHE_SETS * CACHE_WAYS; i++) {
		snprintf(name, sizeof name, "user%u", i);
		mark = cache_mark(&cache, name, "secret", "hash", 4);
		if (cache_find(&cache, &mark, 5000, 50000, &which)) {
			found++;
			if (which != i % 7)
				CHECK(which == i % 7);
		}
	}
	CHECK(found > CACHE_SETS && found <= CACHE_SETS * CACHE_WAYS);
}

int main(void)
{
	UNIT_RUN(a_name_from_one_network_is_shut_out_and_no_other);
	UNIT_RUN(the_same_guess_again_counts_once);
	UNIT_RUN(who_proves_an_old_secret_every_few_minutes_is_not_shut_out);
	UNIT_RUN(who_proves_many_guesses_is_shut_out);
	UNIT_RUN(an_address_that_tries_many_names_is_shut_out);
	UNIT_RUN(the_owner_is_not_locked_out_from_where_he_is_known);
	UNIT_RUN(success_clears_what_the_owner_mistyped);
	UNIT_RUN(slow_failures_are_forgotten);
	UNIT_RUN(who_is_shut_out_keeps_his_place);
	UNIT_RUN(no_limit_shuts_nobody_out);
	UNIT_RUN(the_cache_knows_what_was_right_and_until_when);
	UNIT_RUN(the_cache_is_bounded);
	return unit_end();
}
