/* dnsd: all DNS of a service, over pipes, with DNSSEC and a cache. It is the only program that links
 * libunbound. A helper: smtpd and queued start it. */
#include "common/log.h"
#include "common/sandbox.h"
#include "common/service.h"
#include "dnsd/lookup.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum {
	FRESH_MAX = 100,	/* look-ups younger than FRESH_MS: more at once lose packets to their own burst */
	FRESH_MS = 2000,
	IN_FLIGHT_MAX = 900,	/* those of slow name servers as well; libunbound itself takes 1,024 */
	PATIENCE_MS = 30000,	/* then nobody waits for an answer any more: the place is another's */
	TICK_MS = 250,
	WAITING_MAX = 100000,
	PROBE_PATIENCE_MS = 3000, PROBE_AGAIN_MS = 60000, PROBE_DAILY_MS = 24 * 3600 * 1000,
};

struct query {
	struct lookup lookup;
	struct client *client;	/* NULL: it went away meanwhile */
	struct query *next;	/* of its client, or of those that wait */
	uint64_t serial, started_ms;
	int type;
	char name[DNS_NAME_MAX + 1];
};

struct client { struct channel channel; };

static struct loop *loop;
static struct resolver_context *resolver;
static struct watch answers, plain_answers;
static struct timer probe_timer, start_timer, tick_timer;
static bool is_open;	/* look-ups wait at the start until the forwarder is known, PROBE_PATIENCE_MS at most */
static struct query *first_waiting, **last_waiting = &first_waiting;
static struct query *in_flight[IN_FLIGHT_MAX];	/* in no order */
static size_t in_flight_count, fresh_count, waiting_count;

static void tell(const struct query *query, const struct dns_answer *answer)
{
	struct wire_value values[DNS_TELL_FIELDS] = {
		[DNS_TELL_SERIAL] = WIRE_NUMBER(query->serial),
		[DNS_TELL_VERDICT] = WIRE_NUMBER(answer->verdict),
		[DNS_TELL_IS_SECURE] = WIRE_NUMBER(answer->is_secure),
		[DNS_TELL_TTL_SECONDS] = WIRE_NUMBER(answer->ttl_seconds),
		[DNS_TELL_CANONICAL] = WIRE_STRING(answer->canonical),
		[DNS_TELL_RECORDS] = WIRE_BYTES(answer->records, answer->records_length),
		[DNS_TELL_WORDS] = WIRE_STRING(answer->words),
	};
	struct why why = { 0 };

	if (query->client && channel_send(&query->client->channel, FRAME_DNS_TELL, values, -1, &why) != RESULT_OK)
		log_failure("answer-dropped", &why);
}

static void tell_later(const struct query *query, const char *words)
{
	struct dns_answer answer = { .verdict = DNS_LATER };

	snprintf(answer.words, sizeof answer.words, "%s", words);
	tell(query, &answer);
}

static void start_more(void);

static bool is_fresh(const struct query *query)
{
	return loop_now_ms(loop) - query->started_ms < FRESH_MS;
}

static void lookup_done(struct lookup *lookup, const struct dns_answer *answer)
{
	struct query *query = container_of(lookup, struct query, lookup);
	size_t i;

	for (i = 0; i < in_flight_count && in_flight[i] != query; i++)
		;
	if (i < in_flight_count)
		in_flight[i] = in_flight[--in_flight_count];
	if (fresh_count > 0 && is_fresh(query))
		fresh_count--;
	tell(query, answer);
	free(query);
	start_more();
}

static bool is_worn(const struct query *query)
{
	return loop_now_ms(loop) - query->started_ms >= PATIENCE_MS;
}

/* Slow name servers, somebody's trap among them, hold up only so many of the others. */
static void tick(struct timer *timer)
{
	size_t i = 0;

	(void)timer;
	fresh_count = 0;
	while (i < in_flight_count) {
		struct query *query = in_flight[i];
		if (is_worn(query)) {
			lookup_cancel(resolver, &query->lookup);
			tell_later(query, "the name servers do not answer");
			free(query);
			in_flight[i] = in_flight[--in_flight_count];
			continue;
		}
		fresh_count += is_fresh(query);
		i++;
	}
	start_more();
	if (in_flight_count)
		loop_set_timer(loop, &tick_timer, TICK_MS, tick);
}

static void start_more(void)
{
	struct why why = { 0 };

	while (is_open && first_waiting && fresh_count < FRESH_MAX && in_flight_count < IN_FLIGHT_MAX) {
		struct query *query = first_waiting;
		first_waiting = query->next;
		if (!first_waiting)
			last_waiting = &first_waiting;
		waiting_count--;
		if (!query->client) {	/* nobody waits for it any more */
			free(query);
			continue;
		}
		if (!in_flight_count)
			loop_set_timer(loop, &tick_timer, TICK_MS, tick);
		in_flight[in_flight_count++] = query;
		fresh_count++;
		query->started_ms = loop_now_ms(loop);
		query->lookup.done = lookup_done;
		if (lookup_start(resolver, &query->lookup, query->name, query->type, &why) == RESULT_OK)
			continue;
		in_flight_count--;
		fresh_count--;
		tell_later(query, why.text);
		free(query);
	}
}

