/* `dawk explain`: where remoted would send mail, as the DNS says now. Used by explain.c. */
#ifndef DAWK_EXPLAIN_REMOTE_H
#define DAWK_EXPLAIN_REMOTE_H

#include "names.h"

/* Prints, INDENT blanks in front, the hosts for NEXT_HOP (a folded address) by the tables ROUTES and SITES, their
 * addresses in the order to try them, or why there are none. *NAMES: NULL at first, kept for the next call; names_stop is the caller's. */
void explain_remote(const struct configuration *conf, struct table *routes, struct table *sites, const char *next_hop,
                    int indent, struct names **names);

#endif
