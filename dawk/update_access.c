/* The table of who may do what. See update.h, dawk-access(5). Keys come out in one form: lower case,
 * networks with their prefix, kind in front; beside them a record "prefixes" says which lengths are in
 * use, "4:24,32 6:64", so that a look-up tries only those. */
#include "update.h"

#include <stdio.h>
#include <string.h>

struct prefixes { bool v4[33], v6[129]; };

enum kind { KIND_CLIENT, KIND_HELO, KIND_FROM, KIND_TO, KINDS };

static const char *const kinds[KINDS] = { "client:", "helo:", "from:", "to:" };

enum { KEY_MAX = 16 + ADDRESS_MAX };

static bool put_network(struct prefixes *prefixes, const char *text, size_t length, char *key)
{
	struct network network;
	char ip[NETWORK_TEXT_MAX];

	if (!network_parse(text, length, &network))
		return false;
	if (network.ip.family == 4)
		prefixes->v4[network.prefix] = true;
	else
		prefixes->v6[network.prefix] = true;
	snprintf(key, KEY_MAX + 1, "client:%s/%u", ip_text(&network.ip, ip), network.prefix);
	return true;
}

/* A name, or ".domain" for all below it. */
static bool put_name(const char *kind, const char *text, size_t length, char *key)
{
	size_t dot = length > 1 && *text == '.' ? 1 : 0;
	char ascii[ADDRESS_DOMAIN_MAX + 1];

	if (domain_to_ascii(text + dot, length - dot, ascii, NULL) != RESULT_OK)
		return false;
	snprintf(key, KEY_MAX + 1, "%s%s%s", kind, dot ? "." : "", ascii);
	return true;
}

/* HELO may be an address literal, RFC 5321 4.1.3. */
static bool put_helo(const char *text, size_t length, char *key)
{
	if (*text != '[')
		return put_name("helo:", text, length, key);
	snprintf(key, KEY_MAX + 1, "helo:%.*s", (int)length, text);
	return text[length - 1] == ']' && length < 64;
}

/* "user@domain", "user" of whatever domain is none, "<>" the null reverse-path. */
static bool put_mail(const char *kind, const char *text, size_t length, char *key)
{
	struct address address;
	char folded[ADDRESS_MAX + 1];

	if (length == 2 && memcmp(text, "<>", 2) == 0) {
		snprintf(key, KEY_MAX + 1, "%s<>", kind);
		return true;
	}
	if (!memchr(text, '@', length))
		return put_name(kind, text, length, key);
	if (address_parse(text, length, &address, NULL) != RESULT_OK || *address.domain == '\0')
		return false;
	address_fold(&address, folded);
	snprintf(key, KEY_MAX + 1, "%s%s", kind, folded);
	return true;
}

static bool put_key(struct prefixes *prefixes, const char *text, size_t length, char *key)
{
	for (int kind = 0; kind < KINDS; kind++) {
		size_t skip = strlen(kinds[kind]);
		if (length <= skip || !text_equal_folded(text, skip, kinds[kind], skip))
			continue;
		text += skip;
		length -= skip;
		if (kind == KIND_CLIENT)
			return put_network(prefixes, text, length, key) || put_name("client:", text, length, key);
		if (kind == KIND_HELO)
			return put_helo(text, length, key);
		return put_mail(kinds[kind], text, length, key);
	}
	return put_network(prefixes, text, length, key) || put_mail("from:", text, length, key);
}

/* "192.0.2" is a network to other mail servers; here it is a name, and no domain ends in a number (RFC 3696 2). HELO says such. */
static void warn_of_number(struct source *source, const char *text, size_t length)
{
	size_t skip = strlen(kinds[KIND_CLIENT]), digits = 0;

	if (length > skip && text_equal_folded(text, skip, kinds[KIND_CLIENT], skip)) {
		text += skip;
		length -= skip;
	}
	while (digits < length && ((text[digits] >= '0' && text[digits] <= '9') || text[digits] == '.'))
		digits++;
	if (digits == length && !network_parse(text, length, &(struct network){ .prefix = 0 }))
		update_warning(source->update, source->path, source->line, "%.*s is no address, and a name that nobody has; "
		               "a network is written as 192.0.2.0/24", (int)length, text);
}

static bool read_action(const char *text, size_t length, const char **action)
{
	static const char *const actions[] = { "allow", "relay", "reject", "defer" };

	for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
		if (text_equal_folded(text, length, actions[i], strlen(actions[i]))) {
			*action = actions[i];
			return true;
		}
	return false;
}

/* TEXT goes into a reply, whose lines have 512 bytes (RFC 5321 4.5.3.1.5) with room for codes. */
static bool put_value(struct source *source, const char *action, const char *text, const char *end, stralloc *value)
{
	while (text < end && (*text == ' ' || *text == '\t'))
		text++;
	if (end - text > 400 || !text_is_printable(text, (size_t)(end - text))) {
		source_error(source, "expected a text of at most 400 printable bytes behind %s", action);
		return false;
	}
	value->len = 0;
	return text_append_string(value, action) &&
	       (text == end || (text_append(value, " ", 1) && text_append(value, text, (size_t)(end - text))));
}

static void take_entry(struct source *source, struct prefixes *prefixes, struct table_writer *writer, stralloc *value)
{
	const char *at = source->text.s, *end = at + source->text.len, *word, *action;
	char key[KEY_MAX + 1];
	size_t length;

	if (!text_next_word(&at, end, &word, &length) || !put_key(prefixes, word, length, key)) {
		source_error(source, "expected client:NETWORK, client:HOST, helo:NAME, from:ADDRESS or to:ADDRESS (or a domain), found \"%.*s\"",
		             (int)(length > 100 ? 100 : length), word);
		return;
	}
	warn_of_number(source, word, length);
	if (!text_next_word(&at, end, &word, &length) || !read_action(word, length, &action)) {
		source_error(source, "expected allow, relay, reject or defer behind the key");
		return;
	}
	if (put_value(source, action, at, end, value))
		update_add(source, writer, key, value->s, value->len);
}

static bool append_prefixes(stralloc *out, const char *family, const bool *used, size_t count)
{
	bool is_first = true, whole = true;

	for (size_t i = 0; i < count; i++) {
		if (!used[i])
			continue;
		whole = whole && text_append_format(out, "%s%s%zu", is_first && out->len ? " " : "", is_first ? family : ",", i);
		is_first = false;
	}
	return whole;
}

void update_access(struct update *update, struct table_writer *writer, uint64_t *count)
{
	struct source source;
	struct prefixes prefixes = { { false }, { false } };
	stralloc value = { 0 };

	if (!source_open(&source, update, update->conf->access, false, false))
		return;
	while (source_next(&source)) {
		take_entry(&source, &prefixes, writer, &value);
		update_progress(update, "access", ++*count);
	}
	value.len = 0;
	if (append_prefixes(&value, "4:", prefixes.v4, 33) && append_prefixes(&value, "6:", prefixes.v6, 129))
		update_add(&source, writer, "prefixes", value.s, value.len);
	else
		source_error(&source, "no memory");
	stralloc_free(&value);
	source_close(&source);
}