static void answers_ready(struct watch *watch, uint32_t events)
{
	(void)watch;
	(void)events;
	lookup_process(resolver);
}

static void asked(struct channel *channel, struct frame *f)
{
	struct client *client = container_of(channel, struct client, channel);
	struct query *query;
	struct why why = { 0 };

	if (f->type != FRAME_DNS_ASK)
		return;
	query = calloc(1, sizeof *query);
	if (!query) {
		why_errno(&why, RESULT_RETRY, "no memory for a query");
		log_failure("query-dropped", &why);
		return;	/* its owner's patience ends */
	}
	query->client = client;
	query->serial = f->value[DNS_ASK_SERIAL].number;
	query->type = (int)(f->value[DNS_ASK_TYPE].number & 0xffff);
	if (waiting_count >= WAITING_MAX || !frame_value_copy(f, DNS_ASK_NAME, query->name, sizeof query->name)) {
		tell_later(query, waiting_count >= WAITING_MAX ? "too many look-ups wait" : "no name");
		free(query);
		return;
	}
	query->next = NULL;
	*last_waiting = query;
	last_waiting = &query->next;
	waiting_count++;
	start_more();
}

static void lost(struct channel *channel, const struct why *why)
{
	struct client *client = container_of(channel, struct client, channel);
	struct query *query;
	size_t i;

	(void)why;
	for (query = first_waiting; query; query = query->next)
		if (query->client == client)
			query->client = NULL;
	for (i = 0; i < in_flight_count; i++)
		if (in_flight[i]->client == client)
			in_flight[i]->client = NULL;
	free(client);
}

static void greet(const char *peer, unsigned index, int fd)
{
	struct client *client = calloc(1, sizeof *client);
	struct why why = { 0 };

	(void)peer;
	(void)index;
	if (!client) {
		close(fd);
		return;
	}
	if (channel_open(&client->channel, loop, fd, asked, lost, &why) != RESULT_OK) {
		service_link_failed(&why);
		free(client);
	}
}

static void ended(void)
{
	loop_stop(loop);
}

/* lookup_make has read resolv.conf and the trust anchor: no file is needed any more. */
static enum result enter_sandbox(struct why *why)
{
	struct identity identity;
	enum result result = sandbox_identity(ROLE_DNSD, &identity, why);

	if (result == RESULT_OK)
		result = sandbox_enter(ROLE_DNSD, &identity, NULL, 0, why);
	return result;
}

static void probe(struct timer *timer);

static void open_up(struct timer *timer)
{
	loop_unset_timer(loop, timer);
	is_open = true;
	start_more();
}

/* Again once a day: the forwarder may be another one by then. And soon where DNSSEC is off: a clock that is wrong yet, or somebody in
 * between, looks like a forwarder that strips it. */
static void probed(struct resolver_context *context, enum lookup_finding finding)
{
	static bool is_said;
	struct why why = { 0 };

	(void)context;
	if (finding == FINDING_STRIPPED && !is_said) {
		why_set(&why, RESULT_OK, "the name servers take DNSSEC out of their answers: nothing is validated; name others as resolver, or set dnssec = no");
		log_failure("dnssec-stripped", &why);
	}
	is_said = finding == FINDING_STRIPPED || (is_said && finding == FINDING_NONE);
	open_up(&start_timer);
	loop_set_timer(loop, &probe_timer, finding == FINDING_KEPT ? PROBE_DAILY_MS : PROBE_AGAIN_MS, probe);
}

static void probe(struct timer *timer)
{
	(void)timer;
	lookup_probe(resolver, probed);
}

static enum result watch_resolver(struct why *why)
{
	enum result result = loop_watch(loop, &answers, lookup_descriptor(resolver, false), EPOLLIN, answers_ready, why);

	if (result == RESULT_OK && lookup_descriptor(resolver, true) >= 0)
		result = loop_watch(loop, &plain_answers, lookup_descriptor(resolver, true), EPOLLIN, answers_ready, why);
	return result;
}

int main(int argc, char **argv)
{
	static const char usage[] =
		"usage: dnsd [-c FILE]\n"
		"Answers DNS queries over pipes; started by smtpd and queued, not by hand.\n";
	struct configuration *conf;
	struct why why = { 0 };
	enum result result;
	int exit_code;

	if (service_start(argc, argv, "dnsd", usage, &conf, &exit_code) != RESULT_OK)
		return exit_code;
	result = loop_make(&loop, &why);
	if (result == RESULT_OK)
		result = service_join(loop, greet, ended, &why);
	if (result == RESULT_OK)
		result = lookup_make(conf, &resolver, &why);
	if (result == RESULT_OK)
		result = enter_sandbox(&why);
	if (result == RESULT_OK)
		result = watch_resolver(&why);
	if (result == RESULT_OK) {
		is_open = lookup_descriptor(resolver, true) < 0;
		loop_set_timer(loop, &start_timer, PROBE_PATIENCE_MS, open_up);
		probe(&probe_timer);
		result = loop_run(loop, &why);
	}
	if (result == RESULT_OK)
		return EX_OK;
	log_failure("unable-to-run", &why);
	return EX_OSERR;
}
