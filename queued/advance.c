#include "queued/scheduler.h"

#include "common/log.h"
#include "queued/schedule.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum {
	SITES_LINE_MAX = 20,		/* domains named in a "sites" line; "*" stands for more */
	SOON_MS = 10000,		/* after a helper was lost */
	SOON_ATTEMPTS = 3,		/* then as after any deferral: perhaps this message is what it dies of */
};

/* ---- records ---- */

static bool has_lines(const struct message *m)
{
	return m->lines.len || m->record.lines.len;
}

static void unlist(struct scheduler *s, struct message *m)
{
	struct message **at = &s->listed_first;

	if (!m->is_listed)
		return;
	while (*at != m)
		at = &(*at)->next_listed;
	*at = m->next_listed;
	if (!*at)
		s->listed_end = at;
	m->is_listed = false;
}

static void lines_fired(struct timer *timer)
{
	advance_flush_lines(container_of(timer, struct scheduler, lines_timer));
}

static void list(struct scheduler *s, struct message *m)
{
	if (m->is_listed || m->is_recording || !has_lines(m))
		return;
	m->is_listed = true;
	m->lines_since_ms = loop_now_ms(s->loop);
	m->next_listed = NULL;
	if (s->listed_end == &s->listed_first)
		loop_set_timer(s->loop, &s->lines_timer, LINES_MS, lines_fired);
	*s->listed_end = m;
	s->listed_end = &m->next_listed;
}

/* The domains of recipients that are not done, each once, before the first line of a new state. */
static bool add_sites(struct message *m)
{
	const char *domains[SITES_LINE_MAX];
	size_t count = 0, j;
	uint32_t i;
	stralloc words = { 0 };
	bool is_good = true;

	for (i = 0; i < m->envelope.recipient_count && is_good && count < SITES_LINE_MAX; i++) {
		const char *domain = address_domain(m->envelope.recipients[i].address);

		for (j = 0; j < count && strcmp(domains[j], domain) != 0; j++)
			;
		if (j < count || !*domain)
			continue;
		domains[count++] = domain;
		is_good = (count == 1 || text_append(&words, " ", 1)) && text_append_string(&words, domain);
	}
	is_good = is_good && (i == m->envelope.recipient_count || text_append_string(&words, " *")) &&
	          state_append_line(&m->record.lines, &(struct state_line){ .event = STATE_SITES, .words = words.s, .words_length = words.len });
	stralloc_free(&words);
	return is_good;
}

static void release_children(struct scheduler *s, struct message *m)
{
	size_t at;

	for (at = 0; at < m->record_children.len; at += QUEUE_ID_LENGTH)
		scheduler_add_fresh(s, m->record_children.s + at, false);
	m->record_children.len = 0;
}

static void record_done(struct record *record)
{
	struct message *m = container_of(record, struct message, record);
	struct scheduler *s = m->scheduler;
	enum queue_place place;

	m->is_recording = false;
	m->has_state = record->has_state;
	if (record->result == RESULT_OK) {
		m->place = record->to;
		release_children(s, m);
		m->recorded(m);
		return;
	}
	place = load_place_of(s, m->id);	/* it may have moved before something failed */
	if ((record->from != record->to || record->unlinks) && place != QUEUE_PLACES)
		m->place = place;
	advance_stall(s, m, "unable-to-record", &record->why);
}

static void record(struct scheduler *s, struct message *m, enum queue_place to, bool unlinks, uint64_t due_us,
                   void (*recorded)(struct message *))
{
	struct record *r = &m->record;

	memcpy(r->id, m->id, sizeof r->id);
	if (m->lines.len && !m->has_sites && !r->lines.len)
		m->has_sites = add_sites(m);	/* without memory: a state without that line does as well */
	unlist(s, m);
	if (!stralloc_readyplus(&m->record_children, m->children.len) || !text_append(&r->lines, m->lines.s, m->lines.len)) {
		advance_stall(s, m, "unable-to-record", &(struct why){ .text = "out of memory" });
		return;
	}
	m->lines.len = 0;
	text_append(&m->record_children, m->children.s, m->children.len);
	m->children.len = 0;
	r->from = m->place;
	r->to = to;
	r->unlinks = unlinks;
	r->has_state = m->has_state;
	r->touches = !unlinks && !r->lines.len && due_us;
	r->due_us = due_us;
	r->done = record_done;
	m->recorded = recorded;
	m->is_recording = true;
	recorder_submit(s->recorder, r);
}

