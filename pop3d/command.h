/* What POP3 lines mean before login. Pure functions of bytes. RFC 1939, 2449, 5034. Used by session.c. */
#ifndef POP3D_COMMAND_H
#define POP3D_COMMAND_H

#include "common/result.h"
#include <stdbool.h>
#include <stddef.h>

enum {
	LINE_MAX_BYTES = 12400,	/* RFC 2449 4 asks for 255; AUTH has 12,288 of base64, RFC 4954 4 */
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

/* A password: neither empty nor too long, no NUL and no line end in it. */
bool credential_is_fit(const char *bytes, size_t length);
/* Copies LENGTH bytes, NUL-ended. false: too long, empty, or holds a NUL or a line end. */
bool credential_copy(const char *bytes, size_t length, char *out, size_t size);

#endif
