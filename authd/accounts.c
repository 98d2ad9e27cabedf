#include "authd/accounts.h"

#include <errno.h>
#include <pwd.h>
#include <shadow.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Costs what a hash of `dawk user add` costs; its password is not known. */
static const char stand_in_hash[] = "$y$j9T$dKq0mTzR8vWc1nXpLs5aY/$jqgihI2JRxAIMX3tm37SQ9RJx3MaMUp7doHJnfnJVDC";

static struct {
	const struct configuration *conf;
	struct table_directory *secret, *tables;
	struct table *hashes, *secrets, *users;
	struct resolver *resolver;
	struct stat secrets_status;
	bool has_apop;
} accounts;

static enum result open_directory(const char *name, struct table_directory **directory, struct why *why)
{
	char path[PLACE_PATH_SIZE];

	if (!configuration_path(accounts.conf, name, path, sizeof path))
		return why_set(why, RESULT_NEVER, "the path of %s is too long", name);
	return table_directory_open(path, directory, why);
}

enum result accounts_open(const struct configuration *conf, struct why *why)
{
	enum result result;

	accounts.conf = conf;
	if ((result = open_directory("secret", &accounts.secret, why)) != RESULT_OK ||
	    (result = open_directory("tables", &accounts.tables, why)) != RESULT_OK ||
	    (result = table_open(accounts.secret, "users", &accounts.hashes, why)) != RESULT_OK ||
	    (result = table_open(accounts.secret, "secrets", &accounts.secrets, why)) != RESULT_OK ||
	    (result = table_open(accounts.tables, "users", &accounts.users, why)) != RESULT_OK)
		return result;
	return resolver_make(conf, accounts.tables, &accounts.resolver, why);
}

struct resolver *accounts_resolver(void)
{
	return accounts.resolver;
}

bool accounts_key(const char *user, char *key)
{
	char full[ADDRESS_MAX + 2];
	struct address address;
	int length;

	if (address_parse(user, strlen(user), &address, NULL) != RESULT_OK || !address.length)
		return false;
	if (!address.domain[0]) {
		length = snprintf(full, sizeof full, "%s@%s", address.text, accounts.conf->domains.items[0]);
		if (length >= (int)sizeof full || address_parse(full, (size_t)length, &address, NULL) != RESULT_OK)
			return false;
	}
	address_fold(&address, key);
	return true;
}

static enum result append_hash(stralloc *hashes, const char *hash, size_t length, struct why *why)
{
	if (!length || length > ACCOUNT_HASH_MAX || memchr(hash, 0, length))
		return RESULT_OK;	/* an empty field: no login by this password */
	if (!text_append(hashes, hash, length) || !text_append(hashes, "", 1))
		return why_set(why, RESULT_RETRY, "no memory for a login");
	return RESULT_OK;
}

/* The next VALUE of SCHEME in lines "NAME:SCHEME:VALUE". */
static bool next_secret(const char **at, const char *end, const char *scheme, const char **value, size_t *length)
{
	while (*at < end) {
		const char *line = *at, *newline = memchr(line, '\n', (size_t)(end - line));
		const char *stop = newline ? newline : end;
		const char *first = memchr(line, ':', (size_t)(stop - line));
		const char *second = first ? memchr(first + 1, ':', (size_t)(stop - first - 1)) : NULL;

		*at = newline ? newline + 1 : end;
		if (!second || !text_equal_folded(first + 1, (size_t)(second - first - 1), scheme, strlen(scheme)))
			continue;
		*value = second + 1;
		*length = (size_t)(stop - second - 1);
		return true;
	}
	return false;
}

static enum result append_app_passwords(const char *key, stralloc *hashes, struct why *why)
{
	const char *lines, *value;
	size_t length, value_length;
	enum result result = table_find(accounts.secrets, key, strlen(key), &lines, &length, why);

	if (result != RESULT_OK)
		return result == RESULT_END ? RESULT_OK : result;
	const char *end = lines + length;
	for (int count = 0; count < ACCOUNT_HASHES_MAX && next_secret(&lines, end, "crypt", &value, &value_length); count++) {
		result = append_hash(hashes, value, value_length, why);
		if (result != RESULT_OK)
			return result;
	}
	return RESULT_OK;
}

