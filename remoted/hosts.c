#include "remoted/hosts.h"

#include "common/text.h"
#include <errno.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SELF_MAX = 256, TTL_LEAST = 60, TTL_MOST = 3600 };

struct hosts_search {
	struct hosts *hosts;
	struct dns_query mx;
	struct family_query {
		struct dns_query query;
		struct hosts_search *search;
		uint8_t exchange;
	} queries[HOSTS_MAX][2];
	size_t pending;
	bool has_trouble;
	char trouble[257];
};

/* ---- this host ---- */

static struct {
	const char *hostname;
	struct address_ip ips[SELF_MAX];
	size_t ip_count;
	const struct listener_list *listeners;
} self;

enum result hosts_know_self(const struct configuration *conf, struct why *why)
{
	struct ifaddrs *all, *one;

	self.hostname = conf->hostname;
	self.listeners = &conf->listen_smtp;
	if (getifaddrs(&all))
		return why_errno(why, RESULT_RETRY, "unable to list this host's addresses");
	for (one = all; one && self.ip_count < SELF_MAX; one = one->ifa_next)
		if (one->ifa_addr && ip_from_sockaddr(one->ifa_addr, &self.ips[self.ip_count], &(uint16_t){ 0 }))
			self.ip_count++;
	freeifaddrs(all);
	return RESULT_OK;
}

static bool is_wildcard(const struct address_ip *ip)
{
	static const uint8_t zeros[16];

	return !memcmp(ip->bytes, zeros, sizeof zeros);
}

static bool is_own_address(const struct address_ip *ip)
{
	size_t i;

	for (i = 0; i < self.ip_count; i++)
		if (ip_equal(&self.ips[i], ip))
			return true;
	return false;
}

/* The addresses and ports this host listens on, not every address of the loopback; and the unspecified address, which a connection
 * takes for the loopback. */
static bool is_self(const struct address_ip *ip, uint16_t port)
{
	struct address_ip listening;
	uint16_t listening_port;
	size_t i;

	if (is_wildcard(ip))
		return true;
	for (i = 0; i < self.listeners->count; i++) {
		if (!ip_from_sockaddr((const struct sockaddr *)&self.listeners->items[i].address, &listening, &listening_port) ||
		    listening_port != port)
			continue;
		if (ip_equal(&listening, ip) || (is_wildcard(&listening) && (is_own_address(ip) || ip_is_loopback(ip))))
			return true;
	}
	return false;
}

/* ---- outcomes ---- */

static void settle(struct hosts *hosts, int verdict, const char *status, const char *format, const char *a, const char *b)
{
	hosts->verdict = verdict;
	snprintf(hosts->status, sizeof hosts->status, "%s", status);
	snprintf(hosts->words, sizeof hosts->words, format, a, b);
}

static void finish(struct hosts *hosts)
{
	free(hosts->search);
	hosts->search = NULL;
	hosts->done(hosts);
}

static void note_ttl(struct hosts *hosts, uint32_t ttl_seconds)
{
	if (ttl_seconds < TTL_LEAST)
		ttl_seconds = TTL_LEAST;
	if (ttl_seconds < hosts->ttl_seconds)
		hosts->ttl_seconds = ttl_seconds;
}

static void drop_exchanges(struct hosts *hosts, size_t from)
{
	while (hosts->exchange_count > from) {
		struct exchange *exchange = &hosts->exchanges[--hosts->exchange_count];
		tlsa_drop(exchange);
		tlsa_forget_address(exchange);
		free(exchange->name);
	}
}

void hosts_free(struct hosts *hosts)
{
	size_t i;

	if (hosts->search) {
		dns_cancel(&hosts->search->mx);
		for (i = 0; i < HOSTS_MAX; i++) {
			dns_cancel(&hosts->search->queries[i][0].query);
			dns_cancel(&hosts->search->queries[i][1].query);
		}
		free(hosts->search);
		hosts->search = NULL;
	}
	tlsa_cancel(hosts);
	drop_exchanges(hosts, 0);
}

