/* Event loop: level-triggered epoll, timers on the monotonic clock in a binary heap, signals by
 * signalfd. One per process, single-threaded. Used by every daemon.
 *
 * A watch or timer is a member of its owner's struct; the callback finds the owner with
 * container_of. Safe inside callbacks: adding, changing and removing any watch or timer, also
 * others of the same batch (a removed watch is never called again). Memory of a watch may be freed
 * right after loop_unwatch. */
#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

#include "result.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#define container_of(pointer, type, member) ((type *)(void *)((char *)(pointer) - offsetof(type, member)))

struct loop;

struct watch {
	int fd;				/* -1: not watched */
	uint32_t events;		/* EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLEXCLUSIVE */
	int pending;			/* the loop's own */
	void (*ready)(struct watch *watch, uint32_t events);	/* events as epoll gives them, with EPOLLHUP, EPOLLERR */
};

struct timer {
	uint64_t due_ms;		/* time_monotonic_ms */
	size_t place;			/* the loop's own: 0 = not set */
	uint32_t turn;			/* the loop's own: it was set in that turn, before it was due, and fires in a later one */
	void (*fire)(struct timer *timer);	/* the timer is unset before the call */
};

/* One loop per process; after a fork the child makes its own and must not touch the parent's. */
enum result loop_make(struct loop **loop, struct why *why);
void loop_free(struct loop *loop);
/* In the child of a fork: closes the parent's loop without touching the parent's registrations. */
void loop_abandon(struct loop *loop);

/* Watches WATCH->fd for EVENTS. The loop owns neither. RESULT_RETRY: no memory in the kernel. */
enum result loop_watch(struct loop *loop, struct watch *watch, int fd, uint32_t events,
                       void (*ready)(struct watch *, uint32_t), struct why *why);
/* Changes the events; no system call when they are the same already. */
void loop_rewatch(struct loop *loop, struct watch *watch, uint32_t events);
/* Of the processes that wait for the same descriptor (EPOLLEXCLUSIVE) the kernel wakes the one that has waited for it longest,
 * which by itself would be the same one for ever: this one is the last from now on. RESULT_RETRY: no memory in the kernel, it is
 * watched no more. */
enum result loop_watch_last(struct loop *loop, struct watch *watch, struct why *why);
/* Call before closing the descriptor. Sets fd to -1; harmless when it is -1. */
void loop_unwatch(struct loop *loop, struct watch *watch);

/* Sets or moves TIMER to fire AFTER_MS from the loop's time. false: no memory (only when more
 * timers are set than ever before; loop_reserve_timers avoids it). Moving one later costs nothing
 * but a comparison most of the time. */
bool loop_set_timer(struct loop *loop, struct timer *timer, uint64_t after_ms, void (*fire)(struct timer *));
void loop_unset_timer(struct loop *loop, struct timer *timer);	/* harmless when not set */
bool loop_reserve_timers(struct loop *loop, size_t count);

/* The monotonic time in ms at the start of this turn. */
uint64_t loop_now_ms(const struct loop *loop);

/* Blocks the signals of SIGNALS (0-ended) and calls CAUGHT for each that arrives. At most
 * LOOP_SIGNAL_SETS calls, with different signals, before any thread starts. */
enum { LOOP_SIGNAL_SETS = 4 };
enum result loop_catch_signals(struct loop *loop, const int *signals,
                               void (*caught)(struct loop *, int signal_number), struct why *why);

/* Called at the end of each turn, after the batch's callbacks, before the wait: the place to send
 * what the turn collected (frames, triggers, commits). At most LOOP_TURN_ENDS of them. */
enum { LOOP_TURN_ENDS = 4 };
struct turn_end { void (*run)(struct turn_end *turn_end); };
void loop_at_turn_end(struct loop *loop, struct turn_end *turn_end);
void loop_drop_turn_end(struct loop *loop, struct turn_end *turn_end);

/* Runs until loop_stop. RESULT_STOP: epoll failed. */
enum result loop_run(struct loop *loop, struct why *why);
void loop_stop(struct loop *loop);

#endif