/* The part of KEY before the first domain, where accounts of the system live. */
static bool system_name(const char *key, char *name, size_t size)
{
	const char *at = strrchr(key, '@');

	if (!accounts.conf->system_users || !at || strcmp(at + 1, accounts.conf->domains.items[0]) ||
	    (size_t)(at - key) >= size)
		return false;
	memcpy(name, key, (size_t)(at - key));
	name[at - key] = 0;
	return true;
}

static bool may_log_in(const struct passwd *account, const struct spwd *shadow)
{
	const char *shell = strrchr(account->pw_shell, '/');
	long today = (long)(time(NULL) / 86400);

	if (account->pw_uid < 1000 || (shell && (!strcmp(shell, "/nologin") || !strcmp(shell, "/false"))))
		return false;
	return shadow->sp_expire < 0 || shadow->sp_expire > today;
}

static enum result append_system_hash(const char *name, stralloc *hashes, bool *is_known, struct why *why)
{
	const struct passwd *account;
	const struct spwd *shadow;

	errno = 0;
	account = getpwnam(name);
	shadow = account ? getspnam(name) : NULL;
	/* not found may leave any other code */
	if (!shadow && (errno == EIO || errno == EMFILE || errno == ENFILE || errno == ENOMEM))
		return why_errno(why, RESULT_RETRY, "unable to look up the account %s", name);
	/* '!' and '*' lock an account */
	*is_known = shadow && may_log_in(account, shadow) && shadow->sp_pwdp[0] == '$';
	return *is_known ? append_hash(hashes, shadow->sp_pwdp, strlen(shadow->sp_pwdp), why) : RESULT_OK;
}

static bool take_first(void *context, const char *key, size_t key_length, const char *value, size_t value_length)
{
	stralloc *hashes = context;

	(void)key;
	(void)key_length;
	return append_hash(hashes, value, value_length, NULL) == RESULT_OK && !hashes->len;
}

/* A hash of the method in use here, so that an unknown name takes the same time; nothing matches it
 * because its account is ACCOUNT_NONE. */
static enum result append_stand_in(stralloc *hashes, struct why *why)
{
	table_walk(accounts.hashes, take_first, hashes, why);
	return hashes->len ? RESULT_OK : append_hash(hashes, stand_in_hash, strlen(stand_in_hash), why);
}

/* Accounts of the system come after the table's mailboxes, as in delivery. */
static enum result append_account_of_system(const char *key, stralloc *hashes, bool *is_known, struct why *why)
{
	char name[ADDRESS_MAX + 1];
	const char *place;
	size_t length;
	enum result result;

	*is_known = false;
	if (!system_name(key, name, sizeof name))
		return RESULT_OK;
	result = table_find(accounts.users, key, strlen(key), &place, &length, why);
	return result == RESULT_END ? append_system_hash(name, hashes, is_known, why) : result;
}

enum result accounts_hashes(const char *key, stralloc *hashes, enum account_source *source, struct why *why)
{
	const char *hash;
	size_t length;
	bool is_known;
	enum result result = table_find(accounts.hashes, key, strlen(key), &hash, &length, why);

	*source = ACCOUNT_TABLE;
	hashes->len = 0;
	if (result == RESULT_OK)
		result = append_hash(hashes, hash, length, why);
	if (result == RESULT_OK || result == RESULT_END)
		result = append_app_passwords(key, hashes, why);
	if (result != RESULT_OK || hashes->len)
		return result;
	result = append_account_of_system(key, hashes, &is_known, why);
	if (result != RESULT_OK)
		return result;
	*source = is_known ? ACCOUNT_SYSTEM : ACCOUNT_NONE;
	return is_known ? RESULT_OK : append_stand_in(hashes, why);
}

enum result accounts_apop(const char *key, stralloc *secret, struct why *why)
{
	const char *lines, *value;
	size_t length, value_length;
	enum result result = table_find(accounts.secrets, key, strlen(key), &lines, &length, why);

	if (result != RESULT_OK)
		return result;
	const char *end = lines + length;
	if (!next_secret(&lines, end, "apop", &value, &value_length) || !value_length)
		return RESULT_END;
	secret->len = 0;
	return text_append(secret, value, value_length) ? RESULT_OK : why_set(why, RESULT_RETRY, "no memory for a login");
}

