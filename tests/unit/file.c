/* common/file.c: all bytes are written, whatever write(2) takes at a time. The call is ours here. */
#include "common/file.h"
#include "unit.h"
#include <errno.h>
#include <unistd.h>

static char got[64];
static size_t got_length;
static int calls, fails_at, fails_with;

/* Three bytes at a time. */
ssize_t write(int fd, const void *bytes, size_t length)
{
	size_t take = length < 3 ? length : 3;

	(void)fd;
	if (++calls == fails_at) {
		errno = fails_with;
		return -1;
	}
	memcpy(got + got_length, bytes, take);
	got_length += take;
	return (ssize_t)take;
}

static bool wrote(const char *text, int call, int with)
{
	got_length = 0;
	calls = 0;
	fails_at = call;
	fails_with = with;
	return file_write(-1, text, strlen(text));
}

static void bytes_are_written_to_the_last(void)
{
	CHECK(wrote("", 0, 0) && calls == 0);
	CHECK(wrote("0123456789", 0, 0) && got_length == 10 && memcmp(got, "0123456789", 10) == 0);
	CHECK(wrote("0123456789", 2, EINTR) && got_length == 10 && memcmp(got, "0123456789", 10) == 0);
}

static void a_failure_is_told_with_its_reason(void)
{
	CHECK(!wrote("0123456789", 3, ENOSPC) && errno == ENOSPC && got_length == 6);
}

int main(void)
{
	UNIT_RUN(bytes_are_written_to_the_last);
	UNIT_RUN(a_failure_is_told_with_its_reason);
	return unit_end();
}
