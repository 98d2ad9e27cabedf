/* The suite's accounts: one row each; made with useradd where they are missing. */
#include "layout.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const struct account {
	const char *name, *comment;
	const char *group;	/* a further group, whose account stands above it in the table */
} accounts[] = {
	{ "dawks", "dawk smtpd", NULL },
	{ "dawkq", "dawk queued", "dawks" },
	{ "dawkr", "dawk remoted", NULL },
	{ "dawkp", "dawk pop3d", NULL },
	{ "dawkk", "dawk keyd", NULL },
	{ "dawkd", "dawk dnsd", NULL },
	{ "dawkt", "dawk stsd", NULL },
	{ "dawkm", "dawk mailboxes", NULL },
	{ "dawkx", "dawk programs of aliases", NULL },
};

enum result accounts_find(const char *account, uid_t *uid, gid_t *gid, struct why *why)
{
	struct passwd *entry = getpwnam(account);
	if (!entry)
		return why_set(why, RESULT_NEVER, "there is no account %s: run `dawk init` as root", account);
	*uid = entry->pw_uid;
	*gid = entry->pw_gid;
	return RESULT_OK;
}

/* Exit code of the program; 127 where there is none. */
static int run(char *const argv[])
{
	pid_t pid;
	int status, error = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	if (error)
		return error == ENOENT ? 127 : 126;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 126;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}

static bool is_member(const char *name, const char *group)
{
	struct group *entry = getgrnam(group);
	if (!entry)
		return false;
	for (char **member = entry->gr_mem; *member; member++)
		if (!strcmp(*member, name))
			return true;
	return false;
}

static enum result say_by_hand(const struct account *account, const char *program, int code, struct why *why)
{
	return why_set(why, RESULT_NEVER, "unable to make the account %s (%s: %s %d); make a system account of that name "
	               "with a group of its own and no shell%s%s, then run this again", account->name, program,
	               code == 127 ? "not found, exit code" : "exit code", code,
	               account->group ? ", also in the group " : "", account->group ? account->group : "");
}

static enum result make(const struct account *account, struct why *why)
{
	const char *program = "useradd";
	int code = 0;
	if (!getpwnam(account->name)) {
		/* a group of that name may be left over: then it is taken */
		const char *group = getgrnam(account->name) ? "-g" : "-U";
		char *argv[16] = { "useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent",
		                   "--shell", "/usr/sbin/nologin", "--comment", (char *)account->comment, (char *)group };
		size_t count = 10;
		if (group[1] == 'g')
			argv[count++] = (char *)account->name;
		argv[count] = (char *)account->name;
		code = run(argv);
		if (code || !getpwnam(account->name))
			return say_by_hand(account, program, code, why);
		printf("made the account %s\n", account->name);
	}
	if (account->group && !is_member(account->name, account->group)) {
		char *argv[] = { "usermod", "-a", "-G", (char *)account->group, (char *)account->name, NULL };
		program = argv[0];
		code = run(argv);
	}
	return code ? say_by_hand(account, program, code, why) : RESULT_OK;
}

enum result accounts_make(struct why *why)
{
	enum result result = RESULT_OK;
	/* Several at once would meet useradd's own lock, which does not wait. The folder's, since useradd replaces the files. */
	int lock = open("/etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock >= 0)
		flock(lock, LOCK_EX);
	fflush(stdout);
	for (size_t i = 0; i < sizeof accounts / sizeof *accounts && result == RESULT_OK; i++)
		result = make(&accounts[i], why);
	if (lock >= 0)
		close(lock);
	return result;
}
