/* See resolve.h. */
#include "resolve.h"
#include "text.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	FIRST_ACCOUNT = 1000,		/* uids below are daemons', login.defs(5) UID_MIN */
	NOBODY = 65534,
	EXTENSIONS_MAX = 8,		/* separators tried in one local part */
};

struct resolver {
	const struct configuration *conf;
	struct table *users, *aliases, *relay_recipients;
	void (*saw)(void *context, const char *table, const char *key, enum result outcome);	/* may be NULL */
	void *context;
};

/* Without it no address is known, and all mail would be refused for good. */
static enum result open_needed(struct table_directory *tables, const char *name, struct table **table, struct why *why)
{
	enum result result = table_open(tables, name, table, why);

	if (result == RESULT_OK)
		table_need(*table);
	return result;
}

enum result resolver_make(const struct configuration *conf, struct table_directory *tables, struct resolver **resolver, struct why *why)
{
	struct resolver *made = calloc(1, sizeof *made);
	enum result result;

	*resolver = NULL;
	if (!made)
		return why_set(why, RESULT_RETRY, "open the tables: no memory");
	made->conf = conf;
	result = open_needed(tables, "users", &made->users, why);
	if (result == RESULT_OK)
		result = open_needed(tables, "aliases", &made->aliases, why);
	if (result == RESULT_OK)
		result = open_needed(tables, "relay-recipients", &made->relay_recipients, why);
	if (result == RESULT_OK)
		*resolver = made;
	else
		resolver_free(made);
	return result;
}

void resolver_free(struct resolver *resolver)
{
	if (!resolver)
		return;
	table_close(resolver->users);
	table_close(resolver->aliases);
	table_close(resolver->relay_recipients);
	free(resolver);
}

void resolver_watch(struct resolver *resolver, void (*saw)(void *context, const char *table, const char *key,
                    enum result outcome), void *context)
{
	resolver->saw = saw;
	resolver->context = context;
}

static enum result look_up(struct resolver *resolver, struct table *table, const char *name, const char *key,
                           const char **value, size_t *length, struct why *why)
{
	enum result result = table_find(table, key, strlen(key), value, length, why);

	if (resolver->saw)
		resolver->saw(resolver->context, name, key, result);
	return result;
}

bool alias_next_member(const char **at, const char *end, const char **member, size_t *length)
{
	const char *newline;

	while (*at < end) {
		newline = memchr(*at, '\n', (size_t)(end - *at));
		*member = *at;
		*length = (size_t)((newline ? newline : end) - *at);
		*at += *length + (newline ? 1 : 0);
		if (*length > 0)
			return true;
	}
	return false;
}

static bool copy_field(char *out, size_t size, const char *start, size_t length)
{
	if (length >= size || memchr(start, '\0', length))
		return false;
	memcpy(out, start, length);
	out[length] = '\0';
	return true;
}

/* "UID:GID:MAILDIR:QUOTA" */
static bool read_mailbox(const char *value, size_t length, struct meaning_of *out)
{
	const char *field[4], *end = value + length;
	size_t size[4];
	uint64_t uid, gid;
	static const char mbox[] = ".mbox";

	for (size_t i = 0; i < 4; i++) {
		const char *colon = i < 3 ? memchr(value, ':', (size_t)(end - value)) : end;
		if (!colon)
			return false;
		field[i] = value;
		size[i] = (size_t)(colon - value);
		value = colon + (i < 3 ? 1 : 0);
	}
	if (!text_to_number(field[0], size[0], &uid) || !text_to_number(field[1], size[1], &gid) ||
	    uid == 0 || uid >= UINT32_MAX || gid >= UINT32_MAX || size[2] == 0 || *field[2] != '/')
		return false;
	out->uid = (uid_t)uid;
	out->gid = (gid_t)gid;
	out->is_mbox = size[2] > sizeof mbox - 1 &&
	               memcmp(field[2] + size[2] - (sizeof mbox - 1), mbox, sizeof mbox - 1) == 0;
	return copy_field(out->maildir, sizeof out->maildir, field[2], size[2]) &&
	       copy_field(out->quota, sizeof out->quota, field[3], size[3]);
}

