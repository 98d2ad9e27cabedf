#include "durable.h"

#include "text.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

static enum durable_policy policy = DURABLE_FILES;
static dev_t root_device;
static atomic_uint_fast64_t rest_until_ms;

/* Since Linux 5.17 syncfs tells of a journal that failed, since 5.8 of data. */
static bool kernel_tells_errors(void)
{
	struct utsname name;
	unsigned long major, minor;
	char *end;

	if (uname(&name))
		return false;
	major = strtoul(name.release, &end, 10);
	minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
	return major > 5 || (major == 5 && minor >= 17);
}

void durable_configure(enum durable_policy wanted)
{
	struct stat root;

	policy = kernel_tells_errors() && !stat("/", &root) ? wanted : DURABLE_FILES;
	if (policy != DURABLE_FILES)
		root_device = root.st_dev;
}

static bool is_known_kind(int fd)
{
	static const uint32_t kinds[] = { EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC };
	struct statfs facts;

	if (fstatfs(fd, &facts))
		return false;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if ((uint32_t)facts.f_type == kinds[i])
			return true;
	return false;
}

static bool is_wise(int fd)
{
	struct stat st;

	if (policy == DURABLE_FILESYSTEM)
		return true;
	return !fstat(fd, &st) && st.st_dev != root_device && is_known_kind(fd);
}

/* ---- one syncfs ---- */

/* false: not done, an fsync each is better; *ERROR is the syncfs's. */
static bool sync_filesystem(int fd, size_t count, int *error)
{
	uint64_t started_ms;

	if (policy == DURABLE_FILES || count < DURABLE_FEWEST)
		return false;
	started_ms = time_monotonic_ms();
	if (started_ms < atomic_load(&rest_until_ms) || !is_wise(fd))
		return false;
	*error = syncfs(fd) ? errno : 0;
	if (time_monotonic_ms() - started_ms > DURABLE_SLOW_MS)
		atomic_store(&rest_until_ms, time_monotonic_ms() + DURABLE_REST_MS);
	return true;
}

/* The answer of a syncfs goes to one of those who share a descriptor: whether writing just this file failed is asked anew. */
static int file_error(int fd)
{
	return sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE) ? errno : 0;
}

/* ---- fsyncs, several at a time ---- */

static struct pool {
	pthread_mutex_t owner;		/* held by whose files they are */
	pthread_mutex_t lock;		/* for all below */
	pthread_cond_t more, over;
	struct durable *files;
	size_t count, next, finished;
	unsigned threads;
	bool is_started;
} pool = { .owner = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER, .over = PTHREAD_COND_INITIALIZER };

static void sync_one(struct durable *file)
{
	file->error = fsync(file->fd) ? errno : 0;
}

/* With the lock, until there is none left to begin. */
static void sync_while_any(void)
{
	while (pool.next < pool.count) {
		struct durable *file = &pool.files[pool.next++];
		pthread_mutex_unlock(&pool.lock);
		sync_one(file);
		pthread_mutex_lock(&pool.lock);
		if (++pool.finished == pool.count)
			pthread_cond_signal(&pool.over);
	}
}

static void *help(void *unused)
{
	pthread_mutex_lock(&pool.lock);
	for (;;) {
		sync_while_any();
		pthread_cond_wait(&pool.more, &pool.lock);
	}
	return unused;
}

/* They live as long as the process. Signals are the loop's. */
static void start_threads(void)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t thread;

	pool.is_started = true;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	while (pool.threads < DURABLE_THREADS - 1 && !pthread_create(&thread, &attributes, help, NULL))
		pool.threads++;
	pthread_attr_destroy(&attributes);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static bool sync_with_help(struct durable *files, size_t count)
{
	size_t i;

	if (pthread_mutex_trylock(&pool.owner))
		return false;
	if (!pool.is_started)
		start_threads();
	pthread_mutex_lock(&pool.lock);
	pool.files = files;
	pool.count = count;
	pool.next = pool.finished = 0;
	for (i = 0; i < pool.threads && i + 1 < count; i++)
		pthread_cond_signal(&pool.more);
	sync_while_any();
	while (pool.finished < pool.count)
		pthread_cond_wait(&pool.over, &pool.lock);
	pool.count = 0;
	pthread_mutex_unlock(&pool.lock);
	pthread_mutex_unlock(&pool.owner);
	return true;
}

void durable_make(struct durable *files, size_t count, bool are_neighbours)
{
	size_t i;
	int error = 0;

	if (count > 0 && are_neighbours && sync_filesystem(files[0].fd, count, &error)) {
		for (i = 0; i < count; i++)
			files[i].error = error ? error : file_error(files[i].fd);
		return;
	}
	/* all on their way first, so that the disk may take them side by side */
	for (i = 0; count > 1 && i < count; i++)
		(void)sync_file_range(files[i].fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	if (count > DURABLE_ALONE && sync_with_help(files, count))
		return;
	for (i = 0; i < count; i++)
		sync_one(&files[i]);
}