static bool start_search(struct hosts *hosts, void (*done)(struct hosts *))
{
	hosts->done = done;
	hosts->search = calloc(1, sizeof *hosts->search);
	if (hosts->search) {
		hosts->search->hosts = hosts;
		return true;
	}
	settle(hosts, DELIVERY_DEFERRED, "4.3.0", "no memory for a look-up%s%s", "", "");
	done(hosts);
	return false;
}

/* ---- exchanges ---- */

/* false: no memory. */
static bool add_exchange(struct hosts *hosts, const char *name, uint16_t preference)
{
	struct exchange *place = &hosts->exchanges[hosts->exchange_count];
	char *copy;
	size_t i;

	if (hosts->exchange_count == HOSTS_MAX) {	/* the worst gives way */
		for (place = hosts->exchanges, i = 1; i < HOSTS_MAX; i++)
			if (hosts->exchanges[i].preference > place->preference)
				place = &hosts->exchanges[i];
		if (preference >= place->preference)
			return true;
	}
	copy = strdup(name);
	if (!copy)
		return false;
	if (hosts->exchange_count < HOSTS_MAX)
		hosts->exchange_count++;
	else
		free(place->name);
	*place = (struct exchange){ .name = copy, .preference = preference };
	return true;
}

/* By preference; equals stay in the order that shuffle gave them (an insertion sort is stable). */
static void sort_exchanges(struct hosts *hosts)
{
	size_t i, j;

	for (i = hosts->exchange_count; i > 1; i--) {
		size_t other = random_below(i);
		struct exchange swap = hosts->exchanges[i - 1];
		hosts->exchanges[i - 1] = hosts->exchanges[other];
		hosts->exchanges[other] = swap;
	}
	for (i = 1; i < hosts->exchange_count; i++)
		for (j = i; j && hosts->exchanges[j].preference < hosts->exchanges[j - 1].preference; j--) {
			struct exchange swap = hosts->exchanges[j];
			hosts->exchanges[j] = hosts->exchanges[j - 1];
			hosts->exchanges[j - 1] = swap;
		}
}

/* This host's own name among them: it and all of its preference and worse are no next hop, RFC 5321 5.1. */
static void exclude_self(struct hosts *hosts)
{
	size_t i;

	for (i = 0; i < hosts->exchange_count; i++)
		if (!strcmp(hosts->exchanges[i].name, self.hostname))
			break;
	if (i == hosts->exchange_count)
		return;
	while (i && hosts->exchanges[i - 1].preference == hosts->exchanges[i].preference)
		i--;
	drop_exchanges(hosts, i);
}

static void take_exchanges(struct hosts *hosts, const struct dns_answer *answer)
{
	const char *at = answer->records, *end = at + answer->records_length, *rdata;
	char name[DNS_NAME_MAX + 1];
	uint16_t preference;
	size_t length, count = 0, null_count = 0;
	bool has_memory = true;

	note_ttl(hosts, answer->ttl_seconds);
	hosts->is_secure = answer->is_secure;
	while (dns_next_record(&at, end, &rdata, &length)) {
		count++;
		if (!dns_mx(rdata, length, &preference, name))
			continue;	/* a name that no host can have */
		if (!*name)
			null_count++;
		else
			has_memory = add_exchange(hosts, name, preference) && has_memory;
	}
	if (!has_memory) {
		settle(hosts, DELIVERY_DEFERRED, "4.3.0", "no memory for a look-up%s%s", "", "");
		return;
	}
	if (count == 1 && null_count == 1) {
		settle(hosts, DELIVERY_FAILED, "5.1.10", "%s accepts no mail (null MX)%s", hosts->route->host, "");
		return;
	}
	if (!hosts->exchange_count) {
		settle(hosts, DELIVERY_FAILED, "5.4.4", "the MX records of %s name no host%s", hosts->route->host, "");
		return;
	}
	sort_exchanges(hosts);
	exclude_self(hosts);
	if (hosts->exchange_count)
		settle(hosts, DELIVERY_DELIVERED, "2.0.0", "%s%s", "", "");
	else
		settle(hosts, DELIVERY_FAILED, "5.4.6", "the best mail exchanger of %s is this host, which does not know the domain%s",
		       hosts->route->host, "");
}

