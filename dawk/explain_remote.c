#include "explain_remote.h"

#include "explain_tls.h"
#include "remoted/rules.h"
#include <stdio.h>
#include <string.h>

enum { PATIENCE_MS = 5000 };		/* for all addresses of one command together */

static void say_verdict(const struct hosts *hosts, int indent)
{
	printf("%*s%s: %s %s\n", indent, "", hosts->verdict == DELIVERY_FAILED ? "undeliverable, its mail would be reported" : "its mail would be deferred",
	       hosts->status, hosts->words);
}

static void say_no_answer(int indent)
{
	printf("%*sthe DNS did not answer within %d seconds: where it would go is not known now\n", indent, "", PATIENCE_MS / 1000);
}

static void say_exchanges(const struct hosts *hosts, int indent)
{
	printf("%*smail exchangers of %s:", indent, "", hosts->route->host);
	for (size_t i = 0; i < hosts->exchange_count; i++)
		printf("%s %u %s", i ? "," : "", hosts->exchanges[i].preference, hosts->exchanges[i].name);
	putchar('\n');
}

static void say_addresses(const struct hosts *hosts, int indent)
{
	char ip[NETWORK_TEXT_MAX];

	printf("%*stried in this order%s:\n", indent, "", hosts->exchange_count > 1 ? " (hosts of the same preference change places)" : "");
	for (size_t i = 0; i < hosts->address_count; i++)
		printf("%*s  %s port %u, %s\n", indent, "", ip_text(&hosts->addresses[i].ip, ip), hosts->route->port,
		       hosts->exchanges[hosts->addresses[i].exchange].name);
}

/* true: the addresses are known. */
static bool say_hosts(struct names *names, const struct route *route, struct hosts *hosts, int indent)
{
	if (!names_find_exchanges(names, route, hosts)) {
		say_no_answer(indent);
		return false;
	}
	if (hosts->verdict != DELIVERY_DELIVERED) {
		say_verdict(hosts, indent);
		return false;
	}
	if (!route->is_exact)
		say_exchanges(hosts, indent);
	if (!names_find_addresses(names, hosts))
		say_no_answer(indent);
	else if (hosts->verdict != DELIVERY_DELIVERED)
		say_verdict(hosts, indent);
	else
		say_addresses(hosts, indent);
	return hosts->verdict == DELIVERY_DELIVERED && hosts->address_count;
}

void explain_remote(const struct configuration *conf, struct table *routes, struct table *sites, const char *next_hop,
                    int indent, struct names **names)
{
	struct hosts hosts = { .exchange_count = 0 };
	struct route route;
	struct why why;
	enum result result = route_find(routes, next_hop, &route, &why);

	if (result == RESULT_OK && *route.path)
		return;			/* the route says it all */
	if (result == RESULT_OK)
		result = rules_take(sites, next_hop, &route, &why);
	if (result == RESULT_OK && !*names)
		result = names_start(conf, PATIENCE_MS, names, &why);
	if (result != RESULT_OK) {
		printf("%*sunable to find its hosts: %s\n", indent, "", why.text);
		return;
	}
	if (say_hosts(*names, &route, &hosts, indent))
		explain_tls(conf, *names, &route, next_hop, &hosts, indent);
	hosts_free(&hosts);
}
