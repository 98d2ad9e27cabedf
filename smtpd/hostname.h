/* The confirmed host name of a client (FCrDNS): the name that its address's PTR record tells, when that name
 * has the address (RFC 1912 2.1). For the access table and the trace header. */
#ifndef SMTPD_HOSTNAME_H
#define SMTPD_HOSTNAME_H

#include "common/dns.h"

struct session;
struct hostname;	/* a look-up under way */

/* Looks IP up; FOUND is called once from the loop, NAME is NULL when there is none or nobody knows.
 * NULL: no memory, FOUND is not called. */
struct hostname *hostname_ask(struct dns_client *dns, const struct address_ip *ip, struct session *session,
                              void (*found)(struct session *, const char *name));
void hostname_cancel(struct hostname *hostname);	/* FOUND is not called any more. Accepts NULL. */

#endif
