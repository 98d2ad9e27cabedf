/* The tables of next hops and of how destinations are treated. See update.h, dawk-routes(5),
 * dawk-site(5). */
#include "update.h"

#include <string.h>

/* An option of a line: NAME=VALUE. */
struct option {
	const char *name;
	const char *expected;
	bool (*is_right)(const char *value, size_t length);
};

static bool is_one_of(const char *value, size_t length, const char *const *words)
{
	for (; *words; words++)
		if (strlen(*words) == length && memcmp(*words, value, length) == 0)
			return true;
	return false;
}

static bool is_ip(const char *value, size_t length)
{
	struct address_ip ip;

	return ip_parse(value, length, &ip);
}

static bool is_secret_name(const char *value, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", value[i]))
			return false;
	return length > 0 && length <= 64;
}

static bool is_concurrency(const char *value, size_t length)
{
	uint64_t number;

	return text_to_number(value, length, &number) && number >= 1 && number <= 10000;
}

/* "10/s", "60/m", "1000/h" */
static bool is_rate(const char *value, size_t length)
{
	uint64_t number;

	return length > 2 && value[length - 2] == '/' && strchr("smh", value[length - 1]) &&
	       text_to_number(value, length - 2, &number) && number >= 1 && number <= 1000000;
}

static bool is_family(const char *value, size_t length)
{
	static const char *const words[] = { "any", "4", "6", NULL };

	return is_one_of(value, length, words);
}

static bool is_yes_or_no(const char *value, size_t length)
{
	static const char *const words[] = { "yes", "no", NULL };

	return is_one_of(value, length, words);
}

static bool is_tls(const char *value, size_t length)
{
	static const char *const words[] = { "none", "may", "encrypt", "verify", "dane", NULL };

	return is_one_of(value, length, words);
}

static const struct option route_options[] = {
	{ "source", "source=ADDRESS", is_ip },
	{ "tls", "tls=none, may, encrypt, verify or dane", is_tls },
	{ "secret", "secret=NAME (of a route: line in the secrets)", is_secret_name },
	{ NULL, NULL, NULL },
};

static const struct option site_options[] = {
	{ "concurrency", "concurrency=1 to 10000", is_concurrency },
	{ "rate", "rate=NUMBER/s, /m or /h", is_rate },
	{ "family", "family=any, 4 or 6", is_family },
	{ "source", "source=ADDRESS", is_ip },
	{ "chunking", "chunking=yes or no", is_yes_or_no },
	{ "tls", "tls=none, may, encrypt, verify or dane", is_tls },
	{ NULL, NULL, NULL },
};

static enum result option_judge(const struct option *options, const char *word, size_t length, struct why *why)
{
	const char *equals = memchr(word, '=', length);
	size_t name = equals ? (size_t)(equals - word) : length;
	int shown = (int)(length > 100 ? 100 : length);

	for (; options->name; options++) {
		if (strlen(options->name) != name || memcmp(options->name, word, name) != 0)
			continue;
		if (equals && options->is_right(equals + 1, length - name - 1))
			return RESULT_OK;
		return why_set(why, RESULT_NEVER, "expected %s, found \"%.*s\"", options->expected, shown, word);
	}
	return why_set(why, RESULT_NEVER, "expected a name=value that is known here, found \"%.*s\"", shown, word);
}

static enum result options_normalise(const struct option *options, const char *at, const char *end, stralloc *out, struct why *why)
{
	const char *word;
	size_t length;

	while (text_next_word(&at, end, &word, &length)) {
		enum result result = option_judge(options, word, length, why);
		if (result != RESULT_OK)
			return result;
		if ((out->len > 0 && !text_append(out, " ", 1)) || !text_append(out, word, length))
			return why_set(why, RESULT_RETRY, "no memory");
	}
	return RESULT_OK;
}

static bool is_port(const char *text, size_t length)
{
	uint64_t port;

	return text_to_number(text, length, &port) && port >= 1 && port <= 65535;
}

/* "[192.0.2.1]", "[2001:db8::1]", "[smart.example]" without an MX look-up, "mx.example" with one; each
 * with ":PORT" where wanted. */
static bool is_host(const char *text, size_t length)
{
	const char *end = text + length, *close, *colon;

	if (length > 0 && *text == '[') {
		close = memchr(text, ']', length);
		if (!close || !(is_ip(text + 1, (size_t)(close - text) - 1) || domain_is_valid(text + 1, (size_t)(close - text) - 1)))
			return false;
		return close + 1 == end || (close[1] == ':' && is_port(close + 2, (size_t)(end - close) - 2));
	}
	colon = memchr(text, ':', length);
	if (colon && !is_port(colon + 1, (size_t)(end - colon) - 1))
		return false;
	return domain_is_valid(text, colon ? (size_t)(colon - text) : length);
}

/* There TLS begins with the first byte: SMTP would wait for a greeting in vain. */
static bool is_port_of_smtps(const char *text, size_t length)
{
	return length > 9 && memcmp(text, "smtp:", 5) == 0 && memcmp(text + length - 4, ":465", 4) == 0;
}

static bool is_next_hop(const char *text, size_t length)
{
	if (is_port_of_smtps(text, length))
		return false;
	if (length > 6 && memcmp(text, "smtps:", 6) == 0)
		return is_host(text + 6, length - 6);
	if (length > 10 && memcmp(text, "lmtp:unix:", 10) == 0)
		return text[10] == '/' && length - 10 < 100;	/* a socket's path is short */
	if (length > 5 && (memcmp(text, "smtp:", 5) == 0 || memcmp(text, "lmtp:", 5) == 0))
		return is_host(text + 5, length - 5);
	return false;
}

