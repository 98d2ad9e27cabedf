/* The parts of `dawk queue`. Used by queue_command.c. */
#ifndef DAWK_QUEUE_COMMAND_H
#define DAWK_QUEUE_COMMAND_H

#include "common/configuration.h"
#include "common/result.h"
#include "common/text.h"
#include <stdbool.h>
#include <stdint.h>

struct queue_filter {
	const char *to, *from, *reason;	/* parts of them, in whatever case; NULL: all */
	const char *domain;		/* the whole of it, in A-labels, of a recipient that is left */
	uint64_t age_us;		/* at least so old */
	unsigned places;		/* 1 << QUEUE_NEW ..; 0: all */
};
/* The messages that FILTER holds for: *IDS, NUL-ended each, COUNT of them, of SEEN. RESULT_OK; RESULT_RETRY, RESULT_NEVER: WHY. */
struct queue_matches { stralloc ids; size_t count, seen; };
enum result queue_match(const struct configuration *conf, const struct queue_filter *filter, struct queue_matches *matches, struct why *why);
int queue_list(const struct configuration *conf, const struct queue_filter *filter, bool is_json);
int queue_show(const struct configuration *conf, const char *id, bool is_json);

/* Tells what comes of an act: a line each, or an array of an object each. */
struct queue_teller {
	bool is_json;
	size_t count;
};
void queue_teller_begin(struct queue_teller *teller, bool is_json);
void queue_teller_end(struct queue_teller *teller);
/* An answer with its exit CODE, which comes back; one that is not 0 goes to standard error in any case. No words: no line. */
int queue_tell(struct queue_teller *teller, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* A row of figures, LENGTH bytes "name=value name=value ..", values quoted as in log.h: an object of them. */
void queue_tell_row(struct queue_teller *teller, const char *row, size_t length);

/* A command to the running queued: VERB for each of COUNT arguments (at least one; "" for none), some at a time; what it
 * answers, not always in order, is told to TELLER (NULL: failures alone, to standard error). *CODE: the worst answer's exit code. RESULT_END: none runs, nothing was done;
 * RESULT_RETRY, RESULT_NEVER with WHY. */
enum result queue_control(const struct configuration *conf, const char *verb, char *const *arguments, int count,
                          struct queue_teller *teller, int *code, struct why *why);
/* The same on disk, while none runs: some at a time, which are durable before they are told of. Returns an exit code. */
int queue_act_on_disk(const struct configuration *conf, const char *verb, char *const *arguments, int count, struct queue_teller *teller);

#endif