/* "COUNT FLAGS\n" and the members. */
static bool read_alias(const char *value, size_t length, struct meaning_of *out)
{
	const char *end = value + length, *newline = memchr(value, '\n', length), *blank;
	uint64_t count;

	if (!newline || !(blank = memchr(value, ' ', (size_t)(newline - value))) ||
	    !text_to_number(value, (size_t)(blank - value), &count) || count > UINT32_MAX)
		return false;
	out->count = (uint32_t)count;
	out->has_programs = memchr(blank, 'p', (size_t)(newline - blank)) != NULL;
	out->names_itself = memchr(blank, 's', (size_t)(newline - blank)) != NULL;
	out->members = newline + 1;
	out->members_length = (size_t)(end - out->members);
	return true;
}

static enum result damaged(const char *table, const char *key, struct why *why)
{
	return why_set(why, RESULT_RETRY, "read table %s: the entry of %s is damaged (run `dawk update`)", table, key);
}

static enum result find_mailbox(struct resolver *resolver, const char *key, struct meaning_of *out, struct why *why)
{
	const char *value;
	size_t length;
	enum result result = look_up(resolver, resolver->users, "users", key, &value, &length, why);

	if (result != RESULT_OK)
		return result;
	if (!read_mailbox(value, length, out))
		return damaged("users", key, why);
	return RESULT_OK;
}

static enum result find_alias(struct resolver *resolver, const char *key, struct meaning_of *out, struct why *why)
{
	const char *value;
	size_t length;
	enum result result = look_up(resolver, resolver->aliases, "aliases", key, &value, &length, why);

	if (result != RESULT_OK)
		return result;
	if (!read_alias(value, length, out))
		return damaged("aliases", key, why);
	return RESULT_OK;
}

static bool is_first_domain(const struct resolver *resolver, const char *domain)
{
	return strcmp(domain, resolver->conf->domains.items[0]) == 0;
}

/* One look-up of a step; fills KEY and MEANING on success. */
static enum result try_alias(struct resolver *resolver, const char *key, struct meaning_of *out, struct why *why)
{
	enum result result = find_alias(resolver, key, out, why);

	if (result != RESULT_OK)
		return result;
	out->meaning = MEANS_ALIAS;
	snprintf(out->key, sizeof out->key, "%s", key);
	if (!out->names_itself)
		return RESULT_OK;
	result = find_mailbox(resolver, key, out, why);
	if (result != RESULT_END)
		return result;
	out->maybe_system = resolver->conf->system_users && *key != '@' && is_first_domain(resolver, strchr(key, '@') + 1);
	/* `dawk update` refuses a self without a mailbox */
	return out->maybe_system ? RESULT_OK : damaged("aliases", key, why);
}

static enum result try_address(struct resolver *resolver, const char *key, struct meaning_of *out, struct why *why)
{
	enum result result = try_alias(resolver, key, out, why);

	if (result != RESULT_END)
		return result;
	result = find_mailbox(resolver, key, out, why);
	if (result == RESULT_OK) {
		out->meaning = MEANS_MAILBOX;
		snprintf(out->key, sizeof out->key, "%s", key);
	}
	return result;
}

/* A folded local address, taken apart. */
struct parts { char local[ADDRESS_LOCAL_MAX + 1]; const char *at_domain; };	/* "@example.org" */

static struct parts split_folded(const char *folded)
{
	struct parts parts = { .at_domain = strrchr(folded, '@') };

	snprintf(parts.local, sizeof parts.local, "%.*s", (int)(parts.at_domain - folded), folded);
	return parts;
}

/* The next separator to the left of BEFORE. Cuts the local part there. A local part in quotes has no
 * extension, nor has one that starts with a separator (RFC 5233 4: user is not empty). */
static bool cut_extension(const struct resolver *resolver, char *local, size_t *before)
{
	if (*local == '"')
		return false;
	for (size_t i = *before; i-- > 1; )
		if (strchr(resolver->conf->subaddress, local[i])) {
			local[i] = '\0';
			*before = i;
			return true;
		}
	return false;
}

