/* See configuration_value.h. */
#include "configuration_value.h"
#include "address.h"
#include "configuration.h"
#include "configuration_words.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool value_wrong(struct value *value, const char *found, size_t length)
{
	value->found = found;
	value->found_length = length;
	return false;
}

static bool all_wrong(struct value *value)
{
	return value_wrong(value, value->text, strlen(value->text));
}

static bool no_memory(struct value *value)
{
	value->is_out_of_memory = true;
	return all_wrong(value);
}

/* Makes room for one more of SIZE bytes behind COUNT items. */
static void *grow(void *items, size_t count, size_t size)
{
	return reallocarray(items, count + 1, size);
}

static bool list_append(struct value *value, struct text_list *list, char *item)
{
	char **items = item ? grow(list->items, list->count, sizeof *items) : NULL;

	if (!items) {
		free(item);
		return no_memory(value);
	}
	list->items = items;
	list->items[list->count++] = item;
	return true;
}

static bool seconds_unit(char unit, uint64_t *factor)
{
	switch (unit) {
	case 's': *factor = 1; return true;
	case 'm': *factor = 60; return true;
	case 'h': *factor = 3600; return true;
	case 'd': *factor = 86400; return true;
	default:  return false;
	}
}

static bool size_unit(char unit, uint64_t *factor)
{
	switch (unit) {
	case 'k': case 'K': *factor = 1024; return true;
	case 'M': *factor = 1024 * 1024; return true;
	case 'G': *factor = 1024 * 1024 * 1024; return true;
	default:  return false;
	}
}

static bool parse_with_unit(const char *text, size_t length, bool (*unit)(char, uint64_t *), uint64_t most, uint64_t *number)
{
	uint64_t factor = 1;

	if (length > 1 && unit(text[length - 1], &factor))
		length--;
	if (!text_to_number(text, length, number) || *number > most / factor)
		return false;
	*number *= factor;
	return true;
}

bool value_parse_seconds(const char *text, size_t length, uint64_t *seconds)
{
	return parse_with_unit(text, length, seconds_unit, UINT32_MAX, seconds);
}

bool value_parse_size(const char *text, size_t length, uint64_t *bytes)
{
	return parse_with_unit(text, length, size_unit, INT64_MAX, bytes);
}

static bool in_range(const struct value *value, uint64_t number)
{
	return value->most == 0 || (number >= value->least && number <= value->most);
}

static char *copy_lower(const char *text, size_t length)
{
	char *copy = strndup(text, length);

	if (copy)
		text_lower(copy, length);
	return copy;
}

static char *copy_domain(const char *text, size_t length)
{
	char ascii[ADDRESS_DOMAIN_MAX + 1];

	if (domain_to_ascii(text, length, ascii, NULL) != RESULT_OK)
		return NULL;
	return strdup(ascii);
}

static bool read_hostname(struct value *value, void *field)
{
	if (!domain_is_valid(value->text, strlen(value->text)))
		return all_wrong(value);
	*(char **)field = copy_lower(value->text, strlen(value->text));
	return *(char **)field || no_memory(value);
}

static bool read_domain_words(struct value *value, struct text_list *list, bool may_start_with_dot)
{
	const char *at = value->text, *end = at + strlen(at), *word;
	size_t length;

	while (text_next_word(&at, end, &word, &length)) {
		bool dot = may_start_with_dot && *word == '.';
		char ascii[ADDRESS_DOMAIN_MAX + 1];
		if (dot && domain_is_valid(word + 1, length - 1)) {
			if (!list_append(value, list, copy_lower(word, length)))
				return false;
			continue;
		}
		if (dot || domain_to_ascii(word, length, ascii, NULL) != RESULT_OK)
			return value_wrong(value, word, length);
		if (!list_append(value, list, copy_domain(word, length)))
			return false;
	}
	return true;
}

static bool read_domains(struct value *value, void *field)
{
	struct text_list *list = field;

	return read_domain_words(value, list, false) && (list->count > 0 || all_wrong(value));
}

static bool read_relay_domains(struct value *value, void *field)
{
	return read_domain_words(value, field, true);
}

static bool read_listeners(struct value *value, void *field)
{
	struct listener_list *list = field;
	const char *at = value->text, *end = at + strlen(at), *word;
	size_t length;

	if (strcmp(value->text, "none") == 0)
		return true;
	while (text_next_word(&at, end, &word, &length)) {
		struct listener *items = grow(list->items, list->count, sizeof *items);
		if (!items)
			return no_memory(value);
		list->items = items;
		items += list->count;
		if (!listener_parse(word, length, &items->address, &items->size))
			return value_wrong(value, word, length);
		items->text = strndup(word, length);
		if (!items->text)
			return no_memory(value);
		list->count++;
	}
	return list->count > 0 || all_wrong(value);
}

