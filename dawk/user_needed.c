#include "user_needed.h"
#include "command.h"
#include "common/resolve.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

struct search {
	const struct configuration *conf;
	struct resolver *follower, *judge;	/* two: a look-up ends what the last one gave */
	struct table *aliases;
	char folded[ADDRESS_MAX + 1];		/* whose mailbox is to go */
	bool is_found;
};

static bool note_mailbox(void *context, const char *text, const char *owner)
{
	struct search *search = context;
	struct address address;
	struct meaning_of meaning;

	(void)owner;
	if (address_parse(text, strlen(text), &address, NULL) != RESULT_OK)
		return true;	/* a program */
	resolve(search->judge, &address, &meaning, NULL);
	if (meaning.meaning == MEANS_MAILBOX || (meaning.meaning == MEANS_ALIAS && meaning.names_itself))
		search->is_found = search->is_found || strcmp(meaning.key, search->folded) == 0;
	return true;
}

/* RESULT_END: there is no such alias. */
static enum result follow(struct search *search, const char *key, struct why *why)
{
	const char *value, *at, *end, *member;
	size_t length;
	uint32_t count;
	enum result result = table_find(search->aliases, key, strlen(key), &value, &length, why);

	if (result != RESULT_OK || !(at = memchr(value, '\n', length)))
		return result;
	for (end = value + length, at++; alias_next_member(&at, end, &member, &length); ) {
		struct address address;
		if (address_parse(member, length, &address, NULL) == RESULT_OK)
			resolve_expand(search->follower, &address, note_mailbox, search, &count, NULL);
	}
	return RESULT_OK;
}

static bool is_system_account(const struct search *search, const char *local)
{
	struct meaning_of meaning;
	char home[PATH_MAX];

	return search->conf->system_users && strcmp(strrchr(search->folded, '@') + 1, search->conf->domains.items[0]) == 0 &&
	       resolve_system_account(local, &meaning, home, NULL) == RESULT_OK;
}

/* In the order of resolve.h, without the mailbox. */
static int judge(struct search *search, struct why *why)
{
	const char *at = strrchr(search->folded, '@'), *aliases = search->conf->aliases, *key = search->folded;
	char local[ADDRESS_MAX + 1];
	enum result result = follow(search, key, why);

	snprintf(local, sizeof local, "%.*s", (int)(at - search->folded), search->folded);
	if (result == RESULT_END)
		result = follow(search, key = local, why);
	if (result == RESULT_END && is_system_account(search, local))
		return EX_OK;
	if (result == RESULT_END)
		result = follow(search, key = at, why);
	if (search->is_found)
		return command_fail("user", EX_DATAERR, "the alias `%s` in %s brings its mail to %s: nothing is changed; have that line name another "
		                    "address and run `dawk update` first", key, aliases, search->folded);
	if (result == RESULT_END && strcmp(local, "postmaster") == 0)
		return command_fail("user", EX_DATAERR, "mail for %s has to arrive (RFC 5321 4.5.1): nothing is changed; put a line "
		                    "`postmaster: ADDRESS` into %s and run `dawk update` first", search->folded, aliases);
	return EX_OK;
}

int user_needed(const struct configuration *conf, const struct address *address)
{
	struct search search = { .conf = conf };
	struct table_directory *tables;
	struct why why;
	char path[PATH_MAX];
	int code = EX_OK;

	if (!configuration_path(conf, "tables", path, sizeof path) || table_directory_open(path, &tables, &why) != RESULT_OK)
		return EX_OK;
	address_fold(address, search.folded);
	if (table_open(tables, "aliases", &search.aliases, &why) == RESULT_OK &&
	    resolver_make(conf, tables, &search.follower, &why) == RESULT_OK && resolver_make(conf, tables, &search.judge, &why) == RESULT_OK)
		code = judge(&search, &why);
	resolver_free(search.judge);
	resolver_free(search.follower);
	table_close(search.aliases);
	table_directory_close(tables);
	return code;
}
