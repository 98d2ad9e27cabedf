#include "remoted/site.h"

#include "common/log.h"
#include "remoted/rules.h"
#include "remoted/security.h"
#include "remoted/session.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 4096 };

static struct site *slots[SLOTS];
static size_t site_count;

static struct site **slot_of(const char *key)
{
	uint32_t hash = 2166136261u;	/* FNV-1a */

	for (; *key; key++)
		hash = (hash ^ (unsigned char)*key) * 16777619u;
	return &slots[hash % SLOTS];
}

struct site *site_of_key(const char *key)
{
	struct site *site = *slot_of(key);

	while (site && strcmp(site->key, key))
		site = site->next;
	if (site)
		site->used_ms = loop_now_ms(remoted.loop);
	return site;
}

uint32_t site_ttl_seconds(const struct site *site)
{
	uint64_t now = loop_now_ms(remoted.loop);

	return site->exchanges_until_ms > now ? (uint32_t)((site->exchanges_until_ms - now) / 1000) : 0;
}

static bool is_unused(const struct site *site)
{
	return !site->session_count && !site->waiting && !site->hosts.search && !site->hosts.tlsa_search;
}

static void site_free(struct site *site)
{
	hosts_free(&site->hosts);
	free(site->key);
	free(site);
	site_count--;
}

/* With IDLE_MS 0 every site without work goes. */
static void sweep(uint64_t idle_ms)
{
	uint64_t now = loop_now_ms(remoted.loop);
	size_t i;

	for (i = 0; i < SLOTS; i++) {
		struct site **at = &slots[i];
		while (*at) {
			struct site *site = *at;
			if (!is_unused(site) || now - site->used_ms < idle_ms) {
				at = &site->next;
				continue;
			}
			*at = site->next;
			site_free(site);
		}
	}
}

void site_sweep(void)
{
	sweep(SITE_IDLE_MS);
}

static struct site *site_make(const char *key)
{
	struct site **slot = slot_of(key), *site;

	if (site_count >= SITES_MAX)
		sweep(1000);
	if (site_count >= SITES_MAX)
		return NULL;
	site = calloc(1, sizeof *site);
	if (!site)
		return NULL;
	site->key = strdup(key);
	if (!site->key) {
		free(site);
		return NULL;
	}
	site->last_waiting = &site->waiting;
	site->next = *slot;
	*slot = site;
	site_count++;
	return site;
}

/* ---- finding ---- */

/* A policy may name other hosts than before. */
static void take_unlisted(struct site *site, const struct site_ask *ask)
{
	size_t i, j;

	site->security.unlisted = 0;
	for (i = 0; i < ask->hosts.exchange_count; i++)
		for (j = 0; j < site->hosts.exchange_count && ask->security.unlisted & 1u << i; j++)
			if (!strcmp(ask->hosts.exchanges[i].name, site->hosts.exchanges[j].name))
				site->security.unlisted |= 1u << j;
}

/* The exchanges that ASK found become those of SITE; its addresses are looked up anew only when they
 * are too old, for the names and their order are the same. */
static void take_exchanges(struct site *site, struct site_ask *ask, bool is_new)
{
	site->exchanges_until_ms = loop_now_ms(remoted.loop) + ask->hosts.ttl_seconds * 1000ull;
	site->used_ms = loop_now_ms(remoted.loop);
	if (!is_new)
		take_unlisted(site, ask);
	if (!is_new)
		return;	/* the order among equals stays as it is */
	site->route = ask->route;
	site->hosts = ask->hosts;
	site->hosts.route = &site->route;
	site->security = ask->security;
	ask->hosts.exchange_count = 0;
}

