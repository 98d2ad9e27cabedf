/* Lanes and deliverers: for each account and folder that mail goes to, a queue of parts and up to
 * LANE_DELIVERERS_MAX processes under that account that work on it. Used by locald.c, route.c. */
#ifndef LOCALD_LANE_H
#define LOCALD_LANE_H

#include "common/configuration.h"
#include "common/loop.h"
#include "job.h"

enum {
	LANE_DELIVERERS_MAX = 4,
	DELIVERERS_MAX = 64,
	DELIVERER_LOAD_MAX = 128,		/* parts in flight before the next one is asked */
	DELIVERER_IDLE_MS = 60 * 1000,
	DELIVERER_SLOW_MS = 3 * 1000,		/* without an answer: new mail goes to others, what it has is suspect */
	DELIVERER_STUCK_MS = 120 * 1000,	/* without an answer */
};

/* Whom a delivery runs as. */
struct account {
	uid_t uid;
	gid_t gid;
	const char *login;	/* NULL: no further groups, no account of the system */
};

struct lane_hooks {
	/* A ~/.forward of PART names a program; the pending of its recipient is counted up already. */
	void (*run)(struct part *part, const char *command);
	/* A delivery of PART did not come right: what was remembered of its folder may be wrong. */
	void (*troubled)(const struct part *part);
	/* A deliverer with PART in hand does not answer. */
	void (*suspected)(const struct part *part);
	/* In a fresh child: let go of what is the spawner's alone. */
	void (*forked)(void);
};

/* LOOP's turn end sends what was queued: call before any channel is opened on it. */
void lanes_open(struct loop *loop, const struct configuration *conf, const struct lane_hooks *hooks);

/* Queues PART for the lane of ACCOUNT and the folder BASE, or for a lane of its mailbox alone if that is suspect
 * (suspects.h); made when new. false: no memory. */
bool lane_add(struct part *part, const struct account *account, const char *base);

/* Is LANE for one suspect mailbox? */
bool lane_is_alone(const struct lane *lane);

/* The account of a part's lane, for programs. */
const struct account *lane_account(const struct lane *lane);

#endif
