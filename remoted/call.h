/* Call-ahead: does the next hop of a relay domain take this recipient? Asked at its RCPT with the null reverse-path, and
 * without a message (RFC 5321 4.5.5), so that a gateway refuses at its own RCPT what it would have to report later. Used
 * by a remoted that smtpd started: its workers ask. Answers are remembered. */
#ifndef REMOTED_CALL_H
#define REMOTED_CALL_H

#include "remoted/job.h"

enum {
	CALLS_MAX = 2000,		/* under way; more are told to come later */
	CALL_ASKERS_MAX = 20,		/* for the same recipient */
	CALL_SITE_SESSIONS = 5,		/* connections to one site, for all calls to it */
	CALL_SECONDS = 10,		/* then the inner host counts as away */
	CALL_TAKEN_SECONDS = 3600, CALL_REFUSED_SECONDS = 600, CALL_PUT_OFF_SECONDS = 30,	/* answers hold so long */
	CALL_STALE_SECONDS = 86400,	/* and for so long where the host is away */
	CALL_AWAY_SECONDS = 30,		/* a site that was away is not asked */
	CALL_KNOWN_MAX = 20000,		/* answers remembered */
};

struct call;

/* A pipe from worker INDEX of smtpd; an older one of its is closed. */
enum result call_join(unsigned index, int fd, struct why *why);
/* The end of CALL's job: what was said to RCPT (IS_ANSWERED), or why it did not come to that. CALL is over then. */
void call_told(struct call *call, bool is_answered, enum delivery_verdict verdict, const char *words);
/* At the end of the process. */
void call_end_all(void);

#endif
