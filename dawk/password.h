/* Passwords of mailboxes: asking for one, hashing it. Used by user.c. */
#ifndef DAWK_PASSWORD_H
#define DAWK_PASSWORD_H

#include "common/result.h"

enum { PASSWORD_MAX = 1000, PASSWORD_HASH_MAX = 384 };

/* From a terminal: asked for twice, without echo; else one line of standard input. OUT holds
 * PASSWORD_MAX + 1 bytes and is NUL-ended. RESULT_NEVER: empty, too long, a NUL, or two that differ. */
enum result password_read(const char *address, char *out, struct why *why);
/* yescrypt. OUT holds PASSWORD_HASH_MAX bytes. */
enum result password_hash(const char *password, char *out, struct why *why);

#endif
