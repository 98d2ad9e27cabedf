/* The text of an MTA-STS policy: RFC 8461 3.2. Pure functions. Used by stsd. */
#ifndef STSD_POLICY_H
#define STSD_POLICY_H

#include "common/text.h"
#include "common/wire.h"

enum {
	POLICY_TEXT_MAX = 65536,		/* RFC 8461 3.3 leaves it to us, and speaks of 64 kB */
	POLICY_AGE_MAX_SECONDS = 31557600,	/* a year; more counts as that */
};

struct policy {
	enum sts_verdict mode;		/* STS_NONE, STS_TESTING, STS_ENFORCE */
	uint32_t max_age_seconds;
	stralloc patterns;		/* in lower case, separated by a blank each; WIRE_STS_PATTERNS_MAX at most */
};

/* The whole of LENGTH bytes at TEXT; lines end in CRLF or LF. Fields that are not known are ignored, of one that stands
 * twice the first counts. RESULT_OK: POLICY (uninitialised before) is its owner's to policy_free. RESULT_NEVER: WHY;
 * RESULT_RETRY: no memory; in both cases there is nothing to free. */
enum result policy_parse(const char *text, size_t length, struct policy *policy, struct why *why);
void policy_free(struct policy *policy);

/* Appends POLICY as it could stand in a file of its own, a line a field. false: no memory. */
bool policy_append_text(const struct policy *policy, stralloc *out);

#endif