/* Calls TRY with the full local part, then with ever shorter ones, until it finds something. */
static enum result try_extensions(struct resolver *resolver, const struct parts *parts, bool with_domain,
                                  enum result (*try)(struct resolver *, const char *, struct meaning_of *, struct why *),
                                  struct meaning_of *out, struct why *why)
{
	char local[ADDRESS_LOCAL_MAX + 1], key[ADDRESS_MAX + 1];
	size_t length = strlen(parts->local), before = length;
	enum result result;

	memcpy(local, parts->local, sizeof local);
	for (int tries = 0; tries <= EXTENSIONS_MAX; tries++) {
		snprintf(key, sizeof key, "%s%s", local, with_domain ? parts->at_domain : "");
		result = try(resolver, key, out, why);
		if (result == RESULT_OK)
			snprintf(out->extension, sizeof out->extension, "%s", before < length ? parts->local + before + 1 : "");
		if (result != RESULT_END)
			return result;
		if (!cut_extension(resolver, local, &before))
			return RESULT_END;
	}
	return RESULT_END;
}

static enum result try_catch_all(struct resolver *resolver, const char *folded, struct meaning_of *out, struct why *why)
{
	return try_alias(resolver, strrchr(folded, '@'), out, why);
}

/* Nobody of that name: the key tells whom to ask the system for. */
static void set_unknown(const struct resolver *resolver, const struct parts *parts, struct meaning_of *out)
{
	char local[ADDRESS_LOCAL_MAX + 1];
	size_t length = strlen(parts->local);

	memcpy(local, parts->local, sizeof local);
	if (*local != '"')
		length = 1 + strcspn(local + 1, *resolver->conf->subaddress ? resolver->conf->subaddress : "\n");
	if (length < strlen(local))
		snprintf(out->extension, sizeof out->extension, "%s", local + length + 1);
	local[length] = '\0';
	snprintf(out->key, sizeof out->key, "%s%s", local, parts->at_domain);
	out->meaning = MEANS_UNKNOWN;
	out->maybe_system = resolver->conf->system_users && is_first_domain(resolver, parts->at_domain + 1);
}

static enum result resolve_local(struct resolver *resolver, const char *folded, struct meaning_of *out, struct why *why)
{
	const struct parts parts = split_folded(folded);
	enum result result;

	result = try_extensions(resolver, &parts, true, try_address, out, why);
	if (result == RESULT_END)
		result = try_extensions(resolver, &parts, false, try_alias, out, why);
	if (result != RESULT_END)
		return result;
	set_unknown(resolver, &parts, out);
	if (out->maybe_system)
		return RESULT_OK;
	result = try_catch_all(resolver, folded, out, why);
	if (result == RESULT_OK)
		*out->extension = '\0';
	return result == RESULT_END ? RESULT_OK : result;
}

void resolve_fold(const struct resolver *resolver, const struct address *address, char *folded)
{
	size_t length = address_fold(address, folded);

	if (*address->domain == '\0')
		snprintf(folded + length, ADDRESS_MAX + 1 - length, "@%s", resolver->conf->domains.items[0]);
}

static void out_clear(struct meaning_of *out)
{
	/* not maildir: four kilobytes for nothing at each look-up */
	out->meaning = MEANS_UNKNOWN;
	*out->key = *out->extension = *out->maildir = *out->quota = '\0';
	out->uid = (uid_t)-1;
	out->gid = (gid_t)-1;
	out->is_mbox = out->has_programs = out->names_itself = out->maybe_system = false;
	out->members = NULL;
	out->members_length = 0;
	out->count = 0;
}

void resolve(struct resolver *resolver, const struct address *address, struct meaning_of *out, struct why *why)
{
	char folded[ADDRESS_MAX + 1];
	const char *domain;

	out_clear(out);
	if (address->length == 0)
		return;
	resolve_fold(resolver, address, folded);
	domain = strrchr(folded, '@') + 1;
	if (configuration_is_local_domain(resolver->conf, domain, strlen(domain))) {
		if (resolve_local(resolver, folded, out, why) != RESULT_OK)
			out->meaning = MEANS_LATER;
		return;
	}
	memcpy(out->key, folded, sizeof out->key);
	out->meaning = configuration_is_relay_domain(resolver->conf, domain, strlen(domain)) ? MEANS_RELAY : MEANS_REMOTE;
}

