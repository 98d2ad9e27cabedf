#include "verify.h"

#include <stdio.h>
#include <string.h>

struct asked {
	struct address address;
	bool takes_utf8;	/* the answer may hold UTF-8 */
};

bool verify_may_expand(const struct session *s)
{
	return network_list_contains(&s->worker->conf->expn_networks, &s->ip);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* A full address in quotes: strictly it has to stand so, since an Atom holds no '@' (RFC 5321 4.1.2). */
static bool take_quoted(const char *arg, size_t length, struct address *address, size_t *used)
{
	const char *close = length > 1 && *arg == '"' ? memchr(arg + 1, '"', length - 1) : NULL;

	if (!close || (close + 1 < arg + length && !is_blank(close[1])))
		return false;
	*used = (size_t)(close + 1 - arg);
	return address_parse(arg + 1, *used - 2, address, NULL) == RESULT_OK && *address->domain;
}

/* [blanks "SMTPUTF8"], RFC 6531 3.7.4.2, and no more. */
static bool take_parameter(const char *at, const char *end, bool *takes_utf8)
{
	const char *word;
	size_t length;

	if (at < end && !is_blank(*at))
		return false;
	*takes_utf8 = text_next_word(&at, end, &word, &length);
	return !*takes_utf8 || (text_equal_folded(word, length, "SMTPUTF8", 8) && !text_next_word(&at, end, &word, &length));
}

static enum reply take_name(struct session *s, const char *arg, size_t length, struct asked *asked)
{
	struct why words = { .errno_value = 0 };
	size_t used;

	if (!take_quoted(arg, length, &asked->address, &used) &&
	    address_parse_path(arg, length, &asked->address, &used, &words) != RESULT_OK)
		used = 0;
	if (used == 0 || asked->address.length == 0) {
		session_words(s, "%s", *words.text ? words.text : "a name or an address is needed");
		return SAY_SYNTAX;
	}
	if (!take_parameter(arg + used, arg + length, &asked->takes_utf8)) {
		session_words(s, "one name or address; a name with blanks in it stands in quotes");
		return SAY_SYNTAX;
	}
	return SAY_OK;
}

static enum reply say_verified(struct session *s, const struct asked *asked)
{
	const struct address *address = &asked->address;

	if (address->needs_smtputf8 && !asked->takes_utf8)
		return SAY_VRFY_IN_UTF8;
	session_words(s, *address->domain ? "<%s>" : "<%s@%s>", address->text, s->worker->conf->domains.items[0]);
	return SAY_VERIFIED;
}

enum reply vrfy(struct session *s, const char *arg, size_t length)
{
	struct asked asked;
	struct why why;
	enum reply reply = take_name(s, arg, length, &asked);

	if (reply != SAY_OK)
		return reply;
	if (!s->worker->conf->vrfy)
		return SAY_NO_VRFY;	/* RFC 5321 3.5.3, 7.3 */
	resolve(s->worker->resolver, &asked.address, &s->worker->meaning, &why);
	switch (s->worker->meaning.meaning) {
	case MEANS_MAILBOX:
	case MEANS_ALIAS:
		return say_verified(s, &asked);
	case MEANS_UNKNOWN:
		return s->worker->meaning.maybe_system ? SAY_NO_VRFY : SAY_NO_SUCH_RECIPIENT;
	default:
		return SAY_NO_VRFY;
	}
}

static bool is_ascii(const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)bytes[i] >= 0x80)
			return false;
	return true;
}

/* One line a member, all of them or none; programs and paths are nobody's business. */
static enum reply show_members(struct session *s, const struct asked *asked)
{
	const struct meaning_of *meaning = &s->worker->meaning;
	const char *at = meaning->members, *end = at + meaning->members_length, *member;
	char *words = s->worker->words;
	size_t used = 0, length;

	while (alias_next_member(&at, end, &member, &length)) {
		if (length == 0 || *member == '|' || *member == '/')
			continue;
		if (used + length + 4 > REPLY_WORDS_MAX)
			return SAY_NO_VRFY;
		if (!asked->takes_utf8 && !is_ascii(member, length))
			return SAY_EXPN_IN_UTF8;
		used += (size_t)snprintf(words + used, REPLY_WORDS_MAX - used, "%s<%.*s>", used ? "\n" : "", (int)length, member);
	}
	return used ? SAY_VERIFIED : SAY_NO_VRFY;
}

enum reply expn(struct session *s, const char *arg, size_t length)
{
	struct asked asked;
	struct why why;

	if (!verify_may_expand(s))
		return SAY_NO_EXPN;	/* RFC 5321 7.3 */
	enum reply reply = take_name(s, arg, length, &asked);
	if (reply != SAY_OK)
		return reply;
	resolve(s->worker->resolver, &asked.address, &s->worker->meaning, &why);
	if (s->worker->meaning.meaning == MEANS_ALIAS)
		return s->worker->meaning.count <= EXPAND_MEMBERS_MAX ? show_members(s, &asked) : SAY_NO_VRFY;
	return s->worker->meaning.meaning == MEANS_UNKNOWN ? SAY_NO_SUCH_RECIPIENT : SAY_NO_VRFY;
}
