#include "sts_client.h"

#include "text.h"
#include <stdio.h>
#include <string.h>

enum { SLOTS = sizeof((struct sts_client *)0)->waiting / sizeof(struct sts_query *) };

/* ---- queries ---- */

static void take_out(struct sts_query *query)
{
	struct sts_client *client = query->client;
	struct sts_query **at = &client->waiting[query->serial % SLOTS];

	while (*at && *at != query)
		at = &(*at)->next;
	if (*at) {
		*at = query->next;
		client->count--;
	}
	loop_unset_timer(client->loop, &query->patience);
	query->serial = 0;
}

static void answer_later(struct sts_query *query, const char *words)
{
	struct sts_answer answer = { .verdict = STS_LATER };

	snprintf(answer.words, sizeof answer.words, "%s", words);
	take_out(query);
	query->done(query, &answer);
}

static void patience_over(struct timer *timer)
{
	struct sts_query *query = container_of(timer, struct sts_query, patience);

	answer_later(query, query->client->channel.fd < 0 ? "stsd is not running" : "stsd did not answer in time");
}

void sts_cancel(struct sts_query *query)
{
	if (query->serial)
		take_out(query);
}

void sts_ask(struct sts_client *client, struct sts_query *query, const char *domain,
             void (*done)(struct sts_query *, const struct sts_answer *))
{
	struct wire_value values[STS_ASK_FIELDS] = { [STS_ASK_DOMAIN] = WIRE_STRING(domain) };
	struct why why = { 0 };
	bool is_asked = false;

	query->client = client;
	query->done = done;
	query->serial = ++client->last_serial;
	query->next = client->waiting[query->serial % SLOTS];
	client->waiting[query->serial % SLOTS] = query;
	client->count++;
	values[STS_ASK_SERIAL].number = query->serial;
	if (client->channel.fd >= 0 && client->count <= STS_QUERIES_MAX)
		is_asked = channel_send(&client->channel, FRAME_STS_ASK, values, -1, &why) == RESULT_OK;
	/* The answer never comes from within this call, so that its owner is in order when it does. */
	loop_set_timer(client->loop, &query->patience, is_asked ? STS_PATIENCE_MS : 0, patience_over);
}

/* ---- the pipe ---- */

static struct sts_query *find(struct sts_client *client, uint64_t serial)
{
	struct sts_query *query = client->waiting[serial % SLOTS];

	while (query && query->serial != serial)
		query = query->next;
	return query;
}

static void take_answer(struct channel *channel, struct frame *f)
{
	struct sts_client *client = container_of(channel, struct sts_client, channel);
	struct sts_answer answer = { .verdict = STS_LATER };
	struct sts_query *query;

	if (f->type != FRAME_STS_TELL)
		return;
	query = find(client, f->value[STS_TELL_SERIAL].number);
	if (!query)
		return;	/* cancelled, or too late */
	if (f->value[STS_TELL_VERDICT].number >= STS_NONE && f->value[STS_TELL_VERDICT].number <= STS_LATER)
		answer.verdict = (enum sts_verdict)f->value[STS_TELL_VERDICT].number;
	answer.ttl_seconds = (uint32_t)f->value[STS_TELL_TTL_SECONDS].number;
	answer.patterns = f->value[STS_TELL_MX_PATTERNS].bytes;
	answer.patterns_length = f->value[STS_TELL_MX_PATTERNS].length;
	frame_value_copy(f, STS_TELL_POLICY_ID, answer.id, sizeof answer.id);
	frame_value_copy(f, STS_TELL_WORDS, answer.words, sizeof answer.words);
	take_out(query);
	query->done(query, &answer);
}

/* stsd is gone: whoever waits hears of it now. */
static void give_up_all(struct sts_client *client)
{
	uint64_t last = client->last_serial;
	size_t i;

	for (i = 0; i < SLOTS; i++) {
		struct sts_query *query = client->waiting[i];
		while (query) {
			if (query->serial > last) {	/* asked anew by one that was just answered */
				query = query->next;
				continue;
			}
			answer_later(query, "stsd went away");
			query = client->waiting[i];	/* the list may have changed */
		}
	}
}

static void lost_stsd(struct channel *channel, const struct why *why)
{
	(void)why;
	give_up_all(container_of(channel, struct sts_client, channel));
}

void sts_client_init(struct sts_client *client, struct loop *loop)
{
	memset(client, 0, sizeof *client);
	client->loop = loop;
	client->channel.fd = -1;
}

enum result sts_client_join(struct sts_client *client, int fd, struct why *why)
{
	if (client->channel.fd >= 0) {
		channel_close(&client->channel);
		give_up_all(client);
	}
	return channel_open(&client->channel, client->loop, fd, take_answer, lost_stsd, why);
}

/* ---- facts ---- */

static struct wire_value cut_text(const char *text, size_t most)
{
	struct wire_value value = { .bytes = text, .length = text ? strnlen(text, most) : 0 };

	return value;
}

void sts_tell_fact(struct sts_client *client, const struct tls_fact *fact)
{
	struct wire_value values[TLS_FACT_FIELDS] = {
		[TLS_FACT_DOMAIN] = cut_text(fact->domain, 255),
		[TLS_FACT_POLICY_TYPE] = WIRE_NUMBER(fact->policy_type),
		[TLS_FACT_POLICY] = cut_text(fact->policy, 1000),
		[TLS_FACT_MX] = cut_text(fact->mx, 255),
		[TLS_FACT_RESULT] = WIRE_NUMBER(fact->result),
		[TLS_FACT_SENDING_IP] = cut_text(fact->sending_ip, 64),
		[TLS_FACT_RECEIVING_IP] = cut_text(fact->receiving_ip, 64),
		[TLS_FACT_REASON] = cut_text(fact->reason, 256),
	};
	struct why why = { 0 };

	if (client->channel.fd >= 0)
		channel_send(&client->channel, FRAME_TLS_FACT, values, -1, &why);
}

/* ---- patterns ---- */

/* RFC 6125 6.4.3: the star is a whole label, the leftmost. */
static bool is_match(const char *pattern, size_t length, const char *host)
{
	const char *dot;

	if (length <= 2 || memcmp(pattern, "*.", 2))
		return text_equal_folded(pattern, length, host, strlen(host));
	dot = strchr(host, '.');
	return dot && dot != host && text_equal_folded(pattern + 1, length - 1, dot, strlen(dot));
}

bool sts_pattern_matches(const char *patterns, size_t length, const char *host)
{
	const char *at = patterns, *end = at + length, *word;
	size_t word_length;

	while (length && text_next_word(&at, end, &word, &word_length))
		if (is_match(word, word_length, host))
			return true;
	return false;
}
