/* Sites: where recipients live, as far as limits go. For local mail a site is a mailbox's address, for
 * remote mail a set of mail exchangers, as remoted names it ("?DOMAIN" while it is being asked, "?" before). A site takes so many recipients at a time; others
 * wait there, in a lane for each sender: the lanes take turns, each is in order. Of what floods one site only so many stay loaded, the rest lies here
 * by ID alone. */
#ifndef QUEUED_SITE_H
#define QUEUED_SITE_H

#include "queued/message.h"
#include "queued/waiting.h"

enum {
	SITE_LOCAL_LIMIT = 20,		/* deliveries at a time to one mailbox */
	SITE_FIRST_LIMIT = 5,		/* jobs at a time to a remote site that nothing is known of */
	SITE_PARKED_MAX = 500,		/* recipients that may wait here with their message loaded */
	SITE_HASH_END = 1000000,
	SITE_PARKED_FEW = 20,		/* the same while more than half of all room is taken */
	SITE_LANE_FEW = 10,		/* of one sender, which others' recipients do not keep out */
};

/* What waits of one sender. */
struct site_lane {
	const struct sender *sender;
	struct recipient *first, **end;
	uint32_t count;
	struct site_lane *next;
};

struct site {
	struct site *next;
	uint32_t limit, in_flight, parked;
	uint32_t hash;			/* of the name, below SITE_HASH_END; 0 is none's. It stands on disk (schedule_due_us): the same in every start */
	struct site_health *health;	/* of a remote site; health.c's */
	struct site_lane *lanes, **lanes_end;	/* none is empty; the first has its turn */
	struct waiting_heap overflow;
	char name[];			/* NUL-ended */
};

/* Zeroed is empty. */
struct site_table {
	struct site **buckets;
	size_t size, count;
};

/* The site of NAME, made when it is new; NULL: no memory. It lasts while something is in it. */
struct site *site_get(struct site_table *table, const char *name, uint32_t limit);
/* May another recipient go there now? Not past those who wait already. */
bool site_has_room(const struct site *site);
/* RECIPIENT, whose message is set, waits in its sender's lane. false: no memory. */
bool site_park(struct site *site, struct recipient *recipient);
/* Takes the next one that waits out, or NULL: the first of the lane whose turn it is. */
struct recipient *site_unpark(struct site *site);
/* Takes the first of RECIPIENT's lane out, if it is of the same message, or NULL: what goes along with RECIPIENT, which
 * was taken out just before. */
struct recipient *site_unpark_along(struct site *site, const struct recipient *recipient);
/* How many of SENDER wait there. */
uint32_t site_waiting_of(const struct site *site, const struct sender *sender);
/* Takes this one out, which must be parked here. */
void site_forget(struct site *site, struct recipient *recipient);
/* Frees SITE when nothing is in it. */
void site_release(struct site_table *table, struct site *site);
void site_each(struct site_table *table, void (*each)(void *context, struct site *site), void *context);

#endif
