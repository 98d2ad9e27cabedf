/* What POP3 lines mean before login: lines, SASL's PLAIN and base64. Pure functions of bytes. RFC
 * 1939, 2449, 4616, 4648, 5034. Used by session.c. */
#ifndef POP3D_COMMAND_H
#define POP3D_COMMAND_H

#include "common/result.h"
#include <stdbool.h>
#include <stddef.h>

enum {
	LINE_MAX_BYTES = 2048,	/* RFC 2449 4 asks for 255; initial responses of AUTH are longer */
	NAME_MAX_BYTES = 320,
	SECRET_MAX_BYTES = 1024,
};

/* Takes the first line of LENGTH bytes at BYTES. RESULT_OK: *LINE, without CRLF (a bare LF ends one
 * too); RESULT_RETRY: not complete; RESULT_PEER: too long, said once, *IS_SKIPPING then drops the
 * rest of it. *USED: bytes taken, in every case. */
enum result line_take(const char *bytes, size_t length, bool *is_skipping, size_t *used,
                      const char **line, size_t *line_length);

/* Splits off the verb. ARGUMENT is what follows the first blank, further blanks kept: a password may
 * begin or end with one. */
void line_split(const char *line, size_t length, size_t *verb_length,
                const char **argument, size_t *argument_length);

/* Strict base64 (RFC 4648 4): no other characters, right padding, zero spare bits. OUT: SIZE bytes.
 * false: malformed, or does not fit. "=" alone is the empty string (RFC 5034 4). */
bool base64_decode(const char *text, size_t length, char *out, size_t size, size_t *out_length);

/* A name or a password: NUL-ended. */
struct credentials { char name[NAME_MAX_BYTES + 1], secret[SECRET_MAX_BYTES + 1]; };
/* RFC 4616: "authzid NUL authcid NUL password"; an authzid must be empty or the authcid. */
bool plain_parse(const char *bytes, size_t length, struct credentials *credentials);
/* Copies LENGTH bytes, NUL-ended. false: too long, empty, or holds a NUL or a line end. */
bool credential_copy(const char *bytes, size_t length, char *out, size_t size);

#endif
