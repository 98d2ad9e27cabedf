/* A login from its frame to its answer: secrets, checks, the slowing of failures, the start of the
 * session. Never blocks the loop. Used by authd.c. */
#ifndef AUTHD_LOGIN_H
#define AUTHD_LOGIN_H

#include "common/channel.h"
#include "common/configuration.h"

enum { LOGINS_MAX = 4000 };	/* being judged at once; further ones are told to come later */

/* STARTER: takes SESSION_START, CHECKER_START, PROGRAM_ASK. */
void logins_begin(const struct configuration *conf, struct loop *loop, struct channel *starter);
/* A LOGIN_ASK frame of WORKER; answered by LOGIN_TELL, in whatever order they end. */
void login_ask(struct channel *worker, const struct frame *f);
/* WORKER is gone: what it asked is dropped. */
void logins_forget(const struct channel *worker);

#endif
