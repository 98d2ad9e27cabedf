/* The TLSA records of the hosts: RFC 7672 2.2. */
#include "remoted/hosts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TTL_LEAST = 60 };

/* What is being asked about one exchange, in this order. */
enum step {
	STEP_ALIAS,	/* its address is not secure, but it is an alias: is that alias secure? */
	STEP_LAST,	/* the TLSA records below the name that the aliases end at */
	STEP_FIRST,	/* below its own name */
};

struct tlsa_search {
	struct hosts *hosts;
	void (*done)(struct hosts *hosts);
	size_t pending;
	struct tlsa_query {
		struct dns_query query;
		struct tlsa_search *search;
		struct exchange *exchange;
		enum step step;
	} queries[HOSTS_MAX];
};

void tlsa_note_address(struct exchange *exchange, const struct dns_answer *answer)
{
	if (answer->verdict != DNS_ANSWER)
		return;
	exchange->is_secure |= answer->is_secure;
	if (!exchange->canonical && answer->canonical[0])
		exchange->canonical = strdup(answer->canonical);
	if (exchange->canonical && *exchange->canonical && exchange->canonical[strlen(exchange->canonical) - 1] == '.')
		exchange->canonical[strlen(exchange->canonical) - 1] = 0;
}

void tlsa_forget_address(struct exchange *exchange)
{
	free(exchange->canonical);
	exchange->canonical = NULL;
	exchange->is_secure = false;
}

/* ---- what was found ---- */

void tlsa_drop(struct exchange *exchange)
{
	free(exchange->tlsa);
	exchange->tlsa = NULL;
	exchange->tlsa_state = TLSA_NONE;
}

/* Without memory for it: trouble, never nothing. */
static void keep(struct exchange *exchange, enum tlsa_state state, const char *base, const struct dns_answer *answer)
{
	size_t length = state == TLSA_FOUND ? answer->records_length : 0;
	struct tlsa *made = calloc(1, sizeof *made + length);

	tlsa_drop(exchange);
	exchange->tlsa_state = made ? state : TLSA_TROUBLE;
	exchange->tlsa = made;
	if (!made)
		return;
	made->length = length;
	if (length)
		memcpy(made->records, answer->records, length);
	snprintf(made->base, sizeof made->base, "%s", base);
	snprintf(made->words, sizeof made->words, "%s", answer->words);
}

static void finish_one(struct tlsa_search *search)
{
	struct hosts *hosts = search->hosts;
	void (*done)(struct hosts *) = search->done;

	if (--search->pending)
		return;
	free(search);
	hosts->tlsa_search = NULL;
	done(hosts);
}

/* ---- asking ---- */

static void answered(struct dns_query *query, const struct dns_answer *answer);

static const char *base_of(const struct tlsa_query *q)
{
	return q->step == STEP_LAST ? q->exchange->canonical : q->exchange->name;
}

/* false: no record can have such a name. */
static bool ask(struct tlsa_query *q)
{
	struct hosts *hosts = q->search->hosts;
	char name[DNS_NAME_MAX + 1];

	if (q->step == STEP_ALIAS) {
		dns_ask(hosts->dns, &q->query, q->exchange->name, DNS_CNAME, answered);
		return true;
	}
	for (;;) {
		if (snprintf(name, sizeof name, "_%u._tcp.%s", hosts->route->port, base_of(q)) < (int)sizeof name)
			break;
		if (q->step == STEP_FIRST)
			return false;
		q->step = STEP_FIRST;
	}
	dns_ask(hosts->dns, &q->query, name, DNS_TLSA, answered);
	return true;
}

/* No secure record there, and that is certain: the next name, or none. */
static bool has_next_step(struct tlsa_query *q, const struct dns_answer *answer)
{
	if (q->step == STEP_FIRST || (q->step == STEP_ALIAS && !(answer->verdict == DNS_ANSWER && answer->is_secure)))
		return false;
	q->step = STEP_FIRST;
	return true;
}

static void answered(struct dns_query *query, const struct dns_answer *answer)
{
	struct tlsa_query *q = container_of(query, struct tlsa_query, query);
	struct hosts *hosts = q->search->hosts;
	uint32_t ttl = answer->ttl_seconds > TTL_LEAST ? answer->ttl_seconds : TTL_LEAST;

	if (ttl < hosts->ttl_seconds)
		hosts->ttl_seconds = ttl;
	if (answer->verdict == DNS_LATER) {	/* bogus, or no answer: not in clear on that account, RFC 7672 2.1.2 */
		keep(q->exchange, TLSA_TROUBLE, base_of(q), answer);
	} else if (q->step != STEP_ALIAS && answer->verdict == DNS_ANSWER && answer->is_secure) {
		keep(q->exchange, TLSA_FOUND, base_of(q), answer);
	} else if (has_next_step(q, answer) && ask(q)) {
		return;
	} else {
		tlsa_drop(q->exchange);
	}
	finish_one(q->search);
}

void tlsa_cancel(struct hosts *hosts)
{
	size_t i;

	if (!hosts->tlsa_search)
		return;
	for (i = 0; i < HOSTS_MAX; i++)
		dns_cancel(&hosts->tlsa_search->queries[i].query);
	free(hosts->tlsa_search);
	hosts->tlsa_search = NULL;
}

/* An address that DNSSEC does not vouch for: no TLSA record can, unless the alias that led there is secure (2.2.2, 2.2.3). */
static void start_one(struct tlsa_search *search, struct exchange *exchange)
{
	struct tlsa_query *q = &search->queries[exchange - search->hosts->exchanges];

	if (!exchange->is_secure && !exchange->canonical) {
		tlsa_drop(exchange);
		return;
	}
	q->search = search;
	q->exchange = exchange;
	q->step = !exchange->is_secure ? STEP_ALIAS : exchange->canonical ? STEP_LAST : STEP_FIRST;
	if (ask(q))	/* the answer comes later */
		search->pending++;
	else
		tlsa_drop(exchange);
}

void hosts_find_tlsa(struct hosts *hosts, void (*done)(struct hosts *))
{
	static const struct dns_answer no_memory = { .words = "no memory for a look-up" };
	struct tlsa_search *search = calloc(1, sizeof *search);
	size_t i;

	if (!search) {
		for (i = 0; i < hosts->exchange_count; i++)
			keep(&hosts->exchanges[i], TLSA_TROUBLE, "", &no_memory);
		done(hosts);
		return;
	}
	search->hosts = hosts;
	search->done = done;
	search->pending = 1;	/* this function: done is not called before the last one is asked */
	hosts->tlsa_search = search;
	for (i = 0; i < hosts->exchange_count; i++)
		start_one(search, &hosts->exchanges[i]);
	finish_one(search);
}
