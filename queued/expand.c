#include "queued/expand.h"

#include "common/log.h"
#include <stdlib.h>
#include <string.h>

/* ---- one address ---- */

struct taking {
	const struct envelope_recipient *original;
	stralloc *recipients;
	uint32_t *count;
	struct why *why;
};

static bool take(void *context, const char *address, const char *owner)
{
	struct taking *taking = context;
	struct envelope_recipient recipient = *taking->original;

	if (!recipient.as && strcmp(address, recipient.address) != 0)
		recipient.as = recipient.address;
	recipient.address = address;
	if (owner)
		recipient.owner = owner;
	if (envelope_append_recipient(taking->recipients, &recipient, taking->why) != RESULT_OK)
		return false;
	++*taking->count;
	return true;
}

enum result expand_address(struct scheduler *s, const char *address, const struct envelope_recipient *original,
                           stralloc *recipients, uint32_t *count, struct why *why)
{
	struct envelope_recipient as_given = *original;
	struct taking taking = { &as_given, recipients, count, why };
	struct address parsed;
	uint32_t members;
	enum result result;

	as_given.address = address;
	if (address_parse(address, strlen(address), &parsed, NULL) != RESULT_OK || !dispatch_is_local(s, parsed.text))
		return take(&taking, address, NULL) ? RESULT_OK : RESULT_RETRY;
	result = resolve_expand(s->resolver, &parsed, take, &taking, &members, why);
	if (result == RESULT_END)	/* unknown, perhaps an account of the system: locald says so */
		return take(&taking, address, NULL) ? RESULT_OK : RESULT_RETRY;
	return result;
}

/* ---- lists ---- */

static enum result find_list(struct scheduler *s, const char *address, struct meaning_of *meaning, struct why *why)
{
	struct address parsed;

	if (address_parse(address, strlen(address), &parsed, why) != RESULT_OK)
		return RESULT_END;
	resolve(s->resolver, &parsed, meaning, why);
	if (meaning->meaning == MEANS_LATER)
		return RESULT_RETRY;
	return meaning->meaning == MEANS_ALIAS && meaning->count > EXPAND_MEMBERS_MAX ? RESULT_OK : RESULT_END;
}

bool expand_is_long_list(struct scheduler *s, struct message *m, uint32_t index)
{
	static struct meaning_of meaning;	/* 5 KB, used up before the next call */
	struct why why = { 0 };
	struct making *making;

	switch (find_list(s, m->envelope.recipients[index].address, &meaning, &why)) {
	case RESULT_OK:
		if (!m->recipients[index].is_list_done)
			break;
		if (meaning.has_programs)
			return false;	/* they are left, for locald */
		dispatch_result(s, m, index, STATE_EXPANDED, "2.1.5", "expanded to the members of the list");
		return true;	/* a crash took this result, and left that the last part was made */
	case RESULT_RETRY:
		dispatch_result(s, m, index, STATE_DEFERRED, "4.3.0", why.text);
		return true;
	default:
		message_drop_making(m, index);	/* of the long list that it was: locald names its members now */
		return false;
	}
	making = message_making(m, index);
	if (!making) {
		dispatch_result(s, m, index, STATE_DEFERRED, "4.3.0", "out of memory");
		return true;
	}
	message_set_phase(m, index, PHASE_MAKING);
	return true;
}

/* Where the list goes on. It may have been replaced since the last part: then behind the last member that was
 * reached, wherever that stands now; from the start when that is gone, for twice is better than never. */
static const char *resume(const struct meaning_of *meaning, const struct making *making)
{
	const char *at = meaning->members, *end = at + meaning->members_length, *member;
	size_t length;

	if (!making->offset)
		return at;
	if (making->offset <= meaning->members_length && making->offset > making->member.len) {
		const char *last = at + making->offset - making->member.len - 1;

		if (memcmp(last, making->member.s, making->member.len) == 0 && last[making->member.len] == '\n')
			return at + making->offset;
	}
	while (alias_next_member(&at, end, &member, &length))
		if (length == making->member.len && memcmp(member, making->member.s, length) == 0)
			return at;
	return meaning->members;
}

/* The members are copied off the table: expanding one of them looks others up. */
static enum result append_members(struct scheduler *s, const char *at, const char *end, const struct envelope_recipient *original,
                                  struct making *making, stralloc *recipients, uint32_t *count, struct why *why)
{
	const char *start = at, *member;
	char address[ADDRESS_MAX + 1];
	size_t length;

	while (*count < EXPAND_PART_RECIPIENTS && alias_next_member(&at, end, &member, &length)) {
		enum result result;

		making->member.len = 0;
		if (!text_append(&making->member, member, length))
			return why_set(why, RESULT_RETRY, "out of memory for a list");
		if (*member == '|' || *member == '/' || length > ADDRESS_MAX)
			continue;	/* locald's, once the parts are made */
		memcpy(address, member, length);
		address[length] = '\0';
		result = expand_address(s, address, original, recipients, count, why);
		if (result != RESULT_OK)
			return result;
	}
	making->offset += (uint64_t)(at - start);
	if (at == end)
		making->offset = STATE_OFFSET_END;
	return RESULT_OK;
}

static void find_owner(struct scheduler *s, const char *key, char *owner)
{
	static struct meaning_of meaning;
	struct address parsed;
	char name[ADDRESS_MAX + 8];
	int length = snprintf(name, sizeof name, "owner-%s", key);

	owner[0] = '\0';
	if (*key == '@' || address_parse(name, (size_t)length, &parsed, NULL) != RESULT_OK)
		return;
	resolve(s->resolver, &parsed, &meaning, NULL);
	if (meaning.meaning == MEANS_MAILBOX || meaning.meaning == MEANS_ALIAS)
		memcpy(owner, parsed.text, parsed.length + 1);
}

enum result expand_next_part(struct scheduler *s, const struct message *m, struct making *making,
                             stralloc *recipients, uint32_t *count, char *owner, struct why *why)
{
	static struct meaning_of meaning;
	const struct envelope_recipient *list = &m->envelope.recipients[making->index];
	struct envelope_recipient original = { .as = child_postmaster(s, m, making->index), .notify = list->notify & ~(unsigned)NOTIFY_SUCCESS };
	enum result result = find_list(s, list->address, &meaning, why);
	const char *from;
	stralloc members = { 0 };
	char key[ADDRESS_MAX + 1];

	*count = 0;
	if (result != RESULT_OK)
		return result;
	if (list->notify && !original.notify)
		original.notify = NOTIFY_NEVER;	/* asked for successes alone */
	snprintf(key, sizeof key, "%s", strchr(meaning.key, '@') ? meaning.key : list->address);
	from = resume(&meaning, making);
	making->offset = (uint64_t)(from - meaning.members);
	if (!text_append(&members, from, meaning.members_length - (size_t)making->offset))
		return why_set(why, RESULT_RETRY, "out of memory for a list");
	making->is_with_programs = meaning.has_programs;
	result = append_members(s, members.s, members.s + members.len, &original, making, recipients, count, why);
	find_owner(s, key, owner);
	stralloc_free(&members);
	return result;
}
