/* A login from its frames to its answer: mechanisms, secrets, checks, the slowing and shutting out of failures,
 * the start of a session. Never blocks the loop. Used by authd.c. */
#ifndef AUTHD_LOGIN_H
#define AUTHD_LOGIN_H

#include "common/channel.h"
#include "common/configuration.h"

enum {
	LOGINS_MAX = 4000,		/* under way at once; of those that wait for their client the oldest makes room */
	LOGIN_CLIENT_MS = 120 * 1000,	/* a client has for its next message */
	LOGIN_BINDING_MAX = 256,
	SECRET_NAME_MAX = 64,
};

/* STARTER: takes SESSION_START, CHECKER_START, PROGRAM_ASK. */
void logins_begin(const struct configuration *conf, struct loop *loop, struct channel *starter);
/* LOGIN_ASK and LOGIN_NEXT of WORKER; answered by LOGIN_TELL, in whatever order they end. */
void login_ask(struct channel *worker, const struct frame *f);
void login_next(struct channel *worker, const struct frame *f);
/* WORKER is gone: what it asked is dropped. */
void logins_forget(const struct channel *worker);

#endif
