/* MD5 (RFC 1321), for APOP alone (RFC 1939 7). */
#ifndef AUTHD_MD5_H
#define AUTHD_MD5_H

#include <stddef.h>

enum { MD5_INPUT_MAX = 2048, MD5_HEX_LENGTH = 32 };

/* The digest of LENGTH bytes (at most MD5_INPUT_MAX) as lower-case hex, NUL-ended. */
void md5_hex(const void *bytes, size_t length, char out[MD5_HEX_LENGTH + 1]);

#endif
