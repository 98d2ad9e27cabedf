/* VRFY and EXPN (RFC 5321 3.5, RFC 6531 3.7.4.2), handlers of command.c. Their argument is one name or address, in quotes where it
 * has blanks in it; without a domain it is of the first one, as everywhere, so that none is ambiguous (553). */
#ifndef SMTPD_VERIFY_H
#define SMTPD_VERIFY_H

#include "session.h"

/* Is EXPN for this client, and on offer? */
bool verify_may_expand(const struct session *s);
enum reply vrfy(struct session *s, const char *arg, size_t length);
enum reply expn(struct session *s, const char *arg, size_t length);

#endif
