/* `dawk check`: what is wrong with configuration, tables, permissions, ports and space, and how to mend
 * it. The configuration itself was read by main, which says what is wrong there. */
#include "check.h"
#include "command.h"
#include "common/table.h"
#include "common/text.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { LEAST_FREE_PERCENT = 5 };

void check_finding(struct check *check, const char *mend, const char *format, ...)
{
	va_list arguments;

	check->findings++;
	fputs("wrong: ", stdout);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n mend: %s\n", mend);
}

void check_hint(const char *format, ...)
{
	va_list arguments;

	fputs(" note: ", stdout);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
}

static void check_accounts(struct check *check)
{
	static const char *const accounts[] = { "dawks", "dawkq", "dawkr", "dawkp", "dawkk", "dawkd", "dawkt", "dawkm", "dawkx" };
	const struct passwd *queue_owner;
	const struct group *group;
	bool is_member = false;

	if (!check->is_root) {
		check_hint("not run as root: everything of this instance runs as uid %lu", (unsigned long)geteuid());
		return;
	}
	for (size_t i = 0; i < sizeof accounts / sizeof accounts[0]; i++)
		if (!getpwnam(accounts[i]))
			check_finding(check, "run `make setup`, or `dawk init DIR` as root: both make the accounts",
			              "there is no account %s", accounts[i]);
	group = getgrnam("dawks");
	queue_owner = getpwnam("dawkq");
	if (!group || !queue_owner)
		return;
	for (char **member = group->gr_mem; *member; member++)
		is_member = is_member || strcmp(*member, "dawkq") == 0;
	if (!is_member && queue_owner->pw_gid != group->gr_gid)
		check_finding(check, "usermod -a -G dawks dawkq", "the account dawkq is not in the group dawks: it can't read new mail");
}

/* A path that has to be there. ACCOUNT: its owner where all runs as root; NULL: root. */
struct place {
	const char *path;
	mode_t type, mode;
	const char *account, *group;	/* group NULL: any */
};

static uid_t owner_of(const struct check *check, const char *account)
{
	const struct passwd *entry = check->is_root && account ? getpwnam(account) : NULL;

	return check->is_root ? entry ? entry->pw_uid : 0 : geteuid();
}

static void check_place(struct check *check, const struct place *place, const char *missing)
{
	char mend[2 * PATH_MAX];
	struct stat st;
	const struct group *group = check->is_root && place->group ? getgrnam(place->group) : NULL;
	const char *account = place->account ? place->account : "root";

	if (lstat(place->path, &st) != 0) {
		check_finding(check, missing, "%s: %s", place->path, strerror(errno));
		return;
	}
	if ((st.st_mode & S_IFMT) != place->type) {
		snprintf(mend, sizeof mend, "move it away; %s", missing);
		check_finding(check, mend, "%s is not a %s", place->path, place->type == S_IFDIR ? "folder" : "FIFO");
		return;
	}
	if ((st.st_mode & 07777) != place->mode) {
		snprintf(mend, sizeof mend, "chmod %04o %s", (unsigned)place->mode, place->path);
		check_finding(check, mend, "%s has mode %04o, expected %04o", place->path,
		              (unsigned)st.st_mode & 07777, (unsigned)place->mode);
	}
	if (st.st_uid != owner_of(check, place->account)) {
		snprintf(mend, sizeof mend, "chown %s %s", check->is_root ? account : "(yourself)", place->path);
		check_finding(check, mend, "%s belongs to uid %lu, expected %s", place->path, (unsigned long)st.st_uid,
		              check->is_root ? account : "yourself");
	}
	if (group && st.st_gid != group->gr_gid) {
		snprintf(mend, sizeof mend, "chgrp %s %s", place->group, place->path);
		check_finding(check, mend, "%s belongs to group %lu, expected %s", place->path, (unsigned long)st.st_gid, place->group);
	}
}

static void check_below(struct check *check, const char *base, const char *name, struct place place, const char *missing)
{
	char path[PATH_MAX];
	int length = snprintf(path, sizeof path, "%s%s%s", base, *name ? "/" : "", name);

	if (length < 0 || (size_t)length >= sizeof path) {
		check_finding(check, "choose a folder with a shorter path", "the path %s/%s is too long", base, name);
		return;
	}
	place.path = path;
	check_place(check, &place, missing);
}

