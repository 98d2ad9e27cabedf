#include "queued/record.h"

#include "common/durable.h"
#include "common/state.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	RECORD_BATCH_MAX = 64,		/* state files open at a time */
	RECORD_LAZY_MS = 500,		/* an unlinking without a state is durable after at most twice this */
};

struct record_list { struct record *first, **end; };

struct recorder {
	struct queue_directories queue;
	struct loop *loop;
	struct watch watch;		/* an eventfd: something is finished */
	struct record_list collected;	/* of this turn; the loop's */
	size_t load;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct record_list submitted, finished;	/* under the lock */
	bool is_stopping, is_idle;
	bool is_dirty[QUEUE_PLACES];	/* the thread's: unlinked from, not synced yet */
	uint64_t dirty_since_ms;
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

static void fail(struct record *record, struct why *why)
{
	record->is_failed = true;
	record->result = RESULT_RETRY;
	record->why = *why;
}

/* ---- 1: state lines ---- */

/* After an fsync that failed nothing says what of the file is durable: its text goes to a new one. */
static enum result rewrite(struct recorder *r, struct record *record, struct why *why)
{
	char name[QUEUE_ID_LENGTH + 2];
	stralloc text = { 0 };
	enum result result;
	int old, fd;

	snprintf(name, sizeof name, "%s~", record->id);
	old = openat(r->queue.place[QUEUE_STATE], record->id, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	result = old < 0 ? RESULT_OK : state_read(old, &text, why);
	if (old >= 0)
		close(old);
	fd = openat(r->queue.place[QUEUE_STATE], name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		result = why_errno(why, RESULT_RETRY, "unable to make state/%s", name);
	if (result == RESULT_OK && text.len)
		result = state_write(fd, text.s, text.len, record->due_us, why);
	if (result == RESULT_OK)
		result = state_write(fd, record->lines.s, record->lines.len, record->due_us, why);
	if (result == RESULT_OK)
		result = state_sync(fd, why);
	if (result == RESULT_OK && renameat(r->queue.place[QUEUE_STATE], name, r->queue.place[QUEUE_STATE], record->id) < 0)
		result = why_errno(why, RESULT_RETRY, "unable to rename state/%s", name);
	if (fd >= 0)
		close(fd);
	stralloc_free(&text);
	return result;
}

static void write_state(struct recorder *r, struct record *record)
{
	struct why why = { 0 };

	record->fd = -1;
	if (!record->lines.len)
		return;
	record->is_new_state = !record->has_state || record->needs_rewrite;
	if (record->needs_rewrite) {
		if (rewrite(r, record, &why) != RESULT_OK)
			fail(record, &why);
		return;
	}
	record->fd = openat(r->queue.place[QUEUE_STATE], record->id, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (record->fd < 0)
		why_errno(&why, RESULT_RETRY, "unable to open state/%s", record->id);
	if (record->fd < 0 || state_write(record->fd, record->lines.s, record->lines.len, record->due_us, &why) != RESULT_OK)
		fail(record, &why);
}

static void touch_state(struct recorder *r, struct record *record)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = (time_t)(record->due_us / 1000000) } };
	struct why why = { 0 };

