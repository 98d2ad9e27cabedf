/* Whom failed logins shut out for a while: a client's address, a user's name from one network, a user's name
 * from networks where it was never right. So that a guesser is stopped and the owner, elsewhere, is not. Names
 * that do not exist count as others do. Bounded, forgets by itself. Pure: the time is an argument. Used by login.c. */
#ifndef AUTHD_GUARD_H
#define AUTHD_GUARD_H

#include "common/network.h"

enum {
	GUARD_SETS = 1024, GUARD_WAYS = 4,	/* entries of each table */
	GUARD_ADDRESS_FACTOR = 3,		/* an address may fail so many times more often than a name from one network */
	GUARD_NAME_FACTOR = 10,			/* and a name from everywhere */
	GUARD_FORGET_MS = 3600 * 1000,		/* one failure is forgotten in this time over the limit */
	GUARD_SPARE_MS = 120 * 1000,		/* of guesses that are not known one in this time does not count, */
	GUARD_SPARES_MAX = 3,			/* and so many at once after a rest */
	GUARD_KNOWN_MS = 30 * 24 * 3600 * 1000U,	/* how long a network where the password was right is known */
};

enum guard_block { GUARD_FREE, GUARD_ADDRESS, GUARD_NAME_FROM_NETWORK, GUARD_NAME };

struct guard {
	uint64_t seed;			/* so that nobody chooses whose place is taken */
	uint32_t limit;			/* failures of a name from one network; 0: never shut out */
	uint64_t block_ms;
	struct guard_entry {
		uint64_t key;			/* 0: free */
		uint64_t since_ms;		/* failures are counted, known, since then */
		uint64_t until_ms;		/* shut out; 0: not */
		uint64_t guess;			/* the last that was known: the same one again is no further guess */
		uint64_t spared_ms;		/* failures by guesses that are not known are spared since then; it moves on with each */
		uint32_t failures;
	} addresses[GUARD_SETS][GUARD_WAYS], pairs[GUARD_SETS][GUARD_WAYS], names[GUARD_SETS][GUARD_WAYS], known[GUARD_SETS][GUARD_WAYS];
};

/* May NAME (folded, as given; "": the token will tell) log in from IP now? *LEFT_MS: how long not. */
enum guard_block guard_ask(struct guard *guard, const char *name, const struct address_ip *ip, uint64_t now_ms, uint64_t *left_ms);
/* A failure. GUESS: a digest of what was tried, 0 for not known: a mail program that asks every few minutes with an old
 * secret, whose proofs are unlike each other, is told from who tries many by the time between them. Returns the block that begins with it. */
enum guard_block guard_fail(struct guard *guard, const char *name, const struct address_ip *ip, uint64_t guess, uint64_t now_ms);
/* The password was right: its network is known from now on, failures from there are forgotten. */
void guard_succeed(struct guard *guard, const char *name, const struct address_ip *ip, uint64_t now_ms);

/* "address", "user-network", "user" */
const char *guard_block_name(enum guard_block block);

#endif
