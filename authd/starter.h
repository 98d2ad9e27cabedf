/* The starter: a fork of authd made before any table of secrets is open, which forks sessions,
 * checkers, helpers for look-ups and quotas, and runs of programs (checkpassword, oauth-checker) on authd's word. So none of them inherits a
 * secret in its memory, and a fork of this small process costs a tenth of a millisecond. */
#ifndef AUTHD_STARTER_H
#define AUTHD_STARTER_H

#include "common/configuration.h"
#include <sys/types.h>

enum {
	SESSIONS_MAX = 2000,		/* children of all kinds */
	SESSIONS_SPARE = 100,		/* when no more places are free, sessions that wait for their mailboxes give way */
	SESSIONS_OF_MAILBOX = 4,	/* one has it; the others wait for its end, or all for a file server that is away */
	PROGRAM_SECONDS_MAX = 30,
};

/* Forks it; call before a loop, a table or a channel is opened. *FD: authd's end of the pipe, on
 * which SESSION_START, CHECKER_START, LOOKUP_START, ROOM_START and PROGRAM_ASK go out. It ends when that end is closed. */
enum result starter_begin(const struct configuration *conf, int *fd, struct why *why);

/* checkpassword.c: one run of a program, by the words of COMMAND, then OURS (NULL: a judge of tokens) as the program
 * to run on success. As UID where that is not 0. ANSWER: where the PROGRAM_TELL frame goes. Returns the exit code of its
 * process. */
struct frame;
struct program { const char *command, *ours; uid_t uid; gid_t gid; };
int program_keep(const struct program *program, const struct frame *ask, int answer);
/* `authd --checkpassword-reply`: what the program runs on success; says uid, gid and HOME. */
int checkpassword_reply(void);
#define CHECKPASSWORD_REPLY "--checkpassword-reply"

/* checker.c: judges CHECK_ASK frames on FD until it is closed. Returns the exit code. */
int checker_run(int fd);

#endif
