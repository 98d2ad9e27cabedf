/* "Does this recipient exist, and is there room?" for smtpd at RCPT. Used by authd.c. */
#ifndef AUTHD_RECIPIENT_H
#define AUTHD_RECIPIENT_H

#include "common/channel.h"

enum { RECIPIENT_CACHE_SIZE = 512, RECIPIENT_CACHE_MS = 5000 };

void recipients_begin(struct loop *loop);
/* Answers a RECIPIENT_ASK frame of WORKER by RECIPIENT_TELL, at once unless an account of the system has to be
 * looked up, or a mailbox with a quota looked into. */
void recipient_ask(struct channel *worker, const struct frame *f);
/* WORKER is gone: nobody waits for what it asked. */
void recipients_forget(const struct channel *worker);

#endif
