#include "loop.h"

#include "log.h"
#include "text.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { LOOP_BATCH = 256, LOG_AGAIN_MS = 500 };

struct loop {
	int epoll;
	bool is_stopping;
	uint64_t now_ms;
	uint32_t turn;
	struct epoll_event batch[LOOP_BATCH];	/* what this turn has still to call */
	int batch_length;
	struct timer **heap;		/* [1 .. timer_count], earliest first */
	size_t timer_count, heap_size;
	struct signal_set {
		struct watch watch;
		struct loop *loop;
		void (*caught)(struct loop *, int);
	} signal_sets[LOOP_SIGNAL_SETS];
	size_t signal_set_count;
	struct turn_end *turn_ends[LOOP_TURN_ENDS];
	size_t turn_end_count;
};

enum result loop_make(struct loop **loop, struct why *why)
{
	struct loop *l = calloc(1, sizeof *l);

	if (!l)
		return why_errno(why, RESULT_RETRY, "no memory for the event loop");
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0) {
		free(l);
		return why_errno(why, RESULT_RETRY, "unable to make an epoll descriptor");
	}
	l->now_ms = time_monotonic_ms();
	*loop = l;
	return RESULT_OK;
}

void loop_abandon(struct loop *loop)
{
	size_t i;

	for (i = 0; i < loop->signal_set_count; i++)
		close(loop->signal_sets[i].watch.fd);
	close(loop->epoll);
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	loop_abandon(loop);
	free(loop->heap);
	free(loop);
}

/* ---- watches ---- */

enum result loop_watch(struct loop *loop, struct watch *watch, int fd, uint32_t events,
                       void (*ready)(struct watch *, uint32_t), struct why *why)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	watch->fd = -1;
	watch->pending = -1;
	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event))
		return why_errno(why, RESULT_RETRY, "unable to watch descriptor %d", fd);
	watch->fd = fd;
	watch->events = events;
	watch->ready = ready;
	return RESULT_OK;
}

void loop_rewatch(struct loop *loop, struct watch *watch, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	if (watch->fd < 0 || watch->events == events)
		return;
	if (!epoll_ctl(loop->epoll, EPOLL_CTL_MOD, watch->fd, &event))
		watch->events = events;
}

/* pending is the watch's place in the batch, so that its event can be struck out in constant time. */
void loop_unwatch(struct loop *loop, struct watch *watch)
{
	if (watch->fd < 0)
		return;
	epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
	if (watch->pending >= 0 && watch->pending < loop->batch_length)
		loop->batch[watch->pending].data.ptr = NULL;
	watch->pending = -1;
	watch->fd = -1;
}

enum result loop_watch_last(struct loop *loop, struct watch *watch, struct why *why)
{
	struct epoll_event event = { .events = watch->events, .data.ptr = watch };
	int fd = watch->fd;

	if (fd < 0 || epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, NULL))	/* else it stays where it was */
		return RESULT_OK;
	if (!epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event))
		return RESULT_OK;
	why_errno(why, RESULT_RETRY, "unable to watch descriptor %d", fd);
	loop_unwatch(loop, watch);
	return RESULT_RETRY;
}

/* ---- timers: a binary heap; place 0 means not set ---- */

static void heap_put(struct loop *loop, struct timer *timer, size_t place)
{
	loop->heap[place] = timer;
	timer->place = place;
}

static void heap_up(struct loop *loop, struct timer *timer, size_t place)
{
	while (place > 1 && loop->heap[place / 2]->due_ms > timer->due_ms) {
		heap_put(loop, loop->heap[place / 2], place);
		place /= 2;
	}
	heap_put(loop, timer, place);
}

static void heap_down(struct loop *loop, struct timer *timer, size_t place)
{
	for (;;) {
		size_t child = place * 2;
		if (child < loop->timer_count && loop->heap[child + 1]->due_ms < loop->heap[child]->due_ms)
			child++;
		if (child > loop->timer_count || loop->heap[child]->due_ms >= timer->due_ms)
			break;
		heap_put(loop, loop->heap[child], place);
		place = child;
	}
	heap_put(loop, timer, place);
}

bool loop_reserve_timers(struct loop *loop, size_t count)
{
	struct timer **heap;
	size_t size = loop->heap_size ? loop->heap_size : 64;

	if (count + 1 <= loop->heap_size)
		return true;
	while (size < count + 1)
		size *= 2;
	heap = realloc(loop->heap, size * sizeof *heap);
	if (!heap)
		return false;
	loop->heap = heap;
	loop->heap_size = size;
	return true;
}

bool loop_set_timer(struct loop *loop, struct timer *timer, uint64_t after_ms, void (*fire)(struct timer *))
{
	uint64_t was = timer->due_ms;

	timer->due_ms = loop->now_ms + after_ms;
	timer->fire = fire;
	/* one that was due is not put off by being set anew: who does so in each turn would wait for ever */
	if (!timer->place || was > loop->now_ms)
		timer->turn = loop->turn;
	if (timer->place) {
		if (timer->due_ms < was)
			heap_up(loop, timer, timer->place);
		else
			heap_down(loop, timer, timer->place);
		return true;
	}
	if (!loop_reserve_timers(loop, loop->timer_count + 1))
		return false;
	heap_up(loop, timer, ++loop->timer_count);
	return true;
}

