/* Who may: connections, HELO names, senders, recipients. Access table first, then relaying, then
 * whether the recipient exists. No %-hack, bang path or quoted '@' is ever followed: the domain behind
 * the last '@' decides, and the local part is only a name. */
#ifndef SMTPD_POLICY_H
#define SMTPD_POLICY_H

#include "session.h"

/* SAY_GREETING, or why not. Sets is_trusted and may_relay. Here a look-up of the client's host name
 * would begin, whose answer leaves the session AT_GREETING until it comes. */
enum reply policy_client(struct session *s);
enum reply policy_helo(struct session *s, const char *helo);	/* SAY_HELO */
/* A reverse-path without a domain gets ours when the client is trusted. SAY_SENDER_OK. */
enum reply policy_sender(struct session *s, struct address *from);
/* SAY_RECIPIENT_OK: worker->meaning says what RCPT->to means; SAY_NOTHING: authd is asked about it
 * and session_recipient_told will be called. RCPT->to gets its domain where it lacked one. */
enum reply policy_recipient(struct session *s, struct rcpt_parameters *rcpt);

#endif
