/* link: queued/scan.o */
/* queued/scan.c: mail that the trigger tells of, and mail that a full one could not tell of. */
#include "queued/schedule.h"
#include "queued/scheduler.h"
#include "unit.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FULL = 65536 };

static struct scheduler scheduler;
static const char *awaited;
static size_t told, found;

/* ---- what scan.c leans on ---- */

void scheduler_add_fresh(struct scheduler *s, const char *id, bool maybe_state)
{
	(void)maybe_state;
	told += strcmp(id, awaited) != 0;
	found += strcmp(id, awaited) == 0;
	if (found)
		loop_stop(s->loop);
}

struct message *load_find(const struct scheduler *s, const char *id) { (void)s; (void)id; return NULL; }
void scheduler_add_retry(struct scheduler *s, const char *id, uint64_t due_us, uint32_t site) { (void)s; (void)id; (void)due_us; (void)site; }
void scheduler_log(const char *event, const char *id, const struct why *why) { (void)event; (void)id; (void)why; }
void scheduler_pump_soon(struct scheduler *s) { (void)s; }
size_t load_overflowed(struct scheduler *s) { (void)s; return 0; }
void waiting_unite(struct waiting_heap *heap) { (void)heap; }
uint32_t schedule_site_of(uint64_t due_us) { (void)due_us; return 0; }

/* ---- */

/* COUNT records that tell of mail. */
static void tell(int fd, size_t count)
{
	char record[QUEUE_ID_LENGTH + 1];

	for (size_t i = 0; i < count; i++) {
		queue_id_make(record);
		record[QUEUE_ID_LENGTH] = '\n';
		if (write(fd, record, sizeof record) != sizeof record)
			abort();
	}
}

static void stop(struct timer *timer)
{
	(void)timer;
	loop_stop(scheduler.loop);
}

static void run_until_told(size_t count)
{
	struct timer end = { 0 };

	for (told = 0; told < count; ) {
		loop_set_timer(scheduler.loop, &end, 0, stop);
		CHECK(loop_run(scheduler.loop, NULL) == RESULT_OK);
	}
}

static void what_a_full_trigger_did_not_tell_is_looked_for_soon(void)
{
	char folder[] = "/tmp/unit-scan-XXXXXX", id[QUEUE_ID_LENGTH + 1];
	unsigned places = (1U << QUEUE_PLACES) - 1;
	int trigger[2], root;
	struct why why;
	uint64_t due;

	CHECK(mkdtemp(folder) != NULL && pipe2(trigger, O_NONBLOCK) == 0 && fcntl(trigger[1], F_SETPIPE_SZ, FULL) == FULL);
	root = open(folder, O_RDONLY | O_DIRECTORY);
	for (size_t i = 0; i < QUEUE_PLACES; i++)
		CHECK(mkdirat(root, queue_place_names[i], 0700) == 0);
	CHECK(queue_open(folder, places, &scheduler.queue, &why) == RESULT_OK);
	scheduler.queue.trigger = trigger[0];
	queue_id_make(id);
	awaited = id;
	CHECK(loop_make(&scheduler.loop, &why) == RESULT_OK && scan_start(&scheduler, &why) == RESULT_OK);

	due = scheduler.scan_timer.due_ms;
	tell(trigger[1], 1000);
	run_until_told(1000);
	CHECK(told == 1000 && scheduler.scan_timer.due_ms == due);

	close(openat(scheduler.queue.place[QUEUE_NEW], id, O_WRONLY | O_CREAT, 0600));
	tell(trigger[1], FULL / 2 / QUEUE_TRIGGER_LENGTH);
	run_until_told(FULL / 2 / QUEUE_TRIGGER_LENGTH);
	CHECK(!found && scheduler.scan_timer.due_ms <= loop_now_ms(scheduler.loop) + 1000);
	due = scheduler.scan_timer.due_ms;
	tell(trigger[1], FULL / 2 / QUEUE_TRIGGER_LENGTH);
	run_until_told(FULL / 2 / QUEUE_TRIGGER_LENGTH);
	CHECK(found || scheduler.scan_timer.due_ms == due);	/* a flood does not put it off */
	while (!found)
		CHECK(loop_run(scheduler.loop, NULL) == RESULT_OK);
	CHECK(!scheduler.is_lacking && scheduler.scan_timer.due_ms > due);
	scan_stop(&scheduler);
	loop_free(scheduler.loop);
	close(trigger[1]);
	unlinkat(scheduler.queue.place[QUEUE_NEW], id, 0);
	for (size_t i = 0; i < QUEUE_PLACES; i++)
		CHECK(close(scheduler.queue.place[i]) == 0 && unlinkat(root, queue_place_names[i], AT_REMOVEDIR) == 0);
	close(scheduler.queue.root);
	close(trigger[0]);
	close(root);
	CHECK(rmdir(folder) == 0);
}

int main(void)
{
	UNIT_RUN(what_a_full_trigger_did_not_tell_is_looked_for_soon);
	return unit_end();
}
