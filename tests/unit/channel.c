#include "common/channel.h"
#include "unit.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { JOBS = 1500 };	/* more descriptors than one sendmsg takes */

static struct loop *loop;
static struct why why;
static struct channel left, right;
static uint64_t frames, descriptors, wrong, lost_count;
static char lost_text[WHY_MAX];
static int fails_with;

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	if (!fails_with)
		return syscall(SYS_sendmsg, fd, message, flags);
	errno = fails_with;
	return -1;
}

static void take_frame(struct channel *channel, struct frame *f)
{
	struct stat st;

	(void)channel;
	wrong += f->value[LOCAL_JOB_JOB].number != frames;
	frames++;
	if (f->descriptor >= 0) {
		descriptors++;
		/* each descriptor came with its own frame: the file's size is the job's number */
		wrong += fstat(f->descriptor, &st) != 0 || (uint64_t)st.st_size != f->value[LOCAL_JOB_JOB].number;
		close(f->descriptor);
	}
	if (frames == JOBS)
		loop_stop(loop);
}

static void lost(struct channel *channel, const struct why *reason)
{
	(void)channel;
	lost_count++;
	snprintf(lost_text, sizeof lost_text, "%s", reason->text);
	loop_stop(loop);
}

static void join(void)
{
	int ends[2];

	CHECK(channel_pair(ends, &why) == RESULT_OK);
	CHECK(channel_open(&left, loop, ends[0], take_frame, lost, &why) == RESULT_OK);
	CHECK(channel_open(&right, loop, ends[1], take_frame, lost, &why) == RESULT_OK);
}

static int file_of_size(off_t size)
{
	char name[] = "/tmp/dawk-unit-XXXXXX";
	int fd = mkstemp(name);

	unlink(name);
	return fd >= 0 && !ftruncate(fd, size) ? fd : -1;
}

static void frames_and_descriptors_arrive_in_order(void)
{
	uint64_t i, refused = 0;

	join();
	for (i = 0; i < JOBS; i++) {
		struct wire_value job[LOCAL_JOB_FIELDS] = { [LOCAL_JOB_JOB] = WIRE_NUMBER(i) };
		refused += channel_send(&left, FRAME_LOCAL_JOB, job, file_of_size((off_t)i), &why) != RESULT_OK;
	}
	CHECK(refused == 0);
	CHECK(loop_run(loop, &why) == RESULT_OK);
	CHECK(frames == JOBS && descriptors == JOBS && wrong == 0);
	channel_close(&left);
	CHECK(loop_run(loop, &why) == RESULT_OK);	/* the other end hears of it */
	CHECK(lost_count == 1);
	CHECK_STRING(lost_text, "");
}

static void garbage_costs_the_sender_its_channel(void)
{
	lost_count = 0;
	join();
	CHECK(send(left.fd, "\xff\xff\xff\xff garbage", 12, 0) == 12);
	CHECK(loop_run(loop, &why) == RESULT_OK);
	CHECK(lost_count == 1 && right.fd == -1);
	CHECK(strstr(lost_text, "claims") != NULL);
	channel_close(&left);
}

static void a_reader_that_does_not_read_stops_the_sender_in_time(void)
{
	struct wire_value row[QUEUE_ROW_FIELDS] = { [QUEUE_ROW_WORDS] = WIRE_BYTES(NULL, 0) };
	char words[4000];
	uint64_t sent = 0;

	memset(words, 'w', sizeof words);
	row[QUEUE_ROW_WORDS] = (struct wire_value)WIRE_BYTES(words, sizeof words);
	join();
	while (channel_send(&left, FRAME_QUEUE_ROW, row, -1, &why) == RESULT_OK)
		sent += sizeof words;
	CHECK(sent >= CHANNEL_OUT_MAX * 99 / 100 && sent <= CHANNEL_OUT_MAX + 2 * sizeof words);
	channel_close(&left);
	channel_close(&right);
}

/* Neither may go on waiting for what never went out. */
static void a_send_that_fails_is_the_end_for_both(void)
{
	struct wire_value tell[CHECK_TELL_FIELDS] = { [CHECK_TELL_SERIAL] = WIRE_NUMBER(3) };

	lost_count = 0;
	join();
	CHECK(channel_send(&left, FRAME_CHECK_TELL, tell, -1, &why) == RESULT_OK);
	fails_with = EPERM;
	CHECK(loop_run(loop, &why) == RESULT_OK);
	CHECK(lost_count == 2 || loop_run(loop, &why) == RESULT_OK);
	fails_with = 0;
	CHECK(lost_count == 2 && left.fd == -1 && right.fd == -1);
}

