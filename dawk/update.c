/* `dawk update`: compiles the tables. See update.h for how. */
#include "update.h"
#include "command.h"
#include "layout.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum table_index { USERS, HASHES, SECRETS, LOGINS, ALIASES, LINES, ROUTES, SITE, ACCESS, RELAYS, SENDERS, LIMITS, TABLES };

/* In the order in which they go into place: nobody logs in before a mailbox is known, and an alias
 * never leads to one that is not. */
static const struct {
	const char *name;
	bool is_secret;
	bool is_scratch;	/* stays in the staging folder */
} tables[TABLES] = {
	[USERS]   = { "users", false, false },
	[HASHES]  = { "users", true, false },
	[SECRETS] = { "secrets", true, false },
	[LOGINS]  = { "routes", true, false },	/* before the routes that name them */
	[ALIASES] = { "aliases", false, false },
	[LINES]   = { "lines", false, true },
	[ROUTES]  = { "routes", false, false },
	[SITE]    = { "site", false, false },
	[ACCESS]  = { "access", false, false },
	[RELAYS]  = { "relay-recipients", false, false },
	[SENDERS] = { "senders", false, false },
	[LIMITS]  = { "limits", false, false },
};

struct counts { uint64_t users, secrets, aliases, routes, site, access, relay_recipients, senders, limits; };

static enum result make_directory(const char *path, mode_t mode, struct why *why)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return chmod(path, mode) == 0 ? RESULT_OK : why_errno(why, RESULT_NEVER, "set the mode of %s", path);
	if (errno != EEXIST)
		return why_errno(why, result_of_errno(errno), "make %s", path);
	if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		return why_set(why, RESULT_NEVER, "make %s: there is something else of that name", path);
	if ((st.st_mode & 07777 & ~mode) != 0 && chmod(path, mode) != 0)
		return why_errno(why, RESULT_NEVER, "set the mode of %s", path);
	return RESULT_OK;
}

static void remove_staging(const struct update *update)
{
	char path[PATH_MAX + 32];

	for (int i = 0; i < TABLES; i++) {
		const char *folder = tables[i].is_secret ? update->secret_staging : update->staging;
		snprintf(path, sizeof path, "%s/%s.cdb", folder, tables[i].name);
		unlink(path);
		snprintf(path, sizeof path, "%s/%s.cdb.new", folder, tables[i].name);
		unlink(path);
	}
	rmdir(update->staging);
	rmdir(update->secret_staging);
}

/* Who gets mailboxes without UID and GID: dawkm, or in an instance of one's own oneself. */
static enum result find_mailbox_owner(struct update *update, struct why *why)
{
	const struct passwd *account;

	update->owner = geteuid();
	update->mailbox_uid = geteuid();
	update->mailbox_gid = getegid();
	if (geteuid() != 0)
		return RESULT_OK;
	account = getpwnam("dawkm");
	if (!account)
		return why_set(why, RESULT_NEVER, "find the account dawkm, which owns the mailboxes (run `dawk init` or `make setup`)");
	update->mailbox_uid = account->pw_uid;
	update->mailbox_gid = account->pw_gid;
	return RESULT_OK;
}

static enum result prepare(struct update *update, struct why *why)
{
	enum result result = find_mailbox_owner(update, why);

	if (result != RESULT_OK)
		return result;
	if (!configuration_path(update->conf, "tables", update->tables, sizeof update->tables) ||
	    !configuration_path(update->conf, "secret", update->secret, sizeof update->secret) ||
	    !configuration_path(update->conf, "tables/next", update->staging, sizeof update->staging) ||
	    !configuration_path(update->conf, "secret/next", update->secret_staging, sizeof update->secret_staging))
		return why_set(why, RESULT_NEVER, "make the tables: the path of %s is too long", update->conf->directory);
	result = make_directory(update->tables, 0755, why);
	if (result == RESULT_OK)
		result = make_directory(update->secret, 0700, why);
	return result;
}

/* What the salts are made of that names without SCRAM keys seem to have: made once, so that they stay the same. */
static enum result make_salt(const struct update *update, struct why *why)
{
	char path[PATH_MAX + 32], bytes[32];
	enum result result;

	snprintf(path, sizeof path, "%s/salt", update->secret);
	random_bytes(bytes, sizeof bytes);
	result = layout_write_file(path, bytes, sizeof bytes, 0600, true, why);
	explicit_bzero(bytes, sizeof bytes);
	return result;
}

/* One update at a time. */
static enum result lock(struct update *update, struct why *why)
{
	update->lock = open(update->tables, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (update->lock < 0 || flock(update->lock, LOCK_EX) != 0)
		return why_errno(why, RESULT_RETRY, "lock %s", update->tables);
	return RESULT_OK;
}

static enum result open_writers(struct update *update, struct table_writer **writers, struct why *why)
{
	enum result result = make_directory(update->staging, 0700, why);