void resolve_catch_all(struct resolver *resolver, const struct address *address, struct meaning_of *out, struct why *why)
{
	char folded[ADDRESS_MAX + 1];
	enum result result;

	out_clear(out);
	resolve_fold(resolver, address, folded);
	result = try_catch_all(resolver, folded, out, why);
	if (result != RESULT_OK)
		out->meaning = result == RESULT_END ? MEANS_UNKNOWN : MEANS_LATER;
}

static enum result try_relay_recipient(struct resolver *resolver, const char *key, struct meaning_of *out, struct why *why)
{
	const char *value;
	size_t length;

	(void)out;
	return look_up(resolver, resolver->relay_recipients, "relay-recipients", key, &value, &length, why);
}

enum result resolve_relay_recipient(struct resolver *resolver, const struct address *address, bool *is_listed, struct why *why)
{
	char folded[ADDRESS_MAX + 1];
	struct meaning_of out;
	enum result result;

	resolve_fold(resolver, address, folded);
	const struct parts parts = split_folded(folded);
	result = try_relay_recipient(resolver, parts.at_domain + 1, NULL, why);
	if (is_listed)
		*is_listed = result != RESULT_END;
	if (result == RESULT_END)
		return RESULT_OK;	/* not spoken of */
	if (result == RESULT_OK)
		result = try_extensions(resolver, &parts, true, try_relay_recipient, &out, why);
	if (result == RESULT_END)
		result = try_relay_recipient(resolver, parts.at_domain, NULL, why);
	return result;
}

static bool key_exists(struct table *table, const char *key)
{
	const char *value;
	size_t length;

	return table_find(table, key, strlen(key), &value, &length, NULL) == RESULT_OK;
}

bool resolve_owner(struct resolver *resolver, const char *folded, char *owner)
{
	static const char prefix[] = "owner-";
	struct parts parts;
	char bare[ADDRESS_LOCAL_MAX + 1];

	if (strncmp(folded, prefix, sizeof prefix - 1) == 0 || *folded == '"' || !strchr(folded, '@'))
		return false;
	parts = split_folded(folded);
	if (strlen(parts.local) + sizeof prefix - 1 > ADDRESS_LOCAL_MAX)
		return false;
	snprintf(bare, sizeof bare, "%s%.*s", prefix, (int)(sizeof bare - sizeof prefix), parts.local);
	snprintf(owner, ADDRESS_MAX + 1, "%s%s", bare, parts.at_domain);
	return key_exists(resolver->aliases, owner) || key_exists(resolver->users, owner) || key_exists(resolver->aliases, bare);
}

enum result resolve_account(uid_t uid, gid_t gid, const char *home, struct meaning_of *out)
{
	out_clear(out);
	if (uid < FIRST_ACCOUNT || uid == NOBODY || *home != '/' ||
	    snprintf(out->maildir, sizeof out->maildir, "%s/Maildir", home) >= (int)sizeof out->maildir)
		return RESULT_END;
	out->meaning = MEANS_MAILBOX;
	out->uid = uid;
	out->gid = gid;
	return RESULT_OK;
}

enum result resolve_system_account(const char *local, struct meaning_of *out, char *home, struct why *why)
{
	struct passwd account, *found;
	char buffer[4096];
	int failure = getpwnam_r(local, &account, buffer, sizeof buffer, &found);

	out_clear(out);
	*home = '\0';
	if (failure != 0 && failure != ENOENT && failure != ESRCH) {
		errno = failure;
		return why_errno(why, RESULT_RETRY, "look up the account %s", local);
	}
	if (failure != 0 || !found || snprintf(home, 4096, "%s", account.pw_dir) >= 4096)
		return RESULT_END;
	return resolve_account(account.pw_uid, account.pw_gid, account.pw_dir, out);
}
