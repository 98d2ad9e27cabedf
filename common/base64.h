/* Base64 (RFC 4648 4), strict. Pure functions. Used by smtpd, pop3d (SASL responses), authd, dawk (SCRAM keys). */
#ifndef COMMON_BASE64_H
#define COMMON_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes that LENGTH bytes take when encoded, with the NUL. */
#define BASE64_SIZE(length) (((size_t)(length) + 2) / 3 * 4 + 1)
enum {
	SASL_LINE_MAX = 12288,				/* RFC 4954 4: the base64 of one message */
	SASL_MESSAGE_MAX = SASL_LINE_MAX / 4 * 3,	/* and decoded */
};

/* Decodes the whole of LENGTH bytes at TEXT: no other characters, right padding, zero spare bits. OUT: SIZE
 * bytes, not NUL-ended. false: malformed, or does not fit. */
bool base64_decode(const char *text, size_t length, void *out, size_t size, size_t *out_length);
/* OUT: BASE64_SIZE(LENGTH) bytes, NUL-ended. Returns the length without the NUL. */
size_t base64_encode(const void *bytes, size_t length, char *out);

#endif
