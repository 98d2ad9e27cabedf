#include "sts_client.h"

#include "text.h"
#include <stdio.h>
#include <string.h>

static void told(struct question *question, const struct frame *f, const char *words)
{
	struct sts_query *query = container_of(question, struct sts_query, question);
	struct sts_answer answer = { .verdict = STS_LATER };

	if (!f) {
		snprintf(answer.words, sizeof answer.words, "%s", words);
	} else {
		if (f->value[STS_TELL_VERDICT].number >= STS_NONE && f->value[STS_TELL_VERDICT].number <= STS_LATER)
			answer.verdict = (enum sts_verdict)f->value[STS_TELL_VERDICT].number;
		answer.ttl_seconds = (uint32_t)f->value[STS_TELL_TTL_SECONDS].number;
		answer.patterns = f->value[STS_TELL_MX_PATTERNS].bytes;
		answer.patterns_length = f->value[STS_TELL_MX_PATTERNS].length;
		frame_value_copy(f, STS_TELL_POLICY_ID, answer.id, sizeof answer.id);
		frame_value_copy(f, STS_TELL_WORDS, answer.words, sizeof answer.words);
	}
	query->done(query, &answer);
}

static const struct questions_kind kind = {
	.ask = FRAME_STS_ASK, .tell = FRAME_STS_TELL, .most = STS_QUERIES_MAX, .patience_ms = STS_PATIENCE_MS,
	.helper = "stsd", .told = told,
};

void sts_client_init(struct sts_client *client, struct loop *loop)
{
	client->was_joined = false;
	questions_init(&client->questions, &kind, loop);
}

enum result sts_client_join(struct sts_client *client, int fd, struct why *why)
{
	client->was_joined = true;
	return questions_join(&client->questions, fd, why);
}

bool sts_client_is_between(const struct sts_client *client)
{
	return client->was_joined && client->questions.channel.fd < 0;
}

void sts_ask(struct sts_client *client, struct sts_query *query, const char *domain,
             void (*done)(struct sts_query *, const struct sts_answer *))
{
	struct wire_value values[STS_ASK_FIELDS] = { [STS_ASK_DOMAIN] = WIRE_STRING(domain) };

	query->done = done;
	questions_ask(&client->questions, &query->question, values);
}

void sts_cancel(struct sts_query *query)
{
	question_cancel(&query->question);
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

	if (client->questions.channel.fd >= 0)
		channel_send(&client->questions.channel, FRAME_TLS_FACT, values, -1, &why);
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