static void check_queue(struct check *check)
{
	static const struct { const char *name; struct place place; } parts[] = {
		{ "", { NULL, S_IFDIR, 0755, "dawkq", NULL } },
		{ "tmp", { NULL, S_IFDIR, 01730, "dawkq", "dawks" } },
		{ "new", { NULL, S_IFDIR, 01730, "dawkq", "dawks" } },
		{ "cur", { NULL, S_IFDIR, 0700, "dawkq", NULL } },
		{ "state", { NULL, S_IFDIR, 0700, "dawkq", NULL } },
		{ "hold", { NULL, S_IFDIR, 0700, "dawkq", NULL } },
		{ "corrupt", { NULL, S_IFDIR, 0700, "dawkq", NULL } },
		{ "trigger", { NULL, S_IFIFO, 0620, "dawkq", "dawks" } },
	};

	const char *directory = check->conf->directory, *slash = strrchr(directory, '/');
	char missing[PATH_MAX + 64] = "make it, with owner and mode as in dawk-queue(5)";

	if (!strcmp(check->conf->file, COMMAND_CONFIGURATION))
		snprintf(missing, sizeof missing, "run `dawk init --system`: it makes what is missing in the queue");
	else if (slash > directory && !strcmp(slash, "/etc"))
		snprintf(missing, sizeof missing, "run `dawk init %.*s`: it makes what is missing in the queue", (int)(slash - directory), directory);
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		check_below(check, check->conf->queue, parts[i].name, parts[i].place, missing);
}

static void check_folders(struct check *check)
{
	const struct configuration *conf = check->conf;
	static const struct place open_place = { NULL, S_IFDIR, 0755, NULL, NULL }, shut_place = { NULL, S_IFDIR, 0700, NULL, NULL },
		held_place = { NULL, S_IFDIR, 0700, "dawks", NULL };
	char path[PATH_MAX];

	check_below(check, conf->directory, "tables", open_place, "run `dawk update`");
	check_below(check, conf->directory, "secret", shut_place, "run `dawk update`");
	snprintf(path, sizeof path, "%s/keys", conf->directory);
	if (access(path, F_OK) == 0)
		check_below(check, conf->directory, "keys", shut_place, "");
	snprintf(path, sizeof path, "%s/held", conf->queue);
	if (access(path, F_OK) == 0)	/* smtpd makes it */
		check_below(check, conf->queue, "held", held_place, "");
	check_below(check, conf->mailboxes, "", open_place, "make it: mkdir -m 0755, as root");
	for (size_t i = 0; i < conf->domains.count; i++) {
		snprintf(path, sizeof path, "%s/%s", conf->mailboxes, conf->domains.items[i]);
		if (access(path, F_OK) == 0)
			check_below(check, conf->mailboxes, conf->domains.items[i], open_place, "");
	}
	check_below(check, conf->run_directory, "", open_place, "make it: mkdir -m 0755, as root");
}

/* Who can write these decides what runs as root. */
static void check_source(struct check *check, const char *path, bool is_secret)
{
	mode_t forbidden = is_secret ? 077 : 022;
	char mend[PATH_MAX + 64];
	struct stat st;

	if (stat(path, &st) != 0)
		return;		/* no source, an empty table */
	if (st.st_uid != 0 && st.st_uid != geteuid()) {
		if (check->is_root)
			snprintf(mend, sizeof mend, "chown root %s", path);
		else
			snprintf(mend, sizeof mend, "put a copy of your own in its place; or as root: chown %lu %s", (unsigned long)geteuid(), path);
		check_finding(check, mend, "%s belongs to uid %lu, expected %s", path, (unsigned long)st.st_uid,
		              check->is_root ? "root" : "yourself or root");
	}
	if (st.st_mode & forbidden) {
		snprintf(mend, sizeof mend, "chmod %s %s", is_secret ? "0600" : "go-w", path);
		check_finding(check, mend, "%s has mode %04o: others may %s it", path, (unsigned)st.st_mode & 07777, is_secret ? "read" : "write");
	}
}

