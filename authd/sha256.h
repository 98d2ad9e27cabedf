/* SHA-256 (FIPS 180-4), for the unique-ids of messages with odd file names: the session of a mailbox
 * links no library of cryptography. */
#ifndef AUTHD_SHA256_H
#define AUTHD_SHA256_H

#include <stddef.h>

enum { SHA256_INPUT_MAX = 256, SHA256_HEX_LENGTH = 64 };

/* The digest of LENGTH bytes (at most SHA256_INPUT_MAX) as lower-case hex, NUL-ended. */
void sha256_hex(const void *bytes, size_t length, char out[SHA256_HEX_LENGTH + 1]);

#endif
