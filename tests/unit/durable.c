/* common/durable.c: when a syncfs stands for many fsyncs, fsyncs several at a time, and what a failure means for a batch. The calls
 * are ours here. */
#include "common/durable.h"
#include "common/maildir.h"
#include "unit.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static unsigned whole, asked;
static atomic_uint single, under_way, most;
static int whole_errno, asked_errno, bad_fd = -1;
static bool is_slow;

int syncfs(int fd)
{
	struct timespec slow = { .tv_nsec = (DURABLE_SLOW_MS + 50) * 1000000L };

	(void)fd;
	whole++;
	if (is_slow)
		nanosleep(&slow, NULL);
	errno = whole_errno;
	return whole_errno ? -1 : 0;
}

/* Each takes long enough for the others to begin. */
int fsync(int fd)
{
	struct timespec while_others_come = { .tv_nsec = 2000000 };
	unsigned now = atomic_fetch_add(&under_way, 1) + 1, seen = atomic_load(&most);

	while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now))
		;
	if (is_slow)
		nanosleep(&while_others_come, NULL);
	atomic_fetch_sub(&under_way, 1);
	atomic_fetch_add(&single, 1);
	errno = EIO;
	return fd == bad_fd ? -1 : 0;
}

int sync_file_range(int fd, off64_t offset, off64_t length, unsigned flags)
{
	(void)fd, (void)offset, (void)length;
	if (flags != SYNC_FILE_RANGE_WAIT_BEFORE)
		return 0;
	asked++;
	errno = asked_errno;
	return asked_errno ? -1 : 0;
}

static void reset(enum durable_policy policy)
{
	durable_configure(policy);
	whole = asked = 0;
	single = most = 0;
	whole_errno = asked_errno = 0;
	is_slow = false;
}

static void all_are(struct durable files[100], int fd)
{
	for (int i = 0; i < 100; i++)
		files[i] = (struct durable){ .fd = fd, .error = -1 };
}

static unsigned failures(const struct durable *files, size_t count)
{
	unsigned failures = 0;

	for (size_t i = 0; i < count; i++)
		failures += files[i].error != 0;
	return failures;
}

static void a_syncfs_stands_for_many_files_where_it_may(void)
{
	static const struct { enum durable_policy policy; size_t count; bool is_done; } rows[] = {
		{ DURABLE_FILES, 100, false },
		{ DURABLE_FILESYSTEM, DURABLE_FEWEST - 1, false },
		{ DURABLE_FILESYSTEM, DURABLE_FEWEST, true },
		{ DURABLE_AUTO, 100, false },	/* the file system of the root directory is everybody's */
	};
	struct durable files[100];
	int root = open("/", O_RDONLY | O_DIRECTORY);

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		reset(rows[i].policy);
		all_are(files, root);
		durable_make(files, rows[i].count, true);
		CHECK(whole == rows[i].is_done && single == (rows[i].is_done ? 0 : rows[i].count));
		CHECK(failures(files, rows[i].count) == 0);
	}
	reset(DURABLE_FILESYSTEM);
	durable_make(files, 100, false);	/* on several file systems */
	CHECK(whole == 0 && single == 100);
	close(root);
}

static void each_file_has_its_own_end(void)
{
	struct durable files[100];

	all_are(files, 0);
	reset(DURABLE_FILESYSTEM);
	durable_make(files, 100, true);
	CHECK(single == 0 && asked == 100 && failures(files, 100) == 0);
	asked_errno = ENOSPC;
	durable_make(files, 100, true);
	CHECK(files[7].error == ENOSPC && failures(files, 100) == 100);
	asked_errno = 0;
	whole_errno = EIO;
	durable_make(files, 100, true);
	CHECK(files[7].error == EIO && failures(files, 100) == 100);
	reset(DURABLE_FILES);
	files[3].fd = files[99].fd = bad_fd = 1;
	durable_make(files, 100, true);
	CHECK(files[3].error == EIO && files[99].error == EIO && failures(files, 100) == 2);
	bad_fd = -1;
	durable_make(files, 0, true);
	CHECK(single == 100);
}