void advance_record(struct scheduler *s, struct message *m, uint64_t due_us, void (*recorded)(struct message *))
{
	record(s, m, m->place, false, due_us, recorded);
}

static void recorded_lines(struct message *m)
{
	advance(m->scheduler, m);
}

void advance_flush_lines(struct scheduler *s)
{
	uint64_t now = loop_now_ms(s->loop);

	while (s->listed_first && s->listed_first->lines_since_ms + LINES_MS <= now)
		advance_record(s, s->listed_first, time_real_us(), recorded_lines);	/* takes it off the list */
	if (s->listed_first)
		loop_set_timer(s->loop, &s->lines_timer, s->listed_first->lines_since_ms + LINES_MS - now, lines_fired);
}

static void flush_one(struct scheduler *s, struct message *m)
{
	if (!m->is_recording && has_lines(m))		/* else its record is the recorder's */
		advance_record(s, m, time_real_us(), recorded_lines);
}

void advance_flush_all(struct scheduler *s)
{
	load_each(s, flush_one);
}

/* ---- what fails for now ---- */

static void stalled_fired(struct timer *timer)
{
	advance_stalled(container_of(timer, struct scheduler, stalled_timer));
}

void advance_stall(struct scheduler *s, struct message *m, const char *event, const struct why *why)
{
	scheduler_log(event, m->id, why);
	m->is_stalled = true;
	if (!s->stalled_timer.place)
		loop_set_timer(s->loop, &s->stalled_timer, STALLED_MS, stalled_fired);
}

void advance_stalled(struct scheduler *s)
{
	load_each(s, advance_unstall);
}

void advance_unstall(struct scheduler *s, struct message *m)
{
	if (!m->is_stalled)
		return;
	m->is_stalled = false;
	advance(s, m);
}

/* ---- the end of a round ---- */

static void recorded_end(struct message *m)
{
	struct scheduler *s = m->scheduler;

	if (m->is_removed)
		control_answer_waiting(s, m, EX_OK, "is removed");
	else
		control_answer_waiting(s, m, EX_DATAERR, "is done: nothing of it is left to hold or remove");
	s->counters.done++;
	load_drop(s, m);
}

/* Said before it is done: what is gone from the queue then stands in the log, whatever stops this process in between. */
static void end(struct scheduler *s, struct message *m)
{
	if (!m->is_end_logged)
		m->is_removed = m->wants_removal;
	if (!m->is_end_logged && m->is_removed)
		scheduler_log("message-removed", m->id, NULL);
	else if (!m->is_end_logged)
		story_done(m);
	m->is_end_logged = true;
	m->lines.len = m->record.lines.len = 0;	/* nobody reads them any more */
	record(s, m, m->place, true, 0, recorded_end);
}

static void recorded_hold(struct message *m)
{
	scheduler_log("message-held", m->id, NULL);
	if (m->wants_removal) {
		advance(m->scheduler, m);
		return;
	}
	control_answer_waiting(m->scheduler, m, EX_OK, "is held");
	load_drop(m->scheduler, m);
}

static void hold(struct scheduler *s, struct message *m)
{
	record(s, m, QUEUE_HOLD, false, time_real_us(), recorded_hold);
}

static void recorded_put_off(struct message *m)
{
	struct scheduler *s = m->scheduler;

	if (m->wants_hold || m->wants_removal || m->lines.len || m->deferred + m->final < m->envelope.recipient_count) {
		advance(s, m);	/* a command came meanwhile */
		return;
	}
	scheduler_add_retry(s, m->id, m->due_us, m->site);
	load_drop(s, m);
}

