/* "Is there room in this mailbox?" A look into its maildirsize file, which may lie on a file server that hangs: helpers look
 * (pool.h), under the mailbox's account and with no right but to read below its folder. Used by recipient.c, starter.c. */
#ifndef AUTHD_ROOM_H
#define AUTHD_ROOM_H

#include "common/configuration.h"
#include "common/maildir.h"
#include "common/pool.h"
#include "common/resolve.h"

enum { ROOM_SECONDS = 3, ROOM_SLOW_MS = 500, ROOM_WAITING_MAX = 1000 };

/* One question. Zeroed means: none asked. */
struct room {
	struct pool_question question;
	uid_t uid;
	gid_t gid;
	char *who, *key;		/* "UID:GID:BASE" and "QUOTA:MAILDIR" */
	const char *base;		/* in WHO */
	/* The answer, once; ROOM is the caller's again, who may free it. */
	void (*done)(struct room *room, bool is_full);
};

/* STARTER: where ROOM_START goes out. Nothing is started yet. */
void rooms_begin(struct loop *loop, const struct configuration *conf, struct channel *starter);
/* Is the mailbox MEANING full? What is not known in time, or can't be known, is not full: the delivery counts, and decides.
 * DONE may be called before this returns. */
void room_ask(struct room *room, const struct meaning_of *meaning, void (*done)(struct room *, bool is_full));

/* The helper's main, in a fresh process: takes on UID and GID, answers ROOM_ASK on FD until it is closed. Returns the exit code. */
int room_run(int fd, uid_t uid, gid_t gid, const char *base);

/* What FD, a maildirsize file, says against QUOTA: is the mailbox full at NOW_SECONDS? A file older
 * than 15 minutes that says full is not believed: the delivery counts again (Maildir++). */
bool maildirsize_is_full(int fd, const struct quota *quota, uint64_t now_seconds);

#endif