	if (!record->touches || utimensat(r->queue.place[QUEUE_STATE], record->id, times, 0) == 0 || errno == ENOENT)
		return;
	why_errno(&why, RESULT_RETRY, "unable to set the time of state/%s", record->id);
	fail(record, &why);
}

/* An fsync that failed is not tried again on the same file: see rewrite. */
static void state_synced(struct record *record, int error)
{
	struct why why = { 0 };

	if (error) {
		errno = error;
		why_errno(&why, RESULT_RETRY, "unable to make state/%s durable", record->id);
		record->needs_rewrite = true;
		fail(record, &why);
	}
}

static void sync_states(struct record *batch)
{
	struct durable files[RECORD_BATCH_MAX];
	struct record *record, *owners[RECORD_BATCH_MAX];
	size_t i, count = 0;

	for (record = batch; record; record = record->next) {
		if (record->fd < 0 || record->is_failed)
			continue;
		owners[count] = record;
		files[count++].fd = record->fd;
	}
	durable_make(files, count, true);
	for (i = 0; i < count; i++)
		state_synced(owners[i], files[i].error);
	for (record = batch; record; record = record->next)
		if (record->fd >= 0)
			close(record->fd);
}

static bool sync_place(struct recorder *r, enum queue_place place, struct why *why)
{
	r->is_dirty[place] = false;
	if (fsync(r->queue.place[place]) == 0)
		return true;
	why_errno(why, RESULT_RETRY, "unable to make queue/%s durable", queue_place_names[place]);
	return false;
}

static void append_lines(struct recorder *r, struct record *batch)
{
	struct record *record;
	struct why why = { 0 };
	bool is_new = false;

	for (record = batch; record; record = record->next)
		write_state(r, record);
	sync_states(batch);
	for (record = batch; record; record = record->next) {
		touch_state(r, record);
		is_new |= record->is_new_state && !record->is_failed;
	}
	if (is_new && !sync_place(r, QUEUE_STATE, &why))
		for (record = batch; record; record = record->next)
			if (record->is_new_state)
				fail(record, &why);
	for (record = batch; record; record = record->next)
		if (!record->is_failed && record->lines.len) {
			record->has_state = true;
			record->needs_rewrite = false;
			record->lines.len = 0;
		}
}

/* ---- 2: moves ---- */

static bool is_there(struct recorder *r, enum queue_place place, const char *id)
{
	return faccessat(r->queue.place[place], id, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void move(struct recorder *r, struct record *record, bool *needs_sync)
{
	int from = r->queue.place[record->from], to = r->queue.place[record->to];
	struct why why = { 0 };

	if (renameat2(from, record->id, to, record->id, RENAME_NOREPLACE) < 0 &&
	    !(errno == EINVAL && renameat(from, record->id, to, record->id) == 0) &&
	    !(errno == ENOENT && is_there(r, record->to, record->id))) {	/* moved before, its sync had failed */
		why_errno(&why, RESULT_RETRY, "unable to move %s from %s to %s", record->id,
		          queue_place_names[record->from], queue_place_names[record->to]);
		fail(record, &why);
		return;
	}
	needs_sync[record->from] = needs_sync[record->to] = true;
}

static bool moves(const struct record *record)
{
	return record->from != record->to && !record->unlinks && !record->is_failed;
}

static void move_messages(struct recorder *r, struct record *batch)
{
	bool needs_sync[QUEUE_PLACES] = { false };
	struct why why = { 0 };
	struct record *record;
	int place;

	for (record = batch; record; record = record->next)
		if (moves(record))
			move(r, record, needs_sync);
	/* Where they went first: file systems that sync a directory alone must not forget a message. */
	for (place = QUEUE_PLACES - 1; place >= 0; place--)
		if (needs_sync[place] && !sync_place(r, (enum queue_place)place, &why))
			for (record = batch; record; record = record->next)
				if (moves(record) && ((int)record->from == place || (int)record->to == place))
					fail(record, &why);
}

/* ---- 3 and 4: the end ---- */

static void unlink_message(struct recorder *r, struct record *record, bool *needs_sync)
{
	struct why why = { 0 };

	if (unlinkat(r->queue.place[record->from], record->id, 0) < 0 && errno != ENOENT) {
		why_errno(&why, RESULT_RETRY, "unable to unlink %s/%s", queue_place_names[record->from], record->id);
		fail(record, &why);
		return;
	}
	if (record->has_state) {
		needs_sync[record->from] = true;
		return;
	}
	if (!r->is_dirty[QUEUE_NEW] && !r->is_dirty[QUEUE_CUR])
		r->dirty_since_ms = time_monotonic_ms();
	r->is_dirty[record->from] = true;
}

static void unlink_all(struct recorder *r, struct record *batch)
{
	bool needs_sync[QUEUE_PLACES] = { false };
	struct why why = { 0 };
	struct record *record;
	int place;

	for (record = batch; record; record = record->next)
		if (record->unlinks && !record->is_failed)
			unlink_message(r, record, needs_sync);
	for (place = 0; place < QUEUE_PLACES; place++)
		if (needs_sync[place] && !sync_place(r, (enum queue_place)place, &why))
			for (record = batch; record; record = record->next)
				if (record->unlinks && record->has_state && (int)record->from == place)
					fail(record, &why);
	for (record = batch; record; record = record->next)
		if (record->unlinks && record->has_state && !record->is_failed)
			unlinkat(r->queue.place[QUEUE_STATE], record->id, 0);	/* what stays is swept */
}

static void work(struct recorder *r, struct record *batch)
{
	append_lines(r, batch);
	move_messages(r, batch);
	unlink_all(r, batch);
}

/* ---- the thread ---- */

static void sync_dirty(struct recorder *r)
{
	struct why why = { 0 };
	int place;

	for (place = 0; place < QUEUE_PLACES; place++)
		if (r->is_dirty[place])
			sync_place(r, (enum queue_place)place, &why);
}

static bool is_dirty(const struct recorder *r)
{
	return r->is_dirty[QUEUE_NEW] || r->is_dirty[QUEUE_CUR] || r->is_dirty[QUEUE_HOLD];
}

/* Cuts the first RECORD_BATCH_MAX off LIST. */
static struct record_list cut(struct record_list *list)
{
	struct record_list batch = { list->first, NULL };
	struct record **at = &batch.first;
	size_t count = 0;

	while (*at && count++ < RECORD_BATCH_MAX)
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
	if (!is_dirty(r)) {
		pthread_cond_wait(&r->wake, &r->lock);
	} else {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += RECORD_LAZY_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		if (pthread_cond_timedwait(&r->wake, &r->lock, &until) == ETIMEDOUT) {
			pthread_mutex_unlock(&r->lock);
			sync_dirty(r);
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
			work(r, batch.first);
			tell(r, &batch);
		}
		if (is_dirty(r) && time_monotonic_ms() - r->dirty_since_ms >= RECORD_LAZY_MS)
			sync_dirty(r);
		pthread_mutex_lock(&r->lock);
	}
	pthread_mutex_unlock(&r->lock);
	sync_dirty(r);
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
	r->queue = *queue;
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
	record->is_failed = record->is_new_state = false;
	record->result = RESULT_OK;
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
