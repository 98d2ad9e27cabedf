/* See helper.h. */
#include "helper.h"

#include "log.h"
#include "text.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum { AGAIN_MS = 1000 };

static unsigned limit_seconds;
static uint64_t limit_from_ms;

void helper_limit(unsigned seconds)
{
	static timer_t timer;
	static bool is_made;
	/* no library can block, catch or ignore it */
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
	const struct itimerspec due = { .it_value.tv_sec = seconds };

	if (!is_made && timer_create(CLOCK_MONOTONIC, &event, &timer) == 0)
		is_made = true;
	if (is_made)
		timer_settime(timer, 0, &due, NULL);
	limit_seconds = seconds;
	limit_from_ms = time_monotonic_ms();
}

void helper_limit_again(void)
{
	if (limit_seconds && time_monotonic_ms() - limit_from_ms >= AGAIN_MS)
		helper_limit(limit_seconds);
}

int helper_open(struct channel *channel, uint64_t serial, const char *path)
{
	const struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS };
	const struct wire_value values[PATH_APART_FIELDS] = { WIRE_NUMBER(serial) };
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
	struct stat status;
	struct why why;

	if (fd >= 0) {
		(void)fstat(fd, &status);	/* to open a mount's own folder asks nobody */
	} else if (errno == ELOOP || errno == ENOSYS) {	/* Linux before 5.6 can't tell: then each may lie behind one */
		channel_send(channel, FRAME_PATH_APART, values, -1, NULL);
		(void)channel_flush(channel, &why);
		errno = ELOOP;
	}
	return fd;
}

int helper_run(int fd, const struct helper_duty *duty)
{
	struct channel channel;
	struct why why = { 0 };
	struct frame f;
	bool goes_on = true;

	prctl(PR_SET_NAME, duty->name);
	helper_limit(duty->seconds);	/* accounts are looked up for the walls, and folders opened */
	if (duty->enter(duty->context, &why) != RESULT_OK || channel_open(&channel, NULL, fd, NULL, NULL, &why) != RESULT_OK) {
		log_failure(duty->log_none, &why);
		return EX_OSERR;
	}
	helper_limit(0);
	while (goes_on && channel_wait(&channel, &f, -1, &why) == RESULT_OK) {
		helper_limit(duty->seconds);
		goes_on = duty->answer(&channel, &f);
		helper_limit(0);
	}
	(void)channel_flush(&channel, &why);
	channel_close(&channel);
	return EX_OK;
}
