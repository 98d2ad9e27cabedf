/* stsd: the MTA-STS policies of other domains (RFC 8461), fetched over HTTPS and kept, and the daily facts of how TLS
 * went (RFC 8460). A helper: queued starts it, remoted asks it, it asks dnsd. */
#include "common/address.h"
#include "common/log.h"
#include "common/sandbox.h"
#include "common/service.h"
#include "stsd/discovery.h"
#include "stsd/facts.h"
#include "stsd/fetch.h"
#include "stsd/folder.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum {
	SWEEP_MS = 60000, REFRESHES_PER_SWEEP = 20,
	OFF_SECONDS = 3600,	/* mta-sts = no holds until the next start */
	POLICY_LINES_MAX = 900,	/* bytes of a policy in the facts */
};

struct client {
	struct channel channel;
	size_t asks;		/* under way */
	bool is_gone;		/* freed with the last of them */
};

struct ask {
	struct waiter waiter;
	struct client *client;
	uint64_t serial;
};

static const struct configuration *conf;
static struct loop *loop;
static struct dns_client dns;
static struct timer sweep;
static struct folder folder;

/* ---- answers ---- */

static void tell(struct client *client, uint64_t serial, enum sts_verdict verdict, uint64_t ttl_seconds,
                 const struct entry *entry, const char *words)
{
	struct wire_value values[STS_TELL_FIELDS] = {
		[STS_TELL_SERIAL] = WIRE_NUMBER(serial),
		[STS_TELL_VERDICT] = WIRE_NUMBER(verdict),
		[STS_TELL_TTL_SECONDS] = WIRE_NUMBER(ttl_seconds),
		[STS_TELL_WORDS] = WIRE_BYTES(words, strnlen(words, 256)),
	};
	struct why why = { 0 };

	if (entry && (verdict == STS_TESTING || verdict == STS_ENFORCE)) {
		values[STS_TELL_MX_PATTERNS] = (struct wire_value)WIRE_BYTES(entry->policy.patterns.s, entry->policy.patterns.len);
		values[STS_TELL_POLICY_ID] = (struct wire_value)WIRE_STRING(entry->id);
	}
	if (channel_send(&client->channel, FRAME_STS_TELL, values, -1, &why) != RESULT_OK)
		log_failure("answer-dropped", &why);
}

static uint64_t seconds_known(const struct entry *entry)
{
	uint64_t now = loop_now_ms(loop), seconds = entry->known_until_ms > now ? (entry->known_until_ms - now) / 1000 : 0;
	uint64_t left = cache_is_valid(entry) ? cache_seconds_left(entry) : UINT64_MAX;

	return seconds < left ? seconds : left;
}

static void told(struct waiter *waiter, const struct entry *entry, const char *words)
{
	struct ask *ask = container_of(waiter, struct ask, waiter);
	struct client *client = ask->client;
	bool is_valid = entry && cache_is_valid(entry);

	if (client->is_gone)
		;
	else if (!entry)
		tell(client, ask->serial, STS_LATER, 0, NULL, words);
	else
		tell(client, ask->serial, is_valid ? entry->policy.mode : STS_NONE, seconds_known(entry), entry, is_valid ? "" : words);
	free(ask);
	if (--client->asks == 0 && client->is_gone)
		free(client);
}

/* ---- frames ---- */

static bool copy_domain(const struct frame *f, int field, char *out, size_t size)
{
	if (!frame_value_copy(f, field, out, size) || !domain_is_valid(out, strlen(out)))
		return false;
	text_lower(out, strlen(out));
	return true;
}

static void asked(struct client *client, const struct frame *f)
{
	uint64_t serial = f->value[STS_ASK_SERIAL].number;
	char domain[CACHE_DOMAIN_MAX + 1];
	struct ask *ask;

	if (!conf->mta_sts || !copy_domain(f, STS_ASK_DOMAIN, domain, sizeof domain)) {
		tell(client, serial, STS_NONE, OFF_SECONDS, NULL, conf->mta_sts ? "this name can have no policy" : "mta-sts is off");
		return;
	}
	ask = calloc(1, sizeof *ask);
	if (!ask) {
		tell(client, serial, STS_LATER, 0, NULL, "no memory to look for a policy");
		return;
	}
	*ask = (struct ask){ .waiter.told = told, .client = client, .serial = serial };
	client->asks++;
	discovery_ask(domain, &ask->waiter);
}

/* The lines of DOMAIN's policy, without a line end behind the last; those that do not fit are left out. */
static bool append_policy(const char *domain, stralloc *out)
{
	const struct entry *entry = cache_find(domain);

	if (!entry || !entry->has_policy || !policy_append_text(&entry->policy, out))
		return false;
	if (out->len > POLICY_LINES_MAX)
		for (out->len = POLICY_LINES_MAX; out->len && out->s[out->len - 1] != '\n'; out->len--)
			;
	if (out->len)
		out->len--;
	return text_append_nul(out);
}