void loop_unset_timer(struct loop *loop, struct timer *timer)
{
	size_t place = timer->place;
	struct timer *last;

	if (!place)
		return;
	timer->place = 0;
	last = loop->heap[loop->timer_count--];
	if (last == timer)
		return;
	if (place > 1 && loop->heap[place / 2]->due_ms > last->due_ms)
		heap_up(loop, last, place);
	else
		heap_down(loop, last, place);
}

/* What was set in this turn waits for the next one, so that work done piece by piece lets others have their turn. */
static void fire_timers(struct loop *loop)
{
	while (loop->timer_count && loop->heap[1]->due_ms <= loop->now_ms && loop->heap[1]->turn != loop->turn && !loop->is_stopping) {
		struct timer *timer = loop->heap[1];
		loop_unset_timer(loop, timer);
		timer->fire(timer);
	}
}

/* Until the next timer, or until log lines that nobody read are worth another try. */
static int wait_ms(const struct loop *loop, bool has_logged)
{
	const uint64_t longest = has_logged ? 3600000 : LOG_AGAIN_MS;
	uint64_t due;

	if (!loop->timer_count)
		return has_logged ? -1 : LOG_AGAIN_MS;
	due = loop->heap[1]->due_ms;
	if (due <= loop->now_ms)
		return 0;
	return (int)(due - loop->now_ms > longest ? longest : due - loop->now_ms);
}

uint64_t loop_now_ms(const struct loop *loop)
{
	return loop->now_ms;
}

/* ---- signals ---- */

static void signal_ready(struct watch *watch, uint32_t events)
{
	struct signal_set *set = container_of(watch, struct signal_set, watch);
	struct signalfd_siginfo info;

	(void)events;
	while (read(watch->fd, &info, sizeof info) == (ssize_t)sizeof info)
		set->caught(set->loop, (int)info.ssi_signo);
}

enum result loop_catch_signals(struct loop *loop, const int *signals,
                               void (*caught)(struct loop *, int signal_number), struct why *why)
{
	struct signal_set *set;
	sigset_t mask;
	int fd;

	if (loop->signal_set_count == LOOP_SIGNAL_SETS)
		return why_set(why, RESULT_STOP, "too many signal sets");
	sigemptyset(&mask);
	for (; *signals; signals++)
		sigaddset(&mask, *signals);
	if (sigprocmask(SIG_BLOCK, &mask, NULL))
		return why_errno(why, RESULT_STOP, "unable to block signals");
	fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		return why_errno(why, RESULT_STOP, "unable to make a signal descriptor");
	set = &loop->signal_sets[loop->signal_set_count++];
	set->loop = loop;
	set->caught = caught;
	return loop_watch(loop, &set->watch, fd, EPOLLIN, signal_ready, why);
}

/* ---- turns ---- */

void loop_at_turn_end(struct loop *loop, struct turn_end *turn_end)
{
	if (loop->turn_end_count == LOOP_TURN_ENDS)
		abort();	/* a bug of ours: raise LOOP_TURN_ENDS */
	loop->turn_ends[loop->turn_end_count++] = turn_end;
}

void loop_drop_turn_end(struct loop *loop, struct turn_end *turn_end)
{
	size_t i;

	for (i = 0; i < loop->turn_end_count; i++)
		if (loop->turn_ends[i] == turn_end)
			loop->turn_ends[i] = loop->turn_ends[--loop->turn_end_count];
}

static void call_watches(struct loop *loop)
{
	int i;

	for (i = 0; i < loop->batch_length; i++) {
		struct watch *watch = loop->batch[i].data.ptr;
		if (watch)
			watch->pending = i;
	}
	for (i = 0; i < loop->batch_length; i++) {
		struct watch *watch = loop->batch[i].data.ptr;
		if (!watch)
			continue;	/* unwatched by a callback before it */
		watch->pending = -1;
		watch->ready(watch, loop->batch[i].events);
	}
	loop->batch_length = 0;
}

enum result loop_run(struct loop *loop, struct why *why)
{
	size_t i;

	loop->is_stopping = false;
	while (!loop->is_stopping) {
		bool has_logged;
		int n;
		for (i = 0; i < loop->turn_end_count; i++)
			loop->turn_ends[i]->run(loop->turn_ends[i]);
		has_logged = log_try_flush();
		if (loop->is_stopping)
			break;
		n = epoll_wait(loop->epoll, loop->batch, LOOP_BATCH, wait_ms(loop, has_logged));
		if (n < 0 && errno != EINTR)
			return why_errno(why, RESULT_STOP, "unable to wait for events");
		loop->now_ms = time_monotonic_ms();
		loop->turn++;
		loop->batch_length = n < 0 ? 0 : n;
		call_watches(loop);
		fire_timers(loop);
	}
	for (i = 0; i < loop->turn_end_count; i++)
		loop->turn_ends[i]->run(loop->turn_ends[i]);
	log_flush();
	return RESULT_OK;
}

void loop_stop(struct loop *loop)
{
	loop->is_stopping = true;
}
