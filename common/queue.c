#include "queue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ID_TIME_DIGITS = 11, ID_RANDOM_DIGITS = 9 };

static const char id_digits[] = "0123456789abcdefghjkmnpqrstvwxyz";	/* in the order of ASCII: IDs sort by time */

const char *const queue_place_names[QUEUE_PLACES] = {
	[QUEUE_TMP] = "tmp", [QUEUE_NEW] = "new", [QUEUE_CUR] = "cur",
	[QUEUE_STATE] = "state", [QUEUE_HOLD] = "hold", [QUEUE_CORRUPT] = "corrupt",
};

static void put_digits(char *out, int count, uint64_t number)
{
	while (count--) {
		out[count] = id_digits[number & 31];
		number >>= 5;
	}
}

void queue_id_make(char id[QUEUE_ID_LENGTH + 1])
{
	static uint64_t last;
	uint64_t now = time_real_us(), chance;

	if (now <= last)
		now = last + 1;	/* the clock stood still or went back */
	last = now;
	random_bytes(&chance, sizeof chance);
	put_digits(id, ID_TIME_DIGITS, now);
	put_digits(id + ID_TIME_DIGITS, ID_RANDOM_DIGITS, chance);
	id[QUEUE_ID_LENGTH] = 0;
}

/* What a digit is worth, and one: 0 is none. In ASCII they lie as in id_digits, without i, l, o and u. */
static unsigned worth(char digit)
{
	static const unsigned char letters[26] = { 11, 12, 13, 14, 15, 16, 17, 18, 0, 19, 20, 0, 21, 22, 0, 23, 24, 25, 26, 27, 0, 28, 29, 30, 31, 32 };

	if (digit >= '0' && digit <= '9')
		return (unsigned)(digit - '0') + 1;
	return digit >= 'a' && digit <= 'z' ? letters[digit - 'a'] : 0;
}

bool queue_id_is_valid(const char *id, size_t length)
{
	size_t i;

	if (length != QUEUE_ID_LENGTH)
		return false;
	for (i = 0; i < length; i++)
		if (!worth(id[i]))
			return false;
	return true;
}

uint64_t queue_id_time_us(const char *id)
{
	uint64_t time = 0;
	int i;

	for (i = 0; i < ID_TIME_DIGITS; i++) {
		unsigned digit = worth(id[i]);

		time = time << 5 | (digit ? digit - 1 : 0);
	}
	return time;
}

void queue_trailer(char out[QUEUE_TRAILER_LENGTH + 1], uint64_t content_length)
{
	snprintf(out, QUEUE_TRAILER_LENGTH + 1, "\nlength %020llu\nend dawk\n", (unsigned long long)content_length);
}

/* ---- directories ---- */

static void queue_close(struct queue_directories *queue)
{
	int i;

	for (i = 0; i < QUEUE_PLACES; i++)
		if (queue->place[i] >= 0)
			close(queue->place[i]);
	if (queue->root >= 0)
		close(queue->root);
}

enum result queue_open(const char *path, unsigned places, struct queue_directories *queue, struct why *why)
{
	int i;

	*queue = (struct queue_directories){ .root = -1, .trigger = -1 };
	for (i = 0; i < QUEUE_PLACES; i++)
		queue->place[i] = -1;
	queue->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (queue->root < 0)
		return why_errno(why, RESULT_NEVER, "unable to open the queue %s (`dawk init` or `make setup` makes it)", path);
	for (i = 0; i < QUEUE_PLACES; i++) {
		if (!(places & 1u << i))
			continue;
		queue->place[i] = openat(queue->root, queue_place_names[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (queue->place[i] < 0) {
			why_errno(why, RESULT_NEVER, "unable to open %s/%s (`dawk init` or `make setup` makes it)",
			          path, queue_place_names[i]);
			queue_close(queue);
			return RESULT_NEVER;
		}
	}
	return RESULT_OK;
}

int queue_open_file(int directory, const char *id)
{
	static const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	int fd = openat(directory, id, flags | O_NOATIME);

	return fd < 0 && errno == EPERM ? openat(directory, id, flags) : fd;	/* EPERM: it is neither ours nor are we root */
}

/* The writer's end opens while a reader of our own holds the FIFO open; afterwards it lives on
 * without one: a write then fails with EPIPE until queued opens it again. */
enum result queue_open_trigger(const char *path, bool is_reader, struct queue_directories *queue, struct why *why)
{
	char name[4096];
	struct stat st;
	int both;

	if (snprintf(name, sizeof name, "%s/trigger", path) >= (int)sizeof name)
		return why_set(why, RESULT_NEVER, "the path of the queue is too long");
	both = open(name, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	if (both < 0)
		return why_errno(why, RESULT_NEVER, "unable to open %s (`dawk init` or `make setup` makes it)", name);
	if (fstat(both, &st) || !S_ISFIFO(st.st_mode)) {
		close(both);
		return why_set(why, RESULT_NEVER, "%s is no FIFO", name);
	}
	queue->trigger = both;
	if (is_reader)
		return RESULT_OK;
	queue->trigger = open(name, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	if (queue->trigger < 0)
		why_errno(why, RESULT_NEVER, "unable to open %s", name);
	close(both);
	return queue->trigger < 0 ? RESULT_NEVER : RESULT_OK;
}

/* ---- making ---- */

static enum result make_directory(int at, const char *path, mode_t mode, uid_t owner, gid_t group, struct why *why)
{
	int fd;
	bool is_bad;

	if (mkdirat(at, path, 0700) && errno != EEXIST)
		return why_errno(why, RESULT_RETRY, "unable to make %s", path);
	fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return why_errno(why, RESULT_RETRY, "unable to open %s", path);
	is_bad = (owner != (uid_t)-1 && fchown(fd, owner, group)) || fchmod(fd, mode);
	if (is_bad)
		why_errno(why, RESULT_RETRY, "unable to set owner and mode of %s", path);
	close(fd);
	return is_bad ? RESULT_RETRY : RESULT_OK;
}

static enum result make_trigger(int root, uid_t owner, gid_t writer, struct why *why)
{
	if (mkfifoat(root, "trigger", 0620) && errno != EEXIST)
		return why_errno(why, RESULT_RETRY, "unable to make the trigger");
	if ((owner != (uid_t)-1 && fchownat(root, "trigger", owner, writer, AT_SYMLINK_NOFOLLOW)) ||
	    fchmodat(root, "trigger", 0620, 0))
		return why_errno(why, RESULT_RETRY, "unable to set owner and mode of the trigger");
	return RESULT_OK;
}

enum result queue_make(const char *path, uid_t owner, gid_t writer, struct why *why)
{
	static const mode_t modes[QUEUE_PLACES] = {
		[QUEUE_TMP] = 01730, [QUEUE_NEW] = 01730, [QUEUE_CUR] = 0700,
		[QUEUE_STATE] = 0700, [QUEUE_HOLD] = 0700, [QUEUE_CORRUPT] = 0700,
	};
	enum result result = make_directory(AT_FDCWD, path, 0755, owner, writer, why);
	int i, root;

	if (result != RESULT_OK)
		return result;
	root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return why_errno(why, RESULT_RETRY, "unable to open %s", path);
	for (i = 0; i < QUEUE_PLACES && result == RESULT_OK; i++)
		result = make_directory(root, queue_place_names[i], modes[i], owner, writer, why);
	if (result == RESULT_OK)
		result = make_trigger(root, owner, writer, why);
	close(root);
	return result;
}
