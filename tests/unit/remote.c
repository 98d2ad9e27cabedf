/* link: queued/remote.o queued/site.o queued/waiting.o */
/* queued/remote.c: what becomes of recipients when more destinations are wanted than are remembered, or asked for at a time. */
#include "queued/scheduler.h"
#include "unit.h"
#include <stdlib.h>

enum { PLACES = 50000 };

static struct scheduler scheduler;
static uint64_t now_ms = 1000, questions;
static size_t deferrals, results, unknown, emptied;	/* unknown: answers; emptied: the site of who waits for a place */

/* ---- what remote.c leans on ---- */

uint64_t loop_now_ms(const struct loop *loop) { (void)loop; return now_ms; }
bool health_begin(struct scheduler *s, struct site *site, const char *next_hop) { (void)s; (void)site; (void)next_hop; return true; }
bool health_is_aside(const struct scheduler *s, const struct site *site) { (void)s; (void)site; return false; }
void health_put_off(struct scheduler *s, struct message *m, uint32_t index, const struct site *site) { (void)s; (void)m; (void)index; (void)site; }
void health_probe_now(struct scheduler *s, struct site *site) { (void)s; (void)site; }
void health_start(struct scheduler *s) { (void)s; }
void advance(struct scheduler *s, struct message *m) { (void)s; (void)m; }
bool dispatch_is_local(const struct scheduler *s, const char *address) { (void)s; (void)address; return false; }
void message_set_phase(struct message *m, uint32_t index, enum recipient_phase phase) { m->recipients[index].phase = (uint8_t)phase; }

const char *address_domain(const char *address)
{
	return strrchr(address, '@') + 1;
}

enum result table_find(struct table *table, const void *key, size_t key_length, const char **value, size_t *value_length, struct why *why)
{
	(void)table, (void)key, (void)key_length, (void)value, (void)value_length, (void)why;
	return RESULT_END;
}

enum result channel_send(struct channel *channel, enum wire_type type, const struct wire_value *values, int descriptor, struct why *why)
{
	(void)channel, (void)values, (void)descriptor, (void)why;
	questions += type == FRAME_SITE_ASK;
	return RESULT_OK;
}

void dispatch_defer(struct scheduler *s, struct message *m, uint32_t index, const char *status, const char *words)
{
	(void)s, (void)m, (void)index, (void)status, (void)words;
	deferrals++;
}

/* As message_set_result leaves it. */
void dispatch_take_result(struct scheduler *s, struct message *m, uint32_t index, enum state_event event, const struct result_words *words)
{
	(void)s, (void)event, (void)words;
	results++;
	m->recipients[index].was_tried = true;
}

void dispatch_empty_site(struct scheduler *s, struct site *site)
{
	emptied += !strcmp(site->name, "?");
	while (site_unpark(site))
		;
	site_release(&s->sites, site);
}

/* ---- */

static struct envelope_recipient envelope_recipient;
static struct recipient recipient;
static struct message message = { .recipients = &recipient, .envelope = { .recipients = &envelope_recipient, .recipient_count = 1 } };

/* Where recipient x@dNUMBER.example is to wait, or go. */
static struct site *site_of(size_t number)
{
	static char address[40];

	snprintf(address, sizeof address, "x@d%zu.example", number);
	envelope_recipient.address = address;
	return remote_site(&scheduler, &message, 0);
}

static bool is_asked(size_t number)
{
	uint64_t before = questions;
	struct site *site = site_of(number);
	char name[40];

	snprintf(name, sizeof name, "?d%zu.example", number);
	CHECK(site && !strcmp(site->name, name));
	return questions == before + 1;
}

static void answer(uint64_t serial, enum delivery_verdict verdict, const char *status)
{
	struct frame f = { .type = FRAME_SITE_TELL, .value = {
		[SITE_TELL_SERIAL] = WIRE_NUMBER(serial), [SITE_TELL_VERDICT] = WIRE_NUMBER(verdict), [SITE_TELL_TTL_SECONDS] = WIRE_NUMBER(86400),
		[SITE_TELL_SITE] = WIRE_STRING("site"), [SITE_TELL_STATUS] = WIRE_STRING(status), [SITE_TELL_WORDS] = WIRE_STRING("words"),
	} };

	unknown += !remote_take_site(&scheduler, &f);
}

static void who_finds_no_place_waits_until_half_of_the_questions_are_through(void)
{
	size_t asked = 0;

	for (size_t i = 0; i < PLACES; i++)
		asked += site_of(i) != NULL;
	CHECK(asked == PLACES && questions == PLACES);
	CHECK(site_of(PLACES) && !strcmp(site_of(PLACES)->name, "?"));
	CHECK(!deferrals && !results && questions == PLACES);
	for (uint64_t serial = 1; serial < PLACES / 2; serial++)
		answer(serial, DELIVERY_DELIVERED, "2.0.0");
	CHECK(!emptied);
	answer(PLACES / 2, DELIVERY_DELIVERED, "2.0.0");
	CHECK(emptied == 1);
	CHECK(is_asked(PLACES));
	answer(PLACES / 2 + 1, DELIVERY_DELIVERED, "2.0.0");
	CHECK(emptied == 1);
}

static void when_remoted_is_lost_nobody_waits_for_a_place(void)
{
	for (size_t i = 1; i < PLACES; i++)
		site_of(PLACES + i);
	CHECK(!strcmp(site_of(4 * PLACES)->name, "?"));
	remote_lost(&scheduler);
	CHECK(emptied == 2);
	CHECK(is_asked(4 * PLACES));
}

static void answers_give_way_to_questions(void)
{
	uint64_t before = questions;

	remote_lost(&scheduler);
	for (size_t i = 0; i < PLACES; i++) {
		site_of(5 * PLACES + i);
		answer(before + i + 1, DELIVERY_DELIVERED, "2.0.0");
	}
	CHECK(!strcmp(site_of(6 * PLACES - 1)->name, "site"));
	CHECK(is_asked(7 * PLACES));
	CHECK(!deferrals && !results);
}

static void a_refusal_for_want_of_room_is_no_attempt(void)
{
	static const struct { const char *status; bool is_attempt; } rows[] = { { "4.3.2", false }, { "4.4.3", true } };
	static struct sender sender;

	message.sender = &sender;
	recipient.message = &message;
	for (size_t i = 0; i < 2; i++) {
		CHECK(is_asked(8 * PLACES + i) && site_park(site_of(8 * PLACES + i), &recipient));
		answer(questions, DELIVERY_DEFERRED, rows[i].status);
		CHECK(results == i + 1 && recipient.was_tried == rows[i].is_attempt);
	}
}

int main(void)
{
	struct why why = { 0 };

	CHECK(remote_start(&scheduler, &why) == RESULT_OK);
	UNIT_RUN(who_finds_no_place_waits_until_half_of_the_questions_are_through);
	UNIT_RUN(when_remoted_is_lost_nobody_waits_for_a_place);
	UNIT_RUN(answers_give_way_to_questions);
	UNIT_RUN(a_refusal_for_want_of_room_is_no_attempt);
	CHECK(!unknown);
	return unit_end();
}
