#include "senders.h"

#include "text.h"
#include <stdlib.h>
#include <string.h>

struct senders {
	const struct configuration *conf;
	struct resolver *resolver;
	struct table *senders, *limits;
	struct meaning_of meaning;	/* large: one for all look-ups */
};

enum result senders_make(const struct configuration *conf, struct table_directory *tables, struct resolver *resolver,
                         struct senders **senders, struct why *why)
{
	struct senders *made = calloc(1, sizeof *made);
	enum result result;

	*senders = NULL;
	if (!made)
		return why_set(why, RESULT_RETRY, "open the tables: no memory");
	made->conf = conf;
	made->resolver = resolver;
	result = table_open(tables, "senders", &made->senders, why);
	if (result == RESULT_OK)
		result = table_open(tables, "limits", &made->limits, why);
	if (result == RESULT_OK)
		*senders = made;
	else
		senders_free(made);
	return result;
}

void senders_free(struct senders *senders)
{
	if (!senders)
		return;
	table_close(senders->senders);
	table_close(senders->limits);
	free(senders);
}

/* ---- himself, and aliases ---- */

/* Is it the mailbox of USER that ADDRESS, which was resolved into MEANING, means, whatever its extension? */
static enum result is_mailbox_of(const struct meaning_of *meaning, const char *user)
{
	switch (meaning->meaning) {
	case MEANS_LATER:
		return RESULT_RETRY;
	case MEANS_MAILBOX:
		return strcmp(meaning->key, user) == 0 ? RESULT_OK : RESULT_END;
	case MEANS_ALIAS:
		return meaning->names_itself && strcmp(meaning->key, user) == 0 ? RESULT_OK : RESULT_END;
	case MEANS_UNKNOWN:	/* who logged in is an account of the system */
		return meaning->maybe_system && strcmp(meaning->key, user) == 0 ? RESULT_OK : RESULT_END;
	default:
		return RESULT_END;
	}
}

struct search { struct senders *senders; const char *user; bool is_found, has_failed; struct why *why; };

static bool search_take(void *context, const char *text, const char *owner)
{
	struct search *search = context;
	struct address address;

	if (owner || search->is_found || address_parse(text, strlen(text), &address, NULL) != RESULT_OK)
		return true;
	resolve(search->senders->resolver, &address, &search->senders->meaning, search->why);
	switch (is_mailbox_of(&search->senders->meaning, search->user)) {
	case RESULT_OK:	   search->is_found = true; break;
	case RESULT_RETRY: search->has_failed = true; break;
	default:	   break;
	}
	return true;
}

/* Does ADDRESS lead to the mailbox of USER, by aliases that are no lists? */
static enum result leads_to(struct senders *senders, const char *user, const struct address *address, struct why *why)
{
	struct search search = { .senders = senders, .user = user, .why = why };
	uint32_t members;
	enum result result = resolve_expand(senders->resolver, address, search_take, &search, &members, why);

	if (search.is_found)
		return RESULT_OK;
	return result == RESULT_RETRY || search.has_failed ? RESULT_RETRY : RESULT_END;
}

/* ---- the tables ---- */

/* Is ADDRESS (folded, with or without its extension) in the lines of VALUE? */
static bool lines_contain(const char *value, size_t length, const char *address, const char *plain)
{
	const char *at = value, *end = value + length, *line, *domain = strrchr(address, '@');
	size_t line_length;

	while (alias_next_member(&at, end, &line, &line_length)) {
		const char *const matches[] = { address, plain, domain, "*" };
		for (size_t i = 0; i < sizeof matches / sizeof *matches; i++)
			if (strlen(matches[i]) == line_length && memcmp(matches[i], line, line_length) == 0)
				return true;
	}
	return false;
}

/* FOLDED without its extension, as far as we know of one: which part of a local address is its name was found by
 * resolving it, and of another host's nobody knows. */
static void cut_extension(const struct meaning_of *meaning, const char *folded, char *plain)
{
	bool is_known = (meaning->meaning == MEANS_MAILBOX || meaning->meaning == MEANS_ALIAS) && *meaning->key != '@';
	int local = is_known ? (int)strcspn(meaning->key, "@") : 0;

	if (is_known && *meaning->key != '"')
		snprintf(plain, ADDRESS_MAX + 1, "%.*s%s", local, meaning->key, strrchr(folded, '@'));
	else
		snprintf(plain, ADDRESS_MAX + 1, "%s", folded);
}

