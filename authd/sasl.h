/* What the messages of SASL's plain mechanisms and of bearer tokens mean: PLAIN (RFC 4616), OAUTHBEARER (RFC
 * 7628), XOAUTH2. Pure functions of bytes. SCRAM has scram.h. Used by login_sasl.c. */
#ifndef AUTHD_SASL_H
#define AUTHD_SASL_H

#include <stdbool.h>
#include <stddef.h>

enum { SASL_NAME_MAX = 320, SASL_SECRET_MAX = 1024 };

/* NUL-ended. */
struct sasl_credentials { char name[SASL_NAME_MAX + 1], secret[SASL_SECRET_MAX + 1]; };

/* "authzid NUL authcid NUL password"; an authzid must be empty or the authcid. Neither may be empty. */
bool sasl_take_plain(const char *bytes, size_t length, struct sasl_credentials *credentials);
/* A name or a password: copies LENGTH bytes, NUL-ended. false: does not fit, empty, or holds a NUL or a line end. */
bool sasl_copy(const char *bytes, size_t length, char *out, size_t size);

/* A bearer token (into the message, not NUL-ended) and for whom: NAME is "" where the client leaves it to the
 * token. */
struct sasl_bearer { char name[SASL_NAME_MAX + 1]; const char *token; size_t token_length; };
bool sasl_take_oauthbearer(const char *bytes, size_t length, struct sasl_bearer *bearer);
bool sasl_take_xoauth2(const char *bytes, size_t length, struct sasl_bearer *bearer);

#endif