static void fsyncs_go_side_by_side_and_never_too_many(void)
{
	struct durable files[100];

	all_are(files, 0);
	reset(DURABLE_FILES);
	is_slow = true;
	durable_make(files, 100, true);
	CHECK(single == 100 && failures(files, 100) == 0);
	CHECK(most > 1 && most <= DURABLE_THREADS);
	reset(DURABLE_FILES);
	durable_make(files, DURABLE_ALONE, true);
	CHECK(single == DURABLE_ALONE && most == 1);
}

static void *make_many(void *unused)
{
	struct durable files[100];

	for (int i = 0; i < 50; i++) {
		all_are(files, 0);
		files[i % 20].fd = bad_fd;
		durable_make(files, 20, true);
		if (failures(files, 20) != 1 || !files[i % 20].error)
			return unused;
	}
	return NULL;
}

static void two_callers_do_not_meet(void)
{
	pthread_t thread;
	void *trouble;
	char one;

	reset(DURABLE_FILES);
	bad_fd = 1;
	CHECK(pthread_create(&thread, NULL, make_many, &one) == 0);
	CHECK(make_many(&one) == NULL);
	pthread_join(thread, &trouble);
	CHECK(trouble == NULL && single == 2 * 50 * 20);
	bad_fd = -1;
}

enum { ITEMS = 2 * DURABLE_FEWEST };

/* How many of a batch of ITEMS in the maildir PATH are said to be durable. */
static unsigned commit_batch(const char *base, const char *path)
{
	struct maildir_item items[ITEMS];
	struct maildir_folder *folder;
	struct why why;
	unsigned good = 0;
	int message = open(base, O_TMPFILE | O_RDWR, 0600);

	CHECK(write(message, "a\r\n", 3) == 3);
	for (size_t i = 0; i < ITEMS; i++) {
		CHECK(maildir_open(path, &folder, &why) == RESULT_OK);
		CHECK(maildir_write(folder, "host", "", 0, message, 0, 3, &items[i], &why) == RESULT_OK);
	}
	single = 0;
	maildir_commit(items, ITEMS);
	for (size_t i = 0; i < ITEMS; i++)
		good += items[i].result == RESULT_OK;
	close(message);
	return good;
}

static void a_batch_of_deliveries_shares_one(void)
{
	char base[] = "/tmp/dawk-unit-XXXXXX", path[64], command[80];

	CHECK(mkdtemp(base) != NULL);
	snprintf(path, sizeof path, "%s/mailbox", base);
	reset(DURABLE_FILESYSTEM);
	CHECK(commit_batch(base, path) == ITEMS);
	CHECK(whole == 1 && single == 1 && asked == ITEMS);	/* the one folder by itself */
	whole_errno = EIO;
	CHECK(commit_batch(base, path) == 0);		/* none of it is known to be durable */
	whole_errno = 0;
	asked_errno = EIO;
	CHECK(commit_batch(base, path) == 0);
	snprintf(command, sizeof command, "rm -r %s", base);
	CHECK(system(command) == 0);
}

static void one_that_took_long_is_left_alone(void)
{
	struct durable files[100];

	all_are(files, 0);
	reset(DURABLE_FILESYSTEM);
	is_slow = true;
	durable_make(files, 100, true);
	CHECK(whole == 1 && single == 0 && failures(files, 100) == 0);
	durable_make(files, 100, true);
	CHECK(whole == 1 && single == 100 && failures(files, 100) == 0);
}

int main(void)
{
	UNIT_RUN(a_syncfs_stands_for_many_files_where_it_may);
	UNIT_RUN(each_file_has_its_own_end);
	UNIT_RUN(fsyncs_go_side_by_side_and_never_too_many);
	UNIT_RUN(two_callers_do_not_meet);
	UNIT_RUN(a_batch_of_deliveries_shares_one);
	UNIT_RUN(one_that_took_long_is_left_alone);
	return unit_end();
}
