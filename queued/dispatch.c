#include "queued/scheduler.h"

#include "common/log.h"
#include "common/wire.h"
#include "queued/expand.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PACE_BYTES = 2 << 20 };	/* more than that unsent: the helper is behind, wait for it */

/* ---- the ring of messages with recipients to hand over ---- */

void dispatch_add(struct scheduler *s, struct message *m)
{
	if (m->is_in_ring)
		return;
	m->is_in_ring = true;
	m->next_in_ring = NULL;
	*s->ring_end = m;
	s->ring_end = &m->next_in_ring;
	s->ring_count++;
}

static struct message *ring_take(struct scheduler *s)
{
	struct message *m = s->ring_first;

	s->ring_first = m->next_in_ring;
	if (!s->ring_first)
		s->ring_end = &s->ring_first;
	s->ring_count--;
	m->is_in_ring = false;
	return m;
}

static void ring_remove(struct scheduler *s, struct message *m)
{
	struct message **at = &s->ring_first;

	if (!m->is_in_ring)
		return;
	while (*at != m)
		at = &(*at)->next_in_ring;
	*at = m->next_in_ring;
	if (!*at)
		s->ring_end = at;
	s->ring_count--;
	m->is_in_ring = false;
}

/* ---- sites ---- */

/* What did not fit beside a flood comes back when half of the flood is through. */
static void take_overflow(struct scheduler *s, struct site *site)
{
	uint32_t room = SITE_PARKED_MAX / 2;
	struct waiting w;

	if (site->parked >= SITE_PARKED_MAX / 2)
		return;
	while (room-- && site->overflow.count) {
		waiting_pop(&site->overflow, &w);
		scheduler_add(s, w.is_fresh ? &s->fresh : &s->retry, &w);
	}
}

/* A place at SITE is free: the first that waits there has it, kept for it by r->site. */
static void next_parked(struct scheduler *s, struct site *site)
{
	while (site->in_flight < site->limit) {
		struct recipient *r = site_unpark(site);

		if (!r)
			break;
		site->in_flight++;
		message_set_phase(r->message, (uint32_t)(r - r->message->recipients), PHASE_READY);
		dispatch_add(s, r->message);
	}
	take_overflow(s, site);
	site_release(&s->sites, site);
}

void dispatch_leave_site(struct scheduler *s, struct recipient *r)
{
	struct site *site = r->site;

	r->site = NULL;
	site->in_flight--;
	next_parked(s, site);
}

void dispatch_withdraw(struct scheduler *s, struct message *m)
{
	uint32_t i;

	ring_remove(s, m);
	for (i = 0; i < m->envelope.recipient_count && (m->ready || m->parked); i++) {
		struct recipient *r = &m->recipients[i];
		struct site *site = r->site;

		if (r->phase == PHASE_READY && site)
			dispatch_leave_site(s, r);
		if (r->phase == PHASE_PARKED) {
			r->site = NULL;
			site_forget(site, r);
			next_parked(s, site);
		}
		if (r->phase == PHASE_READY || r->phase == PHASE_PARKED)
			message_set_phase(m, i, PHASE_DEFERRED);
	}
}

/* A message to one recipient whose site has a long queue lies there by its ID alone. */
static bool put_into_overflow(struct scheduler *s, struct message *m, struct site *site)
{
	struct waiting w = { .is_fresh = m->place == QUEUE_NEW, .maybe_state = m->has_state };

	if (site->parked < SITE_PARKED_MAX || m->ready + m->final != m->envelope.recipient_count || m->ready != 1 || m->lines.len)
		return false;
	memcpy(w.id, m->id, QUEUE_ID_LENGTH);
	if (!waiting_push(&site->overflow, &w))
		return false;
	ring_remove(s, m);
	load_drop(s, m);
	return true;
}

/* ---- handing over ---- */

bool dispatch_is_local(const struct scheduler *s, const char *address)
{
	const char *domain = address_domain(address);

	return !*domain || configuration_is_local_domain(s->conf, domain, strlen(domain));
}

static struct transport *transport_of(struct scheduler *s, const char *address)
{
	return &s->transports[dispatch_is_local(s, address) ? TRANSPORT_LOCAL : TRANSPORT_REMOTE];
}

static void log_result(const struct message *m, uint32_t index, enum state_event event, const struct result_words *words)
{
	struct log_line line;
	uint64_t now = time_real_us();

	log_start(&line, state_event_names[event]);
	log_text(&line, "id", m->id);
	log_text(&line, "to", m->envelope.recipients[index].address);
	log_text(&line, "status", words->status);
	if (words->host_length)
		log_bytes(&line, "host", words->host, words->host_length);
	log_bytes(&line, "words", words->words, words->words_length);
	log_seconds(&line, "delay", now > m->envelope.arrived_us ? (now - m->envelope.arrived_us) / 1000 : 0);
	log_end(&line);
}

static void count_result(struct scheduler *s, enum state_event event)
{
	if (event == STATE_DEFERRED)
		s->counters.deferred++;
	else if (event == STATE_FAILED)
		s->counters.failed++;
	else
		s->counters.delivered++;
}

void dispatch_take_result(struct scheduler *s, struct message *m, uint32_t index, enum state_event event, const struct result_words *words)
{
	log_result(m, index, event, words);
	count_result(s, event);
	message_set_result(m, index, event, time_real_us(), words);
}