static bool has_word(const stralloc *text, const char *wanted, bool is_whole)
{
	const char *at = text->s, *end = at + text->len, *word;
	size_t length, wanted_length = strlen(wanted);

	while (text_next_word(&at, end, &word, &length))
		if (length >= wanted_length && (!is_whole || length == wanted_length) && memcmp(word, wanted, wanted_length) == 0)
			return true;
	return false;
}

static enum result judge_route(const stralloc *route, struct why *why)
{
	bool is_weak = has_word(route, "tls=none", true) || has_word(route, "tls=may", true);

	if (is_weak && has_word(route, "secret=", false))
		return why_set(why, RESULT_NEVER, "a password goes only under TLS: expected tls=encrypt, verify or dane beside secret=, or none of them");
	if (is_weak && has_word(route, "smtps:", false))
		return why_set(why, RESULT_NEVER, "smtps: is TLS from the first byte: expected tls=encrypt, verify or dane, or none of them");
	return RESULT_OK;
}

enum result route_normalise(const char *text, size_t length, stralloc *out, struct why *why)
{
	const char *at = text, *end = text + length, *hop;
	enum result result;
	size_t hop_length;

	out->len = 0;
	if (!text_next_word(&at, end, &hop, &hop_length))
		return why_set(why, RESULT_NEVER, "expected a next hop behind the key, found none");
	if (!is_next_hop(hop, hop_length))
		return why_set(why, RESULT_NEVER, "expected smtp:HOST, smtp:[HOST]:PORT, smtps:[HOST] (TLS from the first byte, port 465), lmtp:[HOST]:PORT or lmtp:unix:/PATH, found \"%.*s\"",
		               (int)(hop_length > 100 ? 100 : hop_length), hop);
	if (!text_append(out, hop, hop_length))
		return why_set(why, RESULT_RETRY, "no memory");
	result = options_normalise(route_options, at, end, out, why);
	return result == RESULT_OK ? judge_route(out, why) : result;
}

enum result site_normalise(const char *text, size_t length, stralloc *out, struct why *why)
{
	enum result result;

	out->len = 0;
	result = options_normalise(site_options, text, text + length, out, why);
	if (result == RESULT_OK && out->len == 0)
		return why_set(why, RESULT_NEVER, "expected name=value behind the key, found nothing");
	return result;
}

/* "*", ".domain", "domain", and where MAY_BE_ADDRESS "user@domain": folded into KEY. */
static bool destination_key(const char *text, size_t length, bool may_be_address, char *key)
{
	struct address address;
	size_t dot = length > 1 && *text == '.' ? 1 : 0;

	if (length == 1 && *text == '*') {
		memcpy(key, "*", 2);
		return true;
	}
	if (memchr(text, '@', length)) {
		if (!may_be_address || address_parse(text, length, &address, NULL) != RESULT_OK || *address.domain == '\0')
			return false;
		address_fold(&address, key);
		return true;
	}
	memcpy(key, ".", dot);
	return domain_to_ascii(text + dot, length - dot, key + dot, NULL) == RESULT_OK;
}

static void warn_of_login(struct source *source, const stralloc *value)
{
	const char *at = value->s, *end = at + value->len, *word;
	char name[80];
	size_t length;

	while (text_next_word(&at, end, &word, &length)) {
		if (length <= 7 || memcmp(word, "secret=", 7) != 0)
			continue;
		snprintf(name, sizeof name, "%.*s", (int)length - 7, word + 7);
		if (!critbit0_contains(&source->update->logins, name))
			update_warning(source->update, source->path, source->line, "%s has no line route:%s:USER:PASSWORD: "
			               "mail that goes this way waits for it", source->update->conf->secrets, name);
	}
}

static void take_destination(struct source *source, struct table_writer *writer, bool may_be_address,
                             enum result (*normalise)(const char *, size_t, stralloc *, struct why *), stralloc *value)
{
	const char *at = source->text.s, *end = at + source->text.len, *word;
	char key[ADDRESS_MAX + 2];
	size_t length;
	struct why why;

	if (!text_next_word(&at, end, &word, &length) || !destination_key(word, length, may_be_address, key))
		source_error(source, "expected a domain, .domain%s or * in front, found \"%.*s\"", may_be_address ? ", user@domain" : "",
		             (int)(length > 100 ? 100 : length), word);
	else if (normalise(at, (size_t)(end - at), value, &why) != RESULT_OK)
		source_error(source, "%s", why.text);
	else if (update_add(source, writer, key, value->s, value->len))
		warn_of_login(source, value);
}

static void compile(struct update *update, const char *path, const char *name, struct table_writer *writer, bool may_be_address,
                    enum result (*normalise)(const char *, size_t, stralloc *, struct why *), uint64_t *count)
{
	struct source source;
	stralloc value = { 0 };

	if (!source_open(&source, update, path, false, false))
		return;
	while (source_next(&source)) {
		take_destination(&source, writer, may_be_address, normalise, &value);
		update_progress(update, name, ++*count);
	}
	stralloc_free(&value);
	source_close(&source);
}

void update_routes(struct update *update, struct table_writer *writer, uint64_t *count)
{
	compile(update, update->conf->routes, "routes", writer, true, route_normalise, count);
}

void update_site(struct update *update, struct table_writer *writer, uint64_t *count)
{
	compile(update, update->conf->site, "site", writer, false, site_normalise, count);
}