static bool find_apop(void *context, const char *key, size_t key_length, const char *value, size_t value_length)
{
	bool *is_found = context;
	const char *end = value + value_length, *one;
	size_t length;

	(void)key;
	(void)key_length;
	*is_found = next_secret(&value, end, "apop", &one, &length);
	return !*is_found;
}

bool accounts_have_apop(void)
{
	char path[PLACE_PATH_SIZE];
	struct stat now = { 0 };

	if (!configuration_path(accounts.conf, "secret/secrets.cdb", path, sizeof path) || stat(path, &now))
		return accounts.has_apop = false;
	if (now.st_ino == accounts.secrets_status.st_ino && now.st_mtim.tv_sec == accounts.secrets_status.st_mtim.tv_sec &&
	    now.st_mtim.tv_nsec == accounts.secrets_status.st_mtim.tv_nsec)
		return accounts.has_apop;
	accounts.secrets_status = now;
	accounts.has_apop = false;
	table_walk(accounts.secrets, find_apop, &accounts.has_apop, NULL);
	return accounts.has_apop;
}

/* The next field of "UID:GID:MAILDIR:QUOTA". */
static bool next_field(const char **at, const char *end, const char **field, size_t *length)
{
	const char *colon;

	if (*at > end)
		return false;
	colon = memchr(*at, ':', (size_t)(end - *at));
	*field = *at;
	*length = (size_t)((colon ? colon : end) - *at);
	*at = (colon ? colon : end) + 1;
	return true;
}

static bool is_mbox(const char *path)
{
	size_t length = strlen(path);
	struct stat status;

	if (length > 5 && !strcmp(path + length - 5, ".mbox"))
		return true;
	return !stat(path, &status) && S_ISREG(status.st_mode);
}

static bool parse_place(const char *at, const char *end, struct place *place)
{
	const char *uid, *gid, *maildir, *quota;
	size_t uid_length, gid_length, maildir_length, quota_length;
	uint64_t uid_number, gid_number;

	if (!next_field(&at, end, &uid, &uid_length) || !text_to_number(uid, uid_length, &uid_number) ||
	    !next_field(&at, end, &gid, &gid_length) || !text_to_number(gid, gid_length, &gid_number) ||
	    !next_field(&at, end, &maildir, &maildir_length) || maildir_length >= sizeof place->maildir ||
	    !next_field(&at, end, &quota, &quota_length) || quota_length >= sizeof place->quota)
		return false;
	while (maildir_length > 1 && maildir[maildir_length - 1] == '/')
		maildir_length--;
	place->uid = (uid_t)uid_number;
	place->gid = (gid_t)gid_number;
	memcpy(place->maildir, maildir, maildir_length);
	place->maildir[maildir_length] = 0;
	memcpy(place->quota, quota, quota_length);
	place->quota[quota_length] = 0;
	place->is_mbox = is_mbox(place->maildir);
	return true;
}

static enum result system_place(const char *key, struct place *place, struct why *why)
{
	char name[ADDRESS_MAX + 1], home[4096];
	struct meaning_of meaning = { 0 };
	enum result result;

	if (!system_name(key, name, sizeof name))
		return RESULT_END;
	result = resolve_system_account(name, &meaning, home, why);
	if (result != RESULT_OK)
		return result;
	*place = (struct place){ .uid = meaning.uid, .gid = meaning.gid, .is_mbox = meaning.is_mbox };
	snprintf(place->maildir, sizeof place->maildir, "%s", meaning.maildir);
	return RESULT_OK;
}

enum result accounts_place(const char *key, enum account_source source, struct place *place, struct why *why)
{
	const char *value;
	size_t length;
	enum result result;

	if (source == ACCOUNT_SYSTEM)
		return system_place(key, place, why);
	result = table_find(accounts.users, key, strlen(key), &value, &length, why);
	if (result != RESULT_OK)
		return result;
	return parse_place(value, value + length, place) ? RESULT_OK
	                                                 : why_set(why, RESULT_RETRY, "tables/users.cdb has a bad entry for %s: run `dawk update`", key);
}