void dispatch_result(struct scheduler *s, struct message *m, uint32_t index, enum state_event event,
                     const char *status, const char *words)
{
	dispatch_result_from(s, m, index, event, status, "", words);
}

void dispatch_result_from(struct scheduler *s, struct message *m, uint32_t index, enum state_event event,
                          const char *status, const char *host, const char *words)
{
	struct result_words all = { status, host, strlen(host), words, strlen(words) };

	dispatch_take_result(s, m, index, event, &all);
}

static void defer_without_transport(struct scheduler *s, struct message *m, uint32_t index)
{
	char words[WIRE_WORDS_MAX];

	snprintf(words, sizeof words, "no transport for mail to %s runs on this host", address_domain(m->envelope.recipients[index].address));
	dispatch_result(s, m, index, STATE_DEFERRED, "4.4.0", words);
}

/* Envelopes come from our own programs; one that was made elsewhere may hold what no frame takes. */
static bool fits_frames(const struct envelope *e, uint32_t index)
{
	const struct envelope_recipient *r = &e->recipients[index];

	return strlen(e->from) <= WIRE_ADDRESS_MAX && strlen(r->address) <= WIRE_ADDRESS_MAX &&
	       (!r->as || strlen(r->as) <= WIRE_ORIGINAL_MAX) && (!r->owner || strlen(r->owner) <= WIRE_ADDRESS_MAX);
}

enum step { STEP_TAKEN, STEP_ELSEWHERE, STEP_GONE };

/* The mailbox: without extension (RFC 5233), letters of either case. */
static struct site *site_for(struct scheduler *s, const char *address)
{
	char name[WIRE_ADDRESS_MAX + 1];
	const char *at = strrchr(address, '@');
	size_t length = at ? (size_t)(at - address) : strlen(address), cut = strcspn(address, s->conf->subaddress);

	if (cut && cut < length)
		length = cut;
	snprintf(name, sizeof name, "%.*s%s", (int)length, address, at ? at : "");
	text_lower(name, strlen(name));
	return site_get(&s->sites, name, SITE_LOCAL_LIMIT);
}

/* What becomes of one ready recipient: into the job, parked, made into messages, deferred. */
static enum step step(struct scheduler *s, struct message *m, uint32_t index)
{
	struct recipient *r = &m->recipients[index];
	const char *address = m->envelope.recipients[index].address;
	struct transport *t = transport_of(s, address);

	if (!t->is_expected && !t->is_up) {
		defer_without_transport(s, m, index);
		return STEP_ELSEWHERE;
	}
	if (!fits_frames(&m->envelope, index)) {
		dispatch_result(s, m, index, STATE_FAILED, "5.1.3", "the address is too long");
		return STEP_ELSEWHERE;
	}
	if (!r->site && !r->is_list_done && expand_is_long_list(s, m, index))
		return STEP_ELSEWHERE;
	if (!r->site) {
		struct site *site = site_for(s, address);

		if (!site) {
			dispatch_result(s, m, index, STATE_DEFERRED, "4.3.0", "out of memory");
			return STEP_ELSEWHERE;
		}
		if (!site_has_room(site)) {
			if (put_into_overflow(s, m, site))
				return STEP_GONE;
			r->message = m;
			site_park(site, r);
			message_set_phase(m, index, PHASE_PARKED);
			return STEP_ELSEWHERE;
		}
		r->site = site;
		site->in_flight++;
	}
	message_set_phase(m, index, PHASE_FLYING);
	return STEP_TAKEN;
}

/* One message's turn: some of its recipients. */
static void serve(struct scheduler *s, struct message *m)
{
	struct transport *t = &s->transports[TRANSPORT_LOCAL];
	uint32_t indexes[JOB_RECIPIENTS], count = 0, steps = 0;
	uint32_t most = s->ring_count ? TURN_RECIPIENTS : JOB_RECIPIENTS;

	if (most > t->limit - t->in_flight)
		most = t->limit - t->in_flight;
	for (; m->cursor < m->envelope.recipient_count && m->ready && count < most && steps < JOB_RECIPIENTS; m->cursor++) {
		enum step taken;

		if (m->recipients[m->cursor].phase != PHASE_READY)
			continue;
		steps++;
		taken = step(s, m, m->cursor);
		if (taken == STEP_GONE)
			return;
		if (taken == STEP_TAKEN)
			indexes[count++] = m->cursor;
	}
	if (count)
		transport_send(s, m, t, indexes, count);
	if (!m->ready && m->parked && m->fd >= 0) {
		close(m->fd);
		m->fd = -1;
	}
	advance(s, m);	/* into the ring again when there is more */
}

static bool can_serve(const struct scheduler *s)
{
	const struct transport *t = &s->transports[TRANSPORT_LOCAL];

	return s->ring_count && t->is_up && t->in_flight < t->limit && channel_waiting(&t->channel) < PACE_BYTES && !s->is_ending;
}

void dispatch_pump(struct scheduler *s)
{
	int budget = TURN_BUDGET;
	bool is_loading = s->transports[TRANSPORT_LOCAL].is_up;

	while (budget-- > 0) {
		is_loading = is_loading && s->ring_count < RING_MAX && load_next(s);
		if (can_serve(s))
			serve(s, ring_take(s));
		else if (!is_loading)
			return;
	}
	scheduler_pump_soon(s);
}
