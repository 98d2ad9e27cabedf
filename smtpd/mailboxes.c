#include "mailboxes.h"

#include "common/text.h"
#include <string.h>

/* What stands next; a special character is its own token. */
enum { END = 0, ATOM = 256, QUOTED, LITERAL, BAD };

/* The words on the way to '@', '<' or ':': a local part or a display name, which shows only there. */
struct words {
	char raw[ADDRESS_LOCAL_MAX];	/* as a local part: without quotes and backslashes */
	size_t length;
	bool is_too_long;
	bool is_name;			/* two words side by side: no local part */
	bool after_word;
	unsigned count;
};

struct reading {
	const char *at, *end;
	int token;
	const char *start;		/* of the token's bytes, quotes and brackets included */
	size_t length;
	bool is_in_group;
	struct words words;
	bool (*found)(void *context, const struct address *address);
	void *context;
	size_t count;
	struct why *why;
};

/* ---- tokens ---- */

/* RFC 5322 3.2.3, RFC 6532 3.2. */
static bool is_atext(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80 ||
	       (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_control(char c)
{
	return ((unsigned char)c < ' ' && !is_blank(c)) || c == 0x7f;
}

/* RFC 5322 3.2.2: comments nest, a backslash quotes. NULL: one does not end. */
static const char *skip_comment(const char *at, const char *end)
{
	size_t depth = 0;

	for (; at < end; at++) {
		if (*at == '\\' && at + 1 < end)
			at++;
		else if (*at == '(')
			depth++;
		else if (*at == ')' && --depth == 0)
			return at + 1;
	}
	return NULL;
}

/* A quoted string or a domain literal, up to CLOSING. NULL: it does not end, or holds what must not be there. */
static const char *skip_quoted(const char *at, const char *end, char closing)
{
	for (at++; at < end && *at != closing; at++) {
		if (*at == '\\' && ++at == end)
			return NULL;
		if (is_control(*at))
			return NULL;
	}
	return at < end ? at + 1 : NULL;
}

static int token_set(struct reading *r, int token, const char *stop)
{
	r->start = r->at;
	r->token = stop ? token : BAD;
	r->length = stop ? (size_t)(stop - r->at) : 0;
	if (stop)
		r->at = stop;
	return r->token;
}

static int token_next(struct reading *r)
{
	while (r->at < r->end && (is_blank(*r->at) || *r->at == '(')) {
		const char *next = *r->at == '(' ? skip_comment(r->at, r->end) : r->at + 1;
		if (!next)
			return token_set(r, BAD, NULL);
		r->at = next;
	}
	if (r->at == r->end)
		return token_set(r, END, r->at);
	if (*r->at == '"')
		return token_set(r, QUOTED, skip_quoted(r->at, r->end, '"'));
	if (*r->at == '[')
		return token_set(r, LITERAL, skip_quoted(r->at, r->end, ']'));
	if (*r->at != '\0' && strchr(".@<>,;:", *r->at))
		return token_set(r, *r->at, r->at + 1);
	const char *stop = r->at;
	while (stop < r->end && is_atext(*stop))
		stop++;
	return token_set(r, ATOM, stop > r->at ? stop : NULL);
}

static enum result bad(struct reading *r, const char *what)
{
	return why_set(r->why, RESULT_NEVER, "%s", r->token == BAD ? "a character that needs quotes, or quotes or a bracket that do not close" : what);
}

/* ---- words ---- */

static void words_append(struct words *words, char c)
{
	if (words->length < sizeof words->raw)
		words->raw[words->length++] = c;
	else
		words->is_too_long = true;
}

/* The token at hand: a word or a dot. Line ends within quotes are folding (RFC 5322 3.2.4). */
static void words_add(struct words *words, const struct reading *r)
{
	words->is_name = words->is_name || r->token == LITERAL || (r->token != '.' && words->after_word);
	words->after_word = r->token != '.';
	words->count++;
	if (r->token != QUOTED) {
		for (size_t i = 0; i < r->length; i++)
			words_append(words, r->start[i]);
		return;
	}
	for (size_t i = 1; i + 1 < r->length; i++) {
		if (r->start[i] == '\\')
			i++;
		if (r->start[i] != '\r' && r->start[i] != '\n')
			words_append(words, r->start[i]);
	}
}

/* ---- addresses ---- */

/* DOMAIN: NUL-ended, "" for none. address_parse takes the quotes off where they are not needed. */
static enum result take_address(struct reading *r, const char *domain)
{
	char text[2 * ADDRESS_LOCAL_MAX + ADDRESS_DOMAIN_MAX + 8];
	struct address address;
	size_t length = 0;

	if (r->words.is_too_long)
		return why_set(r->why, RESULT_NEVER, "an address whose local part has over %d characters", ADDRESS_LOCAL_MAX);
	text[length++] = '"';
	for (size_t i = 0; i < r->words.length; i++) {
		if (r->words.raw[i] == '"' || r->words.raw[i] == '\\')
			text[length++] = '\\';
		text[length++] = r->words.raw[i];
	}
	text[length++] = '"';
	if (*domain) {
		text[length++] = '@';
		memcpy(text + length, domain, strlen(domain));
		length += strlen(domain);
	}
	if (address_parse(text, length, &address, r->why) != RESULT_OK)
		return RESULT_NEVER;
	if (++r->count > MAILBOXES_MAX)
		return why_set(r->why, RESULT_NEVER, "more than %d addresses", MAILBOXES_MAX);
	return r->found(r->context, &address) ? RESULT_OK : RESULT_END;
}

static bool append_domain(char *domain, size_t *used, const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (is_blank(bytes[i]))
			continue;
		if (*used == ADDRESS_DOMAIN_MAX)
			return false;
		domain[(*used)++] = bytes[i];
	}
	return true;
}

/* Behind '@': a literal, or a name with blanks and comments around its dots (RFC 5322 4.4). The token behind it is at hand. */
static enum result take_domain(struct reading *r, char domain[ADDRESS_DOMAIN_MAX + 1])
{
	size_t used = 0;
	bool fits = true;
	int last = '.';

	if (token_next(r) == LITERAL) {
		fits = append_domain(domain, &used, r->start, r->length);
		token_next(r);
	}
	for (; used == 0 || *domain != '['; token_next(r)) {
		if (r->token != '.' && (r->token != ATOM || last != '.'))
			break;
		last = r->token;
		fits = fits && append_domain(domain, &used, r->start, r->length);
	}
	domain[used] = '\0';
	if (!fits)
		return why_set(r->why, RESULT_NEVER, "a domain has at most %d characters", ADDRESS_DOMAIN_MAX);
	return used > 0 ? RESULT_OK : bad(r, "no domain behind an '@'");
}

/* "@relay.example,@other.example:", RFC 5322 4.4: it has no meaning any more. */
static enum result skip_route(struct reading *r)
{
	char domain[ADDRESS_DOMAIN_MAX + 1];

	while (r->token == '@' || r->token == ',') {
		if (r->token == '@') {
			enum result result = take_domain(r, domain);
			if (result != RESULT_OK)
				return result;
		} else {
			token_next(r);
		}
	}
	if (r->token != ':')
		return bad(r, "a route without its ':'");
	token_next(r);
	return RESULT_OK;
}

/* Behind '<', up to the token behind '>'. */
static enum result take_angle(struct reading *r)
{
	char domain[ADDRESS_DOMAIN_MAX + 1] = "";
	enum result result = RESULT_OK;

	r->words = (struct words){ .length = 0 };
	token_next(r);
	if (r->token == '@' || r->token == ',')
		result = skip_route(r);
	if (result != RESULT_OK)
		return result;
	for (; r->token == ATOM || r->token == QUOTED || r->token == '.'; token_next(r))
		words_add(&r->words, r);
	if (r->words.count == 0 || r->words.is_name)
		return bad(r, "no address between '<' and '>'");
	if (r->token == '@')
		result = take_domain(r, domain);
	if (result != RESULT_OK)
		return result;
	if (r->token != '>')
		return bad(r, "an address without its '>'");
	result = take_address(r, domain);
	token_next(r);
	return result;
}

static bool ends_address(const struct reading *r)
{
	return r->token == ',' || r->token == ';' || r->token == END;
}

/* ---- the list ---- */

/* Behind '@', the words in front of it are a local part. A '<' behind it makes it a display name, too. */
static enum result take_plain(struct reading *r)
{
	char domain[ADDRESS_DOMAIN_MAX + 1];

	if (r->words.count == 0 || r->words.is_name)
		return bad(r, "an '@' that needs quotes");
	enum result result = take_domain(r, domain);
	if (result == RESULT_OK)
		result = take_address(r, domain);
	if (result == RESULT_OK && r->token == '<')
		result = take_angle(r);
	return result;
}

/* Words that no address followed. */
static enum result take_bare(struct reading *r)
{
	if (r->words.count == 0)
		return RESULT_OK;		/* RFC 5322 4.4: empty elements of a list */
	if (r->words.is_name)
		return bad(r, "a name without an address");
	return take_address(r, "");
}

static enum result open_group(struct reading *r)
{
	if (r->is_in_group || r->words.count == 0)
		return bad(r, "a ':' that needs quotes");
	r->is_in_group = true;
	return RESULT_OK;
}

/* A member of the list up to what ends it. */
static enum result take_member(struct reading *r)
{
	r->words = (struct words){ .length = 0 };
	for (; r->token == ATOM || r->token == QUOTED || r->token == '.' || r->token == LITERAL; token_next(r))
		words_add(&r->words, r);
	if (r->token == '<')
		return take_angle(r);
	if (r->token == '@')
		return take_plain(r);
	if (r->token == ':')
		return open_group(r);
	return ends_address(r) ? take_bare(r) : bad(r, "a character that needs quotes");
}

/* After a member: what ends it. */
static enum result take_end(struct reading *r, bool was_group)
{
	if (was_group) {
		token_next(r);
		return RESULT_OK;
	}
	if (!ends_address(r))
		return bad(r, "something behind an address");
	if (r->token == END)
		return r->is_in_group ? bad(r, "a group without its ';'") : RESULT_OK;
	if (r->token == ';') {
		if (!r->is_in_group)
			return bad(r, "a ';' that ends no group");
		r->is_in_group = false;
		if (token_next(r) == END)
			return RESULT_OK;
		if (r->token != ',')
			return bad(r, "something behind a group");
	}
	token_next(r);
	return RESULT_OK;
}

enum result mailboxes_read(const char *text, size_t length, bool (*found)(void *context, const struct address *address),
                           void *context, size_t *count, struct why *why)
{
	struct reading r = { .at = text, .end = text + length, .found = found, .context = context, .why = why };
	enum result result = RESULT_OK;

	token_next(&r);
	while (result == RESULT_OK) {
		bool was_in_group = r.is_in_group, is_last;
		result = take_member(&r);
		is_last = r.token == END;
		if (result == RESULT_OK)
			result = take_end(&r, r.is_in_group && !was_in_group);
		if (is_last || (r.token == END && !r.is_in_group))
			break;
	}
	*count = r.count;
	return result;
}
