/* Does the sender's domain exist, and can it take a report? Asked of dnsd at MAIL for strangers: RFC 5321
 * 3.6.2 (an address that cannot be answered is none), RFC 7505 4.2. Used by session.c. */
#ifndef SMTPD_SENDER_H
#define SMTPD_SENDER_H

#include "common/dns.h"
#include "reply.h"

struct session;
struct sender;

/* Asks for the mail exchangers of DOMAIN (NUL-ended, lower case; U-labels are converted), else its addresses.
 * JUDGED is called once, from the loop, unless cancelled: SAY_SENDER_OK; SAY_SENDER_UNKNOWN: it has neither MX
 * nor A nor AAAA; SAY_SENDER_TAKES_NO_MAIL: null MX; SAY_SENDER_LATER: the look-up failed. The
 * result is gone when JUDGED is called. NULL: no memory. */
struct sender *sender_ask(struct dns_client *dns, const char *domain, struct session *session,
                          void (*judged)(struct session *, enum reply));
/* JUDGED will not be called. Harmless for NULL. */
void sender_cancel(struct sender *sender);

#endif
