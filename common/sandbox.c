#include "sandbox.h"

#include "log.h"
#include "walls.h"
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
	DENY_ALL_ROLES = DENY_ADMIN | DENY_IDENTITY | DENY_EXEC | DENY_FORK | DENY_SIGNALS,
	DENY_FILES = DENY_ALL_ROLES | DENY_SOCKETS | DENY_OWNERS,
	DENY_WORKER = DENY_FILES | DENY_TIMES | DENY_LIST,
	DENY_STSD = (DENY_FILES & ~DENY_SOCKETS) | DENY_TIMES | DENY_SERVERS,
	/* look-ups of accounts may go to a daemon on a Unix socket */
	DENY_AUTHD = (DENY_FILES & ~DENY_SOCKETS) | DENY_NETWORK,
	DENY_NAMES = DENY_AUTHD | DENY_TIMES,
};
#define CAPABILITY(name) (UINT64_C(1) << (name))

/* Who may what: the one table. `dawk privileges` prints it. */
static const struct role_row {
	const char *name;
	const char *account;	/* NULL: the mailbox's, or root where may_be_root */
	unsigned deny;
	bool may_be_root, has_walls, may_connect;
	uint64_t capabilities;	/* what a root behind walls keeps */
	const char *remark;
} roles[ROLES_END] = {
	[ROLE_SMTPD_WORKER] = { "smtpd", "dawks", DENY_WORKER, false, true, false, 0, "queue/tmp, new and held: make only; tables" },
	[ROLE_SCHEDULER] = { "queued", "dawkq", DENY_FILES, false, true, false, 0, "the queue; reads tables" },
	[ROLE_SPAWNER] = { "locald", NULL, 0, true, false, true, 0, "starts deliverers and people's programs, which inherit walls: it has none" },
	[ROLE_DELIVERER] = { "deliverer", NULL, DENY_FILES & ~DENY_OWNERS, false, true, false, 0, "below the mailboxes' folder" },
	[ROLE_PROGRAM] = { "program", NULL, 0, false, false, true, 0, "a person's program: its account alone; its keeper is nobody besides, whom it can't signal" },
	[ROLE_POP3_WORKER] = { "pop3d", "dawkp", DENY_WORKER, false, true, false, 0, "no file" },
	[ROLE_POP3_SESSION] = { "pop3-session", NULL, DENY_FILES, false, true, false, 0, "one maildir" },
	[ROLE_AUTHD] = { "authd", NULL, DENY_AUTHD, true, true, false, CAPABILITY(CAP_DAC_READ_SEARCH), "reads, writes nothing; its starter, which holds no secret, forks for it as locald does" },
	[ROLE_CHECKER] = { "checker", "nobody", DENY_WORKER, false, true, false, 0, "no file" },
	[ROLE_REMOTED] = { "remoted", "dawkr", DENY_WORKER & ~DENY_SOCKETS, false, true, true, 0, "no queue" },
	[ROLE_DNSD] = { "dnsd", "dawkd", DENY_WORKER & ~DENY_SOCKETS, false, true, true, 0, "no file" },
	[ROLE_KEYD] = { "keyd", "dawkk", DENY_WORKER, false, true, false, 0, "private keys" },
	[ROLE_STSD] = { "stsd", "dawkt", DENY_STSD, false, true, true, 0, "its own folder" },
	[ROLE_NAMES] = { "names", "nobody", DENY_NAMES, false, true, false, 0, "reads; looks accounts up, for locald" },
	[ROLE_SHADOW_NAMES] = { "authd:names", NULL, DENY_NAMES, true, true, false, CAPABILITY(CAP_DAC_READ_SEARCH), "reads; looks accounts and hashes up, for authd" },
	[ROLE_FOLDERS] = { "folders", NULL, DENY_WORKER & ~DENY_OWNERS, true, true, false, CAPABILITY(CAP_CHOWN), "makes mailboxes' folders and gives them away, for locald; writes to no file" },
	[ROLE_QUOTA] = { "authd:quota", NULL, DENY_WORKER, false, true, false, 0, "reads below the mailboxes' folder, for authd" },
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
	*identity = (struct identity){ .uid = entry->pw_uid, .gid = entry->pw_gid, .groups_of = account };
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
	uid_t real = identity->watcher != 0 ? identity->watcher : identity->uid;

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
	if (setresuid(real, identity->uid, real))
		return why_errno(why, RESULT_STOP, "unable to become uid %u", (unsigned)identity->uid);
	if (setuid(0) == 0 || geteuid() == 0)
		return why_set(why, RESULT_STOP, "uid 0 came back after it was given up");
	return RESULT_OK;
}

/* What is not in KEEP goes, and no_new_privs lets none come back. */
static enum result drop_capabilities(uint64_t keep, struct why *why)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, sets))
		return why_errno(why, RESULT_STOP, "unable to read the capabilities");
	for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		sets[i].permitted &= (uint32_t)(keep >> (32 * i));	/* a container may have given less */
		sets[i].effective = sets[i].permitted;
		sets[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &header, sets))
		return why_errno(why, RESULT_STOP, "unable to give capabilities up");
	return RESULT_OK;
}

static void set_limits(void)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
}

/* Reads what the C library would open later: the zone of localtime. Once: who was forked has it. */
static void open_early(void)
{
	static bool is_done;
	time_t now = time(NULL);
	struct tm local;

	if (is_done)
		return;
	is_done = true;
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
	if (identity->uid == (uid_t)-1 || identity->gid == (gid_t)-1)	/* to setresuid(2): as it is */
		return why_set(why, RESULT_STOP, "%s has no uid or gid to run as", row->name);
	if (!row->may_be_root)
		result = become(identity, why);
	/* also of a caller that is not root: a supervisor may have given it some */
	if (result == RESULT_OK && !(row->may_be_root && !row->has_walls))
		result = drop_capabilities(row->capabilities, why);
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

static const char *network_of(const struct role_row *row)
{
	return row->may_connect ? "yes" : row->deny & DENY_SOCKETS ? "no" : "unix";
}

void sandbox_print_table(void)
{
	static const struct { unsigned deny; const char *name; } classes[] = {
		{ DENY_ADMIN, "admin" }, { DENY_IDENTITY, "setuid" }, { DENY_EXEC, "exec" }, { DENY_FORK, "fork" },
		{ DENY_SIGNALS, "kill" }, { DENY_SOCKETS | DENY_NETWORK, "socket" }, { DENY_SERVERS, "listen" }, { DENY_OWNERS, "chmod" },
		{ DENY_TIMES, "utime" }, { DENY_LIST, "list" },
	};
	size_t i, j;

	printf("%-13s %-8s %-9s %-8s %-52s %s\n", "process", "account", "landlock", "sockets", "refused system calls", "files");
	for (i = 0; i < ROLES_END; i++) {
		char refused[80] = "";
		size_t length = 0;
		for (j = 0; j < sizeof classes / sizeof *classes; j++)
			if (roles[i].deny & classes[j].deny)
				length += (size_t)snprintf(refused + length, sizeof refused - length, "%s%s", length ? "," : "", classes[j].name);
		printf("%-13s %-8s %-9s %-8s %-52s %s\n", roles[i].name,
		       roles[i].account ? roles[i].account : roles[i].may_be_root ? "root" : "mailbox",
		       roles[i].has_walls ? "yes" : "no", network_of(&roles[i]), refused[0] ? refused : "none", roles[i].remark);
	}
}
