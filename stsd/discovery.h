/* Finding out a domain's policy: TXT record, then, where it names another than the cache has, the addresses of
 * mta-sts.DOMAIN and the policy itself. RFC 8461 3. What the cache has holds while nothing better can be had.
 * One at a time for each domain, with any number of askers. Used by stsd. */
#ifndef STSD_DISCOVERY_H
#define STSD_DISCOVERY_H

#include "cache.h"
#include "common/dns.h"

enum {
	DISCOVERY_MAX = 2000,			/* under way; an ask for one more is told NULL */
	DISCOVERY_WAITERS_MAX = 20000,
	DISCOVERY_FETCHES_MAX = 20,		/* at a time; further ones wait */
	DISCOVERY_PATIENCE_MS = 75000,		/* of those who ask; it itself goes on */
	DISCOVERY_KNOWN_LEAST_SECONDS = 60, DISCOVERY_KNOWN_MOST_SECONDS = 3600,	/* bounds of the TXT record's TTL */
	DISCOVERY_FAILED_FIRST_SECONDS = 300, DISCOVERY_FAILED_MOST_SECONDS = 3600,	/* RFC 8461 3.3: between two fetches that fail */
};

struct waiter {
	struct waiter *next;
	/* Called once, at once or later. ENTRY: what is known of the domain; NULL: nobody knows, WORDS say why. The owner
	 * may free WAITER then. */
	void (*told)(struct waiter *waiter, const struct entry *entry, const char *words);
};

/* Once. DNS: joined by the caller. */
void discovery_init(struct loop *loop, struct dns_client *dns);
/* DOMAIN: valid, in lower case. */
void discovery_ask(const char *domain, struct waiter *waiter);
/* Looks whether there is a new policy, with nobody waiting for it. */
void discovery_refresh(struct entry *entry);

#endif
