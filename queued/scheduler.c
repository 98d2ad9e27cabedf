#include "queued/scheduler.h"

#include "common/log.h"
#include "common/sandbox.h"
#include "common/service.h"
#include "queued/schedule.h"
#include <errno.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum {
	LOCK_TRIES = 300, LOCK_WAIT_MS = 100,	/* `dawk queue` may be at work for a moment */
	END_TICK_MS = 50, END_TICKS = 100,	/* in flight at the end: five seconds */
};

static struct scheduler *the_scheduler;		/* for callbacks without a context (service_join) */

uint32_t scheduler_now_seconds(const struct scheduler *s)
{
	return (uint32_t)(loop_now_ms(s->loop) / 1000);
}

/* ---- waiting ---- */

static void pump_fired(struct timer *timer)
{
	(void)timer;	/* the end of the turn pumps */
}

void scheduler_pump_soon(struct scheduler *s)
{
	if (!s->pump_timer.place)
		loop_set_timer(s->loop, &s->pump_timer, 0, pump_fired);
}

/* A message that nobody remembers would lie until the next start: without memory, this is the time for one. */
void scheduler_add(struct scheduler *s, struct waiting_heap *heap, const struct waiting *w)
{
	if (waiting_push(heap, w))
		return;
	log_failure("ended", &(struct why){ .text = "out of memory for messages that wait" });
	loop_stop(s->loop);
}

void scheduler_add_fresh(struct scheduler *s, const char *id, bool maybe_state)
{
	struct waiting w = { .is_fresh = true, .maybe_state = maybe_state };

	memcpy(w.id, id, QUEUE_ID_LENGTH);
	scheduler_add(s, &s->fresh, &w);
}

void scheduler_add_retry(struct scheduler *s, const char *id, uint64_t due_us, uint32_t site)
{
	struct waiting w = {
		.due_seconds = scheduler_now_seconds(s) + schedule_seconds_until(&s->conf->retry, time_real_us(), due_us),
		.site = site,
	};

	memcpy(w.id, id, QUEUE_ID_LENGTH);
	scheduler_add(s, &s->retry, &w);
}

static void wait_for_due(struct scheduler *s)
{
	const struct waiting *first = waiting_first(&s->retry);
	uint64_t now = loop_now_ms(s->loop), due;

	if (!first || !s->transports[TRANSPORT_LOCAL].is_up)
		return;
	due = (uint64_t)first->due_seconds * 1000;
	if (due > now)
		loop_set_timer(s->loop, &s->wait_timer, due - now, pump_fired);
}

static void turn_ended(struct turn_end *turn_end)
{
	struct scheduler *s = container_of(turn_end, struct scheduler, turn_end);

	control_settle(s);
	dispatch_pump(s);
	wait_for_due(s);
	log_try_flush();	/* what is recorded and then vanishes from the queue stands in the log before */
	recorder_flush(s->recorder);
}

/* ---- the end ---- */

static void end_fired(struct timer *timer)
{
	struct scheduler *s = container_of(timer, struct scheduler, end_timer);

	advance_flush_all(s);
	if ((!s->transports[TRANSPORT_LOCAL].in_flight && !s->transports[TRANSPORT_REMOTE].in_flight && !recorder_load(s->recorder) && !committer_load(s->committer)) ||
	    s->end_ticks++ == END_TICKS)
		loop_stop(s->loop);
	else
		loop_set_timer(s->loop, timer, END_TICK_MS, end_fired);
}

/* Nothing new is begun; what is in flight may come back and is recorded. */
static void ended(void)
{
	struct scheduler *s = the_scheduler;

	if (s->is_ending)
		return;
	s->is_ending = true;
	scan_stop(s);
	control_stop(s);
	end_fired(&s->end_timer);
}

static void greet(const char *peer, unsigned index, int fd)
{
	(void)index;
	transport_greet(the_scheduler, peer, fd);
}

/* ---- the start ---- */

/* One writer of the queue: the lock is the opener's open file, so it lasts over a restart of this part. */
static enum result take_lock(int fd, struct why *why)
{
	struct timespec wait = { 0, LOCK_WAIT_MS * 1000000L };
	int i;