static bool read_networks(struct value *value, void *field)
{
	struct network_list *list = field;
	const char *at = value->text, *end = at + strlen(at), *word;
	size_t length;

	list->is_any = strcmp(value->text, "any") == 0;
	if (list->is_any || strcmp(value->text, "none") == 0)
		return true;
	while (text_next_word(&at, end, &word, &length)) {
		struct network *networks = grow(list->networks, list->count, sizeof *networks);
		if (!networks)
			return no_memory(value);
		list->networks = networks;
		if (!network_parse(word, length, &networks[list->count]))
			return value_wrong(value, word, length);
		list->count++;
	}
	return list->count > 0 || all_wrong(value);
}

/* DIRECTORY is free of links, so that a leading ".." is its parent. Sandbox rules and the walk to a
 * mailbox want a path without such steps. */
static char *absolute(const char *directory, const char *path, size_t length)
{
	size_t kept = *path == '/' ? 0 : strlen(directory);
	char *out = NULL;

	while (length > 1 && path[length - 1] == '/')
		length--;
	while (kept > 0 && length > 1 && *path == '.' && (path[1] == '/' || (length > 2 && path[1] == '.' && path[2] == '/'))) {
		size_t step = path[1] == '/' ? 2 : 3;
		while (step == 3 && kept > 0 && directory[--kept] != '/')
			;
		path += step;
		length -= step;
	}
	if (asprintf(&out, "%.*s%s%.*s", (int)kept, directory, *path == '/' || (kept == 1 && *directory == '/') ? "" : "/", (int)length, path) < 0)
		return NULL;
	return out;
}

static bool read_path(struct value *value, void *field)
{
	if (*value->text == '\0')
		return all_wrong(value);
	*(char **)field = absolute(value->directory, value->text, strlen(value->text));
	return *(char **)field || no_memory(value);
}

static bool read_path_or_none(struct value *value, void *field)
{
	if (*value->text == '\0' || strcmp(value->text, "none") == 0)
		return true;
	return read_path(value, field);
}

static bool read_paths(struct value *value, void *field)
{
	const char *at = value->text, *end = at + strlen(at), *word;
	size_t length;

	while (text_next_word(&at, end, &word, &length))
		if (!list_append(value, field, absolute(value->directory, word, length)))
			return false;
	return true;
}

static bool is_resolver(const char *word, size_t length)
{
	const char *at = memchr(word, '@', length);
	size_t ip_length = at ? (size_t)(at - word) : length;
	struct address_ip ip;
	uint64_t port = 53;

	if (at && !text_to_number(at + 1, length - ip_length - 1, &port))
		return false;
	return ip_parse(word, ip_length, &ip) && port > 0 && port <= 65535;
}

static bool read_resolver(struct value *value, void *field)
{
	struct text_list *list = field;
	const char *at = value->text, *end = at + strlen(at), *word;
	size_t length;

	if (strcmp(value->text, "system") == 0)
		return true;
	while (text_next_word(&at, end, &word, &length)) {
		if (!is_resolver(word, length))
			return value_wrong(value, word, length);
		if (!list_append(value, list, strndup(word, length)))
			return false;
	}
	return list->count > 0 || all_wrong(value);
}

static bool read_characters(struct value *value, void *field)
{
	for (const char *at = value->text; *at; at++)
		if (!strchr("!#$%&'*+-/=?^_`{|}~.", *at))
			return all_wrong(value);
	*(char **)field = strdup(value->text);
	return *(char **)field || no_memory(value);
}

/* It stands in headers and in DNS names of other hosts' making: without bytes above 0x7f. */
static bool read_address(struct value *value, void *field)
{
	struct address address;

	if (*value->text == '\0')
		return true;
	if (address_parse(value->text, strlen(value->text), &address, NULL) != RESULT_OK || !*address.domain || address.needs_smtputf8)
		return all_wrong(value);
	*(char **)field = strdup(address.text);
	return *(char **)field || no_memory(value);
}

static bool read_size(struct value *value, void *field)
{
	uint64_t bytes;

	if (!value_parse_size(value->text, strlen(value->text), &bytes) || !in_range(value, bytes))
		return all_wrong(value);
	*(uint64_t *)field = bytes;
	return true;
}

static bool read_number(struct value *value, void *field)
{
	uint64_t number;

	if (!text_to_number(value->text, strlen(value->text), &number) || number > UINT32_MAX || !in_range(value, number))
		return all_wrong(value);
	*(uint32_t *)field = (uint32_t)number;
	return true;
}

static bool read_seconds(struct value *value, void *field)
{
	uint64_t seconds;

	if (!value_parse_seconds(value->text, strlen(value->text), &seconds) || !in_range(value, seconds))
		return all_wrong(value);
	*(uint32_t *)field = (uint32_t)seconds;
	return true;
}

