/* Aliases followed to their ends; see resolve.h. */
#include "resolve.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

/* An expansion under way. */
struct expansion {
	struct resolver *resolver;
	bool (*take)(void *context, const char *address, const char *owner);
	void *context;
	critbit0_tree seen;		/* addresses resolved, folded: each once, so that loops end */
	critbit0_tree taken;
	uint32_t taken_count;
	struct meaning_of meaning;	/* large: one for all levels */
	struct why *why;
};

/* RESULT_OK: was not in TREE. RESULT_END: was. */
static enum result remember(struct expansion *expansion, critbit0_tree *tree, const char *text)
{
	switch (critbit0_insert(tree, text)) {
	case 2:  return RESULT_OK;
	case 1:  return RESULT_END;
	default: return why_set(expansion->why, RESULT_RETRY, "expand an alias: no memory");
	}
}

static enum result take_once(struct expansion *expansion, const char *text, const char *owner)
{
	enum result result = remember(expansion, &expansion->taken, text);

	if (result != RESULT_OK)
		return result == RESULT_END ? RESULT_OK : result;
	expansion->taken_count++;
	if (!expansion->take(expansion->context, text, owner))
		return why_set(expansion->why, RESULT_RETRY, "too many recipients");
	return RESULT_OK;
}

static enum result expand_address(struct expansion *expansion, const struct address *address, const char *owner,
                                  unsigned depth, uint32_t *count);

/* The alias that is being expanded: what has to outlast further look-ups. */
struct open_alias {
	const char *folded;		/* the address that led to it */
	char key[ADDRESS_MAX + 1];
	const char *owner;
	bool names_itself;
	char *members;
	size_t members_length;
};

static enum result expand_members(struct expansion *expansion, const struct open_alias *alias, unsigned depth)
{
	const char *at = alias->members, *end = at + alias->members_length, *member;
	size_t length;
	enum result result = RESULT_OK;

	while (result == RESULT_OK && alias_next_member(&at, end, &member, &length)) {
		struct address address;
		if (*member == '|' || *member == '/')
			continue;
		if (alias->names_itself && strlen(alias->key) == length && memcmp(alias->key, member, length) == 0)
			result = take_once(expansion, alias->folded, alias->owner);
		else if (address_parse(member, length, &address, expansion->why) == RESULT_OK)
			result = expand_address(expansion, &address, alias->owner, depth + 1, NULL);
		else
			result = why_set(expansion->why, RESULT_RETRY, "alias %s holds a damaged member (run `dawk update`)", alias->key);
	}
	return result;
}

static enum result expand_alias(struct expansion *expansion, const char *folded, const char *owner, unsigned depth, uint32_t *count)
{
	const struct meaning_of *meaning = &expansion->meaning;
	struct open_alias alias = { .folded = folded, .owner = owner, .names_itself = meaning->names_itself };
	bool is_long = meaning->count > EXPAND_MEMBERS_MAX, as_itself = is_long || meaning->has_programs;
	char own[ADDRESS_MAX + 1];
	enum result result = RESULT_OK;

	if (count)
		*count = meaning->count;
	if (depth >= EXPAND_DEPTH_MAX)
		return why_set(expansion->why, RESULT_RETRY, "aliases nested deeper than %d at %s", EXPAND_DEPTH_MAX, folded);
	memcpy(alias.key, meaning->key, sizeof alias.key);
	if (!is_long) {
		alias.members_length = meaning->members_length;
		alias.members = malloc(alias.members_length + 1);
		if (!alias.members)
			return why_set(expansion->why, RESULT_RETRY, "expand an alias: no memory");
		memcpy(alias.members, meaning->members, alias.members_length);
	}
	if (*alias.key != '@' && resolve_owner(expansion->resolver, folded, own))
		alias.owner = own;
	if (as_itself)
		result = take_once(expansion, folded, alias.owner);
	if (result == RESULT_OK && !is_long)
		result = expand_members(expansion, &alias, depth);
	free(alias.members);
	return result;
}

static enum result expand_address(struct expansion *expansion, const struct address *address, const char *owner,
                                  unsigned depth, uint32_t *count)
{
	char folded[ADDRESS_MAX + 1];
	enum result result;

	resolve_fold(expansion->resolver, address, folded);
	result = remember(expansion, &expansion->seen, folded);
	if (result != RESULT_OK)
		return result == RESULT_END ? RESULT_OK : result;
	resolve(expansion->resolver, address, &expansion->meaning, expansion->why);
	switch (expansion->meaning.meaning) {
	case MEANS_LATER:
		return RESULT_RETRY;
	case MEANS_ALIAS:
		return expand_alias(expansion, folded, owner, depth, count);
	case MEANS_UNKNOWN:
		return depth == 0 ? RESULT_END : take_once(expansion, folded, owner);
	case MEANS_MAILBOX:
		return take_once(expansion, folded, owner);
	default:	/* another host's: the case of its local part is its own affair, RFC 5321 2.4 */
		return take_once(expansion, address->text, owner);
	}
}

enum result resolve_expand(struct resolver *resolver, const struct address *address,
                           bool (*take)(void *context, const char *address, const char *owner), void *context,
                           uint32_t *member_count, struct why *why)
{
	struct expansion *expansion = calloc(1, sizeof *expansion);
	enum result result;

	*member_count = 0;
	if (!expansion)
		return why_set(why, RESULT_RETRY, "expand an alias: no memory");
	if (address->length == 0) {
		free(expansion);
		return RESULT_END;
	}
	expansion->resolver = resolver;
	expansion->take = take;
	expansion->context = context;
	expansion->why = why;
	result = expand_address(expansion, address, NULL, 0, member_count);
	if (result == RESULT_OK && expansion->taken_count == 0)
		result = why_set(why, RESULT_RETRY, "the alias %s leads back to itself only", address->text);
	critbit0_clear(&expansion->seen);
	critbit0_clear(&expansion->taken);
	free(expansion);
	return result;
}
