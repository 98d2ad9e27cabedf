/* The pool of checkers: as many processes as there are cores, started when first needed, started
 * again when one dies. Checks wait in a bounded queue; the loop never does. Used by login.c. */
#ifndef AUTHD_CHECKERS_H
#define AUTHD_CHECKERS_H

#include "common/channel.h"

enum { CHECKERS_MAX = 64, CHECKS_WAITING_MAX = 1000 };

struct check {
	const char *hash, *secret;	/* NUL-ended; must stay until done is called */
	bool was_tried;			/* a checker died over it */
	struct check *next;
	/* From the loop. RESULT_OK: IS_MATCH tells; RESULT_RETRY: it could not be judged. */
	void (*done)(struct check *check, enum result result, bool is_match);
};

/* STARTER: the channel that takes CHECKER_START. */
void checkers_begin(struct loop *loop, struct channel *starter);
/* RESULT_OK: done will be called; RESULT_RETRY: too many wait already. */
enum result checkers_submit(struct check *check);

#endif
