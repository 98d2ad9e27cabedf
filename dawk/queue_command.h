/* The parts of `dawk queue`. Used by queue_command.c. */
#ifndef DAWK_QUEUE_COMMAND_H
#define DAWK_QUEUE_COMMAND_H

#include "common/configuration.h"
#include "common/result.h"
#include <stdbool.h>
#include <stdint.h>

struct queue_filter {
	const char *to, *from, *reason;	/* parts of them, in whatever case; NULL: all */
	uint64_t age_us;		/* at least so old */
};
int queue_list(const struct configuration *conf, const struct queue_filter *filter, bool is_json);
int queue_show(const struct configuration *conf, const char *id, bool is_json);

/* A command to the running queued: VERB for each of COUNT arguments (at least one; "" for none); what it
 * answers is printed. *CODE: the worst answer's exit code. RESULT_END: none runs, nothing was done;
 * RESULT_RETRY, RESULT_NEVER with WHY. */
enum result queue_control(const struct configuration *conf, const char *verb, char *const *arguments, int count,
                          bool is_quiet, int *code, struct why *why);
/* The same on disk, while none runs. Returns an exit code. */
int queue_act_on_disk(const struct configuration *conf, const char *verb, char *const *arguments, int count);

#endif
