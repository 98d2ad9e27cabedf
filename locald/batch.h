/* A deliverer's batch: the messages that are being written and made durable together, and the
 * outcome of each delivery. Used by deliverer.c and dotforward.c. */
#ifndef LOCALD_BATCH_H
#define LOCALD_BATCH_H

#include "common/channel.h"
#include "common/configuration.h"
#include "common/maildir.h"
#include "done.h"
#include "outcome.h"
#include "trace.h"

enum {
	BATCH_DELIVERIES_MAX = 128,
	BATCH_ITEMS_MAX = 128 + 32,	/* a ~/.forward may name several maildirs */
	BATCH_BYTES_MAX = 32 << 20,	/* written before it is committed: a slow disk takes them well within DELIVERER_STUCK_MS */
};

/* The message whose recipients are coming in. */
struct message {
	uint64_t job;
	char id[33];
	int fd;				/* -1: none */
	uint64_t offset, length;
	char reverse_path[WIRE_ADDRESS_MAX + 1];
	uint64_t recipients_left;
	bool is_scanned;
	stralloc delivered_to;		/* as trace_collect gives it */
};

/* One DELIVER_TO. */
struct delivery {
	uint64_t job, index;
	struct outcome outcome;
};

/* Where to: as the frame has it, NUL-ended. */
struct target {
	enum delivery_kind kind;
	char path[WIRE_PATH_LENGTH_MAX + 1], quota[65], home[WIRE_PATH_LENGTH_MAX + 1];
	char address[WIRE_ADDRESS_MAX + 1], extension[65];
	char prefix[TRACE_PREFIX_MAX];
	size_t prefix_length;
	const char *reverse_path;	/* the owner's where there is one */
	struct done done;
	uint64_t key;			/* of an entry of a ~/.forward, which the spawner is told when it is done; else 0 */
};

struct batch {
	const struct configuration *conf;
	struct channel *channel;
	struct message message;
	struct delivery deliveries[BATCH_DELIVERIES_MAX];
	size_t delivery_count;
	struct batch_item {
		struct delivery *delivery;
		uint64_t key;
		char *quota_path;	/* malloc'd; NULL: no quota */
		struct quota quota;
	} owners[BATCH_ITEMS_MAX];	/* of the item in the same place */
	struct maildir_item items[BATCH_ITEMS_MAX];
	size_t item_count;
	uint64_t bytes;			/* of the items */
	bool has_deferred;		/* since whoever asks has set it to false */
};

/* Has it room for what one more delivery may bring? */
bool batch_is_full(const struct batch *batch);
/* A new delivery for INDEX of the current message; the batch is not full. */
struct delivery *batch_add(struct batch *batch, uint64_t index);
/* Writes the current message to TARGET's mailbox. What comes of it is merged into DELIVERY, for
 * a maildir with batch_commit. */
void batch_deliver(struct batch *batch, struct delivery *delivery, const struct target *target);
/* Makes everything durable and answers it: a RESULT each. */
void batch_commit(struct batch *batch);

#endif
