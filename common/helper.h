/* The helper's side of a pool (pool.h): a process that may block, within its time, and nothing else. */
#ifndef COMMON_HELPER_H
#define COMMON_HELPER_H

#include "channel.h"

struct helper_duty {
	const char *name;		/* of the process, at most 15 bytes */
	const char *log_none;		/* the event when it can't start */
	unsigned seconds;		/* for its start, and for each question */
	const void *context;		/* for ENTER */
	enum result (*enter)(const void *context, struct why *why);	/* behind its walls */
	/* Answers F. false: it is not for this helper, which ends. */
	bool (*answer)(struct channel *channel, const struct frame *f);
};

/* The helper's main: answers on FD until it is closed. Returns the exit code. */
int helper_run(int fd, const struct helper_duty *duty);

/* Looks at PATH, and opens it (O_PATH) where no link is on its way. -1: errno; ELOOP: one is, or may be (Linux before 5.6), which has
 * been told to who asked the question SERIAL, so that what hangs behind it counts against no mount. */
int helper_open(struct channel *channel, uint64_t serial, const char *path);

/* Kills this process, SECONDS from now, by a timer of the kernel's; 0: not any more. Not inherited over a fork. Also for
 * children that may hang before they do anything else. */
void helper_limit(unsigned seconds);
/* The same time once more, from now on or a second before, where there is a limit: the work goes on. */
void helper_limit_again(void);

#endif
