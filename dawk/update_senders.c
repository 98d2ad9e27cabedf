/* The tables of users who submit: whom they may send as, what they may send. See update.h, dawk-senders(5),
 * dawk-limits(5); common/senders.h has the keys. */
#include "update.h"
#include "common/senders.h"

#include <string.h>

/* "user@domain", which may log in here, or "@domain" for every user of it. */
static bool read_user(struct source *source, const char *text, size_t length, char *key)
{
	const struct configuration *conf = source->update->conf;

	if (length < 2 || *text != '@')
		return update_local_address(source, text, length, key);
	*key = '@';
	if (domain_to_ascii(text + 1, length - 1, key + 1, NULL) != RESULT_OK) {
		source_error(source, "expected @domain, found \"%.*s\"", (int)(length > 200 ? 200 : length), text);
		return false;
	}
	if (configuration_is_local_domain(conf, key + 1, strlen(key + 1)))
		return true;
	source_error(source, "expected a domain that lives here, found \"%s\" (is it missing in `domains`?)", key + 1);
	return false;
}

/* ---- senders ---- */

/* "user@domain", "@domain", "*". */
static bool read_sender(struct source *source, const char *text, size_t length, char *out)
{
	struct address address;

	if (length == 1 && *text == '*') {
		memcpy(out, "*", 2);
		return true;
	}
	*out = '@';
	if (length > 1 && *text == '@' && domain_to_ascii(text + 1, length - 1, out + 1, NULL) == RESULT_OK)
		return true;
	if (address_parse(text, length, &address, NULL) == RESULT_OK && *address.domain) {
		address_fold(&address, out);
		return true;
	}
	source_error(source, "expected user@domain, @domain or *, found \"%.*s\"", (int)(length > 200 ? 200 : length), text);
	return false;
}

/* The ':' behind the user, and the commas between the addresses, not those in quotes. NULL: none. */
static const char *find_outside_quotes(const char *text, const char *end, char wanted)
{
	bool is_quoted = false;

	for (; text < end; text++) {
		if (*text == '\\' && is_quoted && text + 1 < end)
			text++;
		else if (*text == '"')
			is_quoted = !is_quoted;
		else if (*text == wanted && !is_quoted)
			return text;
	}
	return NULL;
}

static void trim(const char **text, const char **end)
{
	while (*text < *end && (**text == ' ' || **text == '\t'))
		++*text;
	while (*end > *text && ((*end)[-1] == ' ' || (*end)[-1] == '\t'))
		--*end;
}

/* What stands behind the ':', a line each, into VALUE. */
static bool read_senders(struct source *source, const char *at, const char *end, stralloc *value)
{
	char sender[ADDRESS_MAX + 2];
	bool is_right = true;

	for (const char *comma; at < end; at = comma + 1) {
		comma = find_outside_quotes(at, end, ',');
		const char *start = at, *stop = comma ? comma : end;
		trim(&start, &stop);
		if (start < stop && !read_sender(source, start, (size_t)(stop - start), sender))
			is_right = false;
		else if (start < stop && (!text_append_string(value, sender) || !text_append(value, "\n", 1)))
			return false;
		if (!comma)
			break;
	}
	return is_right;
}

static void take_senders(struct source *source, struct table_writer *writer, stralloc *value)
{
	const char *text = source->text.s, *end = text + source->text.len, *colon = find_outside_quotes(text, end, ':'), *stop = colon;
	char key[ADDRESS_MAX + 2];

	if (!colon) {
		source_error(source, "expected USER: ADDRESS, ADDRESS ..., found no ':'");
		return;
	}
	trim(&text, &stop);
	value->len = 0;
	if (!read_user(source, text, (size_t)(stop - text), key) || !read_senders(source, colon + 1, end, value))
		return;
	if (value->len > 0)
		update_add(source, writer, key, value->s, value->len);
	else
		source_error(source, "expected addresses that %s may send as behind the ':', found none", key);
}

void update_senders(struct update *update, struct table_writer *writer, uint64_t *count)
{
	struct source source;
	stralloc value = { 0 };

	if (!source_open(&source, update, update->conf->senders, false, true))
		return;
	while (source_next(&source)) {
		take_senders(&source, writer, &value);
		update_progress(update, "senders", ++*count);
	}
	stralloc_free(&value);
	source_close(&source);
}

/* ---- limits ---- */

static void take_limits(struct source *source, struct table_writer *writer)
{
	const char *at = source->text.s, *end = at + source->text.len, *word;
	uint32_t limits[USER_LIMITS] = { 0 };
	char key[ADDRESS_MAX + 2] = "*";
	struct why why;
	size_t length;

	text_next_word(&at, end, &word, &length);
	if (!(length == 1 && *word == '*') && !read_user(source, word, length, key))
		return;
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	if (at == end)
		source_error(source, "expected NAME=NUMBER or NAME=off behind the user, found nothing");
	else if (user_limits_read(at, (size_t)(end - at), limits, &why) != RESULT_OK)
		source_error(source, "%s", why.text);
	else
		update_add(source, writer, key, at, (size_t)(end - at));
}

void update_limits(struct update *update, struct table_writer *writer, uint64_t *count)
{
	struct source source;

	if (!source_open(&source, update, update->conf->limits, false, false))
		return;
	while (source_next(&source)) {
		take_limits(&source, writer);
		update_progress(update, "limits", ++*count);
	}
	source_close(&source);
}
