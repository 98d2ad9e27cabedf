/* Messages that smtpd writes itself, into the queue like any other: RFC 3834, null reverse-path. Used by submission.c. */
#ifndef SMTPD_NOTICE_H
#define SMTPD_NOTICE_H

#include "worker.h"

/* Tells the owner of the account USER and the postmaster that it is held since now, and what to do. A notice that can't be written
 * is logged, not tried again. Uses worker->meaning. */
void notice_held(struct worker *worker, const char *user, const char *reason);

#endif