static enum result table_gives(struct senders *senders, const char *key, const char *folded, const char *plain, struct why *why)
{
	const char *value;
	size_t length;
	enum result result = table_find(senders->senders, key, strlen(key), &value, &length, why);

	if (result != RESULT_OK)
		return result;
	return lines_contain(value, length, folded, plain) ? RESULT_OK : RESULT_END;
}

enum result senders_judge(struct senders *senders, const char *user, const struct address *address,
                          enum sender_reason *reason, struct why *why)
{
	char folded[ADDRESS_MAX + 1], plain[ADDRESS_MAX + 1];
	const char *domain = strrchr(user, '@');
	enum result result;

	*reason = SENDER_NOT;
	if (!*address->domain)
		return RESULT_END;
	address_fold(address, folded);
	resolve(senders->resolver, address, &senders->meaning, why);
	cut_extension(&senders->meaning, folded, plain);
	*reason = SENDER_SELF;
	result = strcmp(folded, user) == 0 ? RESULT_OK : is_mailbox_of(&senders->meaning, user);
	if (result != RESULT_END)
		return result;
	*reason = SENDER_ALIAS;
	if (senders->meaning.meaning == MEANS_ALIAS && (result = leads_to(senders, user, address, why)) != RESULT_END)
		return result;
	*reason = SENDER_TABLE;
	result = table_gives(senders, user, folded, plain, why);
	if (result == RESULT_END && domain)
		result = table_gives(senders, domain, folded, plain, why);
	if (result != RESULT_OK)
		*reason = SENDER_NOT;
	return result;
}

/* ---- limits ---- */

const char *const user_limit_names[USER_LIMITS] = {
	[USER_MESSAGES_HOUR] = "messages-hour", [USER_MESSAGES_DAY] = "messages-day",
	[USER_RECIPIENTS_HOUR] = "recipients-hour", [USER_RECIPIENTS_DAY] = "recipients-day",
	[USER_STRANGERS_HOUR] = "strangers-hour", [USER_NETWORKS_HOUR] = "networks-hour", [USER_REFUSALS_HOUR] = "refusals-hour",
};

static bool read_limit(const char *word, size_t length, uint32_t limits[USER_LIMITS])
{
	const char *equals = memchr(word, '=', length);
	size_t name = equals ? (size_t)(equals - word) : 0, rest = equals ? length - name - 1 : 0;
	uint64_t number = 0;

	for (unsigned i = 0; i < USER_LIMITS && equals; i++) {
		if (!text_equal_folded(word, name, user_limit_names[i], strlen(user_limit_names[i])))
			continue;
		if (!text_equal_folded(equals + 1, rest, "off", 3) &&
		    (!text_to_number(equals + 1, rest, &number) || number < 1 || number > (i == USER_NETWORKS_HOUR ? USER_NETWORKS_MOST : USER_LIMIT_MOST)))
			return false;
		limits[i] = (uint32_t)number;
		return true;
	}
	return false;
}

enum result user_limits_read(const char *words, size_t length, uint32_t limits[USER_LIMITS], struct why *why)
{
	const char *at = words, *end = words + length, *word;
	size_t word_length;

	while (text_next_word(&at, end, &word, &word_length))
		if (!read_limit(word, word_length, limits))
			return why_set(why, RESULT_NEVER, "expected NAME=NUMBER or NAME=off with a name of dawk-limits(5), found \"%.*s\"",
			               (int)(word_length > 100 ? 100 : word_length), word);
	return RESULT_OK;
}

enum result senders_limits(struct senders *senders, const char *user, uint32_t limits[USER_LIMITS], struct why *why)
{
	const char *const keys[] = { user, strrchr(user, '@'), "*" };
	enum result result = RESULT_END;
	const char *words;
	size_t length;

	memcpy(limits, senders->conf->user_limits, sizeof senders->conf->user_limits);
	for (size_t i = 0; i < sizeof keys / sizeof *keys && result == RESULT_END; i++)
		if (keys[i])
			result = table_find(senders->limits, keys[i], strlen(keys[i]), &words, &length, why);
	if (result == RESULT_END)
		return RESULT_OK;
	if (result != RESULT_OK)
		return result;
	return user_limits_read(words, length, limits, why) == RESULT_OK ? RESULT_OK : RESULT_RETRY;
}