static void take_fact(const struct frame *f)
{
	char domain[CACHE_DOMAIN_MAX + 1], policy[1001], mx[256], sending[65], receiving[65], reason[257];
	stralloc lines = { 0 };
	struct fact_report report = {
		.domain = domain, .policy = policy, .mx = mx, .sending_ip = sending, .receiving_ip = receiving, .reason = reason,
		.policy_type = (enum tls_fact_policy)f->value[TLS_FACT_POLICY_TYPE].number,
		.result = (enum tls_fact_result)f->value[TLS_FACT_RESULT].number,
	};

	if (!copy_domain(f, TLS_FACT_DOMAIN, domain, sizeof domain) || !frame_value_copy(f, TLS_FACT_POLICY, policy, sizeof policy) ||
	    !frame_value_copy(f, TLS_FACT_MX, mx, sizeof mx) || !frame_value_copy(f, TLS_FACT_SENDING_IP, sending, sizeof sending) ||
	    !frame_value_copy(f, TLS_FACT_RECEIVING_IP, receiving, sizeof receiving) ||
	    !frame_value_copy(f, TLS_FACT_REASON, reason, sizeof reason))
		return;	/* a NUL in it, or a name that can't be */
	if (f->value[TLS_FACT_POLICY_TYPE].number == TLS_FACT_POLICY_STS && append_policy(domain, &lines))
		report.policy = lines.s;
	facts_count(&report);
	stralloc_free(&lines);
}

static void take_frame(struct channel *channel, struct frame *f)
{
	struct client *client = container_of(channel, struct client, channel);

	if (f->type == FRAME_STS_ASK)
		asked(client, f);
	else if (f->type == FRAME_TLS_FACT)
		take_fact(f);
	else if (f->descriptor >= 0)
		close(f->descriptor);
}

static void lost(struct channel *channel, const struct why *why)
{
	struct client *client = container_of(channel, struct client, channel);

	(void)why;
	client->is_gone = true;
	if (!client->asks)
		free(client);
}

static void greet(const char *peer, unsigned index, int fd)
{
	struct client *client;
	struct why why = { 0 };

	(void)index;
	if (!strcmp(peer, "dnsd")) {
		if (dns_client_join(&dns, fd, &why) != RESULT_OK)
			service_link_failed(&why);
		return;
	}
	client = calloc(1, sizeof *client);
	if (!client) {
		close(fd);
		return;
	}
	if (channel_open(&client->channel, loop, fd, take_frame, lost, &why) != RESULT_OK) {
		service_link_failed(&why);
		free(client);
	}
}

/* ---- start, time, end ---- */

static void ended(void)
{
	loop_stop(loop);
}

static void write_facts(void)
{
	static bool is_said;
	struct why why = { 0 };
	bool is_failed = facts_write(&why) != RESULT_OK;

	if (is_failed && !is_said)
		log_failure("facts-failed", &why);
	is_said = is_failed;
}

static void sweep_fired(struct timer *timer)
{
	write_facts();
	cache_sweep(loop_now_ms(loop), conf->mta_sts ? REFRESHES_PER_SWEEP : 0, discovery_refresh);
	loop_set_timer(loop, timer, SWEEP_MS, sweep_fired);
}

static enum result enter_sandbox(struct why *why)
{
	const struct sandbox_path paths[] = { { folder.path, ALLOW_READ | ALLOW_LIST | ALLOW_WRITE | ALLOW_MAKE | ALLOW_REMOVE } };
	struct identity identity;
	enum result result = sandbox_identity(ROLE_STSD, &identity, why);

	if (result == RESULT_OK)
		result = sandbox_enter(ROLE_STSD, &identity, paths, 1, why);
	return result;
}

/* Without a disk it works as well, but forgets at its end. */
static void open_folder(void)
{
	struct why why = { 0 };
	enum result result = folder_open(conf, &folder, &why);

	if (result == RESULT_OK)
		result = cache_open(folder.policies, &why);
	if (result != RESULT_OK)
		log_failure("cache-failed", &why);
	facts_open(folder.facts);
}

/* Without authorities what the cache has holds on. */
static enum result make_fetch(struct why *why)
{
	enum result result = fetch_make(loop, conf->mta_sts ? conf->mta_sts_authorities : NULL, why);

	if (result != RESULT_NEVER)
		return result;
	log_failure("authorities-missing", why);
	*why = (struct why){ 0 };
	return RESULT_OK;
}

static enum result start(struct why *why)
{
	enum result result = loop_make(&loop, why);
	struct why reason = { 0 };

	if (result != RESULT_OK)
		return result;
	dns_client_init(&dns, loop);
	discovery_init(loop, &dns);
	result = service_join(loop, greet, ended, why);
	if (result == RESULT_OK)
		result = make_fetch(why);
	if (result != RESULT_OK)
		return result;
	if (folder_make(conf, &folder, &reason) != RESULT_OK)
		log_failure("cache-failed", &reason);
	return enter_sandbox(why);
}

int main(int argc, char **argv)
{
	static const char usage[] =
		"usage: stsd [-c FILE]\n"
		"Finds out the MTA-STS policies of other domains; started by queued, not by hand.\n";
	struct configuration *loaded;
	struct why why = { 0 };
	enum result result;
	int exit_code;

	if (service_start(argc, argv, "stsd", usage, &loaded, &exit_code) != RESULT_OK)
		return exit_code;
	conf = loaded;
	result = start(&why);
	if (result == RESULT_OK) {
		open_folder();
		loop_set_timer(loop, &sweep, SWEEP_MS, sweep_fired);
		result = loop_run(loop, &why);
		write_facts();
	}
	log_flush();
	if (result == RESULT_OK)
		return EX_OK;
	log_failure("unable-to-run", &why);
	return EX_OSERR;
}
