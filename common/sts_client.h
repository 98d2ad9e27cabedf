/* Asking stsd over a pipe, from an event loop: the MTA-STS policy of a domain (RFC 8461), and telling it how the
 * TLS of each session went (RFC 8460). Used by remoted.
 *
 * A query is a member of its owner's struct; it may be cancelled at any time. At most STS_QUERIES_MAX
 * wait; a further one, and all while stsd is away, get STS_LATER. */
#ifndef COMMON_STS_CLIENT_H
#define COMMON_STS_CLIENT_H

#include "questions.h"

enum { STS_QUERIES_MAX = 5000, STS_PATIENCE_MS = 100000, STS_ID_MAX = 32 };

struct sts_answer {		/* valid during the call of done */
	enum sts_verdict verdict;
	uint32_t ttl_seconds;
	const char *patterns;	/* of hosts, separated by a blank each: sts_pattern_matches; not NUL-ended */
	size_t patterns_length;
	char id[STS_ID_MAX + 1];	/* the policy's, "" for none */
	char words[257];	/* why, NUL-ended */
};

struct sts_query {
	struct question question;
	void (*done)(struct sts_query *query, const struct sts_answer *answer);
};

struct sts_client {
	struct questions questions;
	bool was_joined;
};

/* Zeroes CLIENT; every ask is answered STS_LATER until sts_client_join. */
void sts_client_init(struct sts_client *client, struct loop *loop);
/* Takes over FD, a fresh pipe to stsd, in place of one before; what waited there is answered STS_LATER. */
enum result sts_client_join(struct sts_client *client, int fd, struct why *why);
/* Was there a stsd, and is there none now? Then another is about to be started. */
bool sts_client_is_between(const struct sts_client *client);

/* DOMAIN: NUL-ended, an A-label in lower case, without a dot at the end. DONE is called once from the
 * loop, later, also on failure, within STS_PATIENCE_MS. */
void sts_ask(struct sts_client *client, struct sts_query *query, const char *domain,
             void (*done)(struct sts_query *, const struct sts_answer *));
/* DONE is not called any more. Harmless when nothing is under way. */
void sts_cancel(struct sts_query *query);

/* Is HOST (NUL-ended, lower case) one of the PATTERNS? RFC 8461 4.1: a pattern that starts with "*." stands for
 * exactly one label more. */
bool sts_pattern_matches(const char *patterns, size_t length, const char *host);

/* One session's TLS. Texts are NUL-ended, NULL is empty, and cut to what the frame takes. */
struct tls_fact {
	const char *domain;		/* of the policy */
	enum tls_fact_policy policy_type;
	const char *policy;		/* TLS_FACT_POLICY_TLSA: its records, a line each */
	const char *mx;
	enum tls_fact_result result;
	const char *sending_ip, *receiving_ip;
	const char *reason;
};
/* Sends it off; one that can't be sent (stsd is away) is not counted. */
void sts_tell_fact(struct sts_client *client, const struct tls_fact *fact);

#endif