static void take_site(struct site_ask *ask, const struct sts_answer *answer)
{
	char key[SITE_KEY_MAX + 1], manner[SECURITY_MANNER_MAX];
	struct site *site;
	bool is_new;

	security_find(ask, ask->domain, answer, manner);
	hosts_site_key(&ask->hosts, key, sizeof key - strlen(manner));
	snprintf(key + strlen(key), sizeof key - strlen(key), "%s", manner);
	site = site_of_key(key);
	is_new = !site;
	if (is_new)
		site = site_make(key);
	if (!site) {
		hosts_free(&ask->hosts);
		ask->done(ask, NULL, DELIVERY_DEFERRED, "4.3.2", "too many destinations at once");
		return;
	}
	take_exchanges(site, ask, is_new);
	if (answer && answer->verdict == STS_LATER)	/* whether there is a policy will be known soon */
		site->exchanges_until_ms = loop_now_ms(remoted.loop) + SECURITY_LATER_SECONDS * 1000ull;
	else if (answer && answer->ttl_seconds < ask->hosts.ttl_seconds)
		site->exchanges_until_ms = loop_now_ms(remoted.loop) + answer->ttl_seconds * 1000ull;
	hosts_free(&ask->hosts);
	ask->done(ask, site, DELIVERY_DELIVERED, "2.0.0", "");
}

static void policy_found(struct sts_query *query, const struct sts_answer *answer);

static void ask_again(struct timer *timer)
{
	struct site_ask *ask = container_of(timer, struct site_ask, again);

	sts_ask(&remoted.sts, &ask->sts, ask->domain, policy_found);
}

/* A stsd that died left on disk what is in force, and the next one is about to start: mail does not pass it by meanwhile. */
static void policy_found(struct sts_query *query, const struct sts_answer *answer)
{
	struct site_ask *ask = container_of(query, struct site_ask, sts);

	if (answer->verdict == STS_LATER && sts_client_is_between(&remoted.sts) && ask->tries++ < SITE_POLICY_TRIES &&
	    loop_set_timer(remoted.loop, &ask->again, SITE_POLICY_AGAIN_MS, ask_again))
		return;
	take_site(ask, answer);
}

static void exchanges_found(struct hosts *hosts)
{
	struct site_ask *ask = container_of(hosts, struct site_ask, hosts);

	if (hosts->verdict != DELIVERY_DELIVERED)
		ask->done(ask, NULL, hosts->verdict, hosts->status, hosts->words);
	else if (security_wants_sts(&ask->route))
		sts_ask(&remoted.sts, &ask->sts, ask->domain, policy_found);
	else
		take_site(ask, NULL);
}

void site_find(struct site_ask *ask, const char *next_hop,
               void (*done)(struct site_ask *, struct site *, int, const char *, const char *))
{
	struct why why = { 0 };
	enum result result = route_find(remoted.routes, next_hop, &ask->route, &why);

	ask->done = done;
	if (result == RESULT_OK)
		result = rules_take(remoted.site_rules, next_hop, &ask->route, &why);
	if (result != RESULT_OK) {
		done(ask, NULL, result == RESULT_NEVER ? DELIVERY_FAILED : DELIVERY_DEFERRED,
		     result == RESULT_NEVER ? "5.1.2" : "4.3.5", why.text);
		return;
	}
	ask->hosts = (struct hosts){ .dns = &remoted.dns, .route = &ask->route };
	route_domain(&ask->route, next_hop, ask->domain);
	hosts_find_exchanges(&ask->hosts, exchanges_found);
}

/* ---- the order of addresses ---- */

void site_note_family(struct site *site, uint8_t family)
{
	uint64_t now = loop_now_ms(remoted.loop);

	/* what holds already runs out all the same: the other family has to be tried again some time */
	if (!family || (site->good_family == family && now < site->good_family_until_ms))
		return;
	site->good_family = family;
	site->good_family_until_ms = now + SITE_FAMILY_MS;
}

/* The turns of the exchanges among equals, a new order each time: RFC 5321 5.1 wants their load spread. */
static void shuffle_turns(uint8_t turns[HOSTS_MAX], size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		size_t other = random_below(i + 1);
		turns[i] = turns[other];
		turns[other] = (uint8_t)i;
	}
}

