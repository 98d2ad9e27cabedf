/* Senders, as far as shares go: who sends much gets what others leave. Of one sender's messages only so many are loaded
 * and only so many recipients on their way at a time, the fewer the less room there is; the rest waits by ID alone, or
 * out of the ring, and a letter of somebody else passes by. */
#ifndef QUEUED_SENDER_H
#define QUEUED_SENDER_H

#include "common/queue.h"
#include "queued/waiting.h"

struct message;

enum { SENDER_TRANSPORTS = 2, SENDER_BUCKETS = 1024 };

struct sender {
	struct sender *next;		/* in its bucket */
	uint32_t key;
	uint32_t messages, recipients;	/* loaded */
	uint32_t in_flight[SENDER_TRANSPORTS];	/* recipients */
	struct held {			/* messages that wait for their sender's share of a transport */
		struct message *first, **end;
	} held[SENDER_TRANSPORTS];
	struct waiting_heap overflow;	/* messages that wait for its share of what is loaded */
	struct sender *next_waiting;	/* of those with an overflow, in turn */
	bool is_waiting;
};

/* Zeroed is empty. */
struct sender_table {
	struct sender *buckets[SENDER_BUCKETS];
	struct sender *waiting, **waiting_end;
	size_t overflowed;		/* messages in all overflows */
};

/* The one that ENVELOPE is from: who logged in, else the reverse-path up to its first '+', '=', '-' or digit, so that a
 * list that gives each copy an address of its own (VERP) is one sender. Pure. */
uint32_t sender_key(const struct envelope *envelope);
/* It lasts while something is in it. NULL: no memory. */
struct sender *sender_get(struct sender_table *table, uint32_t key);
void sender_release(struct sender_table *table, struct sender *sender);

/* Is HELD more than SHARE times what is FREE? One alone gets SHARE of SHARE + 1 parts, two share what is left, and so on. */
bool sender_is_over(uint32_t held, uint32_t free, uint32_t share);
/* How many more one who is not over may take at once: at least one. */
uint32_t sender_room(uint32_t held, uint32_t free, uint32_t share);

/* W waits in SENDER's overflow. false: no memory. */
bool sender_put_off(struct sender_table *table, struct sender *sender, const struct waiting *w);
/* The next one in turn with an overflow of whom FITS is true, or NULL. */
struct sender *sender_next(struct sender_table *table, bool (*fits)(void *context, const struct sender *sender), void *context);
/* Takes the oldest of SENDER's overflow, which has one, out. */
void sender_take(struct sender_table *table, struct sender *sender, struct waiting *out);
/* Takes what is in SET out of whichever overflow it is in. */
void sender_forget_these(struct sender_table *table, const struct waiting_set *set);

#endif
