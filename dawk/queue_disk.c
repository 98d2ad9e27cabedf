/* What `dawk queue` does on disk while queued does not run, under the queue's lock that a running
 * scheduler holds. Each step leaves what a scheduler understands, should everything stop there: a
 * message lies in one place at any time, and its state outlives it, never the other way round. */
#include "command.h"
#include "queue_command.h"
#include "queue_view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct disk {
	const struct configuration *conf;
	struct queue_directories queue;
	int lock;
	uint64_t count;
	const char *domain;
	struct queue_teller *teller;
	struct view view;
	struct why why;
};

/* A lock file that root makes must stay usable for the scheduler. */
static enum result take_lock(struct disk *disk, struct why *why)
{
	struct stat status;
	char path[4200];
	snprintf(path, sizeof path, "%s/lock", disk->conf->queue);
	if (fstat(disk->queue.place[QUEUE_CUR], &status) < 0)
		return why_errno(why, RESULT_RETRY, "unable to look at the queue");
	disk->lock = openat(disk->queue.root, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
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

static enum result sync_place(const struct disk *disk, enum queue_place place, struct why *why)
{
	if (fsync(disk->queue.place[place]) == 0)
		return RESULT_OK;
	return why_errno(why, RESULT_RETRY, "unable to write %s/%s", disk->conf->queue, queue_place_names[place]);
}

/* Makes ID due: its state's time becomes now. Without a state it is due anyway. */
static enum result set_due(const struct disk *disk, const char *id, struct why *why)
{
	int fd = openat(disk->queue.place[QUEUE_STATE], id, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? RESULT_OK : why_errno(why, RESULT_RETRY, "unable to open the state of %s", id);
	bool is_done = futimens(fd, NULL) == 0 && fsync(fd) == 0;
	if (!is_done)
		why_errno(why, RESULT_RETRY, "unable to write the state of %s", id);
	close(fd);
	return is_done ? RESULT_OK : RESULT_RETRY;
}

static enum result move(const struct disk *disk, const char *id, enum queue_place from, enum queue_place to, struct why *why)
{
	if (renameat2(disk->queue.place[from], id, disk->queue.place[to], id, RENAME_NOREPLACE) < 0)
		return why_errno(why, RESULT_RETRY, "unable to move %s to %s", id, queue_place_names[to]);
	enum result result = sync_place(disk, to, why);
	return result == RESULT_OK ? sync_place(disk, from, why) : result;
}

static enum result hold(const struct disk *disk, const char *id, enum queue_place place, struct why *why)
{
	if (place == QUEUE_HOLD)
		return RESULT_OK;
	if (place == QUEUE_CORRUPT)
		return why_set(why, RESULT_NEVER, "%s is corrupt: it is kept, and not tried, already", id);
	return move(disk, id, place, QUEUE_HOLD, why);
}

static enum result release(const struct disk *disk, const char *id, enum queue_place place, struct why *why)
{
	if (place != QUEUE_HOLD)
		return why_set(why, RESULT_NEVER, "%s is not held, but %s", id, view_place_word(place));
	/* as queued does it: what has no state was never deferred, and new/ is where that is looked for */
	bool has_state = faccessat(disk->queue.place[QUEUE_STATE], id, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	enum result result = set_due(disk, id, why);
	return result == RESULT_OK ? move(disk, id, QUEUE_HOLD, has_state ? QUEUE_CUR : QUEUE_NEW, why) : result;
}

static enum result retry(const struct disk *disk, const char *id, enum queue_place place, struct why *why)
{
	if (place == QUEUE_HOLD)
		return release(disk, id, place, why);	/* who asks for an attempt means it */
	if (place == QUEUE_CORRUPT)
		return why_set(why, RESULT_NEVER, "%s is corrupt and can't be tried", id);
	return set_due(disk, id, why);
}

/* For the log, which the scheduler writes: `dawk audit` asks it where the message went. */
static enum result note_removal(const struct disk *disk, const char *id, struct why *why)
{
	char line[QUEUE_ID_LENGTH + 2];
	struct stat status;
	int fd = openat(disk->queue.root, QUEUE_REMOVED, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return why_errno(why, RESULT_RETRY, "unable to open %s/" QUEUE_REMOVED, disk->conf->queue);
	size_t length = (size_t)snprintf(line, sizeof line, "%s\n", id);
	bool is_done = geteuid() != 0 || (fstat(disk->queue.place[QUEUE_CUR], &status) == 0 && fchown(fd, status.st_uid, status.st_gid) == 0);
	is_done = is_done && write(fd, line, length) == (ssize_t)length && fsync(fd) == 0;
	if (!is_done)
		why_errno(why, RESULT_RETRY, "unable to write %s/" QUEUE_REMOVED, disk->conf->queue);
	close(fd);
	return is_done ? RESULT_OK : RESULT_RETRY;
}

/* The message first: a state without one is swept, a message without its state would begin anew. */
static enum result discard(const struct disk *disk, const char *id, enum queue_place place, struct why *why)
{
	enum result result = note_removal(disk, id, why);
	if (result != RESULT_OK)
		return result;
	if (unlinkat(disk->queue.place[place], id, 0) < 0)
		return why_errno(why, RESULT_RETRY, "unable to remove %s/%s", queue_place_names[place], id);
	result = sync_place(disk, place, why);
	if (result != RESULT_OK)
		return result;
	if (unlinkat(disk->queue.place[QUEUE_STATE], id, 0) < 0 && errno != ENOENT)
		return why_errno(why, RESULT_RETRY, "unable to remove the state of %s", id);
	return RESULT_OK;
}

static const struct act {
	const char *verb, *said;
	enum result (*run)(const struct disk *, const char *id, enum queue_place, struct why *);
} acts[] = {
	{ "hold", "is held", hold },
	{ "release", "is due at once", release },
	{ "retry", "is due at once", retry },
	{ "remove", "is removed", discard },
};

/* Is anything left for DOMAIN? */
static bool is_for(const struct view *view, const char *domain)
{
	for (uint32_t i = 0; i < view->envelope.recipient_count; i++) {
		const char *at = view->done.s[i] ? NULL : strrchr(view->envelope.recipients[i].address, '@');
		if (at && !strcasecmp(at + 1, domain))
			return true;
	}
	return false;
}

static bool make_due(void *context, enum queue_place place, const char *id)
{
	struct disk *disk = context;
	if (place != QUEUE_NEW && place != QUEUE_CUR)
		return true;
	enum result result = disk->domain ? view_read(&disk->view, &disk->queue, place, id, &disk->why) : RESULT_OK;
	if (result != RESULT_OK || (disk->domain && !is_for(&disk->view, disk->domain)))
		return true;
	if (utimensat(disk->queue.place[QUEUE_STATE], id, NULL, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
		why_errno(&disk->why, RESULT_RETRY, "unable to set the time of the state of %s", id);
	else
		disk->count++;
	return true;
}

/* flush, and retry of a domain. */
static int make_all_due(struct disk *disk, const char *domain)
{
	struct why why = { 0 };
	disk->domain = domain;
	disk->count = 0;
	if (view_walk(&disk->queue, make_due, disk, &why) != RESULT_OK)
		return command_fail_why("queue", RESULT_RETRY, &why);
	/* once for all: it is times that are written, a power cut could cost no more than a delay */
	if (!*disk->why.text && disk->count && syncfs(disk->queue.place[QUEUE_STATE]) < 0)
		why_errno(&disk->why, RESULT_RETRY, "unable to write %s/state", disk->conf->queue);
	if (*disk->why.text)
		return command_fail_why("queue", RESULT_RETRY, &disk->why);
	if (domain && !disk->count)
		return queue_tell(disk->teller, EX_DATAERR, "nothing waits for %s", domain);
	return queue_tell(disk->teller, EX_OK, "%llu message%s due as soon as queued runs", (unsigned long long)disk->count, disk->count == 1 ? " is" : "s are");
}

static int act_on(struct disk *disk, const struct act *act, const char *argument)
{
	enum queue_place place;
	struct why why = { 0 };
	bool is_id = queue_id_is_valid(argument, strlen(argument));
	if (!is_id && act->run == retry)
		return make_all_due(disk, argument);
	if (!is_id || !view_find_place(&disk->queue, argument, &place))
		return queue_tell(disk->teller, EX_DATAERR, "there is no message %s in the queue; `dawk queue list` shows all", argument);
	enum result result = act->run(disk, argument, place, &why);
	if (result != RESULT_OK)
		return queue_tell(disk->teller, command_code_why(result, &why), "%s", why.text);
	return queue_tell(disk->teller, EX_OK, "%s %s", argument, act->said);
}

static int act_on_all(struct disk *disk, const char *verb, char *const *arguments, int count)
{
	int worst = EX_OK;
	if (!strcmp(verb, "flush"))
		return make_all_due(disk, NULL);
	for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
		for (int k = 0; k < count && !strcmp(verb, acts[i].verb); k++) {
			int code = act_on(disk, &acts[i], arguments[k]);
			if (code > worst)
				worst = code;
		}
	}
	return worst;
}

int queue_act_on_disk(const struct configuration *conf, const char *verb, char *const *arguments, int count, struct queue_teller *teller)
{
	struct disk disk = { .conf = conf, .lock = -1, .teller = teller };
	struct why why = { 0 };
	if (view_open_queue(conf, &disk.queue, &why) != RESULT_OK)
		return command_fail("queue", why.errno_value == EACCES ? EX_NOPERM : EX_OSFILE, "%s", why.text);
	enum result result = take_lock(&disk, &why);
	int code = result == RESULT_OK ? act_on_all(&disk, verb, arguments, count) : command_fail_why("queue", result, &why);
	view_free(&disk.view);
	view_close_queue(&disk.queue);
	if (disk.lock >= 0)
		close(disk.lock);
	return code;
}