	for (i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return RESULT_OK;
		if (errno != EWOULDBLOCK && errno != EINTR)
			break;
		nanosleep(&wait, NULL);
	}
	return why_errno(why, RESULT_STOP, "unable to lock the queue: does another queued serve it?");
}

/* initgroups(3) says yes with fewer groups when /etc/group could not be read for a moment: smtpd's messages would be out of
 * reach for as long as this process lives. */
static enum result check_group(const struct scheduler *s, const struct identity *identity, struct why *why)
{
	struct stat st;

	if (!identity->groups_of || fstat(s->queue.place[QUEUE_NEW], &st) || group_member(st.st_gid))
		return RESULT_OK;
	return why_set(why, RESULT_STOP, "%s is not in group %u, which queue/new and the messages there belong to",
	               identity->groups_of, (unsigned)st.st_gid);
}

static enum result enter(const struct configuration *conf, struct scheduler *s, struct why *why)
{
	static char tables[4096];
	struct sandbox_path paths[] = {
		{ conf->queue, ALLOW_READ | ALLOW_LIST | ALLOW_WRITE | ALLOW_MAKE | ALLOW_REMOVE | ALLOW_REFER },
		{ tables, ALLOW_READ | ALLOW_LIST },
	};
	struct identity identity;
	enum result result;

	if (!configuration_path(conf, "tables", tables, sizeof tables))
		return why_set(why, RESULT_NEVER, "the path of the tables is too long");
	result = table_directory_open(tables, &s->tables, why);
	if (result == RESULT_OK)
		result = table_open(s->tables, "routes", &s->routes, why);
	if (result == RESULT_OK)
		result = table_open(s->tables, "site", &s->site_rules, why);
	if (result == RESULT_OK)
		result = resolver_make(conf, s->tables, &s->resolver, why);
	if (result == RESULT_OK)
		result = sandbox_identity(ROLE_SCHEDULER, &identity, why);
	if (result == RESULT_OK)
		result = sandbox_enter(ROLE_SCHEDULER, &identity, paths, sizeof paths / sizeof *paths, why);
	return result == RESULT_OK ? check_group(s, &identity, why) : result;
}

static enum result start(struct scheduler *s, const struct scheduler_gifts *gifts, struct why *why)
{
	enum result result = take_lock(gifts->lock, why);

	if (result == RESULT_OK)
		result = loop_make(&s->loop, why);
	if (result != RESULT_OK)
		return result;
	s->turn_end.run = turn_ended;
	loop_at_turn_end(s->loop, &s->turn_end);	/* before those of committer and channels: it feeds them */
	dispatch_start(s);
	s->listed_end = &s->listed_first;
	transport_start(s);
	story_tell_removed(s);
	result = recorder_start(s->loop, &s->queue, &s->recorder, why);
	if (result == RESULT_OK)
		result = committer_start(s->loop, s->queue.place[QUEUE_TMP], s->queue.place[QUEUE_NEW], -1, &s->committer, why);
	if (result == RESULT_OK)
		result = service_join(s->loop, greet, ended, why);
	if (result == RESULT_OK)
		result = remote_start(s, why);
	if (result == RESULT_OK)
		result = control_start(s, why);
	if (result == RESULT_OK)
		result = scan_start(s, why);
	return result;
}

int scheduler_run(const struct configuration *conf, const struct scheduler_gifts *gifts)
{
	static struct scheduler scheduler;
	struct scheduler *s = the_scheduler = &scheduler;
	struct why why = { 0 };
	enum result result;

	s->conf = conf;
	s->queue = gifts->queue;
	s->control_fd = gifts->control;
	s->started_us = time_real_us();
	s->trigger.fd = s->control.fd = -1;
	result = enter(conf, s, &why);
	if (result == RESULT_OK)
		result = start(s, gifts, &why);
	if (result != RESULT_OK) {
		log_failure("unable-to-start", &why);
		return EX_TEMPFAIL;
	}
	result = loop_run(s->loop, &why);
	s->is_over = true;
	recorder_stop(s->recorder);	/* what it announced last the committer is given */
	committer_stop(s->committer);
	if (result != RESULT_OK)
		log_failure("ended", &why);
	log_flush();
	return result == RESULT_OK ? EX_OK : EX_TEMPFAIL;
}
