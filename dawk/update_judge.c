/* What is wrong with aliases as a whole: loops, nesting, selves without a mailbox. Asks the compiled
 * tables the very questions that a message will ask. See update.h. */
#include "update.h"
#include "common/resolve.h"

#include <stdlib.h>
#include <string.h>

struct judge {
	struct update *update;
	struct resolver *resolver;
	struct table *lines;
	critbit0_tree done;		/* keys judged: "KEY", and "HEIGHT KEY" with two digits */
	const char *path[EXPAND_DEPTH_MAX + 1];	/* keys from the alias in question down to here */
	unsigned depth;
	struct meaning_of meaning;
	uint64_t count;
};

static unsigned line_of(struct judge *judge, const char *key)
{
	const char *value;
	size_t length;
	uint64_t line;

	if (table_find(judge->lines, key, strlen(key), &value, &length, NULL) != RESULT_OK || !text_to_number(value, length, &line))
		return 0;
	return (unsigned)line;
}

static bool is_done(struct judge *judge, const char *key)
{
	return critbit0_contains(&judge->done, key) != 0;
}

static unsigned height_of(struct judge *judge, const char *key)
{
	char entry[ADDRESS_MAX + 8];

	for (unsigned height = 1; height <= EXPAND_DEPTH_MAX; height++) {
		snprintf(entry, sizeof entry, "%02u %s", height, key);
		if (is_done(judge, entry))
			return height;
	}
	return 1;
}

/* Nearly all have height 1, which needs no entry of its own. */
static void set_done(struct judge *judge, const char *key, unsigned height)
{
	char entry[ADDRESS_MAX + 8];

	snprintf(entry, sizeof entry, "%02u %s", height, key);
	if (critbit0_insert(&judge->done, key) == 0 || (height > 1 && critbit0_insert(&judge->done, entry) == 0))
		update_failure(judge->update, &(struct why){ 0, "judge the aliases: no memory" });
}

static bool is_on_path(const struct judge *judge, const char *key)
{
	for (unsigned i = 0; i < judge->depth; i++)
		if (strcmp(judge->path[i], key) == 0)
			return true;
	return false;
}

static void tell_loop(struct judge *judge, const char *key)
{
	stralloc way = { 0 };
	bool is_inside = false;

	for (unsigned i = 0; i < judge->depth; i++) {
		is_inside = is_inside || strcmp(judge->path[i], key) == 0;
		if (is_inside)
			text_append_format(&way, "%s -> ", judge->path[i]);
	}
	text_append_format(&way, "%s", key);
	text_append_nul(&way);
	update_error(judge->update, judge->update->conf->aliases, line_of(judge, key),
	             "expected aliases that end somewhere, found a loop: %.600s", way.s ? way.s : key);
	stralloc_free(&way);
}

static unsigned judge_alias(struct judge *judge, const char *key, const char *members, size_t length);

/* Follows one member. Returns how many aliases deep it goes: 0 for an end. */
static unsigned judge_member(struct judge *judge, const char *key, const char *member, size_t length)
{
	struct address address;
	struct why why = { 0 };
	char next[ADDRESS_MAX + 1];

	if (*member == '|' || *member == '/' || (strlen(key) == length && memcmp(key, member, length) == 0) ||
	    address_parse(member, length, &address, NULL) != RESULT_OK)
		return 0;
	resolve(judge->resolver, &address, &judge->meaning, &why);
	if (judge->meaning.meaning == MEANS_LATER)
		update_failure(judge->update, &why);
	if (judge->meaning.meaning == MEANS_UNKNOWN && !judge->meaning.maybe_system)
		update_warning(judge->update, judge->update->conf->aliases, line_of(judge, key),
		               "%s has the member %s, which has no mailbox and no alias here", key, address.text);
	if (judge->meaning.meaning != MEANS_ALIAS)
		return 0;
	memcpy(next, judge->meaning.key, sizeof next);
	if (is_on_path(judge, next)) {
		tell_loop(judge, next);
		return 0;
	}
	if (is_done(judge, next))
		return height_of(judge, next);
	return judge_alias(judge, next, judge->meaning.members, judge->meaning.members_length);
}

