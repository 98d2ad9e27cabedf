/* link: queued/recorder.o queued/record.o */
/* queued/recorder.c: an unlinking without a state is synced when its time is over, in the midst of what else there is to record.
 * fsync(2) and the clock are ours here: each state takes ten milliseconds. queued/record.c: what somebody moved. */
#include "queued/recorder.h"
#include "unit.h"
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { STATE_MS = 10, BATCHES = 4, RECORDS = BATCHES * RECORD_OPEN_MAX };

static struct queue_directories queue;
static atomic_uint states, skew_ms, states_at_sync;

int fsync(int fd)
{
	unsigned none = 0;

	if (fd == queue.place[QUEUE_NEW]) {
		atomic_compare_exchange_strong(&states_at_sync, &none, atomic_load(&states));
	} else if (fd != queue.place[QUEUE_STATE]) {
		atomic_fetch_add(&states, 1);
		atomic_fetch_add(&skew_ms, STATE_MS);
	}
	return 0;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int result = (int)syscall(SYS_clock_gettime, clock, now);
	uint64_t ns;

	if (result == 0 && clock == CLOCK_MONOTONIC) {
		ns = (uint64_t)now->tv_sec * 1000000000 + (uint64_t)now->tv_nsec + atomic_load(&skew_ms) * UINT64_C(1000000);
		now->tv_sec = (time_t)(ns / 1000000000);
		now->tv_nsec = (long)(ns % 1000000000);
	}
	return result;
}

static void done(struct record *record)
{
	(void)record;
}

static void a_sync_does_not_wait_for_all_records(void)
{
	static struct record unlinking = { .id = "1k0t626yc4a07p3dzzzz", .from = QUEUE_NEW, .to = QUEUE_NEW, .unlinks = true, .done = done };
	static struct record records[RECORDS];
	struct recorder *recorder;
	struct loop *loop;
	struct why why = { 0 };

	CHECK(loop_make(&loop, &why) == RESULT_OK && recorder_start(loop, &queue, &recorder, &why) == RESULT_OK);
	recorder_submit(recorder, &unlinking);
	for (size_t i = 0; i < RECORDS; i++) {
		records[i] = (struct record){ .from = QUEUE_NEW, .to = QUEUE_NEW, .done = done };
		snprintf(records[i].id, sizeof records[i].id, "1k0t626yc4a07p3d%04zu", i);
		text_append_string(&records[i].lines, "line\n");
		recorder_submit(recorder, &records[i]);
	}
	recorder_flush(recorder);
	recorder_stop(recorder);
	CHECK(atomic_load(&states) == RECORDS);
	/* the first batch has the unlinking, at its end; the second one takes longer than it may wait */
	CHECK(atomic_load(&states_at_sync) == 2 * RECORD_OPEN_MAX);
	for (size_t i = 0; i < RECORDS; i++) {
		CHECK(records[i].result == RESULT_OK);
		unlinkat(queue.place[QUEUE_STATE], records[i].id, 0);
		stralloc_free(&records[i].lines);
	}
	loop_free(loop);
}

static void touch(enum queue_place place, const char *id)
{
	int fd = openat(queue.place[place], id, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	CHECK(fd >= 0);
	close(fd);
}

static void what_was_moved_away_is_not_done_and_keeps_its_state(void)
{
	struct record record = { .id = "1k0t626yc4a07p3dzzzz", .from = QUEUE_CUR, .to = QUEUE_CUR, .unlinks = true, .has_state = true };
	struct recording recording = { .queue = queue };

	touch(QUEUE_HOLD, record.id);
	touch(QUEUE_STATE, record.id);
	record_prepare(&record);
	record_batch(&recording, &record);
	CHECK(record.result == RESULT_RETRY);
	CHECK(!faccessat(queue.place[QUEUE_STATE], record.id, F_OK, 0));
	unlinkat(queue.place[QUEUE_HOLD], record.id, 0);
	record_prepare(&record);
	record_batch(&recording, &record);
	CHECK(record.result == RESULT_OK);
	CHECK(faccessat(queue.place[QUEUE_STATE], record.id, F_OK, 0));
}

int main(void)
{
	char folder[] = "/tmp/dawk-unit.XXXXXX", path[64];

	CHECK(mkdtemp(folder) != NULL);
	for (int place = 0; place < QUEUE_PLACES; place++) {
		snprintf(path, sizeof path, "%s/%d", folder, place);
		CHECK(!mkdir(path, 0700) && (queue.place[place] = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0);
	}
	UNIT_RUN(a_sync_does_not_wait_for_all_records);
	UNIT_RUN(what_was_moved_away_is_not_done_and_keeps_its_state);
	for (int place = 0; place < QUEUE_PLACES; place++) {
		snprintf(path, sizeof path, "%s/%d", folder, place);
		CHECK(!rmdir(path));
	}
	CHECK(!rmdir(folder));
	return unit_end();
}
