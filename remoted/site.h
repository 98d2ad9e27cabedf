/* Sites: next hops served by the same hosts share one, with its addresses and its open connections. */
#ifndef REMOTED_SITE_H
#define REMOTED_SITE_H

#include "common/sts_client.h"
#include "common/tls.h"
#include "remoted/hosts.h"
#include "remoted/job.h"

enum {
	SITES_MAX = 20000,
	SITE_KEY_MAX = 1000,
	SITE_IDLE_MS = 600000,		/* without work it is forgotten */
	SITE_ADDRESS_BAD_MS = 60000,	/* an address that did not answer goes to the end for so long */
	SITE_INSECURE_MS = 5000,	/* what all its hosts' TLS lacks is not looked at again for so long */
	SITE_POLICY_AGAIN_MS = 500, SITE_POLICY_TRIES = 80,	/* while there is no stsd: beyond the longest wait before the next one is started */
	SITE_FAMILY_MS = 600000,	/* the family that answered first goes first for so long, RFC 8305 4 */
};

struct session;

struct site {
	char *key;
	struct route route;
	struct hosts hosts;
	struct security {
		bool wants_dane;		/* TLSA records count: the names of the hosts are secure */
		bool is_vouched;		/* DNSSEC, or the admin, says which the hosts are */
		enum sts_verdict sts;		/* STS_NONE, STS_TESTING, STS_ENFORCE */
		uint32_t unlisted;		/* exchanges that the MTA-STS policy does not name, a bit each */
	} security;
	uint64_t exchanges_until_ms, addresses_until_ms;
	uint64_t held_until_ms;			/* its TLS or the login did not do: not again before, */
	uint64_t login_generation;		/* unless there is a new table of logins */
	char held_status[12], held_words[300];
	uint64_t away_until_ms;			/* call.c's: it did not answer of late */
	bool takes_no_chunks;			/* it offered CHUNKING and did not know BDAT */
	uint8_t good_family;			/* of the address that answered first, 0: none yet */
	uint64_t good_family_until_ms;
	struct job *waiting, **last_waiting;	/* for the addresses */
	struct session *idle;			/* connections that wait for work */
	size_t session_count;
	uint64_t used_ms;
	struct site *next;			/* in its hash slot */
};

struct remoted {		/* what the whole process knows */
	struct loop *loop;
	const struct configuration *conf;
	struct dns_client dns;
	struct sts_client sts;
	struct tls_client *tls;
	struct table *routes, *site_rules;
	struct table *logins;		/* at next hops, as the opener gave it last; NULL: none yet */
	uint64_t login_generation;	/* counts those tables */
};
extern struct remoted remoted;

/* Finds the site of NEXT_HOP and calls DONE, later or from within: with VERDICT DELIVERY_DELIVERED and a SITE, or
 * with SITE NULL, STATUS and WORDS. Zeroed before. */
struct site_ask {
	struct route route;
	struct hosts hosts;
	struct security security;
	struct sts_query sts;
	struct timer again;		/* and TRIES: for the next stsd */
	unsigned tries;
	char domain[DNS_NAME_MAX + 1];	/* whose policies count */
	void (*done)(struct site_ask *ask, struct site *site, int verdict, const char *status, const char *words);
};
void site_find(struct site_ask *ask, const char *next_hop,
               void (*done)(struct site_ask *, struct site *, int, const char *, const char *));

struct site *site_of_key(const char *key);	/* NULL: not known */
/* Seconds for which the site's exchanges hold. */
uint32_t site_ttl_seconds(const struct site *site);
/* Sends JOB by one of the site's connections, or a new one once its addresses are known. */
void site_start_job(struct site *site, struct job *job);
/* The site's addresses in the order to try them now, at most MOST, into OUT; returns how many: by preference, within one
 * the family that answered last first, equal exchanges in a new random order each time, RFC 5321 5.1; those that did not answer of
 * late at the end. */
size_t site_order_addresses(const struct site *site, struct host_address *out, size_t most);
/* An address of FAMILY (4, 6; 0: a Unix socket) answered first. */
void site_note_family(struct site *site, uint8_t family);
/* For HELD_MS all jobs get STATUS and WORDS, but those that ask for more or less TLS than others do. */
void site_hold(struct site *site, uint64_t held_ms, const char *status, const char *words);
/* Forgets sites without work. */
void site_sweep(void);

#endif
