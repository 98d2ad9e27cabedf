/* mbox: see mbox.h. */
#include "mbox.h"
#include "common/content.h"
#include "common/text.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	LOCK_WAIT_MS = 30 * 1000, LOCK_PAUSE_MS = 250, LOCK_STALE_SECONDS = 15 * 60,
	PATH_ROOM = 4096 + 16, PIECE = 32 << 10, LOCKED_MAX = 64,
};

static const char from_word[] = "From ";

/* What goes to the file, in large writes. MATCHED: how much of "From " the line has, behind any number of
 * '>'; at most that is held back, since one '>' more may stand anywhere among them. */
struct writer {
	int fd;
	char bytes[PIECE];
	size_t used;
	bool is_at_start;
	size_t matched;
};

static void pause_for_lock(void)
{
	struct timespec pause = { .tv_nsec = LOCK_PAUSE_MS * 1000000L };

	nanosleep(&pause, NULL);
}

/* ---- locks ---- */

/* An old lock is one whose owner died. */
static void break_stale_lock(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0 && time(NULL) - st.st_mtime > LOCK_STALE_SECONDS)
		unlink(path);
}

/* *IS_HELD: there is a lock to remove. Where the folder can't be written (/var/mail), the fcntl lock is all. */
static enum result dotlock(const char *path, uint64_t deadline_ms, bool *is_held, struct why *why)
{
	char pid[32];
	int fd, length = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());

	*is_held = false;
	while ((fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)) < 0) {
		if (errno == EACCES || errno == EPERM)
			return RESULT_OK;
		if (errno != EEXIST)
			return why_errno(why, RESULT_RETRY, "make the lock %s", path);
		if (time_monotonic_ms() >= deadline_ms)
			return why_set(why, RESULT_RETRY, "lock the mbox: %s is held by another program", path);
		break_stale_lock(path);
		pause_for_lock();
	}
	*is_held = true;
	(void)!write(fd, pid, (size_t)length);	/* for people only */
	close(fd);
	return RESULT_OK;
}

static enum result lock_file(int fd, const char *path, uint64_t deadline_ms, struct why *why)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	while (fcntl(fd, F_SETLK, &lock) != 0) {
		if (errno != EACCES && errno != EAGAIN && errno != EINTR)
			return why_errno(why, RESULT_RETRY, "lock %s", path);
		if (time_monotonic_ms() >= deadline_ms)
			return why_set(why, RESULT_RETRY, "lock %s: another program holds it", path);
		pause_for_lock();
	}
	return RESULT_OK;
}

/* Mboxes for which somebody waited in vain, and until when nobody waits again: each message in hand for one would hold up all
 * that is behind it as long. A new one takes the place of another. */
static struct { uint64_t path, until_ms; } locked[LOCKED_MAX];

static uint64_t hash_of(const char *path)
{
	uint64_t hash = 14695981039346656037u;

	for (; *path != '\0'; path++)
		hash = (hash ^ (unsigned char)*path) * 1099511628211u;
	return hash;
}

static uint64_t lock_deadline_ms(uint64_t hash)
{
	uint64_t now = time_monotonic_ms();
	bool is_locked = locked[hash % LOCKED_MAX].path == hash && now < locked[hash % LOCKED_MAX].until_ms;

	return is_locked ? 0 : now + LOCK_WAIT_MS;
}

/* A try without a wait begins no new time. */
static void note_failure(uint64_t hash, uint64_t deadline_ms)
{
	uint64_t now = time_monotonic_ms();

	if (deadline_ms == 0 || now < deadline_ms)
		return;
	locked[hash % LOCKED_MAX].path = hash;
	locked[hash % LOCKED_MAX].until_ms = now + LOCK_WAIT_MS;
}

/* ---- writing ---- */

static enum result writer_flush(struct writer *writer, struct why *why)
{
	const char *at = writer->bytes;

	while (writer->used > 0) {
		ssize_t put = write(writer->fd, at, writer->used);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return why_errno(why, RESULT_RETRY, "write the mbox");
		at += put;
		writer->used -= (size_t)put;
	}
	return RESULT_OK;
}

