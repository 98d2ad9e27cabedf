/* link: queued/schedule.o queued/sender.o queued/waiting.o queued/site.o */
/* When a message is tried again, the heap of those that wait, shares of sites and senders. */
#include "queued/schedule.h"
#include "queued/sender.h"
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

static void an_attempt_before_its_time_does_not_count(void)
{
	static const struct { uint32_t attempts, seconds, attempt; } rows[] = {
		{ 1, 0, 1 }, { 7, 9, 1 }, { 2, 269, 1 }, { 2, 270, 2 }, { 7, 1079, 2 }, { 7, 1080, 3 }, { 7, 4319, 3 }, { 7, 4320, 7 }, { 1, 999999, 1 },
		{ 0, 0, 0 },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof *rows; i++)
		CHECK(schedule_attempt(&retry, rows[i].attempts, rows[i].seconds * 1000000ull) == rows[i].attempt);
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

static void a_host_that_greylists_gets_its_retry_soon(void)
{
	static const struct { const char *status, *words; bool is_grey; } rows[] = {
		{ "4.2.0", "450 4.2.0 <a@b>: Recipient address rejected: Greylisted, see http://postgrey.example", true },
		{ "4.7.1", "451 4.7.1 please come back later", true },
		{ "4.1.0", "451 Temporary failure, Greylisting in action", true },
		{ "4.1.0", "450 graylisted", true },
		{ "4.2.2", "452 4.2.2 mailbox full", false },
		{ "4.7.1", "421 4.7.1 too many connections", false },
		{ "4.3.0", "451 4.3.0 trouble here", false },
		{ "4.4.1", "", false }, { "4.7.1", "45", false },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof *rows; i++)
		CHECK(schedule_is_greylisting(rows[i].status, rows[i].words, strlen(rows[i].words)) == rows[i].is_grey);
	CHECK(schedule_greylisted_ms(900000, 2, 0) == 300000 && schedule_greylisted_ms(900000, 2, 999) == 359940);
	CHECK(schedule_greylisted_ms(270000, 1, 0) == 300000);	/* the first wait may be a little short: never less than five minutes */
	CHECK(schedule_greylisted_ms(1000, 1, 500) == 1000);	/* who tries sooner does so */
	CHECK(schedule_greylisted_ms(900000, 7, 0) == 900000);	/* that is no greylisting any more */
}

static void the_time_on_disk_holds_the_site(void)
{
	CHECK(schedule_due_us(1795300000400000, 123456) == 1795300000123456 && schedule_due_us(1795300000600000, 0) == 1795300001000000);
	CHECK(schedule_site_of(1795300000123456) == 123456 && schedule_site_of(1795300001000000) == 0);
}

static struct waiting entry(unsigned number, uint32_t due)
{
	struct waiting w = { .due_seconds = due, .is_fresh = true };
	char id[QUEUE_ID_LENGTH + 1];

	snprintf(id, sizeof id, "%020u", number);
	memcpy(w.id, id, sizeof w.id);
	return w;
}

/* The place of number, or SIZE_MAX. */
static size_t find(const struct waiting_heap *heap, unsigned number)
{
	struct waiting w = entry(number, 0);
	size_t i;

	for (i = 0; i < heap->count; i++)
		if (memcmp(heap->items[i].id, w.id, sizeof w.id) == 0)
			return i;
	return SIZE_MAX;
}

static bool is_sorted(struct waiting_heap *heap)
{
	struct waiting last = { 0 }, next;
	bool is_good = true;

	while (heap->count) {
		waiting_pop(heap, &next);
		is_good = is_good && (last.due_seconds < next.due_seconds ||
		                      (last.due_seconds == next.due_seconds && memcmp(last.id, next.id, sizeof last.id) <= 0));
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

	CHECK(sizeof(struct waiting) <= 32);
	CHECK(waiting_first(&waiting) == NULL);
	fill(&waiting, 10000);
	CHECK(waiting.count == 10000 && waiting_first(&waiting)->due_seconds == 0);
	CHECK(is_sorted(&waiting));

	fill(&waiting, 1000);
	waiting_hurry_all(&waiting);
	CHECK(memcmp(waiting_first(&waiting)->id, "00000000000000000000", QUEUE_ID_LENGTH) == 0);
	CHECK(is_sorted(&waiting));
	waiting_free(&waiting);
}

static void a_set_of_ids_has_what_was_added_once(void)
{
	struct waiting_set set = { 0 };
	unsigned i, wrong = 0;

	CHECK(!waiting_set_has(&set, entry(1, 0).id) && !waiting_set_add(&set, entry(1, 0).id));
	CHECK(waiting_set_make(&set, 1000));
	for (i = 0; i < 1000; i++)
		wrong += !waiting_set_add(&set, entry(i * 3, 0).id);
	CHECK(wrong == 0 && !waiting_set_add(&set, entry(5000, 0).id));
	for (i = 0; i < 3000; i++)
		wrong += waiting_set_has(&set, entry(i, 0).id) != (i % 3 == 0);
	CHECK(wrong == 0);
	waiting_set_clear(&set);
	CHECK(!waiting_set_has(&set, entry(3, 0).id) && waiting_set_add(&set, entry(3, 0).id) && waiting_set_add(&set, entry(3, 0).id) && set.count == 1);
	waiting_set_free(&set);
}

/* Any of them, also all, also one that is there twice; the rest stays in order. */
static void many_are_taken_out_or_hurried_at_a_time(void)
{
	static const unsigned steps[] = { 1, 2, 3, 7, 100, 999 };
	struct waiting_heap waiting = { 0 };
	struct waiting_set set = { 0 };
	unsigned i, k, wrong = 0;

	CHECK(waiting_set_make(&set, 1000));
	for (k = 0; k < sizeof steps / sizeof *steps; k++) {
		waiting_set_clear(&set);
		for (i = 0; i < 1000; i += steps[k])
			waiting_set_add(&set, entry(i, 0).id);
		fill(&waiting, 1000);
		fill(&waiting, 10);
		CHECK(waiting_remove_these(&waiting, &set) == set.count + (9 / steps[k] + 1));
		for (i = 0; i < 1000; i++)
			wrong += (find(&waiting, i) == SIZE_MAX) != (i % steps[k] == 0);
		CHECK(wrong == 0 && is_sorted(&waiting));
		fill(&waiting, 1000);
		waiting_hurry_these(&waiting, &set);
		for (i = 0; i < 1000; i++)
			wrong += waiting.items[find(&waiting, i)].due_seconds != (i % steps[k] ? i * 7919 % 1009 : 0);
		CHECK(wrong == 0 && waiting.count == 1000 && is_sorted(&waiting));
	}
	waiting_set_clear(&set);
	fill(&waiting, 10);
	CHECK(waiting_remove_these(&waiting, &set) == 0 && waiting.count == 10);
	waiting_free(&waiting);
	waiting_set_free(&set);
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
	CHECK(waiting.items[find(&waiting, 983)].due_seconds == 2000 - 983);
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
	struct sender sender = { 0 };
	struct message message = { .sender = &sender };
	struct recipient all[3] = { { .message = &message }, { .message = &message }, { .message = &message } };
	struct site *site = site_get(&table, "alice@local.example", 2);
	char name[16];
	unsigned i;

	CHECK(site && site_get(&table, "alice@local.example", 2) == site && table.count == 1);
	CHECK(site_has_room(site));
	site->in_flight = 2;
	CHECK(!site_has_room(site));
	for (i = 0; i < 3; i++)
		CHECK(site_park(site, &all[i]));
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

static void at_a_site_senders_take_turns(void)
{
	struct site_table table = { 0 };
	struct sender news = { 0 }, bob = { 0 }, carol = { 0 };
	struct message letters[3] = { { .sender = &news }, { .sender = &bob }, { .sender = &carol } };
	struct recipient many[500], one = { .message = &letters[1] }, other = { .message = &letters[2] };
	struct site *site = site_get(&table, "smtp:mx.example:25", 1);
	unsigned i;

	memset(many, 0, sizeof many);
	for (i = 0; i < 500; i++) {
		many[i].message = &letters[0];
		CHECK(site_park(site, &many[i]));
	}
	CHECK(site_park(site, &one));
	CHECK(site_unpark(site) == &many[0] && site_unpark(site) == &one && site_unpark(site) == &many[1]);
	CHECK(site_park(site, &other) && site_park(site, &one));
	CHECK(site_waiting_of(site, &news) == 498 && site_waiting_of(site, &bob) == 1);
	site_forget(site, &many[3]);
	CHECK(site_unpark(site) == &many[2] && site_unpark(site) == &other && site_unpark(site) == &one && site_unpark(site) == &many[4]);
	CHECK(site->parked == 495 && site_unpark_along(site, &many[4]) == &many[5] && !site_unpark_along(site, &one));
	for (i = 6; i < 500; i++)
		CHECK(site_unpark(site) == &many[i]);
	CHECK(!site_unpark(site) && !site->parked);
	site_release(&table, site);
	CHECK(table.count == 0);
	free(table.buckets);
}

static void a_sender_is_known_by_login_or_reverse_path(void)
{
	static const struct { const char *a_login, *a, *b_login, *b; bool is_same; } rows[] = {
		{ NULL, "alice@a.example", NULL, "Alice@A.example", true },
		{ NULL, "alice@a.example", NULL, "bob@a.example", false },
		{ NULL, "alice@a.example", NULL, "alice@b.example", false },
		{ NULL, "news+bob=b.example@lists.example", NULL, "news+zoe=c.example@lists.example", true },	/* VERP */
		{ NULL, "bounce-17-bob@lists.example", NULL, "bounce-18-zoe@lists.example", true },
		{ NULL, "b17f@lists.example", NULL, "b29c@lists.example", true },
		{ "alice@a.example", "info@a.example", "alice@a.example", "sales@a.example", true },
		{ "alice@a.example", "info@a.example", "bob@a.example", "info@a.example", false },
		{ NULL, "", NULL, "", true }, { NULL, "", NULL, "a@b", false },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct envelope a = { .from = rows[i].a, .authenticated = rows[i].a_login }, b = { .from = rows[i].b, .authenticated = rows[i].b_login };
		CHECK((sender_key(&a) == sender_key(&b)) == rows[i].is_same);
	}
}

static void a_share_shrinks_with_what_is_free(void)
{
	CHECK(!sender_is_over(1499, 501, 3) && sender_is_over(1500, 500, 3));	/* one alone: three of four parts */
	CHECK(sender_is_over(857, 285, 3) && !sender_is_over(0, 1, 3));
	CHECK(sender_room(0, 100, 7) == 87 && sender_room(50, 50, 7) == 37 && sender_room(87, 13, 7) == 1 && sender_room(0, 1, 7) == 1);
}

static bool fits(void *context, const struct sender *sender) { return sender != context; }

static void overflows_take_turns(void)
{
	static struct sender_table table;
	struct sender *news = sender_get(&table, 1), *bob = sender_get(&table, 2);
	struct waiting w, out;
	unsigned i;

	CHECK(sender_get(&table, 1) == news && news != bob && !sender_next(&table, fits, NULL));
	for (i = 0; i < 3000; i++) {
		w = entry(i, 0);
		CHECK(sender_put_off(&table, news, &w));
	}
	for (i = 0; i < 3000; i++) {	/* as a scan that finds them again */
		w = entry(i, 0);
		CHECK(sender_put_off(&table, news, &w));
	}
	CHECK(table.overflowed < 6000);
	w = entry(5000, 0);
	CHECK(sender_put_off(&table, bob, &w));
	CHECK(sender_next(&table, fits, NULL) == news && sender_next(&table, fits, NULL) == bob);
	CHECK(sender_next(&table, fits, news) == bob);
	sender_take(&table, bob, &out);
	CHECK(!memcmp(out.id, w.id, QUEUE_ID_LENGTH));
	CHECK(sender_next(&table, fits, bob) == news);	/* and bob, who has nothing left, is gone */
	while (news->overflow.count)
		sender_take(&table, news, &out);
	CHECK(table.overflowed == 0 && !sender_next(&table, fits, NULL) && !table.waiting);
}

int main(void)
{
	UNIT_RUN(waits_by_attempt);
	UNIT_RUN(an_attempt_before_its_time_does_not_count);
	UNIT_RUN(planned_times);
	UNIT_RUN(ages);
	UNIT_RUN(heap);
	UNIT_RUN(a_set_of_ids_has_what_was_added_once);
	UNIT_RUN(many_are_taken_out_or_hurried_at_a_time);
	UNIT_RUN(a_site_is_hurried);
	UNIT_RUN(twins_are_united);
	UNIT_RUN(sites);
	UNIT_RUN(a_host_that_greylists_gets_its_retry_soon);
	UNIT_RUN(the_time_on_disk_holds_the_site);
	UNIT_RUN(at_a_site_senders_take_turns);
	UNIT_RUN(a_sender_is_known_by_login_or_reverse_path);
	UNIT_RUN(a_share_shrinks_with_what_is_free);
	UNIT_RUN(overflows_take_turns);
	return unit_end();
}
