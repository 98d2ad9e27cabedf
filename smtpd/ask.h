/* Questions to authd about recipients that the tables alone can't judge, and their answers: many under
 * way, one per session at most. */
#ifndef SMTPD_ASK_H
#define SMTPD_ASK_H

#include "common/channel.h"

struct asks;
struct session;

/* ANSWERED gets each answer once; it is not called for a session that gave up by ask_cancel. ABANDONED: the pipe was lost and
 * no fresh one came, as when authd lives on; only a worker that is started anew gets one. */
enum result asks_make(struct loop *loop, void (*answered)(struct session *, enum recipient_verdict), void (*abandoned)(void),
                      struct asks **asks);
void asks_free(struct asks *asks);

/* FD: a fresh end to authd; questions that were under way on an older one are answered RECIPIENT_LATER. */
void asks_connect(struct asks *asks, int fd);

/* Asks about ADDRESS for SESSION. *TICKET names the question (never 0). RESULT_OK: the answer will
 * come, unless cancelled; RESULT_RETRY: authd can't be asked now. */
enum result ask(struct asks *asks, struct session *session, const char *address, uint32_t *ticket);
void ask_cancel(struct asks *asks, uint32_t ticket);	/* harmless for 0 and for one that was answered */

#endif
