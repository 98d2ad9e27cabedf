/* The walls of a process: account, Landlock, seccomp; one table for who may what (sandbox.c).
 * Used by every program that drops rights, by `dawk privileges` and by the tests. */
#ifndef COMMON_SANDBOX_H
#define COMMON_SANDBOX_H

#include "configuration.h"
#include "result.h"
#include <sys/types.h>

enum role {
	ROLE_SMTPD_WORKER,	/* dawks: network in, queue/tmp and new, tables */
	ROLE_SCHEDULER,		/* dawkq: the queue */
	ROLE_SPAWNER,		/* root: locald; no network */
	ROLE_DELIVERER,		/* the mailbox's uid, below its folder */
	ROLE_PROGRAM,		/* the mailbox's uid or dawkx; a person's program: no walls but the uid */
	ROLE_POP3_WORKER,	/* dawkp: network in */
	ROLE_POP3_SESSION,	/* the mailbox's uid, one maildir */
	ROLE_AUTHD,		/* root: secrets; no network */
	ROLE_CHECKER,		/* nobody's rights: crypt(3) alone */
	ROLE_REMOTED, ROLE_DNSD, ROLE_KEYD,
	ROLE_STSD,		/* dawkt: network out; its own folder */
	ROLE_NAMES,		/* nobody: looks accounts of the system up, for locald */
	ROLE_SHADOW_NAMES,	/* root: the same with password hashes, for authd */
	ROLE_QUOTA,		/* the mailbox's uid: reads below its folder, for authd */
	ROLE_FOLDERS,		/* root: makes mailboxes' folders and gives them away, for locald */
	ROLES_END
};

/* What may be done below a path; each is a set of Landlock rights. */
enum {
	ALLOW_READ = 1,		/* open files for reading */
	ALLOW_LIST = 2,		/* list directories */
	ALLOW_WRITE = 4,	/* write and truncate existing files */
	ALLOW_MAKE = 8,		/* make files and directories */
	ALLOW_REMOVE = 16,	/* remove files and directories */
	ALLOW_REFER = 32,	/* rename between directories */
};

struct sandbox_path {
	const char *path;	/* a directory where possible: a rule on a file is lost when it is replaced */
	int allow;
};

/* Whom to become. uid 0 is refused except for roles whose table row says root. */
struct identity {
	uid_t uid;
	gid_t gid;
	const char *groups_of;	/* NUL-ended account name whose supplementary groups are taken, or NULL for none */
	uid_t watcher;		/* 0: none. Else the real and the saved uid: the process acts as UID, and may signal UID's, which may not signal it */
};

/* The account of ROLE (dawks, ...) as identity; in an instance that does not run as root: the
 * caller's own. RESULT_NEVER: no such account (WHY says: run `dawk init` or `make setup`). */
enum result sandbox_identity(enum role role, struct identity *identity, struct why *why);

/* The one fixed order of dropping rights: no core dumps, resource limits, groups, gid, uid, check
 * that it can't be taken back, capabilities, no_new_privs, Landlock with PATHS (paths that do not exist are
 * skipped), seccomp as the table says. Call before the first thread and before a byte from outside
 * is read. RESULT_STOP: the process must not go on. Without Landlock in the kernel it goes on. */
enum result sandbox_enter(enum role role, const struct identity *identity,
                          const struct sandbox_path *paths, size_t path_count, struct why *why);

/* For `dawk privileges`: writes the table of who may what to standard output. */
void sandbox_print_table(void);

#endif
