/* Who may: connections, HELO names, senders, recipients. Access table first, then relaying, then
 * whether the recipient exists. No %-hack, bang path or quoted '@' is ever followed: the domain behind
 * the last '@' decides, and the local part is only a name. */
#ifndef SMTPD_POLICY_H
#define SMTPD_POLICY_H

#include "session.h"

/* Is it one of our own clients? */
bool policy_trusts(const struct session *s);
/* SAY_GREETING, or why not; its host name is known by now, when it has one. Sets may_relay. */
enum reply policy_client(struct session *s);
enum reply policy_helo(struct session *s, const char *helo);	/* SAY_HELO */
/* A reverse-path without a domain gets ours when the client is trusted. SAY_SENDER_OK; SAY_NOTHING: its domain
 * has to be looked up. */
enum reply policy_sender(struct session *s, struct address *from);
/* SAY_RECIPIENT_OK: worker->meaning says what RCPT->to means; SAY_NOTHING: authd, or the host of its relay domain, is asked about it
 * and session_recipient_told will be called. RCPT->to gets its domain where it lacked one. */
enum reply policy_recipient(struct session *s, struct rcpt_parameters *rcpt);
/* The host of a relay domain can't be asked: SAY_RECIPIENT_OK or SAY_INNER_AWAY, as configured. */
enum reply policy_inner_away(struct session *s);

#endif
