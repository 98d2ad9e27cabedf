#include "explain_tls.h"

#include "common/sts_client.h"
#include "common/tls_dane.h"
#include "stsd/folder.h"
#include "stsd/policy.h"
#include "stsd/store.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What the admin has said, or nobody. */
static void say_rule(const struct route *route, int indent)
{
	static const char *const meanings[] = {
		[TLS_LEVEL_UNSET] = "where a host offers it, unless DANE or MTA-STS want more",
		[TLS_LEVEL_NONE] = "none",
		[TLS_LEVEL_MAY] = "where a host offers it",
		[TLS_LEVEL_ENCRYPT] = "always, with any certificate",
		[TLS_LEVEL_VERIFY] = "always, with a certificate that is valid for the host",
		[TLS_LEVEL_DANE] = "always, with a certificate that TLSA records vouch for",
	};
	const char *from = route->tls == TLS_LEVEL_UNSET ? "" : route->is_tls_of_route ? " (the route says so)" : " (the site table says so)";

	printf("%*sTLS%s:\n", indent, "", route->is_wrapped ? " from the first byte" : "");
	printf("%*s  %s%s\n", indent, "", meanings[route->tls], from);
	if (route->secret[0])
		printf("%*s  login route:%s of the secrets\n", indent, "", route->secret);
}

static void say_records(const struct exchange *exchange, uint16_t port, int indent)
{
	const char *at = exchange->tlsa->records, *end = at + exchange->tlsa->length;
	char text[80];

	printf("%*s  %s: TLSA records of _%u._tcp.%s", indent, "", exchange->name, port, exchange->tlsa->base);
	printf("%s:\n", dane_count_usable(exchange->tlsa->records, exchange->tlsa->length) ? "" : ", of which none can be used: TLS with any certificate");
	while (dane_next_text(&at, end, text, sizeof text))
		printf("%*s    %s\n", indent, "", text);
}

static bool wants_dane(const struct configuration *conf, const struct route *route)
{
	return conf->dane && !route->is_ip && (route->tls == TLS_LEVEL_UNSET || route->tls >= TLS_LEVEL_ENCRYPT);
}

static void say_dane(struct names *names, const struct route *route, struct hosts *hosts, int indent)
{
	size_t i;

	if (!hosts->is_secure) {
		printf("%*s  no DANE: DNSSEC does not vouch for the mail exchangers of %s\n", indent, "", route->host);
		return;
	}
	if (!names_find_tlsa(names, hosts)) {
		printf("%*s  the DNS did not answer in time: whether there are TLSA records is not known now\n", indent, "");
		return;
	}
	for (i = 0; i < hosts->exchange_count; i++) {
		const struct exchange *exchange = &hosts->exchanges[i];
		if (exchange->tlsa_state == TLSA_FOUND)
			say_records(exchange, route->port, indent);
		else if (exchange->tlsa_state == TLSA_TROUBLE)
			printf("%*s  %s: gets nothing now, its TLSA records can't be looked up: %s\n", indent, "", exchange->name,
			       exchange->tlsa ? exchange->tlsa->words : "no memory");
		else
			printf("%*s  %s: no TLSA record\n", indent, "", exchange->name);
	}
}

static void say_policy(const char *domain, const char *text, size_t length, const struct hosts *hosts, int indent)
{
	static const char end_mark[] = "end\n";	/* as stsd/cache.c writes it: a line in front, the policy, the mark */
	size_t mark = strlen(end_mark), head;
	const char *newline = memchr(text, '\n', length);
	struct policy policy;
	struct why why;
	size_t i;

	head = newline ? (size_t)(newline + 1 - text) : length;
	if (length < head + mark || memcmp(text + length - mark, end_mark, mark) ||
	    policy_parse(text + head, length - head - mark, &policy, &why) != RESULT_OK)
		return;
	printf("%*s  MTA-STS policy of %s, as it was fetched last: %s, hosts %.*s\n", indent, "", domain,
	       policy.mode == STS_ENFORCE ? "enforce" : policy.mode == STS_TESTING ? "testing" : "none", (int)policy.patterns.len, policy.patterns.s);
	for (i = 0; i < hosts->exchange_count && policy.mode == STS_ENFORCE; i++)
		if (!sts_pattern_matches(policy.patterns.s, policy.patterns.len, hosts->exchanges[i].name))
			printf("%*s  %s: not named there, gets nothing unless TLSA records vouch for it\n", indent, "", hosts->exchanges[i].name);
	policy_free(&policy);
}

/* What stsd keeps; it asks anew when mail goes there. */
static void say_sts(const struct configuration *conf, const char *domain, const struct hosts *hosts, int indent)
{
	static char text[WIRE_STS_PATTERNS_MAX * 4 + 1024];
	struct folder folder = { .policies = -1, .facts = -1, .sent = -1 };
	struct why why = { 0 };
	size_t length;

	folder_open(conf, &folder, &why);
	if (folder.policies >= 0 && !strchr(domain, '/') && store_read(folder.policies, domain, text, sizeof text, &length, &why) == RESULT_OK)
		say_policy(domain, text, length, hosts, indent);
	else
		printf("%*s  no MTA-STS policy of %s is kept here\n", indent, "", domain);
}

void explain_tls(const struct configuration *conf, struct names *names, const struct route *route, const char *next_hop,
                 struct hosts *hosts, int indent)
{
	char domain[ROUTE_HOST_MAX + 1];

	say_rule(route, indent);
	if (wants_dane(conf, route))
		say_dane(names, route, hosts, indent);
	route_domain(route, next_hop, domain);
	if (conf->mta_sts && !route->is_exact && !route->is_lmtp && route->tls != TLS_LEVEL_NONE && route->tls != TLS_LEVEL_MAY &&
	    route->tls != TLS_LEVEL_DANE)
		say_sts(conf, domain, hosts, indent);
}
