/* For LD_PRELOAD: a disk with troubles. Each lasts as long as its file is in the folder that ODD_DISK names:
 *   slow		fsync waits
 *   unsure		fsync of a file fails
 *   stuck		nothing can be unlinked
 *   unmovable		nothing can be moved
 *   full		no file can be made
 *   unreadable-NAME	the file NAME can't be opened to be read */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOOK_US = 20000 };

static bool is_on(const char *trouble, const char *name)
{
	const char *folder = getenv("ODD_DISK");
	char path[PATH_MAX];

	return folder && snprintf(path, sizeof path, "%s/%s%s", folder, trouble, name) < PATH_MAX && access(path, F_OK) == 0;
}

int fsync(int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
	struct stat st;

	while (is_on("slow", ""))
		usleep(LOOK_US);
	if (is_on("unsure", "") && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		errno = EIO;
		return -1;
	}
	return real(fd);
}

int unlinkat(int at, const char *path, int flags)
{
	int (*real)(int, const char *, int) = (int (*)(int, const char *, int))dlsym(RTLD_NEXT, "unlinkat");

	if (is_on("stuck", "")) {
		errno = EIO;
		return -1;
	}
	return real(at, path, flags);
}

int renameat2(int from, const char *a, int to, const char *b, unsigned flags)
{
	int (*real)(int, const char *, int, const char *, unsigned) =
		(int (*)(int, const char *, int, const char *, unsigned))dlsym(RTLD_NEXT, "renameat2");

	if (is_on("unmovable", "")) {
		errno = EIO;
		return -1;
	}
	return real(from, a, to, b, flags);
}

int openat(int at, const char *path, int flags, ...)
{
	int (*real)(int, const char *, int, ...) = (int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, "openat");
	mode_t mode = 0;
	va_list arguments;

	va_start(arguments, flags);
	if (flags & O_CREAT)
		mode = va_arg(arguments, mode_t);
	va_end(arguments);
	if ((flags & O_CREAT) ? (flags & O_EXCL) && is_on("full", "") : is_on("unreadable-", path)) {
		errno = (flags & O_CREAT) ? ENOSPC : EIO;
		return -1;
	}
	return real(at, path, flags, mode);
}
