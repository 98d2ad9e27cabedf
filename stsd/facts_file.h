/* The daily facts for reports of TLS (RFC 8460 4) as they lie on disk: a file a day (UTC), named 2026-11-22, a line
 * per kind of session: its count and eight fields, a tab between two. Pure functions. Used by stsd, which
 * writes them, and tlsrpt, which reads them. */
#ifndef STSD_FACTS_FILE_H
#define STSD_FACTS_FILE_H

#include "common/text.h"
#include "common/wire.h"

enum { FACTS_DAY_SIZE = 11, FACTS_FILE_MAX = 8 << 20, FACT_LINE_MAX = 4096 };

enum fact_field {
	FACT_DOMAIN, FACT_POLICY_TYPE,	/* RFC 8460 4.2 */
	FACT_POLICY,			/* its lines, '|' between two; may be empty, as those that follow */
	FACT_MX, FACT_RESULT,		/* RFC 8460 4.3, or "success" */
	FACT_SENDING_IP, FACT_RECEIVING_IP, FACT_REASON,
	FACT_FIELDS
};

struct fact {
	struct fact_text { const char *at; size_t length; } field[FACT_FIELDS];
	uint64_t count;
};

/* "sts"; "certificate-expired". NULL: not one of the enum. */
const char *fact_policy_word(enum tls_fact_policy policy);
const char *fact_result_word(enum tls_fact_result result);

/* The UTC day of a time, NUL-ended. */
void facts_day(uint64_t real_us, char day[FACTS_DAY_SIZE]);
/* Is TEXT such a day? */
bool facts_day_is_valid(const char *text);

/* The whole of a file. false: it is not whole, or no such file (cut by a power cut, say). */
bool facts_file_is_whole(const char *text, size_t length);
/* The next fact of a whole file; *AT: NULL at first. Lines that are none are left out. false: no more. FACT points into TEXT. */
bool facts_file_next(const char *text, size_t length, const char **at, struct fact *fact);

/* Head and end of such a file, for who writes one. */
extern const char facts_file_head[], facts_file_end[];

#endif
