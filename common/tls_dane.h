/* DANE for SMTP: do the TLSA records of a host fit the certificates it showed? RFC 7672 3, RFC 7671, RFC 6698.
 * Pure but for the clock, which a chain of certificates needs. Used by remoted and `dawk explain`. */
#ifndef COMMON_TLS_DANE_H
#define COMMON_TLS_DANE_H

#include "result.h"
#include <stdbool.h>
#include <stddef.h>

enum { DANE_MATCHED_MAX = 8 };

struct dane_bytes { const void *bytes; size_t length; };

/* How many of the packed RECORDS (dns_next_record) a client of SMTP can use: usage 3 (DANE-EE) and 2 (DANE-TA), selectors
 * 0 and 1, matching types 0, 1 and 2, with data of the right form. RFC 7672 3.1.3: the usages 0 and 1 are not. */
size_t dane_count_usable(const char *records, size_t records_length);

/* Do RECORDS vouch for CHAIN (DER, the host's own certificate first, as it was sent)? One that fits is enough.
 * DANE-EE judges the first certificate's bytes alone, whatever its names and times say (RFC 7672 3.1.1); DANE-TA wants a
 * chain up to the certificate of the record, which is in CHAIN or whole in the record, valid now, and a certificate for
 * one of NAMES (3.2.2, 3.2.3). Of two digests for the same thing the stronger counts (RFC 7671 9).
 * RESULT_OK: MATCHED is set, as "3 1 1"; RESULT_NEVER: WHY. */
enum result dane_verify(const char *records, size_t records_length, const struct dane_bytes *chain, size_t chain_count,
                        const char *const *names, size_t name_count, char matched[DANE_MATCHED_MAX], struct why *why);

/* The next record as text, "3 1 1 0a1b2c3d..", the data cut to what SIZE (64 at least) takes. false: no more. */
bool dane_next_text(const char **at, const char *end, char *text, size_t size);

#endif
