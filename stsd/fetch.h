/* Fetching a policy over HTTPS: RFC 8461 3.3. Inside the event loop, never blocking.
 * No name is looked up here: the addresses come from the caller. */
#ifndef STSD_FETCH_H
#define STSD_FETCH_H

#include "common/https.h"
#include "common/wire.h"

enum { FETCH_ADDRESSES_MAX = 8, FETCH_WORDS_MAX = 256, FETCH_HOST_MAX = 264 };

struct fetch {
	void (*done)(struct fetch *fetch);	/* called once from the loop; the owner may free FETCH then */
	enum tls_fact_result result;		/* TLS_FACT_SUCCESS: BODY is it; else WORDS say why */
	char words[FETCH_WORDS_MAX];
	stralloc body;				/* the owner frees it */
	struct https https;			/* fetch.c's own */
	char host[FETCH_HOST_MAX];
};

/* Once, before sandbox_enter. AUTHORITIES: a PEM file, read now; NULL: nothing will be fetched. RESULT_NEVER: it can't be
 * read or holds none; each fetch will fail. */
enum result fetch_make(struct loop *loop, const char *authorities, struct why *why);

/* Begins to fetch the policy of DOMAIN from https://mta-sts.DOMAIN/, at one of COUNT ADDRESSES (more than
 * FETCH_ADDRESSES_MAX are left out); nothing is followed, HTTPS_SECONDS and POLICY_TEXT_MAX are the limits, the
 * certificate has to be valid for the name. FETCH is zeroed but for done. RESULT_RETRY: no memory, done is not called. */
enum result fetch_start(struct fetch *fetch, const char *domain, const struct address_ip *addresses, size_t count, struct why *why);

#endif
