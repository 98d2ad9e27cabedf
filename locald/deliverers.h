/* The spawner's deliverers: their start, what they have in hand, what they say, their end. Used by
 * lane.c and locald.c. */
#ifndef LOCALD_DELIVERERS_H
#define LOCALD_DELIVERERS_H

#include "lane.h"

struct deliverer {
	struct lane *lane;
	const struct account *account;		/* the lane's */
	const char *base;
	pid_t pid;
	struct channel channel;			/* closed: set aside or ending, waits to be reaped */
	struct part *first, *last;		/* in flight, in the order they were sent */
	size_t load;
	uint64_t progress_ms;			/* last answer, or when it got work after none */
	bool is_slow;				/* no answer for a while */
	bool is_reaped;
	struct deliverer *next, **link;
};

void deliverers_open(struct loop *loop, const struct configuration *conf, const struct lane_hooks *hooks);
/* Forks one for LANE; ACCOUNT and BASE are the lane's own. It stays until it is reaped, then lane_lose is
 * called. NULL: WHY says why. */
struct deliverer *deliverer_start(struct lane *lane, const struct account *account, const char *base, struct why *why);
/* Room for one more: at DELIVERERS_MAX the idle one that was used longest ago goes. false: all are busy. */
bool deliverers_make_room(void);
/* PART was sent to D, which has it in hand from now on. */
void deliverer_add(struct deliverer *d, struct part *part);

/* A child ended: true if it was a deliverer. STATUS as of waitpid. */
bool deliverers_reap(pid_t pid, int status);
/* Lets the idle ones go; the others end when their work is answered or this process ends. */
void deliverers_close(void);

/* lane.c: D is about to be freed. */
void lane_lose(struct lane *lane, const struct deliverer *d);

#endif
