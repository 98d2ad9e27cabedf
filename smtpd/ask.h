/* Questions to authd, and their answers: about recipients that the tables alone can't judge, and logins; and to remoted,
 * which asks the hosts of relay domains. Many under way, one per session at most. */
#ifndef SMTPD_ASK_H
#define SMTPD_ASK_H

#include "common/channel.h"

struct asks;
struct session;

/* ANSWERED and LOGIN_TOLD (with a LOGIN_TELL frame, or NULL where none will come) get each answer once; they are not
 * called for a session that gave up by ask_cancel. ABANDONED: the pipe was lost and
 * no fresh one came, as when authd lives on; only a worker that is started anew gets one. */
enum result asks_make(struct loop *loop, void (*answered)(struct session *, enum recipient_verdict),
                      void (*login_told)(struct session *, const struct frame *), void (*abandoned)(void), struct asks **asks);
void asks_free(struct asks *asks);

/* FD: a fresh end to authd; questions that were under way on an older one are answered RECIPIENT_LATER. */
void asks_connect(struct asks *asks, int fd);

/* Asks about ADDRESS for SESSION. *TICKET names the question (never 0). RESULT_OK: the answer will
 * come, unless cancelled; RESULT_RETRY: authd can't be asked now. */
enum result ask(struct asks *asks, struct session *session, const char *address, uint32_t *ticket);
/* Sends a LOGIN_ASK or LOGIN_NEXT for SESSION; VALUES are all its fields, the first one, SERIAL, is filled in here. As
 * ask(), and RESULT_NEVER: a value is too long. */
enum result ask_login(struct asks *asks, struct session *session, enum wire_type type, struct wire_value *values, uint32_t *ticket);
/* Nobody will answer the challenge of EXCHANGE. */
void ask_drop_login(struct asks *asks, uint32_t exchange);
/* The mechanisms of SASL that authd offers, separated by blanks. */
const char *asks_mechanisms(const struct asks *asks);
/* FD: a fresh end to remoted; questions that were under way on an older one are answered RECIPIENT_AWAY. */
void asks_connect_inner(struct asks *asks, int fd);
/* As ask(), whether the inner host takes RECIPIENT (folded), as given ADDRESS. */
enum result ask_inner(struct asks *asks, struct session *session, const char *recipient, const char *address, uint32_t *ticket);
/* What the inner host said of the recipient that was answered last. */
const char *asks_words(const struct asks *asks);
void ask_cancel(struct asks *asks, uint32_t ticket);	/* harmless for 0 and for one that was answered */

#endif
