#include "commit.h"

#include "durable.h"
#include "log.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { BATCH_MAX = 512, TRIGGERS_A_WRITE = 4096 / QUEUE_TRIGGER_LENGTH };	/* PIPE_BUF: whole records or none */

struct list { struct commit *first, **last; };

struct committer {
	struct loop *loop;
	int tmp, new, trigger, wakeup;
	size_t load;			/* the loop's */
	struct list collected;		/* the loop's: handed over at the end of the turn */
	struct turn_end turn_end;
	struct watch watch;
	pthread_t thread;
	pthread_mutex_t lock;		/* for all below */
	pthread_cond_t more;
	struct list submitted, finished;
	bool is_idle, is_ending, is_woken;
};

static void list_clear(struct list *list)
{
	list->first = NULL;
	list->last = &list->first;
}

static void list_add(struct list *list, struct commit *commit)
{
	commit->next = NULL;
	*list->last = commit;
	list->last = &commit->next;
}

/* Moves all of FROM behind TO. */
static void list_join(struct list *to, struct list *from)
{
	if (!from->first)
		return;
	*to->last = from->first;
	to->last = from->last;
	list_clear(from);
}

/* ---- the thread ---- */

static void fail(struct committer *c, struct commit *commit, const char *what)
{
	commit->result = why_errno(&commit->why, RESULT_RETRY, "unable to %s a message", what);
	unlinkat(c->tmp, commit->id, 0);
}

/* The bytes, before any name. An fsync that failed is not tried again: the kernel may have dropped
 * the pages and would say yes. */
static void make_bytes_durable(struct committer *c, struct commit *const *batch, size_t count)
{
	struct durable files[BATCH_MAX];
	size_t i;

	for (i = 0; i < count; i++)
		files[i] = (struct durable){ .fd = batch[i]->fd };
	durable_make(files, count, true);
	for (i = 0; i < count; i++) {
		errno = files[i].error;
		if (files[i].error)
			fail(c, batch[i], "write out");
		close(batch[i]->fd);
		batch[i]->fd = -1;
	}
}

static int move(struct committer *c, const char *id)
{
	if (!renameat2(c->tmp, id, c->new, id, RENAME_NOREPLACE))
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	/* a file system without the flag: a link does not replace either */
	if (linkat(c->tmp, id, c->new, id, 0))
		return -1;
	unlinkat(c->tmp, id, 0);
	return 0;
}

static void make_names_durable(struct committer *c, struct commit *const *batch, size_t count)
{
	size_t i, moved = 0;

	for (i = 0; i < count; i++) {
		if (batch[i]->result != RESULT_OK)
			continue;
		if (move(c, batch[i]->id))
			fail(c, batch[i], "name");
		else
			moved++;
	}
	if (!moved || !fsync(c->new))
		return;
	/* They stand in new/ and will be delivered, but nobody may be told that they are safe. */
	for (i = 0; i < count; i++)
		if (batch[i]->result == RESULT_OK)
			batch[i]->result = why_errno(&batch[i]->why, RESULT_RETRY, "unable to write out queue/new");
}

/* No reader or a full pipe is no event: queued scans new/ as well. */
static void pull_trigger(struct committer *c, struct commit *const *batch, size_t count)
{
	char records[TRIGGERS_A_WRITE * QUEUE_TRIGGER_LENGTH];
	size_t i, length = 0;

	if (c->trigger < 0)
		return;
	for (i = 0; i < count; i++) {
		if (batch[i]->result == RESULT_OK) {
			memcpy(records + length, batch[i]->id, QUEUE_ID_LENGTH);
			records[length + QUEUE_ID_LENGTH] = '\n';
			length += QUEUE_TRIGGER_LENGTH;
		}
		if (length && (i + 1 == count || length == sizeof records)) {
			if (write(c->trigger, records, length) < 0)
				return;
			length = 0;
		}
	}
}

/* Messages, or one of what is none. */
static size_t take_batch(struct committer *c, struct commit **batch)
{
	struct commit *next;
	bool is_alone = false;
	size_t count = 0;

	pthread_mutex_lock(&c->lock);
	while (!c->submitted.first && !c->is_ending) {
		c->is_idle = true;
		pthread_cond_wait(&c->more, &c->lock);
		c->is_idle = false;
	}
	while ((next = c->submitted.first) && count < BATCH_MAX && !is_alone && (count == 0 || !next->run)) {
		is_alone = next->run != NULL;
		batch[count++] = next;
		c->submitted.first = next->next;
	}
	if (!c->submitted.first)
		list_clear(&c->submitted);
	pthread_mutex_unlock(&c->lock);
	return count;
}

