/* Accounts of the system, for processes with an event loop. getpwnam(3) may ask a directory on the
 * network (NSS) and block for minutes, so helpers do it: processes with few rights, one question at a
 * time each, started when first needed by whoever may fork. A question has LOOKUP_SECONDS; a helper that
 * needs longer is killed by a timer of the kernel's, which no module can hold up, and another takes its
 * place. Equal questions share one answer, so that a name that hangs takes one helper only; good answers
 * are remembered for seconds. Used by authd and locald's spawner. */
#ifndef COMMON_LOOKUP_H
#define COMMON_LOOKUP_H

#include "address.h"
#include "channel.h"
#include "sandbox.h"
#include <sys/types.h>

enum {
	LOOKUP_HELPERS_MAX = 4,
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
	char name[ADDRESS_LOCAL_MAX + 1];
	bool wants_hash;		/* the password hash too, from the shadow table */
	/* The answer, once; LOOKUP is the caller's again, who may free it. RESULT_OK: ACCOUNT, valid during the
	 * call. RESULT_END: there is no such account. RESULT_RETRY: it can't be known now, WHY. */
	void (*done)(struct lookup *lookup, enum result result, const struct lookup_account *account, const struct why *why);
	uint64_t due_ms;		/* the module's own, as are: */
	struct lookup *next, **at;	/* AT: NULL while nothing is asked */
};

/* START hands FD (which it owns) to a fresh process that calls lookup_run on it. Nothing is started yet. */
void lookup_begin(struct loop *loop, enum result (*start)(int fd, struct why *why));
/* Asks for NAME (at most ADDRESS_LOCAL_MAX bytes). DONE may be called before this returns. */
void lookup_ask(struct lookup *lookup, const char *name, bool wants_hash,
                void (*done)(struct lookup *, enum result, const struct lookup_account *, const struct why *));
/* Nobody waits for the answer any more: done will not be called. Harmless when nothing is asked. */
void lookup_cancel(struct lookup *lookup);

/* The helper's main: enters the walls of ROLE (ROLE_NAMES, ROLE_SHADOW_NAMES), answers on FD until it is
 * closed. Returns the exit code. */
int lookup_run(int fd, enum role role);

/* For children that look up groups (sandbox_enter) before they do anything else: kills this process, SECONDS
 * from now, by a timer of the kernel's; 0: not any more. Not inherited over a fork. */
void lookup_limit(unsigned seconds);

#endif
