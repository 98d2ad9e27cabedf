/* link: locald/mbox.o */
/* An mbox that another program keeps locked. The clock runs by the pauses alone. */
#include "locald/mbox.h"
#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns = 1000000000;
static char folder[] = "/tmp/dawk-unit.XXXXXX", box[64], other[64], lock[64];
static int message;

int nanosleep(const struct timespec *wanted, struct timespec *left)
{
	(void)left;
	now_ns += (uint64_t)wanted->tv_sec * 1000000000 + (uint64_t)wanted->tv_nsec;
	return 0;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	(void)clock;
	*now = (struct timespec){ (time_t)(now_ns / 1000000000), (long)(now_ns % 1000000000) };
	return 0;
}

/* Returns the seconds that it took. */
static uint64_t deliver(const char *path, enum result wanted)
{
	uint64_t began_ns = now_ns;
	struct why why = { 0 };

	CHECK(mbox_deliver(path, "a@client.example", "", 0, message, 0, 5, &why) == wanted);
	return (now_ns - began_ns) / 1000000000;
}

static void make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	CHECK(fd >= 0);
	close(fd);
}

static void a_wait_in_vain_is_not_had_again_by_all_who_are_behind(void)
{
	make_file(lock);
	CHECK(deliver(box, RESULT_RETRY) == 30);
	for (int i = 0; i < 100; i++)
		CHECK(deliver(box, RESULT_RETRY) == 0);
	CHECK(deliver(other, RESULT_OK) == 0);
}

static void half_a_minute_later_it_is_waited_for_again(void)
{
	now_ns += UINT64_C(30) * 1000000000;
	CHECK(deliver(box, RESULT_RETRY) == 30);
	CHECK(deliver(box, RESULT_RETRY) == 0);
}

static void once_it_is_free_it_is_written_to_at_once(void)
{
	struct stat st;

	unlink(lock);
	CHECK(deliver(box, RESULT_OK) == 0);
	CHECK(stat(box, &st) == 0 && st.st_size > 0);
	CHECK(stat(lock, &st) != 0);
}

int main(void)
{
	CHECK(mkdtemp(folder) != NULL);
	snprintf(box, sizeof box, "%s/box", folder);
	snprintf(other, sizeof other, "%s/other", folder);
	snprintf(lock, sizeof lock, "%s/box.lock", folder);
	message = open(folder, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	CHECK(message >= 0 && write(message, "a\n\nb\n", 5) == 5);
	UNIT_RUN(a_wait_in_vain_is_not_had_again_by_all_who_are_behind);
	UNIT_RUN(half_a_minute_later_it_is_waited_for_again);
	UNIT_RUN(once_it_is_free_it_is_written_to_at_once);
	unlink(box);
	unlink(other);
	rmdir(folder);
	return unit_end();
}
