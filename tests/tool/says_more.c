/* For LD_PRELOAD: a process behind walls, as a deliverer, that says something of its own before each RESULT, as one that was
 * taken over would: SAYS_MORE is "run" or "forward" and, behind a blank, its text. */
#include "../../common/wire.h"
#include <dlfcn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

enum { LENGTH = 4, AT_TYPE = 5, HEAD = 7, JOB_AND_INDEX = 16 };

static bool has_walls;

int prctl(int option, ...)
{
	__typeof__(&prctl) real = (__typeof__(&prctl))dlsym(RTLD_NEXT, "prctl");
	unsigned long words[4];
	va_list arguments;

	va_start(arguments, option);
	for (int i = 0; i < 4; i++)
		words[i] = va_arg(arguments, unsigned long);
	va_end(arguments);
	has_walls |= option == PR_SET_NO_NEW_PRIVS;
	return real(option, words[0], words[1], words[2], words[3]);
}

/* With the job and the index of the RESULT. */
static void say_more(int fd, const char *result)
{
	const char *words = getenv("SAYS_MORE"), *text = words ? strchr(words, ' ') : NULL;
	uint32_t length = text ? (uint32_t)strlen(++text) : 0, size = HEAD + JOB_AND_INDEX + LENGTH + length, rest = size - LENGTH;
	char frame[1024];

	if (!text || size > sizeof frame)
		return;
	memcpy(frame, &rest, LENGTH);
	memcpy(frame + LENGTH, result + LENGTH, HEAD - LENGTH + JOB_AND_INDEX);
	frame[AT_TYPE] = strncmp(words, "run ", 4) ? FRAME_FORWARD : FRAME_RUN;
	memcpy(frame + HEAD + JOB_AND_INDEX, &length, LENGTH);
	memcpy(frame + HEAD + JOB_AND_INDEX + LENGTH, text, length);
	(void)send(fd, frame, size, MSG_NOSIGNAL);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	__typeof__(&sendmsg) real = (__typeof__(&sendmsg))dlsym(RTLD_NEXT, "sendmsg");
	const char *bytes = message->msg_iov[0].iov_base;

	if (has_walls && message->msg_iov[0].iov_len > HEAD + JOB_AND_INDEX && bytes[AT_TYPE] == FRAME_RESULT)
		say_more(fd, bytes);
	return real(fd, message, flags);
}
