#include "durable.h"

#include "text.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
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

bool durable_together(int fd, size_t count, int *error)
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

int durable_finish(int fd, bool is_done, int error)
{
	if (!is_done)
		return fsync(fd);
	if (error) {
		errno = error;
		return -1;
	}
	return sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE);
}
