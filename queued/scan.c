#include "queued/scheduler.h"

#include "common/log.h"
#include "queued/schedule.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	SCAN_CHUNK = 1000,		/* names a turn: new mail is served meanwhile */
	BACKLOG_MAX = 10000,		/* that much new mail known: look for more less often */
	SWEEP_SECONDS = 3600,
	TMP_SECONDS = 36 * 3600,
	FOREIGN_MAX = 4096,		/* bytes of foreign names remembered */
	TRIGGER_READ = 3120 * QUEUE_TRIGGER_LENGTH,	/* what a pipe takes at most, */
	TRIGGER_FULL = TRIGGER_READ / 2,	/* and at least before it is full: whole records alone go into each of its pages */
	LACKING_MS = 1000,
};

/* One pass over a directory, some names a turn. */
struct scan {
	struct scheduler *scheduler;
	DIR *directory;
	struct timer timer;
	enum queue_place place;
	uint64_t seen;
	void (*each)(struct scheduler *s, const char *id);
	struct scan **self;		/* where the scheduler knows it by */
};

/* ---- names ---- */

void scan_say_foreign(struct scheduler *s, enum queue_place place, const char *name)
{
	size_t length = strlen(name) + 1, at = 0;
	struct log_line line;

	while (at < s->foreign.len) {
		if (strcmp(s->foreign.s + at, name) == 0)
			return;
		at += strlen(s->foreign.s + at) + 1;
	}
	if (s->foreign.len + length > FOREIGN_MAX || !text_append(&s->foreign, name, length))
		return;
	log_start(&line, "foreign-file");
	log_text(&line, "directory", queue_place_names[place]);
	log_text(&line, "name", name);
	log_end(&line);
}

