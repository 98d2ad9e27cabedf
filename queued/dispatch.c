#include "queued/scheduler.h"

#include "common/log.h"
#include "common/wire.h"
#include "queued/expand.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	PACE_BYTES = 2 << 20,		/* more than that unsent: the helper is behind, wait for it */
	RELEASED_MAX = 2,		/* of those held back, for each that is through */
};

/* ---- the ring of messages with recipients to hand over ---- */

void dispatch_start(struct scheduler *s)
{
	int i;

	for (i = 0; i < TRANSPORTS; i++)
		s->rings[i].end = &s->rings[i].first;
}

static int transport_of(const struct scheduler *s, const char *address)
{
	return dispatch_is_local(s, address) ? TRANSPORT_LOCAL : TRANSPORT_REMOTE;
}

/* In the ring of the transport that its next ready recipient needs. */
void dispatch_add(struct scheduler *s, struct message *m)
{
	struct ring *ring;

	if (m->is_in_ring || m->is_held)
		return;
	while (m->cursor < m->envelope.recipient_count && m->recipients[m->cursor].phase != PHASE_READY)
		m->cursor++;
	if (m->cursor == m->envelope.recipient_count)
		return;
	m->is_in_ring = true;
	m->ring = (uint8_t)transport_of(s, m->envelope.recipients[m->cursor].address);
	m->next_in_ring = NULL;
	ring = &s->rings[m->ring];
	*ring->end = m;
	ring->end = &m->next_in_ring;
	ring->count++;
}

/* ---- shares of senders ---- */

static void close_message(struct message *m)
{
	if (m->fd >= 0)
		close(m->fd);
	m->fd = -1;
}

static bool sender_has_enough(const struct scheduler *s, const struct sender *sender, int which)
{
	const struct transport *t = &s->transports[which];

	return t->in_flight < t->limit && sender_is_over(sender->in_flight[which], t->limit - t->in_flight, FLYING_SHARE);
}

/* M waits, out of the ring, until some of its sender's are through. */
static void hold_back(struct message *m, int which)
{
	struct held *held = &m->sender->held[which];

	m->is_held = true;
	m->next_in_ring = NULL;
	*held->end = m;
	held->end = &m->next_in_ring;
	close_message(m);
}

static void release_held(struct message *m)
{
	struct held *held = m->is_held ? &m->sender->held[m->ring] : NULL;
	struct message **at;

	if (!held)
		return;
	for (at = &held->first; *at != m; at = &(*at)->next_in_ring)
		;
	*at = m->next_in_ring;
	if (!*at)
		held->end = at;
	m->is_held = false;
}

static void release_some(struct scheduler *s, struct sender *sender, int which)
{
	int released;

	for (released = 0; released < RELEASED_MAX && sender->held[which].first && !sender_has_enough(s, sender, which); released++) {
		struct message *held = sender->held[which].first;

		release_held(held);
		dispatch_add(s, held);
	}
}

void dispatch_count_flying(struct scheduler *s, struct message *m, int which, int32_t count)
{
	m->sender->in_flight[which] += (uint32_t)count;
	if (count < 0)
		release_some(s, m->sender, which);
}

static struct message *ring_take(struct ring *ring)
{
	struct message *m = ring->first;

	ring->first = m->next_in_ring;
	if (!ring->first)
		ring->end = &ring->first;
	ring->count--;
	m->is_in_ring = false;
	return m;
}

void dispatch_forget(struct scheduler *s, struct message *m)
{
	struct ring *ring = &s->rings[m->ring];
	struct message **at = &ring->first;

	release_held(m);
	if (!m->is_in_ring)
		return;
	while (*at != m)
		at = &(*at)->next_in_ring;
	*at = m->next_in_ring;
	if (!*at)
		ring->end = at;
	ring->count--;
	m->is_in_ring = false;
}

/* ---- sites ---- */

/* When much is loaded, a few slow sites must not take all the room there is. */
static uint32_t parked_limit(const struct scheduler *s)
{
	return s->active > MESSAGES_MAX / 2 ? SITE_PARKED_FEW : SITE_PARKED_MAX;
}

/* What did not fit beside a flood comes back when half of the flood is through. */
static void take_overflow(struct scheduler *s, struct site *site)
{
	uint32_t room = parked_limit(s) / 2;
	struct waiting w;

	if (site->parked >= room)
		return;
	while (room-- && site->overflow.count) {
		waiting_pop(&site->overflow, &w);
		scheduler_add(s, w.is_fresh ? &s->fresh : &s->retry, &w);
	}
}

static void take_place(struct scheduler *s, struct site *site)
{
	site->in_flight++;
	health_job_started(s, site);
}

