/* Failed logins by client address (IPv6 by /64): how long the next failure's answer waits. Bounded,
 * forgets by itself. Pure: the time is an argument. Used by login.c. */
#ifndef AUTHD_THROTTLE_H
#define AUTHD_THROTTLE_H

#include "common/network.h"

enum {
	THROTTLE_SETS = 1024, THROTTLE_WAYS = 4,	/* 4,096 addresses at once */
	THROTTLE_FIRST_MS = 1000, THROTTLE_MOST_MS = 15000,
	THROTTLE_HALVE_MS = 60000,			/* half of the failures are forgotten in this time */
};

struct throttle {
	struct throttle_entry { uint64_t key, last_ms; uint32_t failures; } entries[THROTTLE_SETS][THROTTLE_WAYS];
};

/* Notes a failure of IP at NOW_MS. Returns how long after its arrival it is answered: 1 s, and
 * doubled by each recent failure, at most 15 s. */
uint64_t throttle_fail(struct throttle *throttle, const struct address_ip *ip, uint64_t now_ms);

#endif