/* Returns 1 for an alias whose members are all ends, one more for each level below. */
static unsigned judge_alias(struct judge *judge, const char *key, const char *members, size_t length)
{
	const char *at, *end, *member;
	char *copy;
	size_t member_length;
	unsigned height = 0;

	if (judge->depth == EXPAND_DEPTH_MAX)
		return 1;		/* told by whoever is on top */
	copy = malloc(length + 1);
	if (!copy) {
		update_failure(judge->update, &(struct why){ 0, "judge the aliases: no memory" });
		return 1;
	}
	memcpy(copy, members, length);
	judge->path[judge->depth++] = key;
	for (at = copy, end = copy + length; alias_next_member(&at, end, &member, &member_length); ) {
		unsigned below = judge_member(judge, key, member, member_length);
		if (below > height)
			height = below;
	}
	judge->depth--;
	free(copy);
	if (++height > EXPAND_DEPTH_MAX)
		height = EXPAND_DEPTH_MAX;
	if (height == EXPAND_DEPTH_MAX)
		update_error(judge->update, judge->update->conf->aliases, line_of(judge, key),
		             "expected aliases nested less than %d deep, found %s", EXPAND_DEPTH_MAX, key);
	set_done(judge, key, height);
	update_progress(judge->update, "judged aliases", ++judge->count);
	return height;
}

/* An alias that names itself means its mailbox: there has to be one. */
static void judge_self(struct judge *judge, const char *key, uint32_t count)
{
	bool may_be_system = judge->update->conf->system_users &&
	                     strcmp(strchr(key, '@') + 1, judge->update->conf->domains.items[0]) == 0;

	if (!may_be_system)
		update_error(judge->update, judge->update->conf->aliases, line_of(judge, key),
		             "expected a mailbox for %s, which names itself%s, found none (`dawk user add %s` makes one)",
		             key, count == 1 ? " only" : "", key);
}


struct walk { struct judge *judge; struct table *users; };

static bool judge_self_flags(void *context, const char *key, size_t key_length, const char *value, size_t value_length)
{
	struct walk *walk = context;
	const char *newline = memchr(value, '\n', value_length), *found;
	size_t found_length;
	char name[ADDRESS_MAX + 1];
	uint64_t count = 0;

	if (!newline || !memchr(value, 's', (size_t)(newline - value)) || key_length >= sizeof name)
		return true;
	if (table_find(walk->users, key, key_length, &found, &found_length, NULL) == RESULT_OK)
		return true;
	memcpy(name, key, key_length);
	name[key_length] = '\0';
	text_to_number(value, (size_t)((const char *)memchr(value, ' ', value_length) - value), &count);
	judge_self(walk->judge, name, (uint32_t)count);
	return true;
}

static bool judge_record(void *context, const char *key, size_t key_length, const char *value, size_t value_length)
{
	struct walk *walk = context;
	const char *newline = memchr(value, '\n', value_length);
	char name[ADDRESS_MAX + 1];

	if (!newline || key_length >= sizeof name)
		return true;
	memcpy(name, key, key_length);
	name[key_length] = '\0';
	if (!is_done(walk->judge, name))
		judge_alias(walk->judge, name, newline + 1, value_length - (size_t)(newline + 1 - value));
	return true;
}

static enum result judge_tables(struct judge *judge, struct table_directory *directory, struct why *why)
{
	struct walk walk = { .judge = judge };
	struct table *aliases = NULL;
	enum result result = resolver_make(judge->update->conf, directory, &judge->resolver, why);

	if (result == RESULT_OK)
		result = table_open(directory, "lines", &judge->lines, why);
	if (result == RESULT_OK)
		result = table_open(directory, "aliases", &aliases, why);
	if (result == RESULT_OK)
		result = table_open(directory, "users", &walk.users, why);
	if (result == RESULT_OK)
		result = table_walk(aliases, judge_self_flags, &walk, why);
	if (result == RESULT_OK && judge->update->errors == 0)
		result = table_walk(aliases, judge_record, &walk, why);
	table_close(walk.users);
	table_close(aliases);
	table_close(judge->lines);
	resolver_free(judge->resolver);
	return result;
}

void update_judge_aliases(struct update *update)
{
	struct judge *judge = calloc(1, sizeof *judge);
	struct table_directory *directory;
	struct why why = { 0, "judge the aliases: no memory" };
	enum result result = RESULT_RETRY;

	if (judge) {
		judge->update = update;
		result = table_directory_open(update->staging, &directory, &why);
		if (result == RESULT_OK) {
			result = judge_tables(judge, directory, &why);
			table_directory_close(directory);
		}
		critbit0_clear(&judge->done);
	}
	if (result != RESULT_OK)
		update_failure(update, &why);
	free(judge);
}