/* The lower, the earlier. Among equals each exchange has its TURN with its NTH address of either family, RFC 8305 4. */
static uint32_t weight_of(const struct site *site, const struct host_address *address, uint32_t nth, uint32_t turn, uint64_t now)
{
	bool is_other = now < site->good_family_until_ms && address->ip.family != site->good_family;

	return (address->bad_until_ms > now ? 1u << 31 : 0) | (uint32_t)site->hosts.exchanges[address->exchange].preference << 13 |
	       (uint32_t)is_other << 12 | nth << 6 | turn << 1 | (address->ip.family == 4);
}

size_t site_order_addresses(const struct site *site, struct host_address *out, size_t most)
{
	const struct hosts *hosts = &site->hosts;
	uint64_t now = loop_now_ms(remoted.loop);
	uint32_t weights[ADDRESSES_MAX], seen[HOSTS_MAX][2] = { { 0 } };
	uint8_t turns[HOSTS_MAX] = { 0 };
	struct host_address sorted[ADDRESSES_MAX];
	size_t i, j;

	_Static_assert(HOSTS_MAX <= 32 && ADDRESSES_MAX <= 64, "a turn and a number that fit the weight");
	shuffle_turns(turns, hosts->exchange_count);
	for (i = 0; i < hosts->address_count; i++) {
		const struct host_address *address = &hosts->addresses[i];
		uint32_t weight = weight_of(site, address, seen[address->exchange][address->ip.family == 4]++, turns[address->exchange], now);

		for (j = i; j && weights[j - 1] > weight; j--) {
			weights[j] = weights[j - 1];
			sorted[j] = sorted[j - 1];
		}
		weights[j] = weight;
		sorted[j] = hosts->addresses[i];
	}
	for (i = 0; i < hosts->address_count && i < most; i++)
		out[i] = sorted[i];
	return i;
}

/* ---- jobs ---- */

static void start_waiting(struct hosts *hosts)
{
	struct site *site = container_of(hosts, struct site, hosts);
	struct job *job = site->waiting, *next;

	site->waiting = NULL;
	site->last_waiting = &site->waiting;
	if (hosts->verdict == DELIVERY_DELIVERED)
		site->addresses_until_ms = loop_now_ms(remoted.loop) + hosts->ttl_seconds * 1000ull;
	for (; job; job = next) {
		next = job->next;
		if (hosts->verdict == DELIVERY_DELIVERED) {
			session_start(site, job);
			continue;
		}
		job_tell_rest(job, (enum delivery_verdict)hosts->verdict, hosts->status, "", hosts->words);
		job_free(job);
	}
}

static void addresses_found(struct hosts *hosts)
{
	const struct site *site = container_of(hosts, struct site, hosts);

	if (hosts->verdict == DELIVERY_DELIVERED && site->security.wants_dane)
		hosts_find_tlsa(hosts, start_waiting);
	else
		start_waiting(hosts);
}

void site_hold(struct site *site, uint64_t held_ms, const char *status, const char *words)
{
	site->held_until_ms = loop_now_ms(remoted.loop) + held_ms;
	site->login_generation = remoted.login_generation;
	snprintf(site->held_status, sizeof site->held_status, "%s", status);
	snprintf(site->held_words, sizeof site->held_words, "%s", words);
}

static bool is_held(const struct site *site)
{
	return loop_now_ms(remoted.loop) < site->held_until_ms && site->login_generation == remoted.login_generation;
}

void site_start_job(struct site *site, struct job *job)
{
	site->used_ms = loop_now_ms(remoted.loop);
	if (is_held(site) && !(job->flags & (REMOTE_REQUIRETLS | REMOTE_TLS_OPTIONAL))) {
		job_tell_rest(job, DELIVERY_DEFERRED, site->held_status, "", site->held_words);
		job_free(job);
		return;
	}
	if (site->idle && session_take(site->idle, job))
		return;
	if (site->route.path[0] || (site->hosts.address_count && loop_now_ms(remoted.loop) < site->addresses_until_ms)) {
		session_start(site, job);
		return;
	}
	job->next = NULL;
	*site->last_waiting = job;
	site->last_waiting = &job->next;
	if (!site->hosts.search && !site->hosts.tlsa_search)
		hosts_find_addresses(&site->hosts, addresses_found);
}
