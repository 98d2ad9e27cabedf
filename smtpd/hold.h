/* The account of a user is held: a file in queue/held, a line in the log, a message to its owner and the postmaster. Used by
 * submission.c when the counters (usage.h) say that somebody else has his password.
 *
 * The file waits for the disk, so that the commit thread makes it; line and message follow when it is durable.
 * If everything stops here: before the file is durable, the account may be held or not after a power cut, and nobody has read that it is;
 * it is held in the memory of all workers as long as the service runs. After it, the account is held, whatever happens. When a worker
 * dies over the file, the user's next MAIL after ten seconds has all of this done again (usage_message); when it dies
 * over the message, the log alone tells, and dawk status. */
#ifndef SMTPD_HOLD_H
#define SMTPD_HOLD_H

#include "session.h"

/* Holds the account of S, which may go before that is done. REASON: for people, at most HELD_REASON_MAX bytes. IS_AGAIN: nobody
 * was told of a hold of before: tell, whoever made the file. Else who makes it first, of all workers, tells. What fails is logged. */
void hold_account(struct session *s, const char *reason, bool is_again);

#endif
