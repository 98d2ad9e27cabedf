#include "hostname.h"

#include <stdlib.h>
#include <string.h>

enum { NAMES_MAX = 3 };		/* of an address that has several, tried in order */

struct hostname {
	struct dns_query query;
	struct dns_client *dns;
	struct session *session;
	struct address_ip ip;
	void (*found)(struct session *, const char *);
	unsigned count, at;
	char names[NAMES_MAX][DNS_NAME_MAX + 1];
};

static void hostname_end(struct hostname *hostname, const char *name)
{
	hostname->found(hostname->session, name);
	free(hostname);
}

static void hostname_addresses(struct dns_query *query, const struct dns_answer *answer);

static void hostname_try(struct hostname *hostname)
{
	if (hostname->at < hostname->count)
		dns_ask(hostname->dns, &hostname->query, hostname->names[hostname->at],
		        hostname->ip.family == 4 ? DNS_A : DNS_AAAA, hostname_addresses);
	else
		hostname_end(hostname, NULL);
}

static void hostname_addresses(struct dns_query *query, const struct dns_answer *answer)
{
	struct hostname *hostname = container_of(query, struct hostname, query);
	const char *at = answer->records, *end = at + answer->records_length, *rdata;
	struct address_ip ip;
	size_t length;

	while (answer->verdict == DNS_ANSWER && dns_next_record(&at, end, &rdata, &length))
		if (dns_ip(rdata, length, &ip) && ip_equal(&ip, &hostname->ip)) {
			hostname_end(hostname, hostname->names[hostname->at]);
			return;
		}
	hostname->at++;
	hostname_try(hostname);
}

static void hostname_pointers(struct dns_query *query, const struct dns_answer *answer)
{
	struct hostname *hostname = container_of(query, struct hostname, query);
	const char *at = answer->records, *end = at + answer->records_length, *rdata;
	size_t length;

	while (answer->verdict == DNS_ANSWER && hostname->count < NAMES_MAX && dns_next_record(&at, end, &rdata, &length)) {
		char *name = hostname->names[hostname->count];
		if (dns_name_text(rdata, length, name) && *name)
			hostname->count++;
	}
	hostname_try(hostname);
}

struct hostname *hostname_ask(struct dns_client *dns, const struct address_ip *ip, struct session *session,
                              void (*found)(struct session *, const char *))
{
	struct hostname *hostname = calloc(1, sizeof *hostname);
	char name[DNS_NAME_MAX + 1];

	if (!hostname)
		return NULL;
	hostname->dns = dns;
	hostname->ip = *ip;
	hostname->session = session;
	hostname->found = found;
	dns_reverse_name(ip, name);
	dns_ask(dns, &hostname->query, name, DNS_PTR, hostname_pointers);
	return hostname;
}

void hostname_cancel(struct hostname *hostname)
{
	if (hostname)
		dns_cancel(&hostname->query);
	free(hostname);
}
