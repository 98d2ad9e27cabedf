/* Which certificates and keys a configuration means, and reading them. Used by tls_opener.c, `dawk cert`. */
#ifndef COMMON_TLS_FILES_H
#define COMMON_TLS_FILES_H

#include "configuration.h"
#include "result.h"
#include "tls.h"

/* Below the configuration's keys/: what `dawk cert make` makes, in use while no tls-certificate is set. */
#define TLS_SELF_SIGNED_CERTIFICATE "self-signed.crt"
#define TLS_SELF_SIGNED_KEY "self-signed.key"

struct tls_pair { char certificate[4096], key[4096]; };
struct tls_pairs { struct tls_pair *items; size_t count; };	/* the owner calls tls_pairs_free */

/* RESULT_OK: at least one. RESULT_END: none is configured, none was made: no TLS. RESULT_NEVER: a path is too long. */
enum result tls_pairs_find(const struct configuration *conf, struct tls_pairs *pairs, struct why *why);
void tls_pairs_free(struct tls_pairs *pairs);
/* The paths that `dawk cert make` writes to. */
enum result tls_pair_self_signed(const struct configuration *conf, struct tls_pair *pair, struct why *why);

/* Reads PATH whole into *BYTES (malloc'd, the caller's, NUL behind it). RESULT_NEVER: no file, over
 * TLS_CERTIFICATE_FILE_MAX, or unreadable. */
enum result tls_file_read(const char *path, char **bytes, size_t *length, struct why *why);
/* The same for a certificate; one that holds a private key as well is refused (RESULT_NEVER): it would
 * go to processes that must not have it. FACTS: of its first certificate. */
enum result tls_file_certificate(const char *path, char **bytes, size_t *length, struct tls_certificate *facts, struct why *why);

#endif
