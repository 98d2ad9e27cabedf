/* A message on its way: what queued handed over, and what became of each recipient. */
#ifndef REMOTED_JOB_H
#define REMOTED_JOB_H

#include "common/channel.h"
#include "common/queue.h"

enum { JOB_RECIPIENTS_MAX = 1000 };

struct job_recipient {
	uint64_t index;		/* queued's */
	char *address;		/* NUL-ended, in the same block as the struct's */
	char *orcpt;		/* "" none */
	unsigned notify;
	bool is_accepted;	/* RCPT was answered 2xx in the present transaction */
	bool is_told;		/* its result went to queued */
};

struct job {
	uint64_t number;
	char id[QUEUE_ID_LENGTH + 1];
	char reverse_path[WIRE_ADDRESS_MAX + 1];
	char next_hop[WIRE_ADDRESS_MAX + 1];
	char site[1001];
	char envid[129];
	int message;		/* descriptor */
	uint64_t offset, length;
	enum body_type body;
	unsigned flags;		/* enum remote_flag */
	size_t wanted, count;	/* recipients announced, come */
	struct job_recipient *recipients;
	struct channel *queued;
	struct call *call;	/* a question in place of a message (call.h): MAIL and RCPT alone; else NULL */
	bool is_call_answered;	/* by a reply to RCPT, or by what this host knows of the other's limits */
	struct job *next;	/* of whoever holds it */
};

struct call;

/* From a REMOTE_JOB frame, whose descriptor the job takes in every case. NULL: no memory or fields that
 * do not fit (WHY). */
struct job *job_make(struct channel *queued, struct frame *f, struct why *why);
/* A question of CALL's about one recipient, ADDRESS, whose folded form is NEXT_HOP; CALL hears of its end. NULL: no memory. */
struct job *job_make_call(struct call *call, const char *next_hop, const char *address);
/* From a REMOTE_RECIPIENT frame of this job. */
enum result job_add_recipient(struct job *job, const struct frame *f, struct why *why);
bool job_is_complete(const struct job *job);
/* The result of one recipient, once; WORDS are cut to what fits. HOST may be "". */
void job_tell(struct job *job, struct job_recipient *recipient, enum delivery_verdict verdict,
              const char *status, const char *host, const char *words);
/* The same for all that have no result yet. A DELIVERY_DEFERRED with a STATUS of 4.4.X, the network (RFC 3463 3.5), is told as
 * DELIVERY_UNREACHED, unless WORDS are a reply to a message's command: that host answers, and may mean what lies behind it. */
void job_tell_rest(struct job *job, enum delivery_verdict verdict, const char *status, const char *host, const char *words);
/* Forgets the recipients that have their result. false: none is left. */
bool job_drop_told(struct job *job);
void job_free(struct job *job);	/* every recipient has its result; closes the message */

#endif
