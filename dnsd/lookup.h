/* libunbound behind a few functions: the only place that knows it. Used by dnsd. */
#ifndef DNSD_LOOKUP_H
#define DNSD_LOOKUP_H

#include "common/configuration.h"
#include "common/dns.h"

struct resolver_context;

/* Makes the resolver of CONF: system's servers, forwarders, or its own recursion, with or without DNSSEC.
 * Reads /etc/resolv.conf and the trust anchor; opens nothing later. Call after the last fork. */
enum result lookup_make(const struct configuration *conf, struct resolver_context **context, struct why *why);
/* Readable when lookup_process has answers. */
int lookup_descriptor(struct resolver_context *context, bool is_plain);	/* -1: there is none */
void lookup_process(struct resolver_context *context);

/* DONE is called from lookup_process, or from here when the answer is cached. ANSWER is valid during the call. */
struct lookup {
	void (*done)(struct lookup *lookup, const struct dns_answer *answer);
	int id;			/* the resolver's */
	bool is_plain;
};
enum result lookup_start(struct resolver_context *context, struct lookup *lookup, const char *name, int type, struct why *why);

/* DONE is not called any more. */
void lookup_cancel(struct resolver_context *context, struct lookup *lookup);

/* Asks for the root with and without DNSSEC. A forwarder that strips DNSSEC would make every answer bogus:
 * where only the plain question is answered, look-ups go on without DNSSEC, nothing is secure, and PROBED
 * hears FINDING_STRIPPED. FINDING_NONE: no answer either way, ask again later. */
enum lookup_finding { FINDING_KEPT, FINDING_STRIPPED, FINDING_NONE };
void lookup_probe(struct resolver_context *context, void (*probed)(struct resolver_context *, enum lookup_finding));

#endif