static void give_back(struct committer *c, struct commit *const *batch, size_t count)
{
	static const uint64_t one = 1;
	bool must_wake;
	size_t i;

	pthread_mutex_lock(&c->lock);
	for (i = 0; i < count; i++)
		list_add(&c->finished, batch[i]);
	must_wake = !c->is_woken;
	c->is_woken = true;
	pthread_mutex_unlock(&c->lock);
	if (must_wake && write(c->wakeup, &one, sizeof one) < 0)
		abort();	/* an eventfd below its limit can't refuse */
}

static void *commit_all(void *argument)
{
	struct committer *c = argument;
	struct commit *batch[BATCH_MAX];
	size_t count;

	while ((count = take_batch(c, batch))) {
		if (batch[0]->run) {
			batch[0]->run(batch[0]);
		} else {
			make_bytes_durable(c, batch, count);
			make_names_durable(c, batch, count);
			pull_trigger(c, batch, count);
		}
		give_back(c, batch, count);
	}
	return NULL;
}

/* ---- the loop's side ---- */

static void hand_over(struct committer *c)
{
	bool must_signal;

	if (!c->collected.first)
		return;
	pthread_mutex_lock(&c->lock);
	list_join(&c->submitted, &c->collected);
	must_signal = c->is_idle;
	pthread_mutex_unlock(&c->lock);
	if (must_signal)
		pthread_cond_signal(&c->more);
}

static void turn_ended(struct turn_end *turn_end)
{
	hand_over(container_of(turn_end, struct committer, turn_end));
}

static void take_finished(struct committer *c)
{
	struct list finished;
	struct commit *commit;
	uint64_t count;

	list_clear(&finished);
	if (read(c->wakeup, &count, sizeof count) < 0 && errno != EAGAIN)
		return;
	pthread_mutex_lock(&c->lock);
	list_join(&finished, &c->finished);
	c->is_woken = false;
	pthread_mutex_unlock(&c->lock);
	while ((commit = finished.first)) {
		finished.first = commit->next;
		c->load--;
		commit->done(commit);
	}
}

static void woken(struct watch *watch, uint32_t events)
{
	(void)events;
	take_finished(container_of(watch, struct committer, watch));
}

static enum result start_thread(struct committer *c, struct why *why)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);	/* signals are the loop's */
	error = pthread_create(&c->thread, NULL, commit_all, c);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!error)
		return RESULT_OK;
	errno = error;
	return why_errno(why, RESULT_STOP, "unable to start the commit thread");
}

enum result committer_start(struct loop *loop, int tmp, int new, int trigger, struct committer **committer, struct why *why)
{
	struct committer *c = calloc(1, sizeof *c);
	enum result result;

	if (!c)
		return why_errno(why, RESULT_STOP, "no memory for the commit thread");
	*c = (struct committer){ .loop = loop, .tmp = tmp, .new = new, .trigger = trigger };
	list_clear(&c->collected);
	list_clear(&c->submitted);
	list_clear(&c->finished);
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->more, NULL);
	c->wakeup = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	result = c->wakeup < 0 ? why_errno(why, RESULT_STOP, "unable to make an eventfd")
	                       : loop_watch(loop, &c->watch, c->wakeup, EPOLLIN, woken, why);
	if (result == RESULT_OK)
		result = start_thread(c, why);
	if (result != RESULT_OK) {
		if (c->wakeup >= 0)
			close(c->wakeup);
		free(c);
		return result;
	}
	c->turn_end.run = turn_ended;
	loop_at_turn_end(loop, &c->turn_end);
	*committer = c;
	return RESULT_OK;
}

void commit_submit(struct committer *c, struct commit *commit)
{
	commit->result = RESULT_OK;
	commit->why = (struct why){ 0 };
	list_add(&c->collected, commit);
	c->load++;
}

size_t committer_load(const struct committer *c)
{
	return c->load;
}

void committer_stop(struct committer *c)
{
	hand_over(c);
	pthread_mutex_lock(&c->lock);
	c->is_ending = true;
	pthread_mutex_unlock(&c->lock);
	pthread_cond_signal(&c->more);
	pthread_join(c->thread, NULL);
	take_finished(c);
	loop_unwatch(c->loop, &c->watch);
	loop_drop_turn_end(c->loop, &c->turn_end);
	close(c->wakeup);
	pthread_cond_destroy(&c->more);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
