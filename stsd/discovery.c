#include "discovery.h"

#include "facts.h"
#include "fetch.h"
#include "record.h"
#include "common/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct discovery {
	struct entry *entry;
	struct waiter *waiters;
	struct discovery *next;			/* of those that wait for their fetch */
	char id[STS_ID_MAX + 1];
	uint32_t ttl_seconds;			/* of the TXT record */
	struct dns_query txt, a, aaaa;
	int queries;				/* for addresses, under way */
	struct address_ip addresses[FETCH_ADDRESSES_MAX];
	size_t address_count;
	char words[257];			/* why there are none */
	struct timer patience;
	struct fetch fetch;
};

static struct loop *loop;
static struct dns_client *dns;
static struct discovery *first_waiting, **last_waiting = &first_waiting;
static size_t under_way, waiter_count, fetching;

/* ---- telling ---- */

static void tell_all(struct discovery *discovery, const struct entry *entry, const char *words)
{
	struct waiter *waiter = discovery->waiters;

	discovery->waiters = NULL;
	loop_unset_timer(loop, &discovery->patience);
	while (waiter) {
		struct waiter *next = waiter->next;
		waiter_count--;
		waiter->told(waiter, entry, words);
		waiter = next;
	}
}

/* What is in the cache holds from now on, for SECONDS within bounds. */
static void settle(struct discovery *discovery, uint32_t seconds)
{
	struct entry *entry = discovery->entry;

	if (seconds < DISCOVERY_KNOWN_LEAST_SECONDS)
		seconds = DISCOVERY_KNOWN_LEAST_SECONDS;
	if (seconds > DISCOVERY_KNOWN_MOST_SECONDS)
		seconds = DISCOVERY_KNOWN_MOST_SECONDS;
	entry->known_until_ms = loop_now_ms(loop) + seconds * UINT64_C(1000);
	tell_all(discovery, entry, entry->words);
}

static void patience_over(struct timer *timer)
{
	struct discovery *discovery = container_of(timer, struct discovery, patience);
	struct entry *entry = discovery->entry;

	tell_all(discovery, cache_is_valid(entry) ? entry : NULL, "to find out its policy takes too long");
}

static void end(struct discovery *discovery)
{
	discovery->entry->discovery = NULL;
	loop_unset_timer(loop, &discovery->patience);
	stralloc_free(&discovery->fetch.body);
	free(discovery);
	under_way--;
}

static void keep_words(struct entry *entry, const char *words)
{
	snprintf(entry->words, sizeof entry->words, "%s", words);
}

/* ---- the policy ---- */

static void log_policy(const char *event, const struct discovery *discovery, const struct why *why)
{
	static const char *const modes[] = { [STS_NONE] = "none", [STS_TESTING] = "testing", [STS_ENFORCE] = "enforce" };
	const struct entry *entry = discovery->entry;
	struct log_line line;

	log_start(&line, event);
	log_text(&line, "domain", entry->domain);
	log_text(&line, "id", discovery->id);
	if (entry->has_policy && cache_is_valid(entry)) {
		log_text(&line, "mode", modes[entry->policy.mode]);
		log_number(&line, "left", cache_seconds_left(entry));
	}
	log_why(&line, why);
	log_end(&line);
}

static void failed(struct discovery *discovery, enum tls_fact_result result, const char *words)
{
	struct entry *entry = discovery->entry;
	uint64_t wait = DISCOVERY_FAILED_FIRST_SECONDS;
	uint32_t i;
	struct why why;

	for (i = 0; i < entry->failures && wait < DISCOVERY_FAILED_MOST_SECONDS; i++)
		wait *= 2;
	entry->failures++;
	entry->no_fetch_until_ms = loop_now_ms(loop) + (wait < DISCOVERY_FAILED_MOST_SECONDS ? wait : DISCOVERY_FAILED_MOST_SECONDS) * 1000;
	memcpy(entry->failed_id, discovery->id, sizeof entry->failed_id);
	keep_words(entry, words);
	why_set(&why, RESULT_RETRY, "%s", words);
	log_policy("policy-failed", discovery, &why);
	facts_count(&(struct fact_report){ .domain = entry->domain, .policy_type = TLS_FACT_POLICY_STS, .result = result, .reason = words });
	settle(discovery, discovery->ttl_seconds);
	end(discovery);
}

