/* Accounts of the system, for processes with an event loop. getpwnam(3) may ask a directory on the
 * network (NSS) and block for minutes, so helpers do it (pool.h), LOOKUP_SECONDS at most for a name. Equal questions
 * share one answer, so that a name that hangs takes one helper only; good answers are remembered for seconds.
 * Used by authd and locald's spawner. */
#ifndef COMMON_LOOKUP_H
#define COMMON_LOOKUP_H

#include "address.h"
#include "pool.h"
#include "sandbox.h"
#include <sys/types.h>

enum {
	LOOKUP_WAITING_MAX = 1000,	/* questions without an answer; further ones are told to come later */
	LOOKUP_SECONDS = 10,
	LOOKUP_CACHE_SIZE = 64, LOOKUP_CACHE_MS = 5000,
	LOOKUP_HOME_MAX = 1024, LOOKUP_HASH_MAX = 512,
};

struct lookup_account {
	uid_t uid;
	gid_t gid;
	char home[LOOKUP_HOME_MAX + 1];
	char hash[LOOKUP_HASH_MAX + 1];	/* "" where it was not asked for, and for who may not log in */
};

/* One question. Zeroed means: none asked. */
struct lookup {
	struct pool_question question;
	char key[1 + ADDRESS_LOCAL_MAX + 1];	/* whether the password hash is wanted too, then the name */
	/* The answer, once; LOOKUP is the caller's again, who may free it. RESULT_OK: ACCOUNT, valid during the
	 * call. RESULT_END: there is no such account. RESULT_RETRY: it can't be known now, WHY. */
	void (*done)(struct lookup *lookup, enum result result, const struct lookup_account *account, const struct why *why);
};

/* START hands FD (which it owns) to a fresh process that calls lookup_run on it. Nothing is started yet. */
void lookup_begin(struct loop *loop, enum result (*start)(int fd, struct why *why));
/* Asks for NAME (at most ADDRESS_LOCAL_MAX bytes), WANTS_HASH: with the password hash, from the shadow table. DONE may be
 * called before this returns. */
void lookup_ask(struct lookup *lookup, const char *name, bool wants_hash,
                void (*done)(struct lookup *, enum result, const struct lookup_account *, const struct why *));
/* Nobody waits for the answer any more: done will not be called. Harmless when nothing is asked. */
void lookup_cancel(struct lookup *lookup);
bool lookup_is_asked(const struct lookup *lookup);
/* The name that was asked for. */
const char *lookup_name(const struct lookup *lookup);

/* The helper's main: enters the walls of ROLE (ROLE_NAMES, ROLE_SHADOW_NAMES), answers on FD until it is
 * closed. Returns the exit code. */
int lookup_run(int fd, enum role role);

#endif