static enum result put(struct writer *writer, const char *bytes, size_t length, struct why *why)
{
	while (length > 0) {
		size_t room = sizeof(writer->bytes) - writer->used;

		if (room > length)
			room = length;
		memcpy(writer->bytes + writer->used, bytes, room);
		writer->used += room;
		bytes += room;
		length -= room;
		if (writer->used == sizeof(writer->bytes) && writer_flush(writer, why) != RESULT_OK)
			return RESULT_RETRY;
	}
	return RESULT_OK;
}

/* The start of a line, up to where it is known whether it needs a '>'. */
static enum result put_start(struct writer *writer, const char **at, const char *end, struct why *why)
{
	enum result result = RESULT_OK;

	while (result == RESULT_OK && *at < end && writer->is_at_start) {
		char c = **at;

		if (c == '>' && writer->matched == 0) {
			result = put(writer, ">", 1, why);
			(*at)++;
		} else if (c == from_word[writer->matched]) {
			(*at)++;
			if (++writer->matched < sizeof(from_word) - 1)
				continue;
			result = put(writer, ">From ", 6, why);
			writer->is_at_start = false;
		} else {
			result = put(writer, from_word, writer->matched, why);
			writer->is_at_start = false;
		}
	}
	return result;
}

static enum result put_quoted(struct writer *writer, const char *bytes, size_t length, struct why *why)
{
	const char *at = bytes, *end = bytes + length, *lf;
	enum result result = RESULT_OK;

	while (result == RESULT_OK && at < end) {
		result = put_start(writer, &at, end, why);
		if (result != RESULT_OK || writer->is_at_start)
			break;
		lf = memchr(at, '\n', (size_t)(end - at));
		result = put(writer, at, (size_t)((lf != NULL ? lf + 1 : end) - at), why);
		at = lf != NULL ? lf + 1 : end;
		if (lf != NULL) {
			writer->is_at_start = true;
			writer->matched = 0;
		}
	}
	return result;
}

/* "From sender date": blanks in the sender would shift the date. */
static enum result put_from_line(struct writer *writer, const char *reverse_path, struct why *why)
{
	char line[512], date[32];
	time_t now = time(NULL);
	struct tm tm;
	int length;

	gmtime_r(&now, &tm);
	length = snprintf(line, sizeof(line), "From %s ", reverse_path[0] != '\0' ? reverse_path : "MAILER-DAEMON");
	for (int i = 5; i < length - 1; i++)
		if (line[i] == ' ' || line[i] == '\t')
			line[i] = '_';
	length += snprintf(line + length, sizeof(line) - (size_t)length, "%s", asctime_r(&tm, date));
	return put(writer, line, (size_t)length, why);
}

/* A message before that does not end in a blank line gets one: its writer may have been another program. */
static enum result put_separation(struct writer *writer, off_t size, struct why *why)
{
	char last[2] = "\n\n";

	if (size >= 2 && pread(writer->fd, last, 2, size - 2) != 2)
		return why_errno(why, RESULT_RETRY, "read the end of the mbox");
	if (size == 1)
		last[0] = 'x';
	if (last[1] != '\n')
		return put(writer, "\n\n", 2, why);
	return last[0] != '\n' ? put(writer, "\n", 1, why) : RESULT_OK;
}

static enum result put_message(struct writer *writer, struct content *content, struct why *why)
{
	char piece[8192];
	size_t length;
	enum result result;

	writer->is_at_start = true;
	writer->matched = 0;
	while ((result = content_read(content, piece, sizeof(piece), &length, why)) == RESULT_OK)
		if (put_quoted(writer, piece, length, why) != RESULT_OK)
			return RESULT_RETRY;
	if (result != RESULT_END)
		return result;
	return put(writer, "\n", 1, why);
}

/* *IS_NEW: its name may not be durable yet. */
static enum result open_mbox(const char *path, int *fd, bool *is_new, struct why *why)
{
	struct stat st;