static bool is_older(const struct stat *a, const struct stat *b)
{
	return a->st_mtim.tv_sec < b->st_mtim.tv_sec ||
	       (a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec < b->st_mtim.tv_nsec);
}

static bool no_record(void *context, const char *key, size_t key_length, const char *value, size_t value_length)
{
	(void)context, (void)key, (void)key_length, (void)value, (void)value_length;
	return true;
}

/* Reads all of it, so that damage shows. */
static void check_readable(struct check *check, const char *directory, const char *name)
{
	struct table_directory *tables;
	struct table *table = NULL;
	struct why why;
	enum result result = table_directory_open(directory, &tables, &why);

	if (result != RESULT_OK)
		return;		/* told with the folders */
	result = table_open(tables, name, &table, &why);
	if (result == RESULT_OK)
		result = table_walk(table, no_record, NULL, &why);
	if (result != RESULT_OK && result != RESULT_END)
		check_finding(check, "run `dawk update`", "unable to %s", why.text);
	table_close(table);
	table_directory_close(tables);
}

static void check_table(struct check *check, const char *source, const char *subdirectory, const char *name)
{
	char directory[PATH_MAX], path[PATH_MAX + 32];
	struct stat text, compiled;

	if (!configuration_path(check->conf, subdirectory, directory, sizeof directory))
		return;
	snprintf(path, sizeof path, "%s/%s.cdb", directory, name);
	if (stat(path, &compiled) != 0) {
		if (errno != EACCES || check->is_root)
			check_finding(check, "run `dawk update`", "%s: %s", path, strerror(errno));
		return;
	}
	if (stat(source, &text) == 0 && is_older(&compiled, &text))
		check_finding(check, "run `dawk update`", "%s was edited after its table was compiled: the edit is not in force", source);
	check_readable(check, directory, name);
}

/* A file that the aliases include, by its NAME there: part of the same table. */
static void check_include(struct check *check, const char *name, size_t length, const struct stat *compiled)
{
	const char *aliases = check->conf->aliases;
	char path[PATH_MAX];
	struct stat st;
	int folder = *name == '/' ? 0 : (int)(strrchr(aliases, '/') - aliases) + 1;
	int written = snprintf(path, sizeof path, "%.*s%.*s", folder, aliases, (int)length, name);

	if (length == 0 || written < 0 || (size_t)written >= sizeof path || stat(path, &st) != 0)
		return;		/* for `dawk update` to tell */
	check_source(check, path, false);
	if (is_older(compiled, &st))
		check_finding(check, "run `dawk update`", "%s was edited after the aliases were compiled: the edit is not in force", path);
}

static void check_includes(struct check *check)
{
	static const char include[] = ":include:";
	FILE *source = fopen(check->conf->aliases, "re");
	char path[PATH_MAX], *line = NULL;
	size_t size = 0;
	struct stat compiled;

	if (source && configuration_path(check->conf, "tables/aliases.cdb", path, sizeof path) && stat(path, &compiled) == 0)
		while (getline(&line, &size, source) > 0)
			for (const char *at = line; *line != '#' && (at = strstr(at, include)) != NULL; ) {
				at += sizeof include - 1 + strspn(at + sizeof include - 1, " \t");
				check_include(check, at, strcspn(at, ",\" \t\r\n"), &compiled);
			}
	free(line);
	if (source)
		fclose(source);
}

static void check_tables(struct check *check)
{
	const struct configuration *conf = check->conf;
	const struct { const char *source, *subdirectory, *name; } rows[] = {
		{ conf->users, "tables", "users" }, { conf->users, "secret", "users" },
		{ conf->secrets, "secret", "secrets" }, { conf->aliases, "tables", "aliases" },
		{ conf->routes, "tables", "routes" }, { conf->site, "tables", "site" },
		{ conf->access, "tables", "access" }, { conf->relay_recipients, "tables", "relay-recipients" },
		{ conf->senders, "tables", "senders" }, { conf->limits, "tables", "limits" },
	};

	check_source(check, conf->file, false);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (i == 0 || strcmp(rows[i].source, rows[i - 1].source) != 0)
			check_source(check, rows[i].source, rows[i].source == conf->users || rows[i].source == conf->secrets);
		check_table(check, rows[i].source, rows[i].subdirectory, rows[i].name);
	}
	check_includes(check);
}

