/* What each user who has logged in has sent of late: the counters behind the limits per user and the circuit
 * breaker. In memory that the opener shares with its workers, so that they hold over all of them and outlive
 * each; gone when the service is started anew. Used by submission.c.
 *
 * Windows slide by buckets: an hour by 5 minutes, a day by hours. Whom a user has written to is kept in a pair of
 * Bloom filters: who is in neither is a stranger. Bounded: USAGE_USERS users at a time; the one that was quiet for longest
 * makes room. */
#ifndef SMTPD_USAGE_H
#define SMTPD_USAGE_H

#include "common/configuration.h"

enum {
	USAGE_SETS = 4096, USAGE_WAYS = 8, USAGE_USERS = USAGE_SETS * USAGE_WAYS,
	USAGE_NETWORKS_MAX = 32,	/* that are told apart; the limit is below */
	USAGE_LOCK_WAIT_MS = 100,
};

struct usage_limits { uint32_t most[USER_LIMITS]; };	/* 0: off */

struct usage;

/* Before the workers are forked. */
enum result usage_make(struct usage **usage, struct why *why);

enum usage_outcome {
	USAGE_FREE,		/* it may go on, and is counted */
	USAGE_LIMITED,		/* not now: LIMIT, MOST and WAIT_SECONDS are set */
	USAGE_TRIPPED,		/* the account is held from now on: LIMIT, COUNT and MOST say why. Told once */
	USAGE_HELD,		/* it was held before */
	USAGE_BUSY,		/* the counters can't be had now */
};

struct usage_verdict {
	enum usage_outcome outcome;
	enum user_limit limit;
	uint32_t count, most;
	uint32_t wait_seconds;	/* until the limit lets one through again */
	bool is_news;		/* of a limit: it was not reached a moment ago, so that it is worth a log line; of a hold, in
				 * usage_message: it should have been told by now (usage_note_held), and was not. Said every ten seconds */
};

/* USER: the address that logged in, NUL-ended. NOW_SECONDS: of the monotonic clock, the same in all workers; of one that is a
 * little behind another the later is taken.
 *
 * A message begins: its limits are looked at, not counted; NETWORK (usage_network) is noted. IS_HELD: what the disk
 * says. An account that was held there and is no more starts with the breaker's counters at zero
 * (*WAS_RELEASED); one that tripped and never got there (usage_note_held) stays held. */
struct usage_verdict usage_message(struct usage *usage, const char *user, uint64_t now_seconds, const struct usage_limits *limits,
                                   uint32_t network, bool is_held, bool *was_released);
/* A recipient is about to be accepted; counted when it may. RECIPIENT: folded. IS_FIRST: of its message, which is counted with it. */
struct usage_verdict usage_recipient(struct usage *usage, const char *user, uint64_t now_seconds, const struct usage_limits *limits,
                                     const char *recipient, bool is_first);
/* A recipient or a message of this user's was refused for good. */
struct usage_verdict usage_refusal(struct usage *usage, const char *user, uint64_t now_seconds, const struct usage_limits *limits);
/* That USER is held stands on disk now, and is being told. */
void usage_note_held(struct usage *usage, const char *user, uint64_t now_seconds);
/* Is the account held, as far as the counters know? */
bool usage_is_held(struct usage *usage, const char *user, uint64_t now_seconds);

/* The network of an address: its /24, or of IPv6 its /48. Never 0; 0 for none. */
uint32_t usage_network(const struct usage *usage, const struct address_ip *ip);

#endif
