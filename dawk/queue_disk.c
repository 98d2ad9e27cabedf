/* What `dawk queue` does on disk while queued does not run, under the queue's lock that a running
 * scheduler holds, and as it does it (queued/record.h): each step leaves what a scheduler understands, should everything
 * stop there. Many messages are changed together, since each wait for the disk is dearer than all the rest. */
#include "command.h"
#include "queue_command.h"
#include "queue_view.h"
#include "common/address.h"
#include "common/durable.h"
#include "queued/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	BATCH = 8192,		/* messages that are changed together, and then told of: they share blocks of directories and inodes */
	FILES_AT_ONCE = 64,
};

/* An act on one message: what is to be recorded, or why not. */
struct step {
	struct record record;
	const char *id;		/* as given */
};

struct disk {
	const struct configuration *conf;
	struct recording recording;	/* its queue is open */
	int lock;
	bool needs_syncfs;
	uint64_t count;		/* made due */
	struct queue_teller *teller;
	struct step *steps;	/* BATCH */
	struct why why;
};

/* A lock file that root makes must stay usable for the scheduler. */
static enum result take_lock(struct disk *disk, struct why *why)
{
	struct stat status;
	char path[4200];
	snprintf(path, sizeof path, "%s/lock", disk->conf->queue);
	if (fstat(disk->recording.queue.place[QUEUE_CUR], &status) < 0)
		return why_errno(why, RESULT_RETRY, "unable to look at the queue");
	disk->lock = openat(disk->recording.queue.root, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (disk->lock < 0)
		return why_errno(why, RESULT_NEVER, "unable to open %s", path);
	if (geteuid() == 0 && fchown(disk->lock, status.st_uid, status.st_gid) < 0)
		return why_errno(why, RESULT_NEVER, "unable to set the owner of %s", path);
	if (flock(disk->lock, LOCK_EX | LOCK_NB) == 0)
		return RESULT_OK;
	if (errno == EWOULDBLOCK)
		return why_set(why, RESULT_RETRY, "queued holds the queue's lock, but does not answer at %s/queued; try again, "
		               "or restart it", disk->conf->run_directory);
	return why_errno(why, RESULT_RETRY, "unable to lock %s", path);
}

/* ---- what is to be done ---- */

static enum result move(struct record *record, enum queue_place to)
{
	record->to = to;
	return RESULT_OK;
}

static enum result hold(const struct disk *disk, struct record *record, struct why *why)
{
	(void)disk;
	if (record->from == QUEUE_HOLD)
		return RESULT_END;
	if (record->from == QUEUE_CORRUPT)
		return why_set(why, RESULT_NEVER, "%s is corrupt: it is kept, and not tried, already", record->id);
	return move(record, QUEUE_HOLD);
}

static enum result release(const struct disk *disk, struct record *record, struct why *why)
{
	if (record->from != QUEUE_HOLD)
		return why_set(why, RESULT_NEVER, "%s is not held, but %s", record->id, view_place_word(record->from));
	record->touches = true;
	/* as queued does it: what has no state was never deferred, and new/ is where that is looked for */
	bool has_state = faccessat(disk->recording.queue.place[QUEUE_STATE], record->id, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	return move(record, has_state ? QUEUE_CUR : QUEUE_NEW);
}

static enum result retry(const struct disk *disk, struct record *record, struct why *why)
{
	if (record->from == QUEUE_HOLD)
		return release(disk, record, why);	/* who asks for an attempt means it */
	if (record->from == QUEUE_CORRUPT)
		return why_set(why, RESULT_NEVER, "%s is corrupt and can't be tried", record->id);
	record->touches = true;
	return RESULT_OK;
}

static enum result discard(const struct disk *disk, struct record *record, struct why *why)
{
	(void)disk;
	(void)why;
	record->unlinks = record->has_state = true;
	return RESULT_OK;
}

static const struct act {
	const char *verb, *said;
	enum result (*judge)(const struct disk *, struct record *, struct why *);	/* RESULT_END: it is so already */
} acts[] = {
	{ "hold", "is held", hold },
	{ "release", "is due at once", release },
	{ "retry", "is due at once", retry },
	{ "remove", "is removed", discard },
};

static void judge(const struct disk *disk, const struct act *act, struct step *step)
{
	struct record *record = &step->record;
	if (!queue_id_is_valid(step->id, strlen(step->id)) || !view_find_place(&disk->recording.queue, step->id, &record->from)) {
		record->result = why_set(&record->why, RESULT_NEVER, "there is no message %s in the queue; `dawk queue list` shows all", step->id);
		return;
	}
	memcpy(record->id, step->id, QUEUE_ID_LENGTH);
	record->to = record->from;
	record->due_us = time_real_us();
	record->result = act->judge(disk, record, &record->why);
}

/* ---- doing it ---- */

/* Whole lines alone: what an append that was cut short left is written over. */
static bool append_lines(int fd, const stralloc *lines)
{
	struct stat status;
	if (fstat(fd, &status) < 0)
		return false;
	off_t end = status.st_size - status.st_size % (QUEUE_ID_LENGTH + 1);
	if (pwrite(fd, lines->s, lines->len, end) == (ssize_t)lines->len && fsync(fd) == 0)
		return true;
	int reason = errno;
	if (ftruncate(fd, end) == 0)
		errno = reason;
	return false;
}

static bool give_to_scheduler(const struct disk *disk, int fd)
{
	struct stat status;
	return geteuid() != 0 || (fstat(disk->recording.queue.place[QUEUE_CUR], &status) == 0 && fchown(fd, status.st_uid, status.st_gid) == 0);
}

/* For the log, which the scheduler writes: `dawk audit` asks it where the messages went. */
static enum result note_removals(const struct disk *disk, const struct record *batch, struct why *why)
{
	stralloc lines = { 0 };
	bool is_done = true;
	int fd = openat(disk->recording.queue.root, QUEUE_REMOVED, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return why_errno(why, RESULT_RETRY, "unable to open %s/" QUEUE_REMOVED, disk->conf->queue);
	for (; batch && is_done; batch = batch->next)
		is_done = text_append_string(&lines, batch->id) && text_append(&lines, "\n", 1);
	is_done = is_done && give_to_scheduler(disk, fd) && append_lines(fd, &lines);
	if (!is_done)
		why_errno(why, RESULT_RETRY, "unable to write %s/" QUEUE_REMOVED, disk->conf->queue);
	close(fd);
	stralloc_free(&lines);
	return is_done ? RESULT_OK : RESULT_RETRY;
}

/* The times of few states; of many one syncfs is the end of all. */
static enum result sync_times(struct disk *disk, const struct record *batch, struct why *why)
{
	struct durable files[FILES_AT_ONCE];
	size_t count = 0;
	for (; batch && !disk->needs_syncfs; batch = batch->next) {
		int fd = batch->touches ? queue_open_file(disk->recording.queue.place[QUEUE_STATE], batch->id) : -1;
		disk->needs_syncfs = fd >= 0 && count == FILES_AT_ONCE;
		if (fd >= 0 && !disk->needs_syncfs)
			files[count++].fd = fd;
		else if (fd >= 0)
			close(fd);
	}
	if (!disk->needs_syncfs)
		durable_make(files, count, true);
	int error = 0;
	for (size_t i = 0; i < count; i++) {
		if (!disk->needs_syncfs && files[i].error)
			error = files[i].error;
		close(files[i].fd);
	}
	errno = error;
	return error ? why_errno(why, RESULT_RETRY, "unable to write %s/state", disk->conf->queue) : RESULT_OK;
}

static enum result sync_all_times(const struct disk *disk, struct why *why)
{
	/* once for all: it is times that are written, a power cut could cost no more than a delay */
	if (!disk->needs_syncfs || syncfs(disk->recording.queue.place[QUEUE_STATE]) == 0)
		return RESULT_OK;
	return why_errno(why, RESULT_RETRY, "unable to write %s/state", disk->conf->queue);
}

static void record_steps(struct disk *disk, struct record *batch)
{
	struct why why = { 0 };
	enum result result = batch && batch->unlinks ? note_removals(disk, batch, &why) : RESULT_OK;
	if (result == RESULT_OK) {
		record_batch(&disk->recording, batch);
		result = sync_times(disk, batch, &why);
	}
	for (; batch && result != RESULT_OK; batch = batch->next) {
		batch->result = result;
		batch->why = why;
	}
}

static int tell(const struct disk *disk, const struct act *act, const struct step *step)
{
	const struct record *record = &step->record;
	if (record->result == RESULT_OK || record->result == RESULT_END)
		return queue_tell(disk->teller, EX_OK, "%s %s", step->id, act->said);
	return queue_tell(disk->teller, command_code_why(record->result, &record->why), "%s", record->why.text);
}

static int act_on_batch(struct disk *disk, const struct act *act, char *const *ids, size_t count)
{
	struct record *batch = NULL, **end = &batch;
	int worst = EX_OK;
	for (size_t i = 0; i < count; i++) {
		struct step *step = &disk->steps[i];
		*step = (struct step){ .id = ids[i] };
		judge(disk, act, step);
		if (step->record.result != RESULT_OK)
			continue;
		record_prepare(&step->record);
		*end = &step->record;
		end = &step->record.next;
	}
	record_steps(disk, batch);
	for (size_t i = 0; i < count; i++) {
		int code = tell(disk, act, &disk->steps[i]);
		worst = code > worst ? code : worst;
	}
	return worst;
}

/* ---- flush, and retry of a domain ---- */

static void set_due(struct disk *disk, const char *id)
{
	if (utimensat(disk->recording.queue.place[QUEUE_STATE], id, NULL, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
		why_errno(&disk->why, RESULT_RETRY, "unable to set the time of the state of %s", id);
	else
		disk->count++;
}

static bool make_due(void *context, enum queue_place place, const char *id)
{
	if (place == QUEUE_NEW || place == QUEUE_CUR)
		set_due(context, id);
	return true;
}

static enum result make_domain_due(struct disk *disk, const char *domain, struct why *why)
{
	char name[ADDRESS_DOMAIN_MAX + 1];
	bool is_name = domain_to_ascii(domain, strlen(domain), name, NULL) == RESULT_OK;	/* else an address literal */
	const struct queue_filter filter = { .domain = is_name ? name : domain, .places = 1 << QUEUE_NEW | 1 << QUEUE_CUR };
	struct queue_matches matches = { .count = 0 };
	enum result result = queue_match(disk->conf, &filter, &matches, why);
	for (size_t i = 0; i < matches.count && result == RESULT_OK; i++)
		set_due(disk, matches.ids.s + i * (QUEUE_ID_LENGTH + 1));
	stralloc_free(&matches.ids);
	return result;
}

static int make_all_due(struct disk *disk, const char *domain)
{
	struct why why = { 0 };
	disk->count = 0;
	enum result result = domain ? make_domain_due(disk, domain, &why) : view_walk(&disk->recording.queue, make_due, disk, &why);
	if (result != RESULT_OK)
		return command_fail_why("queue", RESULT_RETRY, &why);
	disk->needs_syncfs |= disk->count > 0;
	if (*disk->why.text)
		return command_fail_why("queue", RESULT_RETRY, &disk->why);
	if (domain && !disk->count)
		return queue_tell(disk->teller, EX_DATAERR, "nothing waits for %s", domain);
	return queue_tell(disk->teller, EX_OK, "%llu message%s due as soon as queued runs", (unsigned long long)disk->count, disk->count == 1 ? " is" : "s are");
}

/* ---- all that is asked for ---- */

static const struct act *find(const char *verb)
{
	for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
		if (!strcmp(verb, acts[i].verb))
			return &acts[i];
	return NULL;
}

static bool is_domain(const struct act *act, const char *argument)
{
	return act->judge == retry && !queue_id_is_valid(argument, strlen(argument));
}

static int act_on_all(struct disk *disk, const char *verb, char *const *arguments, int count)
{
	const struct act *act = find(verb);
	int worst = EX_OK;
	if (!act)
		return make_all_due(disk, NULL);	/* flush */
	for (int at = 0, end; at < count; at = end) {
		for (end = at; end < count && end - at < BATCH && !is_domain(act, arguments[end]); end++)
			;
		int code = end > at ? act_on_batch(disk, act, arguments + at, (size_t)(end - at)) : make_all_due(disk, arguments[end++]);
		worst = code > worst ? code : worst;
	}
	return worst;
}

static int act_under_lock(struct disk *disk, const char *verb, char *const *arguments, int count)
{
	struct why why = { 0 };
	disk->steps = calloc(BATCH, sizeof *disk->steps);
	if (!disk->steps)
		return command_fail("queue", EX_OSERR, "out of memory");
	int code = act_on_all(disk, verb, arguments, count);
	free(disk->steps);
	if (sync_all_times(disk, &why) != RESULT_OK)
		return command_fail_why("queue", RESULT_RETRY, &why);
	return code;
}

int queue_act_on_disk(const struct configuration *conf, const char *verb, char *const *arguments, int count, struct queue_teller *teller)
{
	struct disk disk = { .conf = conf, .lock = -1, .teller = teller };
	struct why why = { 0 };
	if (view_open_queue(conf, &disk.recording.queue, &why) != RESULT_OK)
		return command_fail("queue", why.errno_value == EACCES ? EX_NOPERM : EX_OSFILE, "%s", why.text);
	enum result result = take_lock(&disk, &why);
	int code = result == RESULT_OK ? act_under_lock(&disk, verb, arguments, count) : command_fail_why("queue", result, &why);
	view_close_queue(&disk.recording.queue);
	if (disk.lock >= 0)
		close(disk.lock);
	return code;
}
