/* link: queued/schedule.o queued/waiting.o queued/site.o */
/* When a message is tried again, and the heap of those that wait. */
#include "queued/schedule.h"
#include "queued/site.h"
#include "queued/waiting.h"
#include "unit.h"
#include <stdlib.h>

static uint32_t waits[] = { 300, 900, 3600 };
static const struct seconds_list retry = { waits, 3 };

static void waits_by_attempt(void)
{
	static const struct { uint32_t attempt, chance; uint64_t ms; } rows[] = {
		{ 1, 0, 270000 }, { 1, 999, 359910 }, { 2, 0, 810000 }, { 3, 500, 3780000 },
		{ 4, 0, 3240000 }, { 1000, 0, 3240000 }, { 0, 0, 270000 },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof *rows; i++)
		CHECK(schedule_wait_ms(&retry, rows[i].attempt, rows[i].chance) == rows[i].ms);
}

static void planned_times(void)
{
	static const uint64_t now = 1795300000000000;
	static const struct { int64_t offset_us; uint32_t seconds; } rows[] = {
		{ 0, 0 }, { -1, 0 }, { -86400000000, 0 }, { 1, 1 }, { 1000000, 1 }, { 300000000, 300 }, { 4320000000, 4320 },
		{ 4322000000, 0 },	/* farther off than the longest wait can be: the clock jumped */
		{ 864000000000, 0 },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof *rows; i++)
		CHECK(schedule_seconds_until(&retry, now, (uint64_t)((int64_t)now + rows[i].offset_us)) == rows[i].seconds);
}

static void ages(void)
{
	CHECK(!schedule_is_older(1000000, 1000000, 1));
	CHECK(!schedule_is_older(1999999, 1000000, 1));
	CHECK(schedule_is_older(2000000, 1000000, 1));
	CHECK(!schedule_is_older(1000000, 2000000, 0));	/* it comes from the future */
}

static struct waiting entry(unsigned number, uint32_t due)
{
	struct waiting w = { .due_seconds = due, .is_fresh = true };
	char id[QUEUE_ID_LENGTH + 1];

	snprintf(id, sizeof id, "%020u", number);
	memcpy(w.id, id, sizeof w.id);
	return w;
}

static bool is_sorted(struct waiting_heap *heap)
{
	struct waiting last = { 0 }, next;
	bool is_good = true;

	while (heap->count) {
		waiting_pop(heap, &next);
		is_good = is_good && (last.due_seconds < next.due_seconds ||
		                      (last.due_seconds == next.due_seconds && memcmp(last.id, next.id, sizeof last.id) < 0));
		last = next;
	}
	return is_good;
}

static void fill(struct waiting_heap *heap, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++) {
		struct waiting w = entry(i, i * 7919 % 1009);
		waiting_push(heap, &w);
	}
}

static void heap(void)
{
	struct waiting_heap waiting = { 0 };
	char ids[3 * QUEUE_ID_LENGTH + 1];
	size_t place;

	CHECK(sizeof(struct waiting) <= 32);
	CHECK(waiting_first(&waiting) == NULL);
	fill(&waiting, 10000);
	CHECK(waiting.count == 10000 && waiting_first(&waiting)->due_seconds == 0);
	CHECK(is_sorted(&waiting));

	fill(&waiting, 1000);
	place = waiting_find(&waiting, "00000000000000000500");
	CHECK(place != SIZE_MAX);
	waiting_remove(&waiting, place);
	CHECK(waiting_find(&waiting, "00000000000000000500") == SIZE_MAX && waiting.count == 999);
	waiting_hurry(&waiting, waiting_find(&waiting, "00000000000000000501"));
	snprintf(ids, sizeof ids, "%020u%020u%020u", 7u, 8u, 999u);
	waiting_hurry_these(&waiting, ids, 3);
	CHECK(waiting.items[waiting_find(&waiting, "00000000000000000999")].due_seconds == 0);
	CHECK(is_sorted(&waiting));

	fill(&waiting, 1000);
	waiting_hurry_all(&waiting);
	CHECK(memcmp(waiting_first(&waiting)->id, "00000000000000000000", QUEUE_ID_LENGTH) == 0);
	CHECK(is_sorted(&waiting));
	waiting_free(&waiting);
}

static void a_site_is_hurried(void)
{
	struct waiting_heap waiting = { 0 };
	unsigned i;

	for (i = 0; i < 1000; i++) {
		struct waiting w = entry(i, 2000 - i);
		w.site = i % 10 + 1;
		waiting_push(&waiting, &w);
	}
	waiting_hurry_one(&waiting, 99, 50);
	CHECK(waiting_first(&waiting)->due_seconds == 1001);
	waiting_hurry_one(&waiting, 4, 50);	/* of 3, 13 .. 993 the last is due first */
	CHECK(memcmp(waiting_first(&waiting)->id, "00000000000000000993", QUEUE_ID_LENGTH) == 0);
	CHECK(waiting_first(&waiting)->due_seconds == 50);
	waiting_hurry_one(&waiting, 4, 60);	/* it is due already: no other */
	CHECK(waiting.items[waiting_find(&waiting, "00000000000000000983")].due_seconds == 2000 - 983);
	CHECK(is_sorted(&waiting));
	waiting_free(&waiting);
}

static void twins_are_united(void)
{
	struct waiting_heap waiting = { 0 };
	unsigned i;

	for (i = 0; i < 300; i++) {
		struct waiting w = entry(i % 100, 0);
		waiting_push(&waiting, &w);
	}
	waiting_unite(&waiting);
	CHECK(waiting.count == 100);
	CHECK(is_sorted(&waiting));
	waiting_free(&waiting);
}

static void sites(void)
{
	struct site_table table = { 0 };
	struct recipient all[3] = { { 0 } };
	struct site *site = site_get(&table, "alice@local.example", 2);
	char name[16];
	unsigned i;

	CHECK(site && site_get(&table, "alice@local.example", 2) == site && table.count == 1);
	CHECK(site_has_room(site));
	site->in_flight = 2;
	CHECK(!site_has_room(site));
	for (i = 0; i < 3; i++)
		site_park(site, &all[i]);
	site->in_flight = 0;
	CHECK(!site_has_room(site));	/* nobody goes past those who wait */
	site_forget(site, &all[1]);
	CHECK(site->parked == 2 && site_unpark(site) == &all[0] && site_unpark(site) == &all[2] && site_unpark(site) == NULL);
	site_park(site, &all[1]);
	site_forget(site, &all[1]);
	site_park(site, &all[2]);
	CHECK(site_unpark(site) == &all[2]);
	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "%u@a", i);
		site_get(&table, name, 1);
	}
	CHECK(table.count == 1001 && site_get(&table, "alice@local.example", 2) == site);
	site_release(&table, site);
	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "%u@a", i);
		site_release(&table, site_get(&table, name, 1));
	}
	CHECK(table.count == 0);
	free(table.buckets);
}

int main(void)
{
	UNIT_RUN(waits_by_attempt);
	UNIT_RUN(planned_times);
	UNIT_RUN(ages);
	UNIT_RUN(heap);
	UNIT_RUN(a_site_is_hurried);
	UNIT_RUN(twins_are_united);
	UNIT_RUN(sites);
	return unit_end();
}
