/* common/durable.c: when a syncfs stands for many fsyncs, and what its failure means for a batch. The calls are ours here. */
#include "common/durable.h"
#include "common/maildir.h"
#include "unit.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static unsigned whole, single, asked;
static int whole_errno, asked_errno;
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

int fsync(int fd)
{
	(void)fd;
	single++;
	return 0;
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
	whole = single = asked = 0;
	whole_errno = asked_errno = 0;
	is_slow = false;
}

static void a_syncfs_stands_for_many_files_where_it_may(void)
{
	static const struct { enum durable_policy policy; size_t count; bool is_done; } rows[] = {
		{ DURABLE_FILES, 100, false },
		{ DURABLE_FILESYSTEM, DURABLE_FEWEST - 1, false },
		{ DURABLE_FILESYSTEM, DURABLE_FEWEST, true },
		{ DURABLE_AUTO, 100, false },	/* the file system of the root directory is everybody's */
	};
	int error, root = open("/", O_RDONLY | O_DIRECTORY);

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		reset(rows[i].policy);
		error = -1;
		CHECK(durable_together(root, rows[i].count, &error) == rows[i].is_done);
		CHECK(whole == rows[i].is_done);
		CHECK(!rows[i].is_done || error == 0);
	}
	close(root);
}

static void each_file_has_its_own_end(void)
{
	reset(DURABLE_FILESYSTEM);
	CHECK(durable_finish(0, false, 0) == 0 && single == 1 && asked == 0);
	CHECK(durable_finish(0, true, 0) == 0 && single == 1 && asked == 1);
	CHECK(durable_finish(0, true, EIO) == -1 && errno == EIO);
	asked_errno = ENOSPC;
	CHECK(durable_finish(0, true, 0) == -1 && errno == ENOSPC);
	CHECK(single == 1);
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

static void a_batch_of_deliveries_shares_two(void)
{
	char base[] = "/tmp/dawk-unit-XXXXXX", path[64], command[80];

	CHECK(mkdtemp(base) != NULL);
	snprintf(path, sizeof path, "%s/mailbox", base);
	reset(DURABLE_FILESYSTEM);
	CHECK(commit_batch(base, path) == ITEMS);
	CHECK(whole == 2 && single == 0 && asked == ITEMS);
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
	int error;

	reset(DURABLE_FILESYSTEM);
	is_slow = true;
	CHECK(durable_together(0, 100, &error) && error == 0);
	CHECK(!durable_together(0, 100, &error));
	CHECK(whole == 1);
}

int main(void)
{
	UNIT_RUN(a_syncfs_stands_for_many_files_where_it_may);
	UNIT_RUN(each_file_has_its_own_end);
	UNIT_RUN(a_batch_of_deliveries_shares_two);
	UNIT_RUN(one_that_took_long_is_left_alone);
	return unit_end();
}
