#include "queued/recorder.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
	RECORD_BATCH_MAX = 2048,	/* records done together, of which RECORD_OPEN_MAX append lines */
	RECORD_LAZY_MS = 500,		/* so long an unlinking without a state may wait for its sync */
};

struct record_list { struct record *first, **end; };

struct recorder {
	struct recording recording;	/* the thread's */
	struct loop *loop;
	struct watch watch;		/* an eventfd: something is finished */
	struct record_list collected;	/* of this turn; the loop's */
	size_t load;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct record_list submitted, finished;	/* under the lock */
	bool is_stopping, is_idle;
};

static void list_init(struct record_list *list)
{
	list->first = NULL;
	list->end = &list->first;
}

static void list_add(struct record_list *list, struct record *record)
{
	record->next = NULL;
	*list->end = record;
	list->end = &record->next;
}

static void list_move(struct record_list *to, struct record_list *from)
{
	if (!from->first)
		return;
	*to->end = from->first;
	to->end = from->end;
	list_init(from);
}

/* ---- the thread ---- */

/* Cuts as many as are done together off LIST. */
static struct record_list cut(struct record_list *list)
{
	struct record_list batch = { list->first, NULL };
	struct record **at = &batch.first;
	size_t count = 0, open = 0;

	while (*at && count++ < RECORD_BATCH_MAX && (open += (*at)->lines.len > 0) <= RECORD_OPEN_MAX)
		at = &(*at)->next;
	list->first = *at;
	if (!*at)
		list->end = &list->first;
	*at = NULL;
	batch.end = at;
	return batch;
}

static void tell(struct recorder *r, struct record_list *batch)
{
	uint64_t one = 1;
	bool was_empty;

	pthread_mutex_lock(&r->lock);
	was_empty = r->finished.first == NULL;
	list_move(&r->finished, batch);
	pthread_mutex_unlock(&r->lock);
	while (was_empty && write(r->watch.fd, &one, sizeof one) < 0 && errno == EINTR)
		;
}

static void wait_for_work(struct recorder *r)
{
	struct timespec until;

	r->is_idle = true;
	if (!record_is_dirty(&r->recording)) {
		pthread_cond_wait(&r->wake, &r->lock);
	} else {
		uint64_t until_ms = r->recording.dirty_since_ms + RECORD_LAZY_MS;

		until = (struct timespec){ (time_t)(until_ms / 1000), (long)(until_ms % 1000) * 1000000 };
		if (pthread_cond_timedwait(&r->wake, &r->lock, &until) == ETIMEDOUT) {
			pthread_mutex_unlock(&r->lock);
			record_sync_dirty(&r->recording);
			pthread_mutex_lock(&r->lock);
		}
	}
	r->is_idle = false;
}

static void *run(void *argument)
{
	struct recorder *r = argument;
	struct record_list work_list, batch;

	list_init(&work_list);
	pthread_mutex_lock(&r->lock);
	for (;;) {
		while (!r->submitted.first && !r->is_stopping)
			wait_for_work(r);
		if (!r->submitted.first)
			break;
		list_move(&work_list, &r->submitted);
		pthread_mutex_unlock(&r->lock);
		while (work_list.first) {
			batch = cut(&work_list);
			record_batch(&r->recording, batch.first);
			tell(r, &batch);
			if (record_is_dirty(&r->recording) && time_monotonic_ms() - r->recording.dirty_since_ms >= RECORD_LAZY_MS)
				record_sync_dirty(&r->recording);
		}
		pthread_mutex_lock(&r->lock);
	}
	pthread_mutex_unlock(&r->lock);
	record_sync_dirty(&r->recording);
	return NULL;
}

/* ---- the loop's side ---- */

static void finish(struct recorder *r)
{
	struct record *record, *next;

	pthread_mutex_lock(&r->lock);
	record = r->finished.first;
	list_init(&r->finished);
	pthread_mutex_unlock(&r->lock);
	for (; record; record = next) {
		next = record->next;
		r->load--;
		record->done(record);
	}
}

static void ready(struct watch *watch, uint32_t events)
{
	uint64_t count;

	(void)events;
	if (read(watch->fd, &count, sizeof count) > 0)
		finish(container_of(watch, struct recorder, watch));
}

/* The thread takes no signals: they are the loop's. */
static int start_thread(struct recorder *r)
{
	pthread_condattr_t attributes;
	sigset_t all, before;
	int error;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&r->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&r->lock, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&r->thread, NULL, run, r);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

enum result recorder_start(struct loop *loop, const struct queue_directories *queue, struct recorder **recorder, struct why *why)
{
	struct recorder *r = calloc(1, sizeof *r);
	enum result result;
	int fd;

	if (!r)
		return why_errno(why, RESULT_STOP, "unable to start the recorder");
	r->recording.queue = *queue;
	r->loop = loop;
	list_init(&r->collected);
	list_init(&r->submitted);
	list_init(&r->finished);
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0) {
		free(r);
		return why_errno(why, RESULT_STOP, "unable to make an eventfd");
	}
	result = loop_watch(loop, &r->watch, fd, EPOLLIN, ready, why);
	if (result == RESULT_OK && (errno = start_thread(r)) != 0)
		result = why_errno(why, RESULT_STOP, "unable to start a thread");
	if (result == RESULT_OK)
		*recorder = r;
	return result;	/* on failure the process ends: nothing is given back */
}

void recorder_submit(struct recorder *r, struct record *record)
{
	record_prepare(record);
	list_add(&r->collected, record);
	r->load++;
}

void recorder_flush(struct recorder *r)
{
	if (!r->collected.first)
		return;
	pthread_mutex_lock(&r->lock);
	list_move(&r->submitted, &r->collected);
	if (r->is_idle)
		pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
}

size_t recorder_load(const struct recorder *r)
{
	return r->load;
}

void recorder_stop(struct recorder *r)
{
	int fd = r->watch.fd;

	recorder_flush(r);
	pthread_mutex_lock(&r->lock);
	r->is_stopping = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	finish(r);
	loop_unwatch(r->loop, &r->watch);
	close(fd);
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->wake);
	free(r);
}
