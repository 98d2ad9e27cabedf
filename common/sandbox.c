#include "sandbox.h"

#include "log.h"
#include "walls.h"
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
	DENY_WORKER = DENY_ADMIN | DENY_IDENTITY | DENY_EXEC | DENY_FORK | DENY_SOCKETS | DENY_OWNERS | DENY_TIMES | DENY_LIST,
	DENY_FILES = DENY_ADMIN | DENY_IDENTITY | DENY_EXEC | DENY_FORK | DENY_SOCKETS | DENY_OWNERS,
};

/* Who may what: the one table. `dawk privileges` prints it. */
static const struct role_row {
	const char *name;
	const char *account;	/* NULL: the mailbox's, or root where may_be_root */
	unsigned deny;
	bool may_be_root, has_walls, may_connect;
	const char *remark;
} roles[ROLES_END] = {
	[ROLE_SMTPD_WORKER] = { "smtpd", "dawks", DENY_WORKER, false, true, false, "queue/tmp and new: make only" },
	[ROLE_SCHEDULER] = { "queued", "dawkq", DENY_FILES, false, true, false, "the queue" },
	[ROLE_SPAWNER] = { "locald", NULL, 0, true, false, false, "starts deliverers and people's programs, which inherit walls: it has none" },
	[ROLE_DELIVERER] = { "deliverer", NULL, DENY_FILES & ~DENY_OWNERS, false, true, false, "below the mailboxes' folder" },
	[ROLE_PROGRAM] = { "program", NULL, 0, false, false, true, "a person's program: its account alone" },
	[ROLE_POP3_WORKER] = { "pop3d", "dawkp", DENY_WORKER, false, true, false, "no file" },
	[ROLE_POP3_SESSION] = { "pop3-session", NULL, DENY_FILES, false, true, false, "one maildir" },
	[ROLE_AUTHD] = { "authd", NULL, DENY_FILES & ~DENY_SOCKETS, true, true, false, "reads, writes nothing; its starter, which holds no secret, forks for it" },
	[ROLE_CHECKER] = { "checker", "nobody", DENY_WORKER, false, true, false, "no file" },
	[ROLE_REMOTED] = { "remoted", "dawkr", DENY_WORKER & ~DENY_SOCKETS, false, true, true, "the network; no queue" },
	[ROLE_DNSD] = { "dnsd", "dawkd", DENY_WORKER & ~DENY_SOCKETS, false, true, true, "the network" },
	[ROLE_KEYD] = { "keyd", "dawkk", DENY_WORKER, false, true, false, "private keys" },
};

enum result sandbox_identity(enum role role, struct identity *identity, struct why *why)
{
	const char *account = roles[role].account;
	struct passwd *entry;

	*identity = (struct identity){ .uid = geteuid(), .gid = getegid() };
	if (geteuid() != 0 || !account)
		return RESULT_OK;
	errno = 0;
	entry = getpwnam(account);
	if (!entry && errno)
		return why_errno(why, RESULT_RETRY, "unable to look up the account %s", account);
	if (!entry)
		return why_set(why, RESULT_NEVER, "there is no account %s: run `make setup` or `dawk init`", account);
	*identity = (struct identity){ entry->pw_uid, entry->pw_gid, account };
	return RESULT_OK;
}

static enum result set_groups(const struct identity *identity)
{
	if (identity->groups_of)
		return initgroups(identity->groups_of, identity->gid) ? RESULT_STOP : RESULT_OK;
	return setgroups(0, NULL) ? RESULT_STOP : RESULT_OK;
}

/* Groups before gid before uid, and then the proof that there is no way back. */
static enum result become(const struct identity *identity, struct why *why)
{
	if (geteuid() != 0) {
		if (identity->uid == geteuid())
			return RESULT_OK;
		return why_set(why, RESULT_STOP, "only root can become uid %u: this instance serves its own user alone",
		               (unsigned)identity->uid);
	}
	if (set_groups(identity) != RESULT_OK)
		return why_errno(why, RESULT_STOP, "unable to set the groups of uid %u", (unsigned)identity->uid);
	if (setresgid(identity->gid, identity->gid, identity->gid))
		return why_errno(why, RESULT_STOP, "unable to become gid %u", (unsigned)identity->gid);
	if (setresuid(identity->uid, identity->uid, identity->uid))
		return why_errno(why, RESULT_STOP, "unable to become uid %u", (unsigned)identity->uid);
	if (setuid(0) == 0 || geteuid() == 0)
		return why_set(why, RESULT_STOP, "uid 0 came back after it was given up");
	return RESULT_OK;
}

static void set_limits(void)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
}

/* Reads what the C library would open later: the zone of localtime. */
static void open_early(void)
{
	time_t now = time(NULL);
	struct tm local;

	tzset();
	localtime_r(&now, &local);
}

static void warn_once(const char *process)
{
	static bool is_said;
	struct why why = { 0 };

	if (is_said)
		return;
	is_said = true;
	why_set(&why, RESULT_OK, "this kernel has no Landlock 2 (Linux 5.19): %s runs with its account and seccomp alone", process);
	log_failure("no-landlock", &why);
}

enum result sandbox_enter(enum role role, const struct identity *identity,
                          const struct sandbox_path *paths, size_t path_count, struct why *why)
{
	const struct role_row *row = &roles[role];
	enum result result = RESULT_OK;
	bool is_on;

	open_early();
	if (!row->may_be_root && identity->uid == 0)
		return why_set(why, RESULT_STOP, "%s must not run as uid 0", row->name);
	if (!row->may_be_root)
		result = become(identity, why);
	if (result != RESULT_OK)
		return result;
	set_limits();
	if (row->deny && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return why_errno(why, RESULT_STOP, "unable to set no_new_privs");
	if (row->has_walls) {
		result = landlock_enter(paths, path_count, row->may_connect, &is_on, why);
		if (result == RESULT_OK && !is_on)
			warn_once(row->name);
	}
	if (result == RESULT_OK && row->deny)
		result = seccomp_enter(row->deny, why);
	return result;
}

void sandbox_print_table(void)
{
	static const struct { unsigned deny; const char *name; } classes[] = {
		{ DENY_ADMIN, "admin" }, { DENY_IDENTITY, "setuid" }, { DENY_EXEC, "exec" }, { DENY_FORK, "fork" },
		{ DENY_SOCKETS, "socket" }, { DENY_OWNERS, "chmod" }, { DENY_TIMES, "utime" }, { DENY_LIST, "list" },
	};
	size_t i, j;

	printf("%-13s %-8s %-9s %-50s %s\n", "process", "account", "landlock", "refused system calls", "files");
	for (i = 0; i < ROLES_END; i++) {
		char refused[64] = "";
		size_t length = 0;
		for (j = 0; j < sizeof classes / sizeof *classes; j++)
			if (roles[i].deny & classes[j].deny)
				length += (size_t)snprintf(refused + length, sizeof refused - length, "%s%s", length ? "," : "", classes[j].name);
		printf("%-13s %-8s %-9s %-50s %s\n", roles[i].name,
		       roles[i].account ? roles[i].account : roles[i].may_be_root ? "root" : "mailbox",
		       roles[i].has_walls ? "yes" : "no", refused[0] ? refused : "none", roles[i].remark);
	}
}
