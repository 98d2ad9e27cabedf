/* What a client that has logged in may send (RFC 6409 6.1): as whom, how much, and until its account is held.
 * Clients without a login (s->user is NULL) pass through all of it. Called by the commands. */
#ifndef SMTPD_SUBMISSION_H
#define SMTPD_SUBMISSION_H

#include "session.h"

/* At MAIL, its transaction not made yet. SAY_SENDER_OK, or why not. */
enum reply submission_mail(struct session *s, const struct address *from);
/* At RCPT, when the recipient would be taken otherwise: counts it. SAY_RECIPIENT_OK, or why not. */
enum reply submission_recipient(struct session *s, const struct address *to);
/* The content is complete: who its header says wrote it. SAY_NOTHING: it may be committed; else why not. */
enum reply submission_content(struct session *s);
/* A recipient or a content got REPLY: refusals for good are counted. */
void submission_note_refusal(struct session *s, enum reply reply);

#endif
