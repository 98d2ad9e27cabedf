/* Work that may block, for processes with an event loop: helpers do it, processes with few rights, one question at a
 * time each, started when first needed by whoever may fork. A question has its seconds; a helper that needs longer is
 * killed by a timer of the kernel's, which no module or file system can hold up, and another takes its place. Equal
 * questions share one answer, so that one that hangs takes one helper only. What hangs on a file system is not asked
 * again for a while (hung.h), and a helper that waits for it, perhaps for ever, leaves its place to another.
 * Used by lookup.c (accounts), authd/room.c (quotas), locald/folders.c (mailboxes' folders). */
#ifndef COMMON_POOL_H
#define COMMON_POOL_H

#include "channel.h"

enum {
	POOL_HELPERS = 4,		/* idle, or at work and not slow */
	POOL_PROCESSES = 16,		/* with those that are slow, or that even SIGKILL does not end */
	POOL_IDLE_MS = 60 * 1000,	/* without work, and a helper ends */
};

/* One question. Zeroed means: none asked. */
struct pool_question {
	/* Set by who asks, theirs until DONE: */
	const char *who;		/* whom a helper has to be to answer; one that was somebody else does not do */
	const char *key;		/* equal questions have equal ones */
	const char *about;		/* in KEY: the name or the path, for the log; a path may hang */
	/* The answer, once; the question is the caller's again. RESULT_OK: ANSWER, a frame of KIND's TELL, valid during
	 * the call. RESULT_RETRY: there is none, WHY; ANSWER is NULL. */
	void (*done)(struct pool_question *question, enum result result, const struct frame *answer, const struct why *why);
	/* The module's own; AT is NULL while nothing is asked: */
	uint64_t due_ms;
	uint32_t hash;
	struct pool_question *next, **at;
};

struct pool_kind {
	unsigned seconds;		/* for a question; the helper's own limit, see helper.h */
	unsigned slow_ms;		/* after that it counts as one that hangs; 0: it is about no path */
	unsigned idle_ms;		/* POOL_IDLE_MS */
	size_t waiting_max;		/* questions without an answer; further ones are told to come later */
	enum wire_type tell;		/* its first field is the serial of the question */
	const char *late, *broken, *crowded;	/* why there is no answer */
	const char *log_stuck, *log_died, *log_none, *log_about;	/* events, and the field for ABOUT */
	/* Hands FD (which it owns) to a fresh process that is whom QUESTION wants. */
	enum result (*start)(const struct pool_question *question, int fd, struct why *why);
	void (*ask)(const struct pool_question *question, struct channel *helper, uint64_t serial);
};

struct pool {
	const struct pool_kind *kind;
	struct loop *loop;
	struct pool_helper {
		struct channel channel;		/* fd -1: not running */
		struct pool *pool;
		bool is_busy;			/* also one that is stuck: it has its place until it is gone */
		bool is_stuck;			/* its time is over, and that has been said */
		bool is_apart;			/* the path goes over a link, as it has said: it stands for itself */
		bool has_answered;		/* one question at least */
		uint64_t serial, asked_ms;
		char *who, *key;		/* of the question */
		uint32_t hash;
		size_t about;			/* in KEY */
	} helpers[POOL_PROCESSES];
	struct pool_question *first, **last;	/* all questions without an answer, oldest first */
	size_t count;
	uint64_t serial, start_after_ms;
	struct timer timer;
	bool is_ticking;		/* TIMER is for the work that waits, not for the idle alone */
};

/* Nothing is started yet. POOL stays where it is. */
void pool_begin(struct pool *pool, const struct pool_kind *kind, struct loop *loop);
/* DONE may be called before this returns. */
void pool_ask(struct pool *pool, struct pool_question *question);
/* Nobody waits for the answer any more: done will not be called. Harmless when nothing is asked. */
void pool_cancel(struct pool *pool, struct pool_question *question);

#endif
