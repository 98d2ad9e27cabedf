/* Many messages looked through by several processes: each reads a share of them in turn and sends what it makes of them, which
 * comes out in the order of view_walk. A few are looked through by the caller himself. Used by queue_list.c. */
#ifndef DAWK_READERS_H
#define DAWK_READERS_H

#include "common/queue.h"
#include "common/result.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct readers_tally {
	uint64_t seen, shown, failed;
	struct why why;			/* of the first that failed */
};

struct readers_job {
	/* In a reader: writes to OUT what there is to say of a message, and counts it in TALLY, which begins with 0 for each
	 * piece of what is written. What it changes in CONTEXT stays in its process. */
	void (*read)(void *context, enum queue_place place, const char *id, FILE *out, struct readers_tally *tally);
	/* In the caller: takes the next piece, LENGTH bytes (of whole messages; 0: they were counted only). false: no more is wanted. */
	bool (*take)(void *context, const char *bytes, size_t length, const struct readers_tally *tally);
	void *context;
};

/* RESULT_OK, also when TAKE wanted no more; RESULT_RETRY with WHY: not all was looked through. Memory is bounded, however many there are. */
enum result readers_walk(const struct queue_directories *queue, const struct readers_job *job, struct why *why);

#endif
