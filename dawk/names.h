/* Asking the DNS from the command line: a dnsd of one's own, started for the purpose, as smtpd and queued start
 * theirs. Used by explain_remote.c, check_names.c. */
#ifndef DAWK_NAMES_H
#define DAWK_NAMES_H

#include "remoted/hosts.h"

struct names;

/* Starts dnsd. All that is asked is answered within PATIENCE_MS from now, or not at all. */
enum result names_start(const struct configuration *conf, unsigned patience_ms, struct names **names, struct why *why);
void names_stop(struct names *names);	/* accepts NULL */

/* Where remoted would send what ROUTE leads to: HOSTS (zeroed before; hosts_free is the caller's) gets its verdict,
 * exchanges and, when there are any, addresses. false: time is up, HOSTS holds what was known by then. */
bool names_find_exchanges(struct names *names, const struct route *route, struct hosts *hosts);
bool names_find_addresses(struct names *names, struct hosts *hosts);
bool names_find_tlsa(struct names *names, struct hosts *hosts);

/* Has NAME an address? RESULT_OK; RESULT_END: no; RESULT_RETRY: nobody knows, WHY. */
enum result names_has_address(struct names *names, const char *name, struct why *why);

/* Asks for records of NAME. DNS_ANSWER: RECORDS (a zeroed or used string; the caller's) holds them as dnsd packs
 * them. Else WORDS (257 bytes) say why there are none; DNS_LATER also when time is up. */
enum dns_verdict names_find_records(struct names *names, const char *name, enum dns_type type, stralloc *records, char *words);

#endif