/* What goes in one job with R, to the same site: remote_gather finds it ready. */
static void bring_along(struct site *site, const struct recipient *r)
{
	struct recipient *along;
	uint32_t i;

	for (i = 1; i < JOB_RECIPIENTS && (along = site_unpark_along(site, r)); i++) {
		along->site = NULL;
		message_set_phase(along->message, (uint32_t)(along - along->message->recipients), PHASE_READY);
	}
}

/* The first that waits there has a place that is free, kept for it by r->site. */
void dispatch_next_at(struct scheduler *s, struct site *site)
{
	while (health_has_room(s, site)) {
		struct recipient *r = site_unpark(site);

		if (!r)
			break;
		take_place(s, site);
		message_set_phase(r->message, (uint32_t)(r - r->message->recipients), PHASE_READY);
		if (site->health)
			bring_along(site, r);
		dispatch_add(s, r->message);
	}
	take_overflow(s, site);
	site_release(&s->sites, site);
}

void dispatch_empty_site(struct scheduler *s, struct site *site)
{
	struct recipient *r;
	struct waiting w;

	while ((r = site_unpark(site))) {
		r->site = NULL;
		message_set_phase(r->message, (uint32_t)(r - r->message->recipients), PHASE_READY);
		dispatch_add(s, r->message);
	}
	while (site->overflow.count) {
		waiting_pop(&site->overflow, &w);
		scheduler_add(s, w.is_fresh ? &s->fresh : &s->retry, &w);
	}
	site_release(&s->sites, site);
	scheduler_pump_soon(s);
}

void dispatch_leave_site(struct scheduler *s, struct recipient *r)
{
	struct site *site = r->site;

	r->site = NULL;
	if (!site)
		return;		/* it shared another's place (remote_gather) */
	site->in_flight--;
	dispatch_next_at(s, site);
}

void dispatch_withdraw(struct scheduler *s, struct message *m)
{
	uint32_t i;

	for (i = 0; i < m->envelope.recipient_count && (m->ready || m->parked); i++) {
		struct recipient *r = &m->recipients[i];
		struct site *site = r->site;

		if (r->phase == PHASE_READY && site)
			dispatch_leave_site(s, r);
		if (r->phase == PHASE_PARKED) {
			r->site = NULL;
			site_forget(site, r);
			dispatch_next_at(s, site);
		}
		if (r->phase == PHASE_READY || r->phase == PHASE_PARKED)
			message_set_phase(m, i, PHASE_DEFERRED);
	}
	dispatch_forget(s, m);	/* only now: a place that it left may have brought it into a ring, for the next of its own */
}

/* A long queue keeps out whose sender has some in it already. */
static bool is_crowded(const struct scheduler *s, const struct site *site, const struct message *m)
{
	uint32_t limit = parked_limit(s);

	return site->parked >= limit && (site->parked >= 2 * limit || site_waiting_of(site, m->sender) >= SITE_LANE_FEW);
}

/* Does all that is known of M stand on disk, and nothing of it wait for the disk? Then it may go and be read again. */
static bool is_on_disk(const struct message *m)
{
	return !m->is_recording && !m->is_stalled && !m->lines.len && !m->record.lines.len && !m->child &&
	       !m->children.len && !m->record_children.len;
}

/* A message to one recipient whose site has a long queue lies there by its ID alone. */
static bool put_into_overflow(struct scheduler *s, struct message *m, struct site *site)
{
	struct waiting w = { .is_fresh = m->place == QUEUE_NEW, .maybe_state = m->has_state };

	if (!is_crowded(s, site, m) || m->ready + m->final != m->envelope.recipient_count || m->ready != 1 || !is_on_disk(m))
		return false;
	memcpy(w.id, m->id, QUEUE_ID_LENGTH);
	if (!waiting_push_once(&site->overflow, &w))
		return false;
	load_drop(s, m);
	return true;
}

/* ---- handing over ---- */

