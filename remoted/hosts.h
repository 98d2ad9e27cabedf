/* From a route to the hosts that take its mail: RFC 5321 5.1, RFC 7505, and then to their addresses. */
#ifndef REMOTED_HOSTS_H
#define REMOTED_HOSTS_H

#include "common/configuration.h"
#include "common/dns.h"
#include "remoted/route.h"

enum { HOSTS_MAX = 20, ADDRESSES_MAX = 40 };

struct host_address {
	struct address_ip ip;
	uint8_t exchange;		/* its place among the exchanges */
	uint64_t bad_until_ms;		/* did not answer of late: tried after the others */
};

struct hosts_search;
struct tlsa_search;

enum tlsa_state { TLSA_NONE, TLSA_FOUND, TLSA_TROUBLE /* bogus, or nobody knows: not a host to send to now */ };
struct tlsa {
	char base[DNS_NAME_MAX + 1];	/* the name of the host as its certificate is to have it, RFC 7672 2.2.3 */
	char words[257];		/* of the trouble */
	size_t length;
	char records[];			/* packed: dns_next_record */
};

/* Zeroed before, embedded in its owner; hosts_free. */
struct hosts {
	struct dns_client *dns;
	const struct route *route;
	/* the exchanges, in order of preference, equals shuffled */
	struct exchange {
		char *name;
		uint16_t preference;
		bool is_secure;		/* an address of it is validated by DNSSEC */
		enum tlsa_state tlsa_state;
		char *canonical;	/* what its name is an alias of; NULL: of nothing */
		struct tlsa *tlsa;	/* NULL for TLSA_NONE, and for a trouble without words */
	} exchanges[HOSTS_MAX];
	size_t exchange_count;
	bool is_secure;			/* DNSSEC vouches for the names of the exchanges, or this host's own route does */
	/* their addresses, in the order to try them */
	struct host_address addresses[ADDRESSES_MAX];
	size_t address_count;
	uint32_t ttl_seconds;
	/* the outcome; DELIVERY_DELIVERED: found */
	int verdict;			/* enum delivery_verdict */
	char status[12];
	char words[600];
	struct hosts_search *search;	/* while a search is under way */
	struct tlsa_search *tlsa_search;
	void (*done)(struct hosts *hosts);
};

/* What is this host: never a next hop for itself. Collected before the sandbox. */
enum result hosts_know_self(const struct configuration *conf, struct why *why);

/* Finds the exchanges of hosts->route: DONE is called once, later or from within, with VERDICT, and
 * EXCHANGES and TTL_SECONDS when they were found. RFC 5321 5.1: implicit MX; RFC 7505: null MX. */
void hosts_find_exchanges(struct hosts *hosts, void (*done)(struct hosts *));
/* Then their addresses, the two families of a preference taking turns; those of this host are
 * left out, and all of its preference and worse with them. */
void hosts_find_addresses(struct hosts *hosts, void (*done)(struct hosts *));
/* And then the TLSA records of each, RFC 7672 2.2: DONE is called once, also from within. What was found before stays
 * in place until then. */
void hosts_find_tlsa(struct hosts *hosts, void (*done)(struct hosts *));
void hosts_free(struct hosts *hosts);	/* ends a search without a call of done */

/* The text that is the same for all next hops with the same hosts in the same order ("," between equals, ";" before worse
 * ones): mail for one must never go where another's would not. A host that the admin names stands in brackets: what MX records vouch
 * for is not asked there. Over SIZE it is the domain's own. */
void hosts_site_key(const struct hosts *hosts, char *out, size_t size);

/* ---- between hosts.c and tlsa.c ---- */

void tlsa_note_address(struct exchange *exchange, const struct dns_answer *answer);	/* an A or AAAA of it */
void tlsa_forget_address(struct exchange *exchange);
void tlsa_drop(struct exchange *exchange);
void tlsa_cancel(struct hosts *hosts);

#endif