static bool read_waits(struct value *value, void *field)
{
	struct seconds_list *list = field;
	const char *at = value->text, *end = at + strlen(at), *word;
	size_t length;

	while (text_next_word(&at, end, &word, &length)) {
		uint32_t *items = grow(list->items, list->count, sizeof *items);
		uint64_t seconds;
		if (!items)
			return no_memory(value);
		list->items = items;
		if (!value_parse_seconds(word, length, &seconds) || !in_range(value, seconds))
			return value_wrong(value, word, length);
		items[list->count++] = (uint32_t)seconds;
	}
	return list->count > 0 || all_wrong(value);
}

static bool read_limit(struct value *value, void *field)
{
	*(uint32_t *)field = 0;
	return strcmp(value->text, "off") == 0 || read_number(value, field);
}

static void release_text(void *field)
{
	free(*(char **)field);
	*(char **)field = NULL;
}

static void release_list(void *field)
{
	struct text_list *list = field;

	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct text_list) { 0 };
}

static void release_listeners(void *field)
{
	struct listener_list *list = field;

	for (size_t i = 0; i < list->count; i++)
		free(list->items[i].text);
	free(list->items);
	*list = (struct listener_list) { 0 };
}

static void release_networks(void *field)
{
	struct network_list *list = field;

	free(list->networks);
	*list = (struct network_list) { 0 };
}

static void release_waits(void *field)
{
	struct seconds_list *list = field;

	free(list->items);
	*list = (struct seconds_list) { 0 };
}

static const struct {
	const char *expected;
	bool (*read)(struct value *, void *field);
	void (*release)(void *field);	/* NULL: owns nothing */
} types[VALUE_TYPES] = {
	[VALUE_HOSTNAME] = { "a host name like mail.example.org", read_hostname, release_text },
	[VALUE_DOMAINS] = { "domains separated by blanks, at least one", read_domains, release_list },
	[VALUE_RELAY_DOMAINS] = { "domains, or .domain for all below it, separated by blanks", read_relay_domains, release_list },
	[VALUE_LISTENERS] = { "ADDRESS:PORT or [IPV6]:PORT, separated by blanks, or none", read_listeners, release_listeners },
	[VALUE_NETWORKS] = { "addresses or networks like 192.0.2.0/24 (no bits set behind the prefix), or none, or any",
	                     read_networks, release_networks },
	[VALUE_PATH] = { "a path", read_path, release_text },
	[VALUE_PATH_OR_NONE] = { "a path, or none", read_path_or_none, release_text },
	[VALUE_PATHS] = { "paths separated by blanks", read_paths, release_list },
	[VALUE_RESOLVER] = { "system, or ADDRESS or ADDRESS@PORT of name servers", read_resolver, release_list },
	[VALUE_CHARACTERS] = { "separator characters like +", read_characters, release_text },
	[VALUE_ADDRESS] = { "an address like postmaster@example.org", read_address, release_text },
	[VALUE_SIZE] = { "a size like 64k or 50M", read_size, NULL },
	[VALUE_NUMBER] = { "a number", read_number, NULL },
	[VALUE_SECONDS] = { "a time like 30s, 15m, 4h or 5d", read_seconds, NULL },
	[VALUE_WAITS] = { "times like 5m 30m 2h, separated by blanks", read_waits, release_waits },
	[VALUE_YES_NO] = { "yes or no", words_read_yes_no, NULL },
	[VALUE_BARE_NEWLINE] = { "reject or normalize", words_read_bare_newline, NULL },
	[VALUE_QUOTA_POLICY] = { "defer or reject", words_read_quota_policy, NULL },
	[VALUE_RELAY_CHECK] = { "table or ask", words_read_relay_check, NULL },
	[VALUE_RELAY_AWAY] = { "accept or defer", words_read_relay_away, NULL },
	[VALUE_SUBMISSION_FROM] = { "enforce, envelope or off", words_read_submission_from, NULL },
	[VALUE_LIMIT] = { "a number, or off", read_limit, NULL },
	[VALUE_SYNC] = { "auto, files or filesystem", words_read_sync, NULL },
	[VALUE_LISTENER_NAMES] = { "names among smtp submission submissions pop3 pop3s, or none", words_read_listener_names, NULL },
	[VALUE_MECHANISMS] = { "auto, or names, or both, of plain login scram-sha-256 scram-sha-256-plus oauthbearer xoauth2", words_read_mechanisms, NULL },
};

bool value_read(struct value *value, void *field)
{
	return types[value->type].read(value, field);
}

void value_release(enum value_type type, void *field)
{
	if (types[type].release)
		types[type].release(field);
}

const char *value_expected(enum value_type type)
{
	return types[type].expected;
}
