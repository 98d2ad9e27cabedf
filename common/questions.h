/* Questions to a helper over a pipe, from an event loop: each gets one answer, in any order, or none within its time.
 * Under dns.c and sts_client.c.
 *
 * A question is a member of its owner's struct; it may be cancelled at any time. What can't be asked (the helper is away,
 * or too many questions wait) ends like what gets no answer: from the loop, never from within the asking. */
#ifndef COMMON_QUESTIONS_H
#define COMMON_QUESTIONS_H

#include "channel.h"

enum { QUESTION_SLOTS = 1024 };

struct questions;

struct question {
	uint64_t serial;		/* 0: not under way */
	struct question *next;		/* in its slot */
	struct timer patience;
	struct questions *of;
};

struct questions_kind {
	enum wire_type ask, tell;	/* frame types, whose first field is the serial */
	size_t most;			/* wait at a time */
	unsigned patience_ms;
	const char *helper;		/* as the words name it: "the resolver" */
	/* The end of QUESTION, which is the owner's again. F: the answer, valid during the call; or NULL, and WORDS say why
	 * there is none. */
	void (*told)(struct question *question, const struct frame *f, const char *words);
};

struct questions {
	struct channel channel;
	struct loop *loop;
	const struct questions_kind *kind;
	uint64_t last_serial;
	size_t count;
	struct question *waiting[QUESTION_SLOTS];	/* by serial */
};

/* Zeroes QUESTIONS; there is no helper until questions_join. KIND stays the caller's. */
void questions_init(struct questions *questions, const struct questions_kind *kind, struct loop *loop);
/* Takes over FD, a fresh pipe to the helper, in place of one before; what waited there ends without an answer. */
enum result questions_join(struct questions *questions, int fd, struct why *why);
/* Sends VALUES, the fields of a frame of kind->ask; the serial is put into the first. kind->told is called once, later. */
void questions_ask(struct questions *questions, struct question *question, struct wire_value *values);
/* kind->told is not called any more. Harmless when nothing is under way. */
void question_cancel(struct question *question);

#endif
