#include "store.h"

#include "common/file.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char beside[] = ".new";

enum result store_write(int folder, const char *name, const char *text, size_t length, struct why *why)
{
	int fd = openat(folder, beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	bool is_written;

	if (fd < 0)
		return why_errno(why, RESULT_RETRY, "unable to make a file for %s", name);
	is_written = file_write(fd, text, length);
	if (!is_written)
		why_errno(why, RESULT_RETRY, "unable to write %s", name);
	close(fd);
	if (is_written && renameat(folder, beside, folder, name) == 0)
		return RESULT_OK;
	if (is_written)
		why_errno(why, RESULT_RETRY, "unable to rename the file of %s", name);
	unlinkat(folder, beside, 0);
	return RESULT_RETRY;
}

static enum result read_all(int fd, const char *name, char *text, size_t size, size_t *length, struct why *why)
{
	char more;

	*length = 0;
	for (;;) {
		ssize_t got = *length < size ? read(fd, text + *length, size - *length) : read(fd, &more, 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return why_errno(why, RESULT_RETRY, "unable to read %s", name);
		if (!got)
			return RESULT_OK;
		if (*length == size)
			return why_set(why, RESULT_NEVER, "%s is larger than it can be", name);
		*length += (size_t)got;
	}
}

enum result store_read(int folder, const char *name, char *text, size_t size, size_t *length, struct why *why)
{
	struct stat status;
	enum result result;
	int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return RESULT_END;
	if (fd < 0)
		return why_errno(why, RESULT_RETRY, "unable to open %s", name);
	if (fstat(fd, &status) || !S_ISREG(status.st_mode))
		result = why_set(why, RESULT_NEVER, "%s is no file", name);
	else
		result = read_all(fd, name, text, size, length, why);
	close(fd);
	return result;
}

void store_remove_before(int folder, const char *name, bool (*is_one)(const char *name))
{
	int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *item;

	if (!list) {
		if (copy >= 0)
			close(copy);
		return;
	}
	while ((item = readdir(list)))
		if (is_one(item->d_name) && strcmp(item->d_name, name) < 0)
			unlinkat(folder, item->d_name, 0);
	closedir(list);
}
