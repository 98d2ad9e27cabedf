/* `dawk explain`: what TLS would have to be on the way to other hosts, as remoted judges it. Used by explain_remote.c. */
#ifndef DAWK_EXPLAIN_TLS_H
#define DAWK_EXPLAIN_TLS_H

#include "names.h"

/* Prints, INDENT blanks in front, what the route or the site table, DANE and MTA-STS want for NEXT_HOP by ROUTE; HOSTS has
 * its exchanges and addresses. */
void explain_tls(const struct configuration *conf, struct names *names, const struct route *route, const char *next_hop,
                 struct hosts *hosts, int indent);

#endif
