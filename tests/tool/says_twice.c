/* For LD_PRELOAD: a process that began a session of its own (setsid), as the keeper of a program does, says all it says twice. */
#include <dlfcn.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

static bool is_keeper;

pid_t setsid(void)
{
	__typeof__(&setsid) real = (__typeof__(&setsid))dlsym(RTLD_NEXT, "setsid");

	is_keeper = true;
	return real();
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	__typeof__(&sendmsg) real = (__typeof__(&sendmsg))dlsym(RTLD_NEXT, "sendmsg");
	ssize_t sent = real(fd, message, flags);

	if (is_keeper && sent > 0 && real(fd, message, flags) < 0)
		return sent;
	return sent;
}
