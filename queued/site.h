/* Sites: where recipients live, as far as limits go. For local mail a site is a mailbox's address, for
 * remote mail a set of mail exchangers, as remoted names it ("?DOMAIN" while it is being asked). A site takes so many recipients at a time; others
 * wait in its queue, in order. Of what floods one site only so many stay loaded, the rest lies here
 * by ID alone. */
#ifndef QUEUED_SITE_H
#define QUEUED_SITE_H

#include "queued/message.h"
#include "queued/waiting.h"

enum {
	SITE_LOCAL_LIMIT = 20,		/* deliveries at a time to one mailbox */
	SITE_FIRST_LIMIT = 5,		/* jobs at a time to a remote site that nothing is known of */
	SITE_PARKED_MAX = 500,		/* recipients that may wait here with their message loaded */
	SITE_PARKED_FEW = 20,		/* the same while more than half of all room is taken */
};

struct site {
	struct site *next;
	uint32_t limit, in_flight, parked;
	uint32_t hash;			/* of the name; 0 is none's */
	struct site_health *health;	/* of a remote site; health.c's */
	struct recipient *first_parked, **parked_end;
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
void site_park(struct site *site, struct recipient *recipient);
/* Takes the first one that waits out, or NULL. */
struct recipient *site_unpark(struct site *site);
/* Takes this one out, which must be parked here. */
void site_forget(struct site *site, struct recipient *recipient);
/* Frees SITE when nothing is in it. */
void site_release(struct site_table *table, struct site *site);
void site_each(struct site_table *table, void (*each)(void *context, struct site *site), void *context);

#endif