bool dispatch_is_local(const struct scheduler *s, const char *address)
{
	const char *domain = address_domain(address);

	return !*domain || configuration_is_local_domain(s->conf, domain, strlen(domain));
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
	story_result(s, m, index, event, words);
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

void dispatch_defer(struct scheduler *s, struct message *m, uint32_t index, const char *status, const char *words)
{
	dispatch_result(s, m, index, STATE_DEFERRED, status, words);
	m->recipients[index].was_tried = false;
}

static void defer_without_transport(struct scheduler *s, struct message *m, uint32_t index)
{
	char words[WIRE_WORDS_MAX];

	snprintf(words, sizeof words, "no transport for mail to %s runs on this host", address_domain(m->envelope.recipients[index].address));
	dispatch_defer(s, m, index, "4.4.0", words);
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
static struct site *mailbox_site(struct scheduler *s, const char *address)
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

/* NULL: it got its result. */
static struct site *site_for(struct scheduler *s, struct message *m, uint32_t index)
{
	const char *address = m->envelope.recipients[index].address;
	struct site *site;

	if (!dispatch_is_local(s, address))
		return remote_site(s, m, index);
	site = mailbox_site(s, address);
	if (!site)
		dispatch_defer(s, m, index, "4.3.0", "out of memory");
	return site;
}

/* What becomes of one ready recipient: into the job, parked, made into messages, deferred. */
static enum step step(struct scheduler *s, struct message *m, uint32_t index)
{
	struct recipient *r = &m->recipients[index];
	const struct transport *t = &s->transports[transport_of(s, m->envelope.recipients[index].address)];

	if (!transport_is_awaited(s, t)) {
		dispatch_leave_site(s, r);
		m->is_soon = true;
		defer_without_transport(s, m, index);
		return STEP_ELSEWHERE;
	}
	if (!fits_frames(&m->envelope, index)) {
		dispatch_result(s, m, index, STATE_FAILED, "5.1.3", "the address is too long");
		return STEP_ELSEWHERE;
	}
	if (!r->site && expand_is_long_list(s, m, index))
		return STEP_ELSEWHERE;
	if (!r->site) {
		struct site *site = site_for(s, m, index);

		if (!site)
			return STEP_ELSEWHERE;
		if (site->parked || !health_has_room(s, site)) {
			if (put_into_overflow(s, m, site))
				return STEP_GONE;
			r->message = m;
			if (site_park(site, r))
				message_set_phase(m, index, PHASE_PARKED);
			else
				dispatch_defer(s, m, index, "4.3.0", "out of memory");
			return STEP_ELSEWHERE;
		}
		r->site = site;
		take_place(s, site);
	}
	message_set_phase(m, index, PHASE_FLYING);
	return STEP_TAKEN;
}

/* One message's turn: some of its recipients, of one transport; of one site when they are remote. */
static void serve(struct scheduler *s, int which)
{
	struct message *m = ring_take(&s->rings[which]);
	struct transport *t = &s->transports[which];
	uint32_t indexes[JOB_RECIPIENTS], count = 0, steps = 0;
	uint32_t most = s->rings[which].count && which == TRANSPORT_LOCAL ? TURN_RECIPIENTS : JOB_RECIPIENTS;
	struct sender *held = m->sender->held[which].first ? m->sender : NULL;	/* it lasts as long as those do */
	enum step taken = STEP_TAKEN;

	if (sender_has_enough(s, m->sender, which)) {
		hold_back(m, which);
		return;
	}
	if (most > t->limit - t->in_flight)
		most = t->limit - t->in_flight;
	if (most > sender_room(m->sender->in_flight[which], t->limit - t->in_flight, FLYING_SHARE))
		most = sender_room(m->sender->in_flight[which], t->limit - t->in_flight, FLYING_SHARE);
	while (m->cursor < m->envelope.recipient_count && m->ready && count < most && steps < JOB_RECIPIENTS) {
		uint32_t index = m->cursor++;	/* first: the place that a step gives up may make one before this ready */

		if (m->recipients[index].phase != PHASE_READY)
			continue;
		if (transport_of(s, m->envelope.recipients[index].address) != which) {
			m->cursor = index;
			break;
		}
		steps++;
		taken = step(s, m, index);
		if (taken == STEP_GONE)
			break;
		if (taken != STEP_TAKEN)
			continue;
		indexes[count++] = index;
		if (which != TRANSPORT_REMOTE)
			continue;
		count = remote_gather(s, m, indexes, count, most);
		break;
	}
	if (!count && held)
		release_some(s, held, which);	/* nothing of this one will come back and do it */
	if (taken == STEP_GONE)
		return;
	if (count)
		transport_send(s, m, t, indexes, count);
	if (!m->ready && m->parked)
		close_message(m);
	advance(s, m);	/* into the ring again when there is more */
}

/* Mail for a helper that is away waits, or is deferred in step. */
static bool can_serve(const struct scheduler *s, int which)
{
	const struct transport *t = &s->transports[which];

	if (!s->rings[which].count || s->is_ending)
		return false;
	if (!t->is_up)
		return !transport_is_awaited(s, t);
	return t->in_flight < t->limit && channel_waiting(&t->channel) < PACE_BYTES;
}

void dispatch_pump(struct scheduler *s)
{
	int budget = TURN_BUDGET, which;
	bool is_loading = s->transports[TRANSPORT_LOCAL].is_up, has_served;

	while (budget-- > 0) {
		is_loading = is_loading && (s->rings[TRANSPORT_LOCAL].count < RING_MAX ? load_next(s) : load_peek(s));
		has_served = false;
		for (which = 0; which < TRANSPORTS; which++)
			if (can_serve(s, which)) {
				serve(s, which);
				has_served = true;
			}
		if (!has_served && !is_loading)
			return;
	}
	scheduler_pump_soon(s);
}