static void mx_answered(struct dns_query *query, const struct dns_answer *answer)
{
	struct hosts *hosts = container_of(query, struct hosts_search, mx)->hosts;
	const char *domain = hosts->route->host;

	switch (answer->verdict) {
	case DNS_ANSWER:
		take_exchanges(hosts, answer);
		break;
	case DNS_NO_DATA:	/* implicit MX, RFC 5321 5.1 */
		note_ttl(hosts, answer->ttl_seconds);
		hosts->is_secure = answer->is_secure;
		if (add_exchange(hosts, domain, 0))
			settle(hosts, DELIVERY_DELIVERED, "2.0.0", "%s%s", "", "");
		else
			settle(hosts, DELIVERY_DEFERRED, "4.3.0", "no memory for a look-up%s%s", "", "");
		break;
	case DNS_NO_NAME:
		settle(hosts, DELIVERY_FAILED, "5.1.2", "the domain %s does not exist%s", domain, "");
		break;
	default:
		settle(hosts, DELIVERY_DEFERRED, "4.4.3", "unable to look up the mail exchangers of %s: %s", domain, answer->words);
	}
	finish(hosts);
}

void hosts_find_exchanges(struct hosts *hosts, void (*done)(struct hosts *))
{
	drop_exchanges(hosts, 0);
	hosts->ttl_seconds = TTL_MOST;
	hosts->is_secure = hosts->route->is_exact;
	if (hosts->route->is_exact) {
		hosts->done = done;
		if (add_exchange(hosts, hosts->route->path[0] ? hosts->route->path : hosts->route->host, 0))
			settle(hosts, DELIVERY_DELIVERED, "2.0.0", "%s%s", "", "");
		else
			settle(hosts, DELIVERY_DEFERRED, "4.3.0", "no memory for a next hop%s%s", "", "");
		done(hosts);
		return;
	}
	if (start_search(hosts, done))
		dns_ask(hosts->dns, &hosts->search->mx, hosts->route->host, DNS_MX, mx_answered);
}

/* How it is connected to, where that is not as usual: " from 192.0.2.1 by IPv4". */
static void put_particulars(const struct route *route, char *out, size_t size)
{
	char ip[NETWORK_TEXT_MAX];
	size_t length = 0, i;

	*out = 0;
	for (i = 0; i < 2; i++)
		if (route->sources[i].family && length < size)
			length += (size_t)snprintf(out + length, size - length, " from %s", ip_text(&route->sources[i], ip));
	if (route->family && length < size)
		length += (size_t)snprintf(out + length, size - length, " by IPv%u", route->family);
	if (route->tls != TLS_LEVEL_UNSET && length < size)
		length += (size_t)snprintf(out + length, size - length, " tls=%s", tls_level_names[route->tls]);
	if (route->secret[0] && length < size)
		snprintf(out + length, size - length, " login=%s", route->secret);
}

