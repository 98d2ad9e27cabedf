#include "remoted/rules.h"

#include "common/text.h"
#include <string.h>

enum result rules_find(struct table *sites, const char *next_hop, const char **words, size_t *length, struct why *why)
{
	const char *at = strrchr(next_hop, '@'), *key = at ? at + 1 : next_hop;
	enum result result = table_find(sites, key, strlen(key), words, length, why);

	for (key = strchr(key, '.'); key && result == RESULT_END; key = strchr(key + 1, '.'))
		result = table_find(sites, key, strlen(key), words, length, why);
	return result == RESULT_END ? table_find(sites, "*", 1, words, length, why) : result;
}

static void take_family(struct route *route, const char *value, size_t length)
{
	route->family = length == 1 && *value == '4' ? 4 : length == 1 && *value == '6' ? 6 : 0;
}

static void take_source(struct route *route, const char *value, size_t length)
{
	struct address_ip ip;

	if (ip_parse(value, length, &ip) && !route_source(route, ip.family)->family)
		*route_source(route, ip.family) = ip;
}

static void take_chunking(struct route *route, const char *value, size_t length)
{
	route->never_chunks = length == 2 && !memcmp(value, "no", 2);
}

/* A route's own word goes before the site's. */
static void take_tls(struct route *route, const char *value, size_t length)
{
	if (!route->is_tls_of_route)
		route->tls = tls_level_parse(value, length);
}

static const struct {
	const char *name;	/* with its equals sign */
	void (*take)(struct route *route, const char *value, size_t length);
} rules[] = {
	{ "family=", take_family },
	{ "source=", take_source },
	{ "chunking=", take_chunking },
	{ "tls=", take_tls },
};

void rules_apply(const char *words, size_t length, struct route *route)
{
	const char *at = words, *end = words + length, *word;
	size_t word_length, i;

	while (text_next_word(&at, end, &word, &word_length))
		for (i = 0; i < sizeof rules / sizeof *rules; i++) {
			size_t name = strlen(rules[i].name);

			if (word_length > name && !memcmp(word, rules[i].name, name))
				rules[i].take(route, word + name, word_length - name);
		}
}

enum result rules_take(struct table *sites, const char *next_hop, struct route *route, struct why *why)
{
	const char *words;
	size_t length;
	enum result result = rules_find(sites, next_hop, &words, &length, why);

	if (result == RESULT_OK)
		rules_apply(words, length, route);
	return result == RESULT_RETRY ? RESULT_RETRY : RESULT_OK;
}
