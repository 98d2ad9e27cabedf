/* Answers to failed logins that wait for their time (throttle.h). Apart from the logins that are being
 * judged, so that whoever fails often takes no place from others. Used by login.c. */
#ifndef AUTHD_REFUSAL_H
#define AUTHD_REFUSAL_H

#include "common/channel.h"

enum { REFUSALS_MAX = 20000 };	/* at once; further ones are answered without waiting */

/* ANSWER is called when the time has come. */
void refusals_begin(struct loop *loop, void (*answer)(struct channel *worker, uint64_t serial, enum login_verdict verdict));
/* Calls ANSWER with VERDICT for the question SERIAL of WORKER in WAIT_MS, or now when there is no room to wait. */
void refusal_wait(struct channel *worker, uint64_t serial, enum login_verdict verdict, uint64_t wait_ms);
/* WORKER is gone: nothing of its own is answered any more. */
void refusals_forget(const struct channel *worker);

#endif
