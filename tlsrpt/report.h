/* Reports of TLS, RFC 8460 4: the facts of a day, domain by domain, and the JSON of one. Used by tlsrpt. */
#ifndef TLSRPT_REPORT_H
#define TLSRPT_REPORT_H

#include "stsd/facts_file.h"
#include <stdio.h>

/* All facts of a day, sorted by domain and policy. */
struct facts {
	char *text;			/* the file; FACTS point into it */
	struct fact *items;
	size_t count;
};
/* Takes over TEXT (malloc'd), LENGTH bytes of a whole file. RESULT_RETRY: no memory, TEXT is freed. */
enum result facts_sort(struct facts *facts, char *text, size_t length, struct why *why);
void facts_free(struct facts *facts);

/* What one domain gets. */
struct report {
	const char *organization;	/* NUL-ended, as those that follow: the domain that reports */
	const char *contact;		/* an address */
	const char *day;
	const char *hostname;
	char domain[256];		/* whom it is about */
	const struct fact *facts;
	size_t count;
	uint64_t successes, failures;	/* sessions */
};
/* The next domain of FACTS, from *AT (0 at first) on: fills REPORT's last four members. false: no more. */
bool report_next(struct report *report, const struct facts *facts, size_t *at);

/* Writes the id of REPORT: the same each time. */
void report_write_id(const struct report *report, FILE *file);
/* Writes it as JSON (RFC 8460 4.4), without a line end. */
void report_write_json(const struct report *report, FILE *file);

#endif
