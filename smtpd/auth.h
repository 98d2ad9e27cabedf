/* The AUTH command and its dialog (RFC 4954). What a mechanism means is authd's business: here base64 is decoded, and
 * answers become replies. Used by command.c, session.c, session_input.c. */
#ifndef SMTPD_AUTH_H
#define SMTPD_AUTH_H

#include "common/base64.h"
#include "session.h"

enum { AUTH_LINE_MAX = SASL_LINE_MAX + 32 };	/* "AUTH MECHANISM " and the initial response */

/* AUTH's line of EHLO with a newline behind it, or "" where it is not offered. OUT: AUTH_OFFER_MAX bytes. Returns OUT. */
enum { AUTH_OFFER_MAX = 256 };
const char *auth_offer(const struct session *s, char *out);

/* The command, as a handler of command.c. */
enum reply auth(struct session *s, const char *arg, size_t length);
/* A line of the client in state AT_AUTH. */
enum reply auth_answer(struct session *s, const char *line, size_t length);
/* The dialog ends without an answer: the line was too long, the session goes. Harmless when there is none. */
void auth_drop(struct session *s);

/* How much of LINE may be logged: nothing of a response, which may hold a password. */
bool auth_is_command(const char *line, size_t length);
size_t auth_shown_length(const struct session *s, const char *line, size_t length);

#endif
