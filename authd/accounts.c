#include "authd/accounts.h"
#include "common/lookup.h"

#include <stdio.h>
#include <string.h>

/* Costs what a hash of `dawk user add` costs; its password is not known. */
static const char stand_in_hash[] = "$y$j9T$dKq0mTzR8vWc1nXpLs5aY/$jqgihI2JRxAIMX3tm37SQ9RJx3MaMUp7doHJnfnJVDC";

static struct {
	const struct configuration *conf;
	struct table_directory *secret, *tables;
	struct table *hashes, *secrets, *users;
	struct resolver *resolver;
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

/* An empty field: no login by this password. */
static enum result append_hash(stralloc *hashes, const char *name, size_t name_length, const char *hash, size_t length, struct why *why)
{
	if (!length || length > ACCOUNT_HASH_MAX || memchr(hash, 0, length) || memchr(name, 0, name_length))
		return RESULT_OK;
	if (!text_append(hashes, name, name_length) || !text_append(hashes, "", 1) ||
	    !text_append(hashes, hash, length) || !text_append(hashes, "", 1))
		return why_set(why, RESULT_RETRY, "no memory for a login");
	return RESULT_OK;
}

static enum result append_password(stralloc *hashes, const char *hash, size_t length, struct why *why)
{
	return append_hash(hashes, "password", strlen("password"), hash, length, why);
}

bool accounts_next_secret(const char **at, const char *end, const char *scheme, struct secret_line *found)
{
	while (*at < end) {
		const char *line = *at, *newline = memchr(line, '\n', (size_t)(end - line));
		const char *stop = newline ? newline : end;
		const char *first = memchr(line, ':', (size_t)(stop - line));
		const char *second = first ? memchr(first + 1, ':', (size_t)(stop - first - 1)) : NULL;

		*at = newline ? newline + 1 : end;
		if (!second || !text_equal_folded(first + 1, (size_t)(second - first - 1), scheme, strlen(scheme)))
			continue;
		*found = (struct secret_line){ line, second + 1, (size_t)(first - line), (size_t)(stop - second - 1) };
		return true;
	}
	return false;
}

enum result accounts_secrets(const char *key, size_t key_length, const char **lines, size_t *length, struct why *why)
{
	return table_find(accounts.secrets, key, key_length, lines, length, why);
}

enum result accounts_hash(const char *key, const char **hash, size_t *length, struct why *why)
{
	return table_find(accounts.hashes, key, strlen(key), hash, length, why);
}

void accounts_each_hash(bool (*each)(void *, const char *, size_t, const char *, size_t), void *context)
{
	table_walk(accounts.hashes, each, context, NULL);
}

void accounts_each_secret(bool (*each)(void *, const char *, size_t, const char *, size_t), void *context)
{
	table_walk(accounts.secrets, each, context, NULL);
}

static enum result append_app_passwords(const char *key, stralloc *hashes, struct why *why)
{
	struct secret_line line;
	const char *lines;
	size_t length;
	enum result result = accounts_secrets(key, strlen(key), &lines, &length, why);

