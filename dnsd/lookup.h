/* libunbound behind four functions: the only place that knows it. Used by dnsd. */
#ifndef DNSD_LOOKUP_H
#define DNSD_LOOKUP_H

#include "common/configuration.h"
#include "common/dns.h"

struct resolver_context;

/* Makes the resolver of CONF: system's servers, forwarders, or its own recursion, with or without DNSSEC.
 * Reads /etc/resolv.conf
 * and the trust anchor; opens nothing later. Call after the last fork. */
enum result lookup_make(const struct configuration *conf, struct resolver_context **context, struct why *why);
/* Readable when lookup_process has answers. */
int lookup_descriptor(struct resolver_context *context);
void lookup_process(struct resolver_context *context);

/* DONE is called from lookup_process, or from here when the answer is cached. ANSWER is valid during the call. */
struct lookup {
	void (*done)(struct lookup *lookup, const struct dns_answer *answer);
};
enum result lookup_start(struct resolver_context *context, struct lookup *lookup, const char *name, int type, struct why *why);

#endif
