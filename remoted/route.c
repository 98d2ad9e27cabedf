#include "remoted/route.h"

#include "common/text.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { PORT_SMTP = 25, PORT_LMTP = 24, PORT_SMTPS = 465 };

const char *const tls_level_names[] = {
	[TLS_LEVEL_UNSET] = "", [TLS_LEVEL_NONE] = "none", [TLS_LEVEL_MAY] = "may", [TLS_LEVEL_ENCRYPT] = "encrypt",
	[TLS_LEVEL_VERIFY] = "verify", [TLS_LEVEL_DANE] = "dane",
};

enum tls_level tls_level_parse(const char *value, size_t length)
{
	enum tls_level level;

	for (level = TLS_LEVEL_NONE; level <= TLS_LEVEL_DANE; level++)
		if (strlen(tls_level_names[level]) == length && !memcmp(tls_level_names[level], value, length))
			return level;
	return TLS_LEVEL_UNSET;
}

void route_domain(const struct route *route, const char *next_hop, char domain[ROUTE_HOST_MAX + 1])
{
	const char *at = strrchr(next_hop, '@');

	snprintf(domain, ROUTE_HOST_MAX + 1, "%s", route->is_of_table && !route->is_exact ? route->host : at ? at + 1 : next_hop);
}

static enum result bad(struct why *why, const char *text, size_t length)
{
	return why_set(why, RESULT_RETRY, "\"%.*s\" in the routes is no next hop: run `dawk update`", (int)length, text);
}

static bool parse_port(const char *text, size_t length, uint16_t *port)
{
	uint64_t number;

	if (!length)
		return true;
	if (*text != ':' || !text_to_number(text + 1, length - 1, &number) || !number || number > 65535)
		return false;
	*port = (uint16_t)number;
	return true;
}

static bool copy_host(struct route *route, const char *text, size_t length)
{
	if (!length || length > ROUTE_HOST_MAX || memchr(text, 0, length))
		return false;
	memcpy(route->host, text, length);
	route->host[length] = 0;
	text_lower(route->host, length);
	return true;
}

static bool parse_host(struct route *route, const char *text, size_t length)
{
	const char *end;

	if (*text != '[') {
		end = memchr(text, ':', length);
		if (!end)
			end = text + length;
		return copy_host(route, text, (size_t)(end - text)) && parse_port(end, (size_t)(text + length - end), &route->port);
	}
	end = memchr(text, ']', length);
	if (!end || !copy_host(route, text + 1, (size_t)(end - text - 1)))
		return false;
	route->is_exact = true;
	route->is_ip = ip_parse(route->host, strlen(route->host), &route->ip);
	return parse_port(end + 1, (size_t)(text + length - end - 1), &route->port);
}

static bool parse_target(struct route *route, const char *text, size_t length)
{
	if (length > 5 && !memcmp(text, "smtp:", 5)) {
		route->port = PORT_SMTP;
		return parse_host(route, text + 5, length - 5);
	}
	if (length > 6 && !memcmp(text, "smtps:", 6)) {
		route->port = PORT_SMTPS;
		route->is_wrapped = true;
		return parse_host(route, text + 6, length - 6);
	}
	if (length <= 5 || memcmp(text, "lmtp:", 5))
		return false;
	route->is_lmtp = true;
	route->port = PORT_LMTP;
	if (length <= 10 || memcmp(text + 5, "unix:", 5))
		return parse_host(route, text + 5, length - 5);
	if (length - 10 > ROUTE_PATH_MAX || text[10] != '/')
		return false;
	memcpy(route->path, text + 10, length - 10);
	route->is_exact = true;
	return true;
}

static bool take_option(struct route *route, const char *word, size_t length)
{
	struct address_ip source;

	if (length > 7 && !memcmp(word, "source=", 7)) {
		if (!ip_parse(word + 7, length - 7, &source))
			return false;
		*route_source(route, source.family) = source;
	} else if (length > 4 && !memcmp(word, "tls=", 4)) {
		route->tls = tls_level_parse(word + 4, length - 4);
		route->is_tls_of_route = true;
		return route->tls != TLS_LEVEL_UNSET;
	} else if (length > 7 && !memcmp(word, "secret=", 7)) {
		if (length - 7 > ROUTE_SECRET_MAX || memchr(word, 0, length))
			return false;
		memcpy(route->secret, word + 7, length - 7);
	}
	return true;
}

/* A password goes nowhere without TLS, nor to a host that does not show who it is unless that is asked for. */
static void raise_level(struct route *route)
{
	if (!route->secret[0])
		return;
	if (route->tls < TLS_LEVEL_ENCRYPT)
		route->tls = TLS_LEVEL_VERIFY;
	route->is_tls_of_route = true;
}

enum result route_parse(const char *text, size_t length, struct route *route, struct why *why)
{
	const char *at = text, *end = text + length, *word;
	size_t word_length;

	*route = (struct route){ .is_of_table = true };
	if (!text_next_word(&at, end, &word, &word_length) || !parse_target(route, word, word_length))
		return bad(why, text, length);
	while (text_next_word(&at, end, &word, &word_length))
		if (!take_option(route, word, word_length))
			return bad(why, text, length);
	raise_level(route);
	return RESULT_OK;
}

/* RESULT_END: no entry for KEY. */
static enum result try_key(struct table *routes, const char *key, struct route *route, struct why *why)
{
	const char *value;
	size_t length;
	enum result result = table_find(routes, key, strlen(key), &value, &length, why);

	return result == RESULT_OK ? route_parse(value, length, route, why) : result;
}

enum result route_find(struct table *routes, const char *next_hop, struct route *route, struct why *why)
{
	const char *at = strrchr(next_hop, '@'), *domain = at ? at + 1 : next_hop;
	enum result result = at ? try_key(routes, next_hop, route, why) : RESULT_END;
	const char *dot;

	if (result == RESULT_END)
		result = try_key(routes, domain, route, why);
	for (dot = strchr(domain, '.'); dot && result == RESULT_END; dot = strchr(dot + 1, '.'))
		result = try_key(routes, dot, route, why);
	if (result == RESULT_END)
		result = try_key(routes, "*", route, why);
	if (result != RESULT_END)
		return result;
	*route = (struct route){ .port = PORT_SMTP };
	if (*domain == '[') {	/* an address literal, RFC 5321 4.1.3 */
		size_t skip = !strncasecmp(domain, "[IPv6:", 6) ? 6 : 1, length = strlen(domain);
		route->is_exact = true;
		route->is_ip = length > skip + 1 && ip_parse(domain + skip, length - skip - 1, &route->ip);
		if (!route->is_ip || !copy_host(route, domain + skip, length - skip - 1))
			return why_set(why, RESULT_NEVER, "%s is no address", domain);
		return RESULT_OK;
	}
	if (!copy_host(route, domain, strlen(domain)))
		return why_set(why, RESULT_NEVER, "%s is no domain", domain);
	return RESULT_OK;
}
