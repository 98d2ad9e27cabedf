/* What TXT records say of a domain's mail: whether it has an MTA-STS policy (RFC 8461 3.1), where it wants reports
 * of TLS sent (RFC 8460 3). Pure functions. Used by stsd, tlsrpt. */
#ifndef STSD_RECORD_H
#define STSD_RECORD_H

#include "common/sts_client.h"

enum { RECORD_TEXT_MAX = 4096, REPORT_URIS_MAX = 5, REPORT_URI_MAX = 1000 };

/* RECORDS: as dnsd packs them (dns_next_record). RESULT_OK: ID is set, NUL-ended. RESULT_END: none of them is about
 * MTA-STS. RESULT_NEVER: several are, or the one is malformed: as if there was none; WHY. */
enum result record_find_policy_id(const char *records, size_t length, char id[STS_ID_MAX + 1], struct why *why);

struct report_uris {
	char items[REPORT_URIS_MAX][REPORT_URI_MAX + 1];	/* NUL-ended, "mailto:..", "https:.." */
	size_t count;
};
/* The same of the addresses for reports; more than REPORT_URIS_MAX, and those of other schemes, are left out.
 * RESULT_NEVER also when none is left. */
enum result record_find_report_uris(const char *records, size_t length, struct report_uris *uris, struct why *why);

#endif
