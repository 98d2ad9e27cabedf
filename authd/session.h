/* pop3-session: POP3 after login on one maildir, a process of its own under the mailbox's uid. It
 * talks to the worker of pop3d over a socketpair, which relays to the client. RFC 1939, 2449, 6856.
 * Started by the starter of authd. */
#ifndef AUTHD_SESSION_H
#define AUTHD_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	SESSION_OPEN_SECONDS = 120,	/* for a mailbox to open; then the session is killed, and pop3d says so */
	SESSION_GRACE_SECONDS = 30,	/* beyond the time-out without a step: then it hangs, or its owner has stopped it */
};
/* What a POP3 client reads after "-ERR". */
#define SESSION_IS_MBOX "[SYS/PERM] this mailbox is an mbox file, which POP3 does not serve"

struct session_start {
	int fd;				/* the session's end of the socketpair */
	bool *is_open;			/* set once the mailbox is */
	uid_t uid;
	gid_t gid;
	const char *maildir, *quota;	/* absolute; as in the users table, "" none */
	const char *user, *session, *client;	/* for the log */
	uint32_t timeout_seconds;	/* wait for the next command or for the client to read */
	uint32_t error_limit;		/* bad commands before it hangs up */
};

/* Drops to the mailbox's uid, enters the sandbox on the maildir alone, serves until QUIT, end of
 * file or time-out. The first line it sends is the answer to the login. Returns the exit code. */
int session_run(const struct session_start *start);

#endif
