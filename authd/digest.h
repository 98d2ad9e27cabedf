/* Digests as lower-case hex, by libnettle: MD5 for APOP alone (RFC 1321, RFC 1939 7), SHA-256 for the
 * unique-ids of messages with odd file names. Pure. */
#ifndef AUTHD_DIGEST_H
#define AUTHD_DIGEST_H

#include <stddef.h>

enum { MD5_HEX_LENGTH = 32, SHA256_HEX_LENGTH = 64 };

/* The digest of LENGTH bytes, NUL-ended. */
void md5_hex(const void *bytes, size_t length, char out[MD5_HEX_LENGTH + 1]);
void sha256_hex(const void *bytes, size_t length, char out[SHA256_HEX_LENGTH + 1]);

#endif
