/* Fetching a policy over HTTPS: RFC 8461 3.3. The only user of libcurl in stsd; inside the event loop, never blocking.
 * No name is looked up here: the addresses come from the caller. */
#ifndef STSD_FETCH_H
#define STSD_FETCH_H

#include "common/loop.h"
#include "common/network.h"
#include "common/text.h"
#include "common/wire.h"

enum { FETCH_SECONDS = 60, FETCH_ADDRESSES_MAX = 8, FETCH_WORDS_MAX = 256 };

struct fetch {
	void (*done)(struct fetch *fetch);	/* called once from the loop; the owner may free FETCH then */
	enum tls_fact_result result;		/* TLS_FACT_SUCCESS: BODY is it; else WORDS say why */
	char words[FETCH_WORDS_MAX];
	stralloc body;				/* the owner frees it */
	void *easy, *addresses;			/* fetch.c's own */
	char error[FETCH_WORDS_MAX];
};

/* Once, before sandbox_enter. AUTHORITIES: a PEM file, read anew for each fetch. */
enum result fetch_make(struct loop *loop, const char *authorities, struct why *why);

/* Begins to fetch the policy of DOMAIN from https://mta-sts.DOMAIN/, at one of COUNT ADDRESSES (more than
 * FETCH_ADDRESSES_MAX are left out); nothing is followed, FETCH_SECONDS and POLICY_TEXT_MAX are the limits, the
 * certificate has to be valid for the name. FETCH is zeroed but for done. RESULT_RETRY: no memory, done is not called. */
enum result fetch_start(struct fetch *fetch, const char *domain, const struct address_ip *addresses, size_t count, struct why *why);

#endif