static void put_off(struct scheduler *s, struct message *m)
{
	uint64_t now = time_real_us(), since = message_since_us(m, now), age_us = now > since ? now - since : 0;
	uint32_t attempt = schedule_attempt(&s->conf->retry, m->attempts, age_us);
	uint64_t wait_ms = schedule_wait_ms(&s->conf->retry, attempt, (uint32_t)random_below(SCHEDULE_CHANCE));

	if (m->is_soon && m->attempts <= SOON_ATTEMPTS && wait_ms > SOON_MS)
		wait_ms = SOON_MS + random_below(SOON_MS);
	if (m->is_greylisted)
		wait_ms = schedule_greylisted_ms(wait_ms, m->attempts, (uint32_t)random_below(SCHEDULE_CHANCE));
	m->due_us = schedule_due_us(now + wait_ms * 1000, m->site);
	record(s, m, QUEUE_CUR, false, m->due_us, recorded_put_off);
}

static bool is_tried(const struct message *m, uint32_t index)
{
	return m->recipients[index].phase == PHASE_DEFERRED && m->recipients[index].was_tried;
}

static bool was_tried(const struct message *m)
{
	uint32_t i;

	for (i = 0; i < m->envelope.recipient_count; i++)
		if (is_tried(m, i))
			return true;
	return false;
}

/* RFC 3463 X.4.7: a persistent transient failure. The last words of the other side stay. */
static void expire(struct scheduler *s, struct message *m)
{
	uint32_t i;

	for (i = 0; i < m->envelope.recipient_count && m->deferred; i++) {
		const struct outcome *o = m->recipients[i].outcome;

		if (is_tried(m, i))
			dispatch_result_from(s, m, i, STATE_FAILED, "4.4.7", o ? o->host : "", o ? o->words : "delivery time expired");
	}
}

/* A report to the postmaster that failed for good is kept for a person; a release tries it again. */
static bool hold_hopeless(struct scheduler *s, struct message *m)
{
	bool is_hopeless = false;
	uint32_t i;

	for (i = 0; i < m->envelope.recipient_count; i++) {
		const struct outcome *o = m->recipients[i].outcome;
		struct result_words words = { "4.0.0", "", 0, "", 0 };

		if (!child_is_hopeless(s, m, i))
			continue;
		is_hopeless = true;
		if (o)
			words = (struct result_words){ "4.0.0", o->host, strlen(o->host), o->words, strlen(o->words) };
		message_reopen(m, i, time_real_us(), &words);
	}
	if (!is_hopeless)
		return false;
	scheduler_log("report-undeliverable", m->id, NULL);
	hold(s, m);
	return true;
}

static void finish_round(struct scheduler *s, struct message *m)
{
	uint64_t now = time_real_us(), since = message_since_us(m, now);

	assert(!m->making_count);
	if (m->deferred && schedule_is_older(now, since, s->conf->queue_lifetime_seconds))
		expire(s, m);
	if (m->deferred) {
		if (schedule_is_older(now, since, s->conf->delay_warning_seconds) && was_tried(m) &&
		    child_start_report(s, m, STATE_WARNING))
			return;
		put_off(s, m);
		return;
	}
	if (child_start_report(s, m, STATE_REPORT) || child_start_report(s, m, STATE_SUCCESS))
		return;
	if (!hold_hopeless(s, m))
		end(s, m);
}

void advance(struct scheduler *s, struct message *m)
{
	if (s->is_over)
		return;
	if (m->ready && !m->wants_hold && !m->wants_removal)
		dispatch_add(s, m);
	if ((m->ready || m->parked) && (m->wants_hold || m->wants_removal))
		dispatch_withdraw(s, m);
	if (m->is_recording || m->is_stalled)
		return;
	if (m->child)
		child_continue(s, m);
	while (m->making_count && !m->child && !m->is_stalled && !m->wants_removal && child_start_making(s, m))
		;
	if (m->is_recording || m->is_stalled)
		return;
	if (m->child || m->flying || m->ready || m->parked) {
		list(s, m);
		return;
	}
	if (m->wants_removal || m->is_end_logged)
		end(s, m);
	else if (m->wants_hold)
		hold(s, m);
	else
		finish_round(s, m);
}