static void check_space(struct check *check, const char *path)
{
	struct statvfs st;
	unsigned long long free_bytes;

	if (statvfs(path, &st) != 0)
		return;		/* told with the folders */
	free_bytes = (unsigned long long)st.f_bavail * st.f_frsize;
	if (st.f_blocks > 0 && st.f_bavail * 100 / st.f_blocks < LEAST_FREE_PERCENT)
		check_finding(check, "free some, or move the folder to a larger file system; mail is deferred when nothing is left",
		              "%s: only %llu MB are free", path, free_bytes >> 20);
	else if (free_bytes < 2 * check->conf->message_size_limit_bytes)
		check_finding(check, "free some, or lower message-size-limit", "%s: %llu MB are free, two messages of the largest size would fill it",
		              path, free_bytes >> 20);
	if (st.f_files > 0 && st.f_favail * 100 / st.f_files < LEAST_FREE_PERCENT)
		check_finding(check, "remove files, or make the file system anew with more inodes",
		              "%s: only %llu more files can be made", path, (unsigned long long)st.f_favail);
}

static void check_oauth(struct check *check)
{
	const struct configuration *conf = check->conf;

	if (!conf->oauth_checker && conf->auth_mechanisms & (MECHANISM_OAUTHBEARER | MECHANISM_XOAUTH2))
		check_finding(check, "name the program in oauth-checker, or leave them out of auth-mechanisms",
		              "auth-mechanisms names oauthbearer or xoauth2, but there is no oauth-checker: they are not offered");
}

static void check_checkpassword(struct check *check)
{
	const char *command = check->conf->checkpassword, *at = command, *word;
	char program[PATH_MAX];
	size_t length;

	if (!command || !text_next_word(&at, command + strlen(command), &word, &length))
		return;
	snprintf(program, sizeof program, "%.*s", (int)length, word);
	if (access(program, X_OK) != 0)
		check_finding(check, "put the program there, or correct the setting", "checkpassword: %s: %s", program, strerror(errno));
}

/* Without them stsd trusts nobody, and other domains' policies count for nothing. */
static void check_authorities(const struct configuration *conf)
{
	if (conf->mta_sts && access(conf->mta_sts_authorities, R_OK) < 0)
		check_hint("%s can't be read, so that no MTA-STS policy of another domain is fetched: install ca-certificates, or name "
		           "another file (mta-sts-authorities)", conf->mta_sts_authorities);
}

/* Owners are compared with the caller, so that another's view of an instance is wrong in all of it, and its advice would ruin it.
 * By file or folder: an edit may have changed the owner of one. 0: go on; else an exit code. */
static int check_caller(const struct configuration *conf)
{
	struct stat file, folder;
	const struct passwd *owner;

	if (stat(conf->file, &file) != 0 || stat(conf->directory, &folder) != 0)
		return command_fail("check", EX_NOINPUT, "unable to look at %s: %s", conf->file, strerror(errno));
	if (file.st_uid == geteuid() || folder.st_uid == geteuid())
		return EX_OK;
	owner = getpwuid(folder.st_uid);
	return command_fail("check", EX_NOPERM, "%s is the instance of %s (uid %lu), who alone can check it", conf->directory,
	                    owner ? owner->pw_name : "an account without a name", (unsigned long)folder.st_uid);
}

int command_check(struct configuration *conf, int argc, char **argv)
{
	struct check check = { .conf = conf, .is_root = geteuid() == 0 };
	int code;

	(void)argv;
	if (argc > 1)
		return command_usage("check", "it takes no arguments");
	if ((code = check_caller(conf)))
		return code;
	check_accounts(&check);
	check_tables(&check);
	check_hashes(&check);
	check_postmaster(&check);
	check_folders(&check);
	check_queue(&check);
	check_owners(&check);
	check_certificates(&check);
	check_authorities(conf);
	check_checkpassword(&check);
	check_oauth(&check);
	check_space(&check, conf->queue);
	check_space(&check, conf->mailboxes);
	check_ports(&check);
	check_names(&check);
	if (check.findings == 0)
		puts("all is well");
	else
		printf("%u to mend\n", check.findings);
	return check.findings > 0 ? EX_CONFIG : EX_OK;
}
