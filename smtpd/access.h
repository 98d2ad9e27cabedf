/* The access table, dawk-access(5): who is allowed, refused, deferred, or may relay. The most
 * particular key wins: an address before its networks, longest first; a name before the domains
 * above it, nearest first. Used by policy.c.
 *
 * access.cdb: key KIND:VALUE in lower case ("client:192.0.2.7/32", "client:192.0.2.0/24",
 * "client:host.example", "helo:host.example", "from:bob@example.org", "from:example.org",
 * "from:.example.org" for what is below, "from:<>", "to:..."); value ACTION, or ACTION, a blank, text.
 * The key "prefixes" says which lengths of networks there are: "4:24,32 6:64". */
#ifndef SMTPD_ACCESS_H
#define SMTPD_ACCESS_H

#include "common/address.h"
#include "common/network.h"
#include "common/table.h"

enum access_action { ACCESS_NONE, ACCESS_ALLOW, ACCESS_RELAY, ACCESS_REJECT, ACCESS_DEFER };

struct access {
	enum access_action action;	/* ACCESS_NONE: the table says nothing */
	char text[404];			/* the table's words, or "" */
};

/* Each fills ACCESS. RESULT_OK, also for ACCESS_NONE; RESULT_RETRY: the table can't be read.
 * NAME of a client: its confirmed host name, NULL for none; it is more particular than a network. */
enum result access_of_client(struct table *table, const struct address_ip *ip, const char *name,
                             struct access *access, struct why *why);
enum result access_of_helo(struct table *table, const char *helo, struct access *access, struct why *why);
enum result access_of_sender(struct table *table, const struct address *from, struct access *access, struct why *why);
enum result access_of_recipient(struct table *table, const struct address *to, struct access *access, struct why *why);

#endif