void hosts_site_key(const struct hosts *hosts, char *out, size_t size)
{
	const struct route *route = hosts->route;
	char particulars[2 * NETWORK_TEXT_MAX + ROUTE_SECRET_MAX + 64];
	const char *kind = route->is_lmtp ? "lmtp" : route->is_wrapped ? "smtps" : "smtp";
	struct exchange order[HOSTS_MAX], swap;
	bool has_brackets = route->is_exact && !route->path[0];
	size_t i, j, length;

	put_particulars(route, particulars, sizeof particulars);
	memcpy(order, hosts->exchanges, sizeof order);
	for (i = 1; i < hosts->exchange_count; i++)	/* they are in order of preference: equals by name */
		for (j = i; j && order[j - 1].preference == order[j].preference && strcmp(order[j - 1].name, order[j].name) > 0; j--)
			swap = order[j], order[j] = order[j - 1], order[j - 1] = swap;
	length = (size_t)snprintf(out, size, "%s:%s", kind, route->path[0] ? "unix:" : "");
	for (i = 0; i < hosts->exchange_count && length < size; i++)
		length += (size_t)snprintf(out + length, size - length, "%s%s%s%s",
		                           !i ? "" : order[i - 1].preference == order[i].preference ? "," : ";",
		                           has_brackets ? "[" : "", order[i].name, has_brackets ? "]" : "");
	if (length < size && !route->path[0])
		length += (size_t)snprintf(out + length, size - length, ":%u", route->port);
	if (length < size)
		length += (size_t)snprintf(out + length, size - length, "%s", particulars);
	if (length >= size)	/* too long to tell it from others by its hosts: not shared */
		snprintf(out, size, "%s:@%s:%u%s", kind, route->host, route->port, particulars);
}

/* ---- addresses ---- */

static uint16_t preference_of(const struct hosts *hosts, const struct host_address *address)
{
	return hosts->exchanges[address->exchange].preference;
}

/* When all places are taken the last one of the worst exchange gives way. NULL: none is worse than EXCHANGE. */
static struct host_address *find_place(struct hosts *hosts, uint8_t exchange)
{
	struct host_address *worst = hosts->addresses;
	size_t i;

	if (hosts->address_count < ADDRESSES_MAX)
		return &hosts->addresses[hosts->address_count++];
	for (i = 1; i < ADDRESSES_MAX; i++)
		if (preference_of(hosts, &hosts->addresses[i]) >= preference_of(hosts, worst))
			worst = &hosts->addresses[i];
	return hosts->exchanges[exchange].preference < preference_of(hosts, worst) ? worst : NULL;
}

/* An address of several exchanges is the best one's, whichever answer comes first. */
static void add_address(struct hosts *hosts, const struct address_ip *ip, uint8_t exchange)
{
	struct host_address *place;

	for (place = hosts->addresses; place < hosts->addresses + hosts->address_count; place++) {
		if (!ip_equal(&place->ip, ip))
			continue;
		if (hosts->exchanges[exchange].preference < preference_of(hosts, place))
			place->exchange = exchange;
		return;
	}
	place = find_place(hosts, exchange);
	if (place)
		*place = (struct host_address){ .ip = *ip, .exchange = exchange };
}

/* In order of preference; within one, the second family right behind the first, RFC 8305 4. */
static bool goes_before(const struct hosts *hosts, const struct host_address *a, const struct host_address *b, const size_t *rank)
{
	uint16_t x = preference_of(hosts, a), y = preference_of(hosts, b);

	if (x != y)
		return x < y;
	return rank[a - hosts->addresses] < rank[b - hosts->addresses];
}

static void order_addresses(struct hosts *hosts)
{
	struct host_address sorted[ADDRESSES_MAX];
	size_t rank[ADDRESSES_MAX], order[ADDRESSES_MAX], i, j, n = hosts->address_count, seen[HOSTS_MAX][2] = { { 0 } };

	for (i = 0; i < n; i++) {
		const struct host_address *address = &hosts->addresses[i];
		bool is_v4 = address->ip.family == 4;
		rank[i] = seen[address->exchange][is_v4]++ * 2 * HOSTS_MAX + address->exchange * 2u + is_v4;
		order[i] = i;
	}
	for (i = 1; i < n; i++)
		for (j = i; j && goes_before(hosts, &hosts->addresses[order[j]], &hosts->addresses[order[j - 1]], rank); j--) {
			size_t swap = order[j];
			order[j] = order[j - 1];
			order[j - 1] = swap;
		}
	for (i = 0; i < n; i++)
		sorted[i] = hosts->addresses[order[i]];
	memcpy(hosts->addresses, sorted, n * sizeof *sorted);
}