static void blocking_use_waits_a_bounded_time(void)
{
	struct wire_value ask[CHECK_TELL_FIELDS] = { [CHECK_TELL_SERIAL] = WIRE_NUMBER(3), [CHECK_TELL_MATCH] = WIRE_NUMBER(1) };
	struct frame f;
	int ends[2];

	CHECK(channel_pair(ends, &why) == RESULT_OK);
	CHECK(channel_open(&left, NULL, ends[0], NULL, NULL, &why) == RESULT_OK);
	CHECK(channel_open(&right, NULL, ends[1], NULL, NULL, &why) == RESULT_OK);
	CHECK(channel_wait(&right, &f, 20, &why) == RESULT_RETRY);
	CHECK(channel_send(&left, FRAME_CHECK_TELL, ask, -1, &why) == RESULT_OK);
	CHECK(channel_flush(&left, &why) == RESULT_OK);
	CHECK(channel_wait(&right, &f, 0, &why) == RESULT_OK);
	CHECK(f.type == FRAME_CHECK_TELL && f.value[CHECK_TELL_SERIAL].number == 3);
	channel_close(&left);
	CHECK(channel_wait(&right, &f, -1, &why) == RESULT_END);
	channel_close(&right);
}

/* One that hangs without dying costs who waits for it the time he gave, and no more; all arrives once it reads again. */
static void blocking_use_does_not_wait_for_one_that_does_not_read(void)
{
	struct wire_value ask[SIGN_ASK_FIELDS] = { [SIGN_ASK_DATA] = WIRE_BYTES(NULL, 0) };
	static char data[1000];
	uint64_t sent = 0, taken = 0, unanswered = 0;
	struct frame f;
	int ends[2];

	ask[SIGN_ASK_DATA] = (struct wire_value)WIRE_BYTES(data, sizeof data);
	CHECK(channel_pair(ends, &why) == RESULT_OK);
	CHECK(channel_open(&left, NULL, ends[0], NULL, NULL, &why) == RESULT_OK);
	CHECK(channel_open(&right, NULL, ends[1], NULL, NULL, &why) == RESULT_OK);
	do {
		ask[SIGN_ASK_SERIAL] = (struct wire_value)WIRE_NUMBER(sent);
		if (channel_send(&left, FRAME_SIGN_ASK, ask, -1, &why) == RESULT_OK)
			sent++;
		unanswered += channel_wait(&left, &f, 1, &why) == RESULT_RETRY;
	} while (channel_waiting(&left) < 5 * sizeof data);	/* the kernel takes no more */
	CHECK(unanswered == sent);
	CHECK(channel_wait(&left, &f, 0, &why) == RESULT_RETRY);
	CHECK(channel_send(&right, FRAME_SIGN_ASK, ask, -1, &why) == RESULT_OK);
	CHECK(channel_flush(&right, &why) == RESULT_OK);
	CHECK(channel_wait(&left, &f, 0, &why) == RESULT_OK);	/* what has come is taken all the same */
	while (taken < sent && channel_wait(&right, &f, 0, &why) == RESULT_OK) {
		if (f.type != FRAME_SIGN_ASK || f.value[SIGN_ASK_SERIAL].number != taken++)
			CHECK(!"in order");
		if (channel_waiting(&left))
			channel_wait(&left, &f, 0, &why);
	}
	CHECK(taken == sent);
	channel_close(&left);
	CHECK(channel_wait(&right, &f, -1, &why) == RESULT_END);
	channel_close(&right);
}

int main(void)
{
	CHECK(loop_make(&loop, &why) == RESULT_OK);
	UNIT_RUN(frames_and_descriptors_arrive_in_order);
	UNIT_RUN(garbage_costs_the_sender_its_channel);
	UNIT_RUN(a_reader_that_does_not_read_stops_the_sender_in_time);
	UNIT_RUN(a_send_that_fails_is_the_end_for_both);
	UNIT_RUN(blocking_use_waits_a_bounded_time);
	UNIT_RUN(blocking_use_does_not_wait_for_one_that_does_not_read);
	loop_free(loop);
	return unit_end();
}