static void take_policy(struct discovery *discovery)
{
	struct entry *entry = discovery->entry;
	struct policy policy;
	struct why why = { 0 };
	const stralloc *body = &discovery->fetch.body;
	enum result result = policy_parse(body->len ? body->s : "", body->len, &policy, &why);

	if (result != RESULT_OK) {
		failed(discovery, result == RESULT_RETRY ? TLS_FACT_STS_FETCH_ERROR : TLS_FACT_STS_POLICY_INVALID, why.text);
		return;
	}
	if (cache_put(entry, discovery->id, &policy, &why) != RESULT_OK)
		log_failure("cache-failed", &why);
	entry->failures = 0;
	entry->no_fetch_until_ms = 0;
	keep_words(entry, policy.mode == STS_NONE ? "its policy is none" : "");
	log_policy("policy", discovery, NULL);
	settle(discovery, discovery->ttl_seconds);
	end(discovery);
}

static void start_more(void);

static void fetched(struct fetch *fetch)
{
	struct discovery *discovery = container_of(fetch, struct discovery, fetch);

	fetching--;
	if (fetch->result == TLS_FACT_SUCCESS)
		take_policy(discovery);
	else
		failed(discovery, fetch->result, fetch->words);
	start_more();
}

static void start_more(void)
{
	struct why why;

	while (first_waiting && fetching < DISCOVERY_FETCHES_MAX) {
		struct discovery *discovery = first_waiting;
		first_waiting = discovery->next;
		if (!first_waiting)
			last_waiting = &first_waiting;
		discovery->fetch.done = fetched;
		fetching++;
		if (fetch_start(&discovery->fetch, discovery->entry->domain, discovery->addresses, discovery->address_count, &why) == RESULT_OK)
			continue;
		fetching--;
		failed(discovery, TLS_FACT_STS_FETCH_ERROR, why.text);
	}
}

/* Our own resolver is gone, or not there yet: that says nothing of the domain. */
static bool is_resolver_away(struct discovery *discovery)
{
	if (dns->questions.channel.fd >= 0)
		return false;
	tell_all(discovery, cache_is_valid(discovery->entry) ? discovery->entry : NULL, "the resolver is not running");
	end(discovery);
	return true;
}

/* ---- its host's addresses ---- */

static void take_addresses(struct discovery *discovery, const struct dns_answer *answer)
{
	const char *at = answer->records, *stop = at ? at + answer->records_length : NULL, *rdata;
	size_t length;
	struct why why;

	if (answer->verdict != DNS_ANSWER)
		snprintf(discovery->words, sizeof discovery->words, "%s", answer->words);
	while (answer->verdict == DNS_ANSWER && at && discovery->address_count < FETCH_ADDRESSES_MAX &&
	       dns_next_record(&at, stop, &rdata, &length))
		if (dns_ip(rdata, length, &discovery->addresses[discovery->address_count]))
			discovery->address_count++;
	if (--discovery->queries)
		return;
	if (!discovery->address_count && is_resolver_away(discovery))
		return;
	if (!discovery->address_count) {
		why_set(&why, RESULT_RETRY, "the policy's host mta-sts.%s has no address%s%s", discovery->entry->domain,
		        discovery->words[0] ? ": " : "", discovery->words);
		failed(discovery, TLS_FACT_STS_FETCH_ERROR, why.text);
		return;
	}
	discovery->next = NULL;
	*last_waiting = discovery;
	last_waiting = &discovery->next;
	start_more();
}