/* An address of this host's: that exchange's preference and worse are out, RFC 5321 5.1. */
static void exclude_own_addresses(struct hosts *hosts)
{
	uint32_t limit = UINT32_MAX;
	size_t i, kept = 0;

	for (i = 0; i < hosts->address_count; i++)
		if (is_self(&hosts->addresses[i].ip, hosts->route->port) && preference_of(hosts, &hosts->addresses[i]) < limit)
			limit = preference_of(hosts, &hosts->addresses[i]);
	for (i = 0; i < hosts->address_count; i++)
		if (preference_of(hosts, &hosts->addresses[i]) < limit)
			hosts->addresses[kept++] = hosts->addresses[i];
	hosts->address_count = kept;
	if (limit != UINT32_MAX && !kept)
		settle(hosts, DELIVERY_FAILED, "5.4.6", "mail for %s comes back to this host%s", hosts->route->host, "");
}

static void judge_addresses(struct hosts *hosts)
{
	bool has_trouble = hosts->search && hosts->search->has_trouble;

	hosts->verdict = 0;
	exclude_own_addresses(hosts);
	order_addresses(hosts);
	if (hosts->address_count)
		settle(hosts, DELIVERY_DELIVERED, "2.0.0", "%s%s", "", "");
	else if (has_trouble)	/* a better host than this one may be among them */
		settle(hosts, DELIVERY_DEFERRED, "4.4.3", "unable to look up the addresses of %s: %s",
		       hosts->route->host, hosts->search->trouble);
	else if (!hosts->verdict && hosts->route->family)	/* a rule of this host's: it may change */
		settle(hosts, DELIVERY_DEFERRED, "4.4.4", "no host that takes mail for %s has an address of IPv%s, and the site table wants one",
		       hosts->route->host, hosts->route->family == 4 ? "4" : "6");
	else if (!hosts->verdict)
		settle(hosts, DELIVERY_FAILED, "5.4.4", "no host that takes mail for %s has an address%s", hosts->route->host, "");
}

static void address_answered(struct dns_query *query, const struct dns_answer *answer)
{
	struct family_query *family = container_of(query, struct family_query, query);
	struct hosts_search *search = family->search;
	struct hosts *hosts = search->hosts;
	const char *at = answer->records, *end = at ? at + answer->records_length : NULL, *rdata;
	struct address_ip ip;
	size_t length;

	if (answer->verdict == DNS_LATER) {
		search->has_trouble = true;
		snprintf(search->trouble, sizeof search->trouble, "%s", answer->words);
	} else {
		note_ttl(hosts, answer->ttl_seconds);
	}
	tlsa_note_address(&hosts->exchanges[family->exchange], answer);
	while (answer->verdict == DNS_ANSWER && dns_next_record(&at, end, &rdata, &length))
		if (dns_ip(rdata, length, &ip))
			add_address(hosts, &ip, family->exchange);
	if (--search->pending)
		return;
	judge_addresses(hosts);
	finish(hosts);
}

void hosts_find_addresses(struct hosts *hosts, void (*done)(struct hosts *))
{
	size_t i, f;

	hosts->address_count = 0;
	hosts->ttl_seconds = TTL_MOST;
	for (i = 0; i < hosts->exchange_count; i++)
		tlsa_forget_address(&hosts->exchanges[i]);
	if (hosts->route->is_ip) {
		add_address(hosts, &hosts->route->ip, 0);
		hosts->done = done;
		judge_addresses(hosts);
		done(hosts);
		return;
	}
	if (!start_search(hosts, done))
		return;
	hosts->search->pending = hosts->exchange_count * (hosts->route->family ? 1 : 2);
	for (i = 0; i < hosts->exchange_count; i++)
		for (f = 0; f < 2; f++) {
			if (hosts->route->family == (f ? 4 : 6))
				continue;
			struct family_query *family = &hosts->search->queries[i][f];
			family->search = hosts->search;
			family->exchange = (uint8_t)i;
			dns_ask(hosts->dns, &family->query, hosts->exchanges[i].name, f ? DNS_AAAA : DNS_A, address_answered);
		}
}