static bool modified_at(struct scheduler *s, enum queue_place place, const char *name, struct stat *st)
{
	return fstatat(s->queue.place[place], name, st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void each_state(struct scheduler *s, const char *id)
{
	struct stat st;
	uint64_t due_us;

	if (!modified_at(s, QUEUE_STATE, id, &st))
		return;
	due_us = (uint64_t)st.st_mtim.tv_sec * 1000000 + (uint64_t)st.st_mtim.tv_nsec / 1000;
	scheduler_add_retry(s, id, due_us, schedule_site_of(due_us));
}

/* What has a state is known from there: at the start by the scan of state/, later because it is loaded. */
static void each_new(struct scheduler *s, const char *id)
{
	if (!load_find(s, id) && faccessat(s->queue.place[QUEUE_STATE], id, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		scheduler_add_fresh(s, id, false);
}

/* A message in cur/ has a state, unless somebody took it away: then it is tried anew, never forgotten. */
static void each_cur(struct scheduler *s, const char *id)
{
	if (load_find(s, id) || faccessat(s->queue.place[QUEUE_STATE], id, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return;
	scheduler_log("state-missing", id, NULL);
	scheduler_add_retry(s, id, 0, 0);
}

static void each_tmp(struct scheduler *s, const char *id)
{
	struct stat st;

	if (modified_at(s, QUEUE_TMP, id, &st) && st.st_mtim.tv_sec + TMP_SECONDS < (time_t)(time_real_us() / 1000000) &&
	    unlinkat(s->queue.place[QUEUE_TMP], id, 0) == 0)
		scheduler_log("unfinished-swept", id, NULL);
}

/* ---- passes ---- */

static void scan_end(struct scan *scan)
{
	struct scheduler *s = scan->scheduler;
	struct log_line line;

	if (scan->place == QUEUE_NEW)
		waiting_unite(&s->fresh);
	if (scan->place == QUEUE_STATE) {
		s->restored = scan->seen;
		log_start(&line, "queue-read");
		log_number(&line, "waiting", scan->seen);
		log_end(&line);
	}
	*scan->self = NULL;
	loop_unset_timer(s->loop, &scan->timer);
	closedir(scan->directory);
	free(scan);
	scheduler_pump_soon(s);
}

static void scan_name(struct scan *scan, const char *name)
{
	size_t length = strlen(name);

	if (name[0] == '.')
		return;
	if (queue_id_is_valid(name, length)) {
		scan->seen++;
		scan->each(scan->scheduler, name);
	} else if (scan->place == QUEUE_STATE && length == QUEUE_ID_LENGTH + 1 && name[length - 1] == '~' &&
	           queue_id_is_valid(name, length - 1)) {
		unlinkat(scan->scheduler->queue.place[QUEUE_STATE], name, 0);	/* a rewrite that was not finished */
	} else {
		scan_say_foreign(scan->scheduler, scan->place, name);
	}
}

static void scan_fired(struct timer *timer)
{
	struct scan *scan = container_of(timer, struct scan, timer);
	struct dirent *entry;
	int i;

	for (i = 0; i < SCAN_CHUNK; i++) {
		entry = readdir(scan->directory);
		if (!entry) {
			scan_end(scan);
			return;
		}
		scan_name(scan, entry->d_name);
	}
	loop_set_timer(scan->scheduler->loop, timer, 0, scan_fired);
	scheduler_pump_soon(scan->scheduler);
}

static void scan_begin(struct scheduler *s, enum queue_place place, void (*each)(struct scheduler *, const char *), struct scan **self)
{
	struct scan *scan;
	struct why why = { 0 };
	int fd;

	if (*self || s->is_ending)
		return;
	scan = calloc(1, sizeof *scan);
	fd = openat(s->queue.place[place], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (scan && fd >= 0)
		scan->directory = fdopendir(fd);
	if (!scan || !scan->directory) {
		why_errno(&why, RESULT_RETRY, "unable to list queue/%s", queue_place_names[place]);
		log_failure("unable-to-scan", &why);
		if (fd >= 0)
			close(fd);
		free(scan);
		return;
	}
	scan->scheduler = s;
	scan->place = place;
	scan->each = each;
	scan->self = self;
	*self = scan;
	scan_fired(&scan->timer);
}

void scan_new_mail(struct scheduler *s)
{
	scan_begin(s, QUEUE_NEW, each_new, &s->scan_new);
}

static void scan_timer_fired(struct timer *timer)
{
	struct scheduler *s = container_of(timer, struct scheduler, scan_timer);
	bool has_room = s->fresh.count + load_overflowed(s) < BACKLOG_MAX;

	if (!s->scan_new && (has_room || s->skipped_scans++ == 9)) {
		s->skipped_scans = 0;
		s->is_lacking = false;
		scan_new_mail(s);
	}
	loop_set_timer(s->loop, timer, s->is_lacking ? LACKING_MS : SCAN_SECONDS * 1000, scan_timer_fired);
}

static void sweep_fired(struct timer *timer)
{
	struct scheduler *s = container_of(timer, struct scheduler, sweep_timer);

	scan_begin(s, QUEUE_TMP, each_tmp, &s->scan_tmp);
	loop_set_timer(s->loop, timer, SWEEP_SECONDS * 1000, sweep_fired);
}

/* ---- the trigger ---- */

/* Records are an ID and a newline. Garbage ends at the next newline; an ID is believed when its file is there. */
static void trigger_byte(struct scheduler *s, char byte)
{
	if (byte != '\n') {
		if (s->trigger_length < sizeof s->trigger_rest)
			s->trigger_rest[s->trigger_length++] = byte;
		return;
	}
	if (queue_id_is_valid(s->trigger_rest, s->trigger_length))
		scheduler_add_fresh(s, s->trigger_rest, queue_id_time_us(s->trigger_rest) <= s->started_us);
	s->trigger_length = 0;
}

/* A writer may have found the FIFO full, and gone on without a word: that mail need not wait for the next scan. */
static void note_lacking(struct scheduler *s)
{
	if (!s->is_lacking)
		loop_set_timer(s->loop, &s->scan_timer, LACKING_MS, scan_timer_fired);
	s->is_lacking = true;
}

static void trigger_ready(struct watch *watch, uint32_t events)
{
	struct scheduler *s = container_of(watch, struct scheduler, trigger);
	static char bytes[TRIGGER_READ];
	ssize_t i, got = read(watch->fd, bytes, sizeof bytes);

	(void)events;
	for (i = 0; i < got; i++)
		trigger_byte(s, bytes[i]);
	if (got >= TRIGGER_FULL)
		note_lacking(s);
}

enum result scan_start(struct scheduler *s, struct why *why)
{
	static const enum queue_place places[] = { QUEUE_NEW, QUEUE_CUR, QUEUE_HOLD, QUEUE_STATE };
	size_t i;

	/* After a crash without a power cut names may stand here that are not durable yet; what is decided from now on
	 * relies on them. */
	for (i = 0; i < sizeof places / sizeof *places; i++)
		if (fsync(s->queue.place[places[i]]) < 0)
			return why_errno(why, RESULT_STOP, "unable to make queue/%s durable", queue_place_names[places[i]]);
	if (loop_watch(s->loop, &s->trigger, s->queue.trigger, EPOLLIN, trigger_ready, why) != RESULT_OK)
		return RESULT_STOP;
	scan_begin(s, QUEUE_STATE, each_state, &s->scan_state);
	scan_begin(s, QUEUE_CUR, each_cur, &s->scan_cur);
	scan_timer_fired(&s->scan_timer);
	sweep_fired(&s->sweep_timer);
	return RESULT_OK;
}

void scan_stop(struct scheduler *s)
{
	struct scan **scans[] = { &s->scan_state, &s->scan_cur, &s->scan_new, &s->scan_tmp };
	size_t i;

	for (i = 0; i < sizeof scans / sizeof *scans; i++)
		if (*scans[i])
			scan_end(*scans[i]);
	loop_unwatch(s->loop, &s->trigger);
	loop_unset_timer(s->loop, &s->scan_timer);
	loop_unset_timer(s->loop, &s->sweep_timer);
}