static void a_answered(struct dns_query *query, const struct dns_answer *answer)
{
	take_addresses(container_of(query, struct discovery, a), answer);
}

static void aaaa_answered(struct dns_query *query, const struct dns_answer *answer)
{
	take_addresses(container_of(query, struct discovery, aaaa), answer);
}

static void find_addresses(struct discovery *discovery)
{
	char host[DNS_NAME_MAX + 1];

	snprintf(host, sizeof host, "mta-sts.%s", discovery->entry->domain);
	discovery->queries = 2;
	dns_ask(dns, &discovery->a, host, DNS_A, a_answered);
	dns_ask(dns, &discovery->aaaa, host, DNS_AAAA, aaaa_answered);
}

/* ---- its TXT record ---- */

static bool may_fetch(const struct discovery *discovery)
{
	const struct entry *entry = discovery->entry;

	return entry->no_fetch_until_ms <= loop_now_ms(loop) || strcmp(entry->failed_id, discovery->id);
}

/* RFC 8461 3.3: a new id says that there is a new policy; without one, what the cache has holds. */
static void record_found(struct discovery *discovery)
{
	const struct entry *entry = discovery->entry;
	bool is_known = cache_is_valid(entry) && !strcmp(entry->id, discovery->id);

	if (is_known || !may_fetch(discovery))
		settle(discovery, discovery->ttl_seconds);
	if ((!is_known || cache_is_stale(entry)) && may_fetch(discovery))
		find_addresses(discovery);
	else
		end(discovery);
}

static void txt_answered(struct dns_query *query, const struct dns_answer *answer)
{
	struct discovery *discovery = container_of(query, struct discovery, txt);
	struct why why;

	if (answer->verdict == DNS_LATER && is_resolver_away(discovery))
		return;
	discovery->ttl_seconds = answer->verdict == DNS_LATER ? DISCOVERY_KNOWN_LEAST_SECONDS : answer->ttl_seconds;
	if (answer->verdict == DNS_ANSWER &&
	    record_find_policy_id(answer->records, answer->records_length, discovery->id, &why) == RESULT_OK) {
		record_found(discovery);
		return;
	}
	keep_words(discovery->entry, answer->verdict == DNS_ANSWER ? why.text : answer->words);
	settle(discovery, discovery->ttl_seconds);
	end(discovery);
}

static struct discovery *start(struct entry *entry)
{
	struct discovery *discovery = under_way < DISCOVERY_MAX ? calloc(1, sizeof *discovery) : NULL;
	char name[DNS_NAME_MAX + 1];

	if (!discovery)
		return NULL;
	under_way++;
	discovery->entry = entry;
	entry->discovery = discovery;
	snprintf(name, sizeof name, "_mta-sts.%s", entry->domain);
	dns_ask(dns, &discovery->txt, name, DNS_TXT, txt_answered);
	return discovery;
}

/* ---- asking ---- */

void discovery_init(struct loop *of, struct dns_client *client)
{
	loop = of;
	dns = client;
}

void discovery_refresh(struct entry *entry)
{
	if (!entry->discovery)
		start(entry);
}

void discovery_ask(const char *domain, struct waiter *waiter)
{
	struct entry *entry = waiter_count < DISCOVERY_WAITERS_MAX ? cache_find(domain) : NULL;

	if (entry) {
		cache_use(entry);
		if (entry->known_until_ms > loop_now_ms(loop)) {
			waiter->told(waiter, entry, entry->words);
			return;
		}
	}
	if (!entry || (!entry->discovery && !start(entry))) {
		waiter->told(waiter, entry && cache_is_valid(entry) ? entry : NULL, "too many policies are being looked for");
		return;
	}
	if (!entry->discovery->waiters)
		loop_set_timer(loop, &entry->discovery->patience, DISCOVERY_PATIENCE_MS, patience_over);
	waiter->next = entry->discovery->waiters;
	entry->discovery->waiters = waiter;
	waiter_count++;
}
