#include "sender.h"

#include "common/address.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is asked, in this order; the next one only when the name has no such record. */
static const enum dns_type types[] = { DNS_MX, DNS_A, DNS_AAAA };

enum { TYPES = sizeof types / sizeof *types };

struct sender {
	struct dns_query query;
	struct dns_client *dns;
	struct session *session;
	void (*judged)(struct session *, enum reply);
	unsigned at;			/* of types */
	char domain[ADDRESS_DOMAIN_MAX + 1];
};

static void sender_end(struct sender *sender, enum reply reply)
{
	sender->judged(sender->session, reply);
	free(sender);
}

/* RFC 7505 3: one record, for the root. */
static bool is_null_mx(const struct dns_answer *answer)
{
	const char *at = answer->records, *end = at + answer->records_length, *rdata;
	char host[DNS_NAME_MAX + 1];
	uint16_t preference;
	size_t length;

	if (!dns_next_record(&at, end, &rdata, &length) || !dns_mx(rdata, length, &preference, host))
		return false;
	return !*host && !dns_next_record(&at, end, &rdata, &length);
}

static void sender_answered(struct dns_query *query, const struct dns_answer *answer)
{
	struct sender *sender = container_of(query, struct sender, query);

	if (answer->verdict == DNS_LATER)
		sender_end(sender, SAY_SENDER_LATER);
	else if (answer->verdict == DNS_ANSWER)
		sender_end(sender, types[sender->at] == DNS_MX && is_null_mx(answer) ? SAY_SENDER_TAKES_NO_MAIL : SAY_SENDER_OK);
	else if (answer->verdict == DNS_NO_NAME || ++sender->at == TYPES)
		sender_end(sender, SAY_SENDER_UNKNOWN);
	else
		dns_ask(sender->dns, &sender->query, sender->domain, types[sender->at], sender_answered);
}

struct sender *sender_ask(struct dns_client *dns, const char *domain, struct session *session,
                          void (*judged)(struct session *, enum reply))
{
	struct sender *sender = calloc(1, sizeof *sender);

	if (!sender)
		return NULL;
	sender->dns = dns;
	sender->session = session;
	sender->judged = judged;
	if (domain_to_ascii(domain, strlen(domain), sender->domain, NULL) != RESULT_OK)
		snprintf(sender->domain, sizeof sender->domain, "%s", domain);	/* the resolver will find no such name */
	dns_ask(dns, &sender->query, sender->domain, types[0], sender_answered);
	return sender;
}

void sender_cancel(struct sender *sender)
{
	if (sender)
		dns_cancel(&sender->query);
	free(sender);
}
