/* Asking dnsd over a pipe, from an event loop. RFC 1035. Used by smtpd (host names of clients) and
 * remoted (where mail goes).
 *
 * A query is a member of its owner's struct; it may be cancelled at any time. At most
 * DNS_QUERIES_MAX wait per client; a further one, and all while dnsd is away, get DNS_LATER. */
#ifndef COMMON_DNS_H
#define COMMON_DNS_H

#include "network.h"
#include "questions.h"

enum dns_type { DNS_A = 1, DNS_CNAME = 5, DNS_PTR = 12, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28, DNS_TLSA = 52 };
enum { DNS_QUERIES_MAX = 20000, DNS_NAME_MAX = 255, DNS_PATIENCE_MS = 60000 };

struct dns_answer {		/* valid during the call of done */
	enum dns_verdict verdict;
	bool is_secure;		/* validated by DNSSEC */
	uint32_t ttl_seconds;
	const char *records;	/* packed: dns_next_record */
	size_t records_length;
	char canonical[DNS_NAME_MAX + 1];	/* "" when there was no CNAME */
	char words[257];	/* why, NUL-ended */
};

struct dns_query {
	struct question question;
	void (*done)(struct dns_query *query, const struct dns_answer *answer);
};

struct dns_client { struct questions questions; };

/* Zeroes CLIENT; every ask is answered DNS_LATER until dns_client_join. */
void dns_client_init(struct dns_client *client, struct loop *loop);
/* Takes over FD, a fresh pipe to dnsd, in place of one before; what waited there is asked DNS_LATER. */
enum result dns_client_join(struct dns_client *client, int fd, struct why *why);

/* NAME: NUL-ended, without a dot at the end. DONE is called once from the loop, later, also on failure. */
void dns_ask(struct dns_client *client, struct dns_query *query, const char *name, enum dns_type type,
             void (*done)(struct dns_query *, const struct dns_answer *));
/* DONE is not called any more. Harmless when nothing is under way. */
void dns_cancel(struct dns_query *query);

/* The next RDATA of packed records. false: no more. */
bool dns_next_record(const char **at, const char *end, const char **rdata, size_t *length);
/* A domain name in wire form (uncompressed) at the start of LENGTH bytes, as lower-case text without a final
 * dot ("" is the root); bytes other than letters, digits, '-', '_' make it fail. OUT: DNS_NAME_MAX + 1. */
bool dns_name_text(const char *rdata, size_t length, char *out);
/* RDATA of MX: preference and host. */
bool dns_mx(const char *rdata, size_t length, uint16_t *preference, char *host);
/* RDATA of A or AAAA; an IPv4-mapped address is the IPv4 one, which it is connected to. */
bool dns_ip(const char *rdata, size_t length, struct address_ip *ip);
/* The name whose PTR record tells an address's host name: RFC 1035 3.5, RFC 3596 2.5. */
void dns_reverse_name(const struct address_ip *ip, char *out);

#endif
