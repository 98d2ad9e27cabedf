/* The spawner's jobs: a message with its recipients on their way, and what came of each. Used by
 * locald.c, route.c, lane.c, program.c. */
#ifndef LOCALD_JOB_H
#define LOCALD_JOB_H

#include "common/channel.h"
#include "done.h"
#include "outcome.h"
#include <sys/types.h>

struct lane;
struct deliverer;

struct job {
	uint64_t serial;		/* ours; NUMBER is queued's */
	uint64_t number, arrived_us, offset, length;
	char id[33];
	char reverse_path[WIRE_ADDRESS_MAX + 1];
	int fd;				/* the message */
	bool is_orphan;			/* queued is gone: nobody asks for its results any more */
	uint64_t expected;		/* recipients whose frames are still to come */
	size_t open;			/* recipients without a result */
	struct recipient *recipients;
	struct part **parts;		/* deliverers name a part by its place here */
	size_t part_count, part_size;
	struct job *next, **link;
};

struct recipient {
	struct job *job;
	uint64_t index;
	unsigned pending;		/* what has not reported yet: parts, programs, the routing itself */
	unsigned forwards, programs;	/* asked for by a ~/.forward, bounded */
	struct outcome outcome;
	struct done done;		/* at an earlier attempt, and by now */
	struct recipient *next;
	const char *address, *as, *owner;	/* into strings; owner "" for none */
	char strings[];
};

/* One delivery by a deliverer. */
struct part {
	struct recipient *recipient;
	size_t place;			/* in job->parts */
	struct lane *lane;
	struct deliverer *deliverer;	/* NULL: waits in its lane */
	struct part *next, *previous;	/* in the lane's queue, then among what its deliverer has */
	uint64_t key;			/* done_key */
	enum delivery_kind kind;
	const char *path, *quota, *home, *extension;	/* into strings */
	char strings[];
};

/* Results go out on CHANNEL, FRAMES come in there. LOST: queued went. */
enum result jobs_open(struct loop *loop, int fd, void (*routed)(struct recipient *), void (*lost)(void), struct why *why);
bool jobs_are_open(void);		/* is there a queued? */
size_t jobs_count(void);

/* Makes a part of RECIPIENT, which then waits for it. NULL: no memory. */
struct part *part_make(struct recipient *recipient, uint64_t key, enum delivery_kind kind, const char *path, const char *quota,
                       const char *home, const char *extension);

/* One pending thing of RECIPIENT is over; OUTCOME is taken (empty afterwards). The last one sends the
 * result and may free the job: RECIPIENT and its job are gone afterwards for all you know. */
void recipient_report(struct recipient *recipient, struct outcome *outcome);
/* Passes a forward address on to queued. false: it can't be sent. */
bool recipient_forward(struct recipient *recipient, const char *address, size_t length);

#endif