	*fd = open(path, O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (*fd < 0 && errno == ENOENT)
		*fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (*fd < 0)
		return why_errno(why, RESULT_RETRY, "open %s", path);
	*is_new = true;
	if (fstat(*fd, &st) == 0 && S_ISREG(st.st_mode)) {
		*is_new = st.st_size == 0;
		return RESULT_OK;
	}
	close(*fd);
	return why_set(why, RESULT_RETRY, "write to %s: it is no regular file", path);
}

/* Another program may have removed the file, or moved it away, while it held the lock: what is written then is read by nobody. */
static bool is_in_place(int fd, const char *path)
{
	struct stat opened, named;

	return fstat(fd, &opened) == 0 && lstat(path, &named) == 0 && opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

static enum result open_locked(const char *path, uint64_t deadline_ms, int *fd, bool *is_new, struct why *why)
{
	enum result result = open_mbox(path, fd, is_new, why);

	if (result != RESULT_OK)
		return result;
	result = lock_file(*fd, path, deadline_ms, why);
	if (result == RESULT_OK && !is_in_place(*fd, path))
		result = why_set(why, RESULT_RETRY, "lock %s: another program has replaced it meanwhile", path);
	if (result != RESULT_OK)
		close(*fd);
	return result;
}

static enum result sync_parent(const char *path, struct why *why)
{
	char parent[PATH_ROOM];
	const char *slash = strrchr(path, '/');
	int fd, failed;

	snprintf(parent, sizeof(parent), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return RESULT_OK;	/* it may be closed to us; the file itself is durable */
	failed = fsync(fd);
	close(fd);
	return failed == 0 ? RESULT_OK : why_errno(why, RESULT_RETRY, "sync %s", parent);
}

/* FD is locked. On failure the file gets its old length back. */
static enum result append(int fd, const char *reverse_path, const char *prefix, size_t prefix_length,
                          struct content *content, struct why *why)
{
	static struct writer writer;
	struct stat st;
	enum result result;

	if (fstat(fd, &st) != 0)
		return why_errno(why, RESULT_RETRY, "look at the mbox");
	writer.fd = fd;
	writer.used = 0;
	result = put_separation(&writer, st.st_size, why);
	if (result == RESULT_OK)
		result = put_from_line(&writer, reverse_path, why);
	if (result == RESULT_OK)
		result = put(&writer, prefix, prefix_length, why);
	if (result == RESULT_OK)
		result = put_message(&writer, content, why);
	if (result == RESULT_OK)
		result = writer_flush(&writer, why);
	if (result == RESULT_OK && fsync(fd) != 0)
		result = why_errno(why, RESULT_RETRY, "sync the mbox");
	if (result != RESULT_OK && ftruncate(fd, st.st_size) == 0)
		(void)fsync(fd);
	return result;
}

enum result mbox_deliver(const char *path, const char *reverse_path, const char *prefix, size_t prefix_length,
                         int message, uint64_t offset, uint64_t length, struct why *why)
{
	uint64_t hash = hash_of(path), deadline_ms = lock_deadline_ms(hash);
	char lock[PATH_ROOM];
	struct content content;
	bool is_held, is_new;
	enum result result;
	int fd;

	if (snprintf(lock, sizeof(lock), "%s.lock", path) >= (int)sizeof(lock))
		return why_set(why, RESULT_RETRY, "open an mbox: its path is too long");
	content_start(&content, message, offset, length);
	result = dotlock(lock, deadline_ms, &is_held, why);
	if (result == RESULT_OK)
		result = open_locked(path, deadline_ms, &fd, &is_new, why);
	if (result != RESULT_OK) {
		note_failure(hash, deadline_ms);
	} else {
		result = append(fd, reverse_path, prefix, prefix_length, &content, why);
		if (result == RESULT_OK && is_new)
			result = sync_parent(path, why);
		close(fd);
	}
	if (is_held)
		unlink(lock);
	return result;
}
