/* Delivery status notifications: RFC 3464 in the frame of RFC 6522, with RFC 3461's wishes; RFC 6533
 * where an address is not ASCII. Pure: builds text from what is known, reads no file. */
#ifndef QUEUED_REPORT_H
#define QUEUED_REPORT_H

#include "common/queue.h"
#include "common/state.h"
#include "common/text.h"

struct report_recipient {
	const char *address;		/* final */
	const char *as;			/* as the client gave it, NULL: the same */
	const char *orcpt;		/* xtext, NULL */
	enum state_event event;		/* STATE_FAILED, STATE_DEFERRED, or a success */
	const char *status, *host, *words;	/* host "": said here */
	uint64_t time_us;
};

enum report_third { REPORT_HEADERS, REPORT_FULL };

struct report {
	const char *hostname;
	const char *id;			/* the report's own */
	const char *to;			/* the address in its To field */
	bool is_for_postmaster;		/* the message had no sender to tell */
	const struct envelope *envelope;	/* of the message it is about */
	uint64_t now_us, give_up_us;	/* give_up_us: for delays */
	enum report_third third;	/* what of the message comes along */
	bool third_is_8bit;
	const struct report_recipient *recipients;
	size_t count;
};

/* Replaces HEAD and TAIL: the report is HEAD, then the message's headers or the whole message, then TAIL. CRLF line
 * ends. *IS_8BIT: it holds bytes above 0x7f; *NEEDS_SMTPUTF8: its own header does. false: no memory. */
bool report_build(const struct report *report, stralloc *head, stralloc *tail, bool *is_8bit, bool *needs_smtputf8);

/* What of a message of CONTENT_LENGTH bytes comes along with a report that tells of failures (or not),
 * RFC 3461 4.3: what RET asked for, the whole only up to LIMIT bytes; not asked: the whole of small failed ones. */
enum report_third report_choose_third(const struct envelope *envelope, bool tells_failure, uint64_t limit_bytes);

#endif
