#include "queued/record.h"

#include "common/durable.h"
#include "common/state.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void fail(struct record *record, struct why *why)
{
	record->is_failed = true;
	record->result = RESULT_RETRY;
	record->why = *why;
}

/* ---- 1: state lines ---- */

static enum result read_old(struct recording *r, const struct record *record, stralloc *text, struct why *why)
{
	int fd = openat(r->queue.place[QUEUE_STATE], record->id, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	enum result result;

	if (fd < 0)
		return errno == ENOENT ? RESULT_OK : why_errno(why, RESULT_RETRY, "unable to open state/%s", record->id);
	result = state_read(fd, text, NULL, why);
	close(fd);
	return result;
}

/* After an fsync that failed nothing says what of the file is durable: its text goes to a new one. */
static enum result rewrite(struct recording *r, struct record *record, struct why *why)
{
	char name[QUEUE_ID_LENGTH + 2];
	stralloc text = { 0 };
	enum result result = read_old(r, record, &text, why);
	int fd;

	snprintf(name, sizeof name, "%s~", record->id);
	fd = openat(r->queue.place[QUEUE_STATE], name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (result == RESULT_OK && fd < 0)
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

static void write_state(struct recording *r, struct record *record)
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

static void touch_state(struct recording *r, struct record *record)
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
	struct durable files[RECORD_OPEN_MAX];
	struct record *record, *owners[RECORD_OPEN_MAX];
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

static bool sync_place(struct recording *r, enum queue_place place, struct why *why)
{
	r->is_dirty[place] = false;
	if (fsync(r->queue.place[place]) == 0)
		return true;
	why_errno(why, RESULT_RETRY, "unable to make queue/%s durable", queue_place_names[place]);
	return false;
}

static void append_lines(struct recording *r, struct record *batch)
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

static bool is_there(struct recording *r, enum queue_place place, const char *id)
{
	return faccessat(r->queue.place[place], id, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void move(struct recording *r, struct record *record, bool *needs_sync)
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

/* For those that moved between FROM and TO. */
static void sync_move(struct recording *r, struct record *batch, enum queue_place place, enum queue_place to)
{
	struct why why = { 0 };
	struct record *record;

	if (sync_place(r, place, &why))
		return;
	for (record = batch; record; record = record->next)
		if (moves(record) && record->to == to && (record->from == place || to == place))
			fail(record, &why);
}

/* Where they go first: a file system that syncs a directory alone must not forget a message. */
static void move_to(struct recording *r, struct record *batch, enum queue_place to)
{
	bool needs_sync[QUEUE_PLACES] = { false };
	struct record *record;
	int place;

	for (record = batch; record; record = record->next)
		if (moves(record) && record->to == to)
			move(r, record, needs_sync);
	if (!needs_sync[to])
		return;
	sync_move(r, batch, to, to);
	for (place = 0; place < QUEUE_PLACES; place++)
		if (needs_sync[place] && place != (int)to)
			sync_move(r, batch, (enum queue_place)place, to);
}

static void move_messages(struct recording *r, struct record *batch)
{
	int to;

	for (to = 0; to < QUEUE_PLACES; to++)
		move_to(r, batch, (enum queue_place)to);
}

/* ---- 3 and 4: the end ---- */

/* What is not where it was is gone, an earlier try unlinked it, unless somebody moved it: then it is not without its state. */
static bool is_elsewhere(struct recording *r, const struct record *record)
{
	static const enum queue_place places[] = { QUEUE_NEW, QUEUE_CUR, QUEUE_HOLD, QUEUE_CORRUPT };
	size_t i;

	for (i = 0; i < sizeof places / sizeof *places; i++)
		if (is_there(r, places[i], record->id))
			return true;
	return false;
}

static void unlink_message(struct recording *r, struct record *record, bool *needs_sync)
{
	struct why why = { 0 };

	if (unlinkat(r->queue.place[record->from], record->id, 0) < 0 && (errno != ENOENT || is_elsewhere(r, record))) {
		why_errno(&why, RESULT_RETRY, "unable to unlink %s/%s", queue_place_names[record->from], record->id);
		fail(record, &why);
		return;
	}
	if (record->has_state) {
		needs_sync[record->from] = true;
		return;
	}
	if (!record_is_dirty(r))
		r->dirty_since_ms = time_monotonic_ms();
	r->is_dirty[record->from] = true;
}

static void unlink_all(struct recording *r, struct record *batch)
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

void record_prepare(struct record *record)
{
	record->is_failed = record->is_new_state = false;
	record->result = RESULT_OK;
}

void record_batch(struct recording *r, struct record *batch)
{
	append_lines(r, batch);
	move_messages(r, batch);
	unlink_all(r, batch);
}

void record_sync_dirty(struct recording *r)
{
	struct why why = { 0 };
	int place;

	for (place = 0; place < QUEUE_PLACES; place++)
		if (r->is_dirty[place])
			sync_place(r, (enum queue_place)place, &why);
}

bool record_is_dirty(const struct recording *r)
{
	int place;

	for (place = 0; place < QUEUE_PLACES && !r->is_dirty[place]; place++)
		;
	return place < QUEUE_PLACES;
}
