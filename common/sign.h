/* The signature algorithms that cross the pipe to keyd (wire.h) and what GnuTLS calls them. Used by
 * keyd and tls_keys.c alone: nobody else sees GnuTLS. */
#ifndef COMMON_SIGN_H
#define COMMON_SIGN_H

#include "wire.h"
#include <gnutls/gnutls.h>
#include <stddef.h>
#include <stdint.h>

struct sign_row {
	gnutls_sign_algorithm_t algorithm;
	gnutls_pk_algorithm_t key;	/* the one type of key that may make it */
	size_t length;			/* of the hash to sign; 0: the bytes themselves are signed */
};

/* NULL: no number of enum sign_algorithm. */
const struct sign_row *sign_row_of(uint64_t number);
/* 0: one that keyd does not make. */
enum sign_algorithm sign_algorithm_of(gnutls_sign_algorithm_t algorithm);
/* The PKCS #1 1.5 one with HASH; 0: none. */
enum sign_algorithm sign_algorithm_rsa(gnutls_digest_algorithm_t hash);

#endif
