/* For LD_PRELOAD: makes one system call of a whole suite fail. The file that FAILING_CALLS names is mapped by every process:
 * "CALL ERRNO COUNTDOWN " as text, the call with which COUNTDOWN comes to nothing fails with ERRNO; 0 writes a part alone.
 * Descriptors below 3 are left in peace, so that what is logged is seen. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static struct plan { char call[24]; int32_t error, countdown; } *plan;

__attribute__((constructor)) static void map_plan(void)
{
	const char *file = getenv("FAILING_CALLS");
	int fd = file ? open(file, O_RDWR | O_CLOEXEC) : -1;
	void *map = fd >= 0 ? mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;

	if (fd >= 0)
		close(fd);
	plan = map == MAP_FAILED ? NULL : map;
}

static bool fails(const char *call)
{
	if (!plan || strncmp(plan->call, call, sizeof plan->call) || __atomic_load_n(&plan->countdown, __ATOMIC_RELAXED) <= 0)
		return false;
	if (__atomic_sub_fetch(&plan->countdown, 1, __ATOMIC_RELAXED) != 0)
		return false;
	errno = plan->error;
	return true;
}

/* What a disk may refuse; what wakes a thread of ours can't fail. */
static bool is_on_disk(int fd)
{
	struct stat st;

	return fd > 2 && fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode));
}

#define REAL(call) __typeof__(&call) real = (__typeof__(&call))dlsym(RTLD_NEXT, #call)

/* Of listeners alone: they are the ones that nobody else would see to. "epoll_del" is the call that takes one out. */
int epoll_ctl(int epoll, int act, int fd, struct epoll_event *event)
{
	REAL(epoll_ctl);
	int is_listening = 0;
	socklen_t size = sizeof is_listening;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) || !is_listening)
		return real(epoll, act, fd, event);
	return fails(act == EPOLL_CTL_DEL ? "epoll_del" : "epoll_ctl") ? -1 : real(epoll, act, fd, event);
}

int fsync(int fd)
{
	REAL(fsync);
	return fails("fsync") ? -1 : real(fd);
}

int renameat2(int from, const char *a, int to, const char *b, unsigned flags)
{
	REAL(renameat2);
	return fails("renameat2") ? -1 : real(from, a, to, b, flags);
}

int renameat(int from, const char *a, int to, const char *b)
{
	REAL(renameat);
	return fails("renameat") ? -1 : real(from, a, to, b);
}

int unlinkat(int at, const char *path, int flags)
{
	REAL(unlinkat);
	return fails("unlinkat") ? -1 : real(at, path, flags);
}

int futimens(int fd, const struct timespec times[2])
{
	REAL(futimens);
	return fails("futimens") ? -1 : real(fd, times);
}

/* Of files without a name alone, which not each file system knows. */
int open(const char *path, int flags, ...)
{
	REAL(open);
	va_list arguments;
	va_start(arguments, flags);
	mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
	va_end(arguments);
	return (flags & O_TMPFILE) == O_TMPFILE && fails("open") ? -1 : real(path, flags, mode);
}

int openat(int at, const char *path, int flags, ...)
{
	REAL(openat);
	va_list arguments;
	va_start(arguments, flags);
	mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
	va_end(arguments);
	return fails("openat") ? -1 : real(at, path, flags, mode);
}

ssize_t pread(int fd, void *bytes, size_t length, off_t offset)
{
	REAL(pread);
	return fails("pread") ? -1 : real(fd, bytes, length, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
	REAL(pwrite);
	if (!fails("pwrite"))
		return real(fd, bytes, length, offset);
	return plan->error ? -1 : real(fd, bytes, (length + 1) / 2, offset);
}

ssize_t write(int fd, const void *bytes, size_t length)
{
	REAL(write);
	if (!is_on_disk(fd) || !fails("write"))
		return real(fd, bytes, length);
	return plan->error ? -1 : real(fd, bytes, (length + 1) / 2);
}

ssize_t writev(int fd, const struct iovec *pieces, int count)
{
	REAL(writev);
	if (!is_on_disk(fd) || !fails("writev"))
		return real(fd, pieces, count);
	struct iovec part = { pieces[0].iov_base, (pieces[0].iov_len + 1) / 2 };
	return plan->error ? -1 : real(fd, &part, 1);
}
