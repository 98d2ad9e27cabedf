/* The login at a next hop: AUTH (RFC 4954) with SCRAM-SHA-256 (RFC 7677), PLAIN (RFC 4616) or LOGIN, the first of them
 * that the host offers. Only under TLS; a refusal puts mail off, since it is the admin's to mend, and holds the site for a
 * minute so that a wrong password is not tried with every message. */
#ifndef REMOTED_LOGIN_H
#define REMOTED_LOGIN_H

#include "remoted/session.h"

enum { LOGIN_HELD_MS = 60000 };

/* The enum capability bits of the mechanisms in [AT, END), what follows AUTH in the answer to EHLO. */
unsigned login_mechanisms(const char *at, const char *end);
/* After EHLO under TLS. true: the login has begun, or failed; false: none is needed. */
bool login_begins(struct session *session);
void login_reply(struct session *session);
void login_free(struct session *session);	/* wipes it */

/* The table of logins that the opener sent, as a descriptor that is taken over. */
void login_take_table(int fd);

#endif
