/* Counting how the TLS of sessions went, for the daily reports (RFC 8460 4): in memory, on disk every minute and at the
 * end, a file a day (facts_file.h). Used by stsd. */
#ifndef STSD_FACTS_H
#define STSD_FACTS_H

#include "facts_file.h"

enum {
	FACTS_ROWS_MAX = 20000, FACTS_BYTES_MAX = 4 << 20,	/* of a day; further kinds of session are not counted */
	FACTS_KEPT_DAYS = 8,
};

struct fact_report {		/* NUL-ended; NULL is empty */
	const char *domain;	/* valid, in lower case */
	enum tls_fact_policy policy_type;
	const char *policy;	/* its lines, an LF between two */
	const char *mx;
	enum tls_fact_result result;
	const char *sending_ip, *receiving_ip, *reason;
};

/* FOLDER is kept; -1: nothing is on disk. Goes on with what the day has already, and drops days that are too old. */
void facts_open(int folder);
/* A session more. Of those that went well, only domain and policy (for TLSA, which is a host's, also the host) are told apart. */
void facts_count(const struct fact_report *report);
/* Writes what is new; to be called every minute and at the end. RESULT_RETRY: WHY; it is tried again. */
enum result facts_write(struct why *why);

#endif
