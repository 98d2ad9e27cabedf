/* TLS of a connection to a next hop: what it has to be, STARTTLS, the handshake, the judgement on the certificate, and
 * going on in clear where that may be. RFC 3207, RFC 7672 (DANE), RFC 8461 (MTA-STS), RFC 8689 (REQUIRETLS), RFC 8460
 * (facts for reports). The demand comes, in this order, from the site table or the route, DANE, MTA-STS; else TLS is
 * used where it is offered and works. */
#ifndef REMOTED_SECURITY_H
#define REMOTED_SECURITY_H

#include "common/sts_client.h"
#include "remoted/session.h"

enum { SECURITY_MANNER_MAX = 320, SECURITY_LATER_SECONDS = 60 };

/* ---- of a site (site.c) ---- */

/* May DANE, may MTA-STS say something about what ROUTE leads to? */
bool security_wants_dane(const struct route *route);
bool security_wants_sts(const struct route *route);
/* What SITE_ASK's MTA-STS policy (NULL: none is wanted) and DNSSEC mean for its hosts, into ask->security; MANNER gets
 * what sets mail for DOMAIN apart from other mail for the same hosts, "" where nothing does. */
void security_find(struct site_ask *ask, const char *domain, const struct sts_answer *answer, char manner[SECURITY_MANNER_MAX]);

/* ---- of a session (session.c) ---- */

const struct exchange *security_exchange(const struct session *session);	/* the one it is at */

/* Before any address is tried: leaves out those of hosts that may get no mail now. What was found is the session's trouble. */
void security_admit(struct session *session);
/* Right after connecting. false: nothing to do, the greeting comes; true: the handshake has begun, or it failed. */
bool security_connected(struct session *session);
/* After the answer to EHLO (HELO, LHLO). false: go on; true: STARTTLS is under way, or the next host is. */
bool security_greeted(struct session *session);
void security_reply(struct session *session);	/* to STARTTLS */
void security_shake(struct session *session);	/* the descriptor is ready during the handshake */
/* STARTTLS or the handshake failed otherwise: WORDS. */
void security_lost(struct session *session, const char *words);
/* May SESSION, which is idle, take JOB? And may it stay for other jobs? */
bool security_suits(const struct session *session, const struct job *job);
bool security_is_private(const struct session *session);
/* Keeps the TLS session for the next connection: before QUIT is said, since GnuTLS gives none away that the other side has
 * ended without a close_notify, as many do behind their 221; or at the end that comes before that. */
void security_end(struct session *session);

#endif