	if (result != RESULT_OK)
		return result == RESULT_END ? RESULT_OK : result;
	const char *end = lines + length;
	for (int count = 0; count < ACCOUNT_HASHES_MAX && accounts_next_secret(&lines, end, "crypt", &line); count++) {
		result = append_hash(hashes, line.name, line.name_length, line.value, line.value_length, why);
		if (result != RESULT_OK)
			return result;
	}
	return RESULT_OK;
}

bool accounts_system_name(const char *key, char *name)
{
	const char *at = strrchr(key, '@');

	if (!accounts.conf->system_users || !at || strcmp(at + 1, accounts.conf->domains.items[0]) ||
	    at - key > ADDRESS_LOCAL_MAX)
		return false;
	memcpy(name, key, (size_t)(at - key));
	name[at - key] = 0;
	return true;
}

static bool take_first(void *context, const char *key, size_t key_length, const char *value, size_t value_length)
{
	stralloc *hashes = context;

	(void)key;
	(void)key_length;
	return append_password(hashes, value, value_length, NULL) == RESULT_OK && !hashes->len;
}

/* A hash of the method in use here, so that an unknown name takes the same time; nothing matches it
 * because its account is ACCOUNT_NONE. */
static enum result append_stand_in(stralloc *hashes, struct why *why)
{
	table_walk(accounts.hashes, take_first, hashes, why);
	return hashes->len ? RESULT_OK : append_password(hashes, stand_in_hash, strlen(stand_in_hash), why);
}

/* Accounts of the system come after the table's mailboxes, as in delivery. RESULT_END: not of this KEY. */
static enum result maybe_system(const char *key, struct why *why)
{
	char name[ADDRESS_LOCAL_MAX + 1];
	const char *place;
	size_t length;
	enum result result;

	if (!accounts_system_name(key, name))
		return RESULT_END;
	result = table_find(accounts.users, key, strlen(key), &place, &length, why);
	if (result == RESULT_END)
		return RESULT_OK;
	return result == RESULT_OK ? RESULT_END : result;
}

enum result accounts_hashes(const char *key, stralloc *hashes, enum account_source *source, struct why *why)
{
	const char *hash;
	size_t length;
	enum result result = table_find(accounts.hashes, key, strlen(key), &hash, &length, why);

	*source = ACCOUNT_TABLE;
	hashes->len = 0;
	if (result == RESULT_OK)
		result = append_password(hashes, hash, length, why);
	if (result == RESULT_OK || result == RESULT_END)
		result = append_app_passwords(key, hashes, why);
	if (result != RESULT_OK || hashes->len)
		return result;
	result = maybe_system(key, why);
	*source = result == RESULT_OK ? ACCOUNT_SYSTEM : ACCOUNT_NONE;
	return result == RESULT_END ? append_stand_in(hashes, why) : result;
}

enum result accounts_take_system(const struct lookup_account *account, stralloc *hashes, enum account_source *source,
                                 struct place *place, struct why *why)
{
	struct meaning_of meaning;

	*source = ACCOUNT_NONE;
	if (!account || !account->hash[0] || resolve_account(account->uid, account->gid, account->home, &meaning) != RESULT_OK)
		return append_stand_in(hashes, why);
	*source = ACCOUNT_SYSTEM;
	*place = (struct place){ .uid = meaning.uid, .gid = meaning.gid, .is_mbox = meaning.is_mbox };
	snprintf(place->maildir, sizeof place->maildir, "%s", meaning.maildir);
	return append_password(hashes, account->hash, strlen(account->hash), why);
}

enum result accounts_apop(const char *key, stralloc *secret, struct why *why)
{
	struct secret_line line;
	const char *lines;
	size_t length;
	enum result result = accounts_secrets(key, strlen(key), &lines, &length, why);

	if (result != RESULT_OK)
		return result;
	const char *end = lines + length;
	if (!accounts_next_secret(&lines, end, "apop", &line) || !line.value_length)
		return RESULT_END;
	secret->len = 0;
	return text_append(secret, line.value, line.value_length) ? RESULT_OK : why_set(why, RESULT_RETRY, "no memory for a login");
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

/* By its name: what it is on disk the session finds out, since a file server that is away would hold up every login here. */
static bool is_mbox(const char *path)
{
	size_t length = strlen(path);

	return length > 5 && !strcmp(path + length - 5, ".mbox");
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

enum result accounts_place(const char *key, struct place *place, struct why *why)
{
	const char *value;
	size_t length;
	enum result result = table_find(accounts.users, key, strlen(key), &value, &length, why);

	if (result != RESULT_OK)
		return result;
	return parse_place(value, value + length, place) ? RESULT_OK
	                                                 : why_set(why, RESULT_RETRY, "tables/users.cdb has a bad entry for %s: run `dawk update`", key);
}