	if (result == RESULT_OK)
		result = make_directory(update->secret_staging, 0700, why);
	for (int i = 0; i < TABLES && result == RESULT_OK; i++)
		result = table_create(tables[i].is_secret ? update->secret_staging : update->staging, tables[i].name,
		                      tables[i].is_secret ? 0600 : 0644, &writers[i], why);
	return result;
}

static void compile(struct update *update, struct table_writer **writers, struct counts *counts)
{
	update_users(update, writers[USERS], writers[HASHES], &counts->users);
	update_secrets(update, writers[SECRETS], writers[LOGINS], &counts->secrets);
	update_aliases(update, writers[ALIASES], writers[LINES], &counts->aliases);
	update_routes(update, writers[ROUTES], &counts->routes);
	update_site(update, writers[SITE], &counts->site);
	update_access(update, writers[ACCESS], &counts->access);
	update_relay_recipients(update, writers[RELAYS], &counts->relay_recipients);
	update_senders(update, writers[SENDERS], &counts->senders);
	update_limits(update, writers[LIMITS], &counts->limits);
}

static void finish_writers(struct update *update, struct table_writer **writers)
{
	struct why why;

	for (int i = 0; i < TABLES; i++) {
		if (!writers[i])
			continue;
		if (update->errors > 0)
			table_abandon(writers[i]);
		else if (table_commit(writers[i], &why) != RESULT_OK)
			update_failure(update, &why);
		writers[i] = NULL;
	}
}

/* The files are durable; each rename replaces one table whole. */
static enum result put_in_place(struct update *update, struct why *why)
{
	char from[PATH_MAX + 32], to[PATH_MAX + 32];

	for (int i = 0; i < TABLES; i++) {
		if (tables[i].is_scratch)
			continue;
		snprintf(from, sizeof from, "%s/%s.cdb", tables[i].is_secret ? update->secret_staging : update->staging, tables[i].name);
		snprintf(to, sizeof to, "%s/%s.cdb", tables[i].is_secret ? update->secret : update->tables, tables[i].name);
		if (rename(from, to) != 0)
			return why_errno(why, result_of_errno(errno), "put %s in place", to);
	}
	return RESULT_OK;
}

static enum result sync_directory(const char *path, struct why *why)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum result result = RESULT_OK;

	if (fd < 0 || fsync(fd) != 0)
		result = why_errno(why, RESULT_RETRY, "make %s durable", path);
	if (fd >= 0)
		close(fd);
	return result;
}

static void publish(struct update *update)
{
	struct why why;
	enum result result = put_in_place(update, &why);

	if (result == RESULT_OK)
		result = sync_directory(update->secret, &why);
	if (result == RESULT_OK)
		result = sync_directory(update->tables, &why);
	if (result == RESULT_OK)
		result = table_announce(update->secret, &why);
	if (result == RESULT_OK)
		result = table_announce(update->tables, &why);
	if (result != RESULT_OK)
		update_failure(update, &why);
}

static void report(const struct update *update, const struct counts *counts)
{
	if (update->shown_ms != 0 && update->shows_progress)
		fputs("\r\033[K", stderr);
	if (update->errors > UPDATE_ERRORS_LISTED)
		fprintf(stderr, "dawk update: and %u more\n", update->errors - UPDATE_ERRORS_LISTED);
	if (update->errors > 0) {
		fprintf(stderr, "dawk update: nothing was changed, the tables of before stay in force; mend %s and run it again\n",
		        update->errors == 1 ? "this" : "these");
		return;
	}
	if (!update->is_quiet)
		printf("users %llu, secrets %llu, aliases %llu, routes %llu, site %llu, access %llu, relay-recipients %llu, senders %llu, limits %llu\n",
		       (unsigned long long)counts->users, (unsigned long long)counts->secrets, (unsigned long long)counts->aliases,
		       (unsigned long long)counts->routes, (unsigned long long)counts->site, (unsigned long long)counts->access,
		       (unsigned long long)counts->relay_recipients, (unsigned long long)counts->senders, (unsigned long long)counts->limits);
}

static int run(struct update *update)
{
	struct table_writer *writers[TABLES] = { NULL };
	struct counts counts = { 0 };
	struct why why;
	enum result result = prepare(update, &why);

	if (result == RESULT_OK)
		result = lock(update, &why);
	if (result == RESULT_OK)
		result = make_salt(update, &why);
	if (result == RESULT_OK) {
		remove_staging(update);		/* of an update that was killed */
		result = open_writers(update, writers, &why);
	}
	if (result == RESULT_OK)
		compile(update, writers, &counts);
	else
		update->errors++;
	finish_writers(update, writers);
	if (update->errors == 0)
		update_judge_aliases(update);
	if (update->errors == 0)
		publish(update);
	remove_staging(update);
	if (update->lock >= 0)
		close(update->lock);
	if (result != RESULT_OK)
		return command_fail_why("update", result, &why);
	report(update, &counts);
	return update->errors > 0 ? EX_DATAERR : EX_OK;
}

int command_update(struct configuration *conf, int argc, char **argv)
{
	struct update *update;
	int code;

	if (argc > 2 || (argc == 2 && strcmp(argv[1], "--quiet") != 0))
		return command_usage("update", "unexpected argument %s", argv[argc - 1]);
	update = calloc(1, sizeof *update);
	if (!update)
		return command_fail("update", EX_OSERR, "no memory");
	update->conf = conf;
	update->lock = -1;
	update->is_quiet = argc == 2;
	update->shows_progress = isatty(STDERR_FILENO) == 1;
	code = run(update);
	critbit0_clear(&update->logins);
	free(update);
	return code;
}
