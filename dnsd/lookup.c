#include "dnsd/lookup.h"

#include "common/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unbound.h>
#include <unistd.h>

enum { RECORDS_MAX = 14000, RCODE_SERVFAIL = 2, RCODE_NXDOMAIN = 3, CLASS_IN = 1, TYPE_NS = 2 };

struct resolver_context {
	struct ub_ctx *ub;
	struct ub_ctx *plain;		/* without DNSSEC, for a forwarder that strips it; NULL where that can't be */
	bool is_stripped;		/* PLAIN answers from now on */
	struct probe { struct lookup lookup; enum dns_verdict verdict; } probes[2];	/* of UB, of PLAIN */
	int probes_under_way;
	void (*probed)(struct resolver_context *context, enum lookup_finding finding);
};

/* Names that libunbound answers by itself unless told otherwise; a forwarder or a private zone may know them. */
static const char *const built_in_zones[] = { "test.", "invalid.", "10.in-addr.arpa.", "168.192.in-addr.arpa.", "127.in-addr.arpa." };

static enum result set(struct ub_ctx *ub, const char *name, const char *value, struct why *why)
{
	int error = ub_ctx_set_option(ub, name, value);

	if (!error)
		return RESULT_OK;
	return why_set(why, RESULT_STOP, "unable to set the resolver's %s %s: %s", name, value, ub_strerror(error));
}

static enum result use_servers(const struct configuration *conf, struct ub_ctx *ub, struct why *why)
{
	size_t i;
	int error = 0;

	if (!conf->resolver.count && access("/etc/resolv.conf", R_OK))
		return RESULT_OK;	/* no name server is named: it asks the root itself */
	if (!conf->resolver.count) {
		error = ub_ctx_resolvconf(ub, NULL);
		if (error)
			return why_set(why, RESULT_STOP, "unable to read /etc/resolv.conf: %s", ub_strerror(error));
		return RESULT_OK;
	}
	for (i = 0; i < conf->resolver.count && !error; i++)
		error = ub_ctx_set_fwd(ub, conf->resolver.items[i]);
	if (error)
		return why_set(why, RESULT_STOP, "unable to use the resolver %s: %s", conf->resolver.items[i - 1], ub_strerror(error));
	return RESULT_OK;
}

/* ub_ctx_zone_remove ends the time in which options may be set: it comes last. */
static enum result configure(const struct configuration *conf, struct ub_ctx *ub, bool validates, struct why *why)
{
	static const struct { const char *name, *value; } options[] = {
		{ "do-not-query-localhost:", "no" },
		{ "qname-minimisation:", "yes" },
		{ "outgoing-range:", "950" }, { "num-queries-per-thread:", "1024" },
		{ "msg-cache-size:", "8m" }, { "rrset-cache-size:", "16m" }, { "key-cache-size:", "4m" },
		{ "cache-max-negative-ttl:", "900" },
	};
	enum result result = use_servers(conf, ub, why);
	size_t i;
	int error = 0;

	for (i = 0; i < sizeof options / sizeof *options && result == RESULT_OK; i++)
		result = set(ub, options[i].name, options[i].value, why);
	if (result == RESULT_OK && !validates)
		result = set(ub, "module-config:", "iterator", why);
	if (result != RESULT_OK)
		return result;
	if (validates && conf->trust_anchor && access(conf->trust_anchor, R_OK) == 0)
		error = ub_ctx_add_ta_file(ub, conf->trust_anchor);
	if (error)
		return why_set(why, RESULT_STOP, "unable to use the trust anchor %s: %s", conf->trust_anchor, ub_strerror(error));
	ub_ctx_async(ub, 1);	/* by a thread */
	for (i = 0; i < sizeof built_in_zones / sizeof *built_in_zones; i++)
		ub_ctx_zone_remove(ub, built_in_zones[i]);
	return RESULT_OK;
}

enum result lookup_make(const struct configuration *conf, struct resolver_context **context, struct why *why)
{
	struct resolver_context *made = calloc(1, sizeof *made);
	enum result result = RESULT_OK;

	*context = made;
	if (made)
		made->ub = ub_ctx_create();
	if (made && conf->dnssec)
		made->plain = ub_ctx_create();
	if (!made || !made->ub || (conf->dnssec && !made->plain))
		return why_set(why, RESULT_STOP, "unable to make the resolver");	/* the process ends */
	if (made->plain)
		result = configure(conf, made->plain, false, why);
	if (result == RESULT_OK)
		result = configure(conf, made->ub, conf->dnssec, why);
	return result;
}

int lookup_descriptor(struct resolver_context *context, bool is_plain)
{
	if (!is_plain)
		return ub_fd(context->ub);
	return context->plain ? ub_fd(context->plain) : -1;
}

void lookup_process(struct resolver_context *context)
{
	ub_process(context->ub);
	if (context->plain)
		ub_process(context->plain);
}

/* ---- does the forwarder keep DNSSEC? ---- */

static void probe_done(struct lookup *lookup, const struct dns_answer *answer);

static struct resolver_context *context_of_probe(struct probe *probe, bool is_plain)
{
	return container_of(probe - is_plain, struct resolver_context, probes[0]);
}

