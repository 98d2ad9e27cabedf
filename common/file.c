/* Small acts on open files: see file.h. */
#include "file.h"

#include <errno.h>
#include <unistd.h>

bool file_write(int fd, const void *bytes, size_t length)
{
	const char *at = bytes;

	while (length > 0) {
		ssize_t wrote = write(fd, at, length);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			return false;
		at += wrote;
		length -= (size_t)wrote;
	}
	return true;
}
