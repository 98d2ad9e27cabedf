/* What is told to stsd of each attempt at TLS, for the daily reports (RFC 8460). Used by security.c. */
#ifndef REMOTED_FACT_H
#define REMOTED_FACT_H

#include "common/sts_client.h"
#include "remoted/session.h"

/* How TLS went at the host of SESSION's place; REASON in words, or NULL. Only of hosts that the domain itself names
 * (RFC 8460 1): nothing is told of a next hop that the admin does. */
void fact_tell(const struct session *session, enum tls_fact_result result, const char *reason);

#endif
