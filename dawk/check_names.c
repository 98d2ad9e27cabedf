/* `dawk check`: what the DNS says of this host and its domains. See check.h. Hints alone: a host that others reach
 * under another name, or one that serves no one but itself, is as it should be. */
#include "check.h"
#include "names.h"

#include <stdio.h>
#include <string.h>

enum { PATIENCE_MS = 4000, DOMAINS_ASKED = 10 };

static void hint_no_answer(const char *words)
{
	if (strstr(words, "DNSSEC"))	/* dnsd/lookup.c */
		check_hint("DNSSEC fails (%s): mail from and to such domains is deferred; a name server that strips signatures "
		           "needs another one in resolver, or dnssec = no", words);
	else
		check_hint("the DNS does not answer (%s): what it says of this host was not checked", words);
}

/* false: it gives no answers. */
static bool check_own_address(struct names *names, const char *hostname)
{
	struct why why;
	enum result result = names_has_address(names, hostname, &why);

	if (result == RESULT_RETRY)
		hint_no_answer(why.text);
	if (result == RESULT_END)
		check_hint("%s has no address in the DNS: other hosts may refuse mail from it", hostname);
	return result != RESULT_RETRY;
}

static bool names_this_host(const struct hosts *hosts)
{
	return strcmp(hosts->status, "5.4.6") == 0;	/* hosts.c: the best exchanger is this one */
}

static void hint_exchangers(const struct hosts *hosts, const char *hostname)
{
	char list[512] = "";
	size_t used = 0;

	for (size_t i = 0; i < hosts->exchange_count && used < sizeof list; i++)
		used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", hosts->exchanges[i].name);
	check_hint("mail for %s goes to %s first, not to %s: right if that is this host by another name, or hands on to it",
	           hosts->route->host, list, hostname);
}

static bool check_domain(struct names *names, const struct configuration *conf, const char *domain)
{
	struct hosts hosts = { .exchange_count = 0 };
	struct route route = { .port = 25 };
	bool is_known;

	snprintf(route.host, sizeof route.host, "%s", domain);
	is_known = names_find_exchanges(names, &route, &hosts);
	if (is_known && hosts.verdict == DELIVERY_DELIVERED)
		is_known = names_find_addresses(names, &hosts);
	if (is_known && hosts.verdict == DELIVERY_FAILED && !names_this_host(&hosts))
		check_hint("nobody else can send mail to %s: %s", domain, hosts.words);
	else if (is_known && hosts.verdict == DELIVERY_DELIVERED)
		hint_exchangers(&hosts, conf->hostname);
	else if (!is_known || hosts.verdict == DELIVERY_DEFERRED)
		hint_no_answer(is_known ? hosts.words : "no answer in time");
	is_known = is_known && hosts.verdict != DELIVERY_DEFERRED;
	hosts_free(&hosts);
	return is_known;
}

void check_names(struct check *check)
{
	const struct configuration *conf = check->conf;
	struct names *names;
	struct why why;

	if (!strchr(conf->hostname, '.')) {
		check_finding(check, "set hostname to the full name that DNS has for this host",
		              "hostname %s has no domain: other hosts refuse such a HELO", conf->hostname);
		return;
	}
	if (names_start(conf, PATIENCE_MS, &names, &why) != RESULT_OK) {
		hint_no_answer(why.text);
		return;
	}
	bool is_answering = check_own_address(names, conf->hostname);
	for (size_t i = 0; i < conf->domains.count && i < DOMAINS_ASKED && is_answering; i++)
		is_answering = check_domain(names, conf, conf->domains.items[i]);
	names_stop(names);
}