static void judge_probes(struct resolver_context *context)
{
	bool is_validated = context->probes[0].verdict == DNS_ANSWER, is_plain = context->probes[1].verdict == DNS_ANSWER;

	if (is_validated || is_plain)	/* else the network is away, and nothing is known anew */
		context->is_stripped = !is_validated;
	context->probed(context, is_validated ? FINDING_KEPT : is_plain ? FINDING_STRIPPED : FINDING_NONE);
}

static void note_probe(struct lookup *lookup, const struct dns_answer *answer, bool is_plain)
{
	struct probe *probe = container_of(lookup, struct probe, lookup);
	struct resolver_context *context = context_of_probe(probe, is_plain);

	probe->verdict = answer->verdict;
	if (--context->probes_under_way == 0)
		judge_probes(context);
}

static void probe_done(struct lookup *lookup, const struct dns_answer *answer)
{
	note_probe(lookup, answer, false);
}

static void plain_probe_done(struct lookup *lookup, const struct dns_answer *answer)
{
	note_probe(lookup, answer, true);
}

static void take_result(void *lookup, int error, struct ub_result *result);

void lookup_probe(struct resolver_context *context, void (*probed)(struct resolver_context *, enum lookup_finding))
{
	struct ub_ctx *both[2] = { context->ub, context->plain };
	int i;

	if (!context->plain || context->probes_under_way)
		return;
	context->probed = probed;
	context->probes[0].lookup.done = probe_done;
	context->probes[1].lookup.done = plain_probe_done;
	context->probes_under_way = 2;
	for (i = 0; i < 2; i++)
		if (ub_resolve_async(both[i], ".", TYPE_NS, CLASS_IN, &context->probes[i].lookup, take_result, NULL)) {
			struct dns_answer none = { .verdict = DNS_LATER };
			context->probes[i].lookup.done(&context->probes[i].lookup, &none);
		}
}

/* ---- answers ---- */

/* Packs RDATA after RDATA; what does not fit is left out. */
static size_t pack(const struct ub_result *result, char *out)
{
	size_t length = 0;
	int i;

	for (i = 0; result->data[i]; i++) {
		uint16_t size = (uint16_t)result->len[i];
		if (result->len[i] < 0 || result->len[i] > UINT16_MAX || length + sizeof size + size > RECORDS_MAX)
			continue;
		memcpy(out + length, &size, sizeof size);
		memcpy(out + length + sizeof size, result->data[i], size);
		length += sizeof size + size;
	}
	return length;
}

/* Bogus comes before data: libunbound hands both out. A forwarder that strips DNSSEC makes
 * everything bogus: lookup_probe finds that out. */
static void judge(const struct ub_result *result, struct dns_answer *answer)
{
	answer->is_secure = result->secure;
	answer->ttl_seconds = result->ttl > 0 ? (uint32_t)result->ttl : 0;
	if (result->bogus) {
		answer->verdict = DNS_LATER;
		snprintf(answer->words, sizeof answer->words, "DNSSEC: %s", result->why_bogus ? result->why_bogus : "the answer is bogus");
	} else if (result->rcode == RCODE_NXDOMAIN) {
		answer->verdict = DNS_NO_NAME;
		snprintf(answer->words, sizeof answer->words, "the name does not exist");
	} else if (result->rcode) {
		answer->verdict = DNS_LATER;
		snprintf(answer->words, sizeof answer->words, "the name servers answer with %s",
		         result->rcode == RCODE_SERVFAIL ? "SERVFAIL" : "an error");
	} else if (!result->havedata) {
		answer->verdict = DNS_NO_DATA;
		snprintf(answer->words, sizeof answer->words, "the name has no such record");
	} else {
		answer->verdict = DNS_ANSWER;
	}
}

static void take_result(void *context, int error, struct ub_result *result)
{
	struct lookup *lookup = context;
	struct dns_answer answer = { .verdict = DNS_LATER };
	char records[RECORDS_MAX];

	if (error) {
		snprintf(answer.words, sizeof answer.words, "the resolver failed: %s", ub_strerror(error));
	} else {
		judge(result, &answer);
		if (answer.verdict == DNS_ANSWER) {
			answer.records = records;
			answer.records_length = pack(result, records);
		}
		if (result->canonname && strcmp(result->canonname, result->qname))
			snprintf(answer.canonical, sizeof answer.canonical, "%s", result->canonname);
	}
	if (answer.verdict == DNS_ANSWER && !answer.records_length) {
		answer.verdict = DNS_LATER;
		snprintf(answer.words, sizeof answer.words, "the records are too long");
	}
	ub_resolve_free(result);
	lookup->done(lookup, &answer);
}

enum result lookup_start(struct resolver_context *context, struct lookup *lookup, const char *name, int type, struct why *why)
{
	int error;

	lookup->is_plain = context->is_stripped;
	error = ub_resolve_async(lookup->is_plain ? context->plain : context->ub, name, type, CLASS_IN, lookup, take_result, &lookup->id);
	if (!error)
		return RESULT_OK;
	return why_set(why, RESULT_RETRY, "the resolver refused a look-up: %s", ub_strerror(error));
}

void lookup_cancel(struct resolver_context *context, struct lookup *lookup)
{
	ub_cancel(lookup->is_plain ? context->plain : context->ub, lookup->id);
}
