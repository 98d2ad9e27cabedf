/* What the site table says of a destination, as far as connections go: dawk-site(5). Used by site.c and by
 * `dawk explain`. */
#ifndef REMOTED_RULES_H
#define REMOTED_RULES_H

#include "remoted/route.h"

/* The entry for NEXT_HOP (a domain, or an address, whose domain counts): of the domain, of each parent with a dot in
 * front, of "*". RESULT_OK: *WORDS, LENGTH bytes, "name=value name=value", valid until the next look-up; RESULT_END:
 * there is none; RESULT_RETRY: the table can't be read. */
enum result rules_find(struct table *sites, const char *next_hop, const char **words, size_t *length, struct why *why);

/* Puts what the words say into ROUTE; sources that the route names itself stay. Words that are not known are passed over: `dawk
 * update` has judged them. Pure. */
void rules_apply(const char *words, size_t length, struct route *route);

/* Both: the rules of NEXT_HOP into ROUTE. RESULT_OK, also without an entry; RESULT_RETRY. */
enum result rules_take(struct table *sites, const char *next_hop, struct route *route, struct why *why);

#endif
