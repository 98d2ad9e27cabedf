/* `dawk check`: do files belong to the accounts of this host? Not so after a restoration where these have got other
 * numbers. See check.h. */
#include "check.h"
#include "common/table.h"
#include "common/text.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES_LOOKED_AT = 1000 };	/* of a folder of the queue: they come and go together */

struct strays {
	const struct check *check;
	unsigned count;
	char path[PATH_MAX];		/* the first */
	unsigned long found, uid, gid;	/* its owner, and whose it should be */
};

/* "UID:GID:MAILDIR:QUOTA", below `mailboxes`: what lies elsewhere may be on a file server that does not answer. */
static bool judge_mailbox(void *context, const char *key, size_t key_length, const char *value, size_t length)
{
	struct strays *strays = context;
	const char *base = strays->check->conf->mailboxes, *end = value + length, *gid, *path, *stop;
	uint64_t uid, group;
	struct stat st;
	char maildir[PATH_MAX];

	(void)key, (void)key_length;
	if (!(gid = memchr(value, ':', length)) || !(path = memchr(gid + 1, ':', (size_t)(end - gid - 1))) ||
	    !(stop = memchr(path + 1, ':', (size_t)(end - path - 1))) || !text_to_number(value, (size_t)(gid - value), &uid) ||
	    !text_to_number(gid + 1, (size_t)(path - gid - 1), &group))
		return true;
	snprintf(maildir, sizeof maildir, "%.*s", (int)(stop - path - 1), path + 1);
	if (strncmp(maildir, base, strlen(base)) != 0 || stat(maildir, &st) != 0 || st.st_uid == uid)
		return true;
	if (strays->count++ > 0)
		return true;
	memcpy(strays->path, maildir, sizeof maildir);
	strays->found = st.st_uid;
	strays->uid = (unsigned long)uid;
	strays->gid = (unsigned long)group;
	return true;
}

static void check_mailboxes(struct check *check)
{
	struct strays strays = { .check = check };
	struct table_directory *tables;
	struct table *users = NULL;
	char path[PATH_MAX], mend[PATH_MAX + 128];

	if (!configuration_path(check->conf, "tables", path, sizeof path) || table_directory_open(path, &tables, NULL) != RESULT_OK)
		return;		/* told with the tables */
	if (table_open(tables, "users", &users, NULL) == RESULT_OK)
		table_walk(users, judge_mailbox, &strays, NULL);
	table_close(users);
	table_directory_close(tables);
	if (strays.count == 0)
		return;
	snprintf(mend, sizeof mend, "chown -R %lu:%lu %s%s", strays.uid, strays.gid, strays.path,
	         strays.count > 1 ? ", and so on; `dawk user list` shows where each lies" : "");
	check_finding(check, mend, "%u mailbox%s another uid than users gives, which can neither deliver nor read there: first %s, of uid %lu, expected %lu",
	              strays.count, strays.count > 1 ? "es have" : " has", strays.path, strays.found, strays.uid);
}

/* The first file of FOLDER that neither OWNER nor OTHER owns. false: none. */
static bool find_stray(const char *folder, uid_t owner, uid_t other, struct strays *stray)
{
	DIR *directory = opendir(folder);
	const struct dirent *entry;
	struct stat st;
	bool is_found = false;

	for (int i = 0; directory && !is_found && i < FILES_LOOKED_AT && (entry = readdir(directory)) != NULL; i++) {
		if (*entry->d_name == '.' || fstatat(dirfd(directory), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		is_found = st.st_uid != owner && st.st_uid != other;
		snprintf(stray->path, sizeof stray->path, "%s/%.255s", folder, entry->d_name);
		stray->found = st.st_uid;
	}
	if (directory)
		closedir(directory);
	return is_found;
}

/* OTHER: an account whose files are as good. */
struct owned { const char *name, *account, *group, *other; };

static void check_folder(struct check *check, const char *base, const struct owned *owned)
{
	struct strays stray = { .check = check };
	char folder[PATH_MAX - 256], mend[PATH_MAX + 128];
	uid_t owner = geteuid(), other = geteuid();
	const struct passwd *entry;

	if (check->is_root) {
		if (!(entry = getpwnam(owned->account)))
			return;		/* told with the accounts */
		owner = entry->pw_uid;
		other = (entry = getpwnam(owned->other)) ? entry->pw_uid : owner;
	}
	if (snprintf(folder, sizeof folder, "%s/%s", base, owned->name) >= (int)sizeof folder || !find_stray(folder, owner, other, &stray))
		return;
	if (check->is_root)
		snprintf(mend, sizeof mend, "chown -R %s:%s %s", owned->account, owned->group, folder);
	else
		snprintf(mend, sizeof mend, "as root: chown -R %lu %s", (unsigned long)owner, folder);
	check_finding(check, mend, "%s belongs to uid %lu, expected %s, who can't read it so", stray.path, stray.found,
	              check->is_root ? owned->account : "yourself");
}

void check_owners(struct check *check)
{
	static const struct owned places[] = {
		{ "new", "dawkq", "dawks", "dawks" }, { "cur", "dawkq", "dawks", "dawks" }, { "hold", "dawkq", "dawks", "dawks" },
		{ "corrupt", "dawkq", "dawks", "dawks" }, { "state", "dawkq", "dawkq", "dawkq" },
	}, policies = { "sts", "dawkt", "dawkt", "dawkt" };

	check_mailboxes(check);
	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		check_folder(check, check->conf->queue, &places[i]);
	check_folder(check, check->conf->state_directory, &policies);
}
