#include "queued/scheduler.h"

#include "common/log.h"
#include "common/wire.h"
#include "queued/expand.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	PACE_BYTES = 2 << 20,		/* more than that unsent: the helper is behind, wait for it */
	FORWARDS_MAX = 10000,		/* addresses one mailbox's mail may go on to */
};

/* ---- jobs ---- */

static struct job *job_make(struct scheduler *s, struct message *m, struct transport *t, uint32_t *slot)
{
	struct job *jobs;
	uint32_t size, i;

	if (!s->job_free) {
		size = s->job_count ? s->job_count * 2 : 256;
		jobs = realloc(s->jobs, size * sizeof *jobs);
		if (!jobs)
			return NULL;
		s->jobs = jobs;
		memset(jobs + s->job_count, 0, (size - s->job_count) * sizeof *jobs);
		for (i = size; i-- > s->job_count; ) {
			jobs[i].next_free = s->job_free;
			s->job_free = i + 1;	/* 0: none */
		}
		s->job_count = size;
	}
	*slot = s->job_free - 1;
	s->job_free = s->jobs[*slot].next_free;
	s->jobs[*slot].message = m;
	s->jobs[*slot].transport = t;
	s->jobs[*slot].outstanding = 0;
	return &s->jobs[*slot];
}

static void job_free(struct scheduler *s, uint32_t slot)
{
	s->jobs[slot].message = NULL;
	s->jobs[slot].generation++;
	s->jobs[slot].next_free = s->job_free;
	s->job_free = slot + 1;
}

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
		waiting_push(w.is_fresh ? &s->fresh : &s->retry, &w);
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

static void leave_site(struct scheduler *s, struct recipient *r)
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
			leave_site(s, r);
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

static void set_result(struct scheduler *s, struct message *m, uint32_t index, enum state_event event, const struct result_words *words)
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

	set_result(s, m, index, event, &all);
}

static void defer_without_transport(struct scheduler *s, struct message *m, uint32_t index)
{
	char words[WIRE_WORDS_MAX];

	snprintf(words, sizeof words, "no transport for mail to %s runs on this host", address_domain(m->envelope.recipients[index].address));
	dispatch_result(s, m, index, STATE_DEFERRED, "4.4.0", words);
}

static enum result send_frames(struct scheduler *s, struct message *m, struct transport *t, uint64_t number,
                               const uint32_t *indexes, uint32_t count, int fd)
{
	const struct envelope *e = &m->envelope;
	struct wire_value job[LOCAL_JOB_FIELDS] = {
		[LOCAL_JOB_JOB] = WIRE_NUMBER(number), [LOCAL_JOB_ID] = WIRE_BYTES(m->id, QUEUE_ID_LENGTH),
		[LOCAL_JOB_ARRIVED_US] = WIRE_NUMBER(e->arrived_us), [LOCAL_JOB_OFFSET] = WIRE_NUMBER(e->content_offset),
		[LOCAL_JOB_LENGTH] = WIRE_NUMBER(e->content_length), [LOCAL_JOB_REVERSE_PATH] = WIRE_STRING(e->from),
		[LOCAL_JOB_COUNT] = WIRE_NUMBER(count),
	};
	enum result result = channel_send(&t->channel, FRAME_LOCAL_JOB, job, fd, NULL);
	uint32_t i;

	(void)s;
	for (i = 0; i < count && result == RESULT_OK; i++) {
		const struct envelope_recipient *r = &e->recipients[indexes[i]];
		const char *as = r->as ? r->as : r->address, *owner = r->owner ? r->owner : "";
		struct wire_value values[LOCAL_RECIPIENT_FIELDS] = {
			[LOCAL_RECIPIENT_JOB] = WIRE_NUMBER(number), [LOCAL_RECIPIENT_INDEX] = WIRE_NUMBER(indexes[i]),
			[LOCAL_RECIPIENT_ADDRESS] = WIRE_STRING(r->address), [LOCAL_RECIPIENT_AS] = WIRE_STRING(as),
			[LOCAL_RECIPIENT_OWNER] = WIRE_STRING(owner),
		};
		result = channel_send(&t->channel, FRAME_LOCAL_RECIPIENT, values, -1, NULL);
	}
	return result;
}

/* The message's own descriptor when nothing is left to hand over, else another. */
static int job_descriptor(struct message *m)
{
	int fd = m->fd;

	if (m->ready)
		return fcntl(fd, F_DUPFD_CLOEXEC, 3);
	m->fd = -1;
	return fd;
}

static void defer_all(struct scheduler *s, struct message *m, const uint32_t *indexes, uint32_t count, const char *words)
{
	uint32_t i;

	m->is_soon = true;
	for (i = 0; i < count; i++) {
		m->recipients[indexes[i]].job = UINT32_MAX;
		leave_site(s, &m->recipients[indexes[i]]);
		dispatch_result(s, m, indexes[i], STATE_DEFERRED, "4.3.0", words);
	}
}

/* The recipients are in flight already, with their places at their sites. */
static void send_job(struct scheduler *s, struct message *m, struct transport *t, const uint32_t *indexes, uint32_t count)
{
	uint32_t slot, i;
	struct job *job;
	int fd;

	if (!load_reopen(s, m) || (fd = job_descriptor(m)) < 0) {
		defer_all(s, m, indexes, count, "the message could not be opened");
		return;
	}
	job = job_make(s, m, t, &slot);
	if (!job) {
		close(fd);
		defer_all(s, m, indexes, count, "out of memory");
		return;
	}
	job->outstanding = count;
	for (i = 0; i < count; i++)
		m->recipients[indexes[i]].job = slot;
	t->in_flight += count;
	if (send_frames(s, m, t, (uint64_t)job->generation << 32 | slot, indexes, count, fd) == RESULT_OK)
		return;
	/* Half a job may have gone out, for want of memory: only a fresh start makes both sides agree again. */
	scheduler_log("unable-to-send-a-job", m->id, NULL);
	loop_stop(s->loop);
}

/* Envelopes come from our own programs; one that was made elsewhere may hold what no frame takes. */
static bool fits_frames(const struct envelope *e, uint32_t index)
{
	const struct envelope_recipient *r = &e->recipients[index];

	return strlen(e->from) <= WIRE_ADDRESS_MAX && strlen(r->address) <= WIRE_ADDRESS_MAX &&
	       (!r->as || strlen(r->as) <= WIRE_ORIGINAL_MAX) && (!r->owner || strlen(r->owner) <= WIRE_ADDRESS_MAX);
}

enum step { STEP_TAKEN, STEP_ELSEWHERE, STEP_GONE };

static struct site *site_for(struct scheduler *s, const char *address)
{
	return site_get(&s->sites, address, SITE_LOCAL_LIMIT);
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
		send_job(s, m, t, indexes, count);
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

/* ---- results ---- */

static const struct { enum state_event event; const char *status; } verdicts[] = {
	[DELIVERY_DELIVERED] = { STATE_DELIVERED, "2.0.0" }, [DELIVERY_DEFERRED] = { STATE_DEFERRED, "4.3.0" },
	[DELIVERY_FAILED] = { STATE_FAILED, "5.3.0" },       [DELIVERY_FORWARDED] = { STATE_FORWARDED, "2.1.5" },
	[DELIVERY_RELAYED] = { STATE_RELAYED, "2.0.0" },
};

/* A status of another class than the verdict would make a report that contradicts itself. */
static bool status_fits(const char *status, const char *fallback)
{
	return status[0] == fallback[0] && status[1] == '.' && strchr(status + 2, '.');
}

static struct making *find_making(const struct message *m, uint32_t index)
{
	struct making *making;

	for (making = m->making; making && making->index != index; making = making->next)
		;
	return making;
}

/* FRAME_FORWARD: one more address that the mailbox's mail goes on to. */
static enum result take_forward(struct message *m, struct frame *f)
{
	uint32_t index = (uint32_t)f->value[FORWARD_INDEX].number;
	const struct wire_value *address = &f->value[FORWARD_ADDRESS];
	struct making *making = find_making(m, index);

	if (making && making->event != STATE_FORWARD)
		return RESULT_PEER;
	if (!making) {
		making = calloc(1, sizeof *making);
		if (!making)
			return RESULT_RETRY;
		making->index = index;
		making->event = STATE_FORWARD;
		making->next = m->making;
		m->making = making;
	}
	making->count++;
	if (making->count > FORWARDS_MAX || !address->length || memchr(address->bytes, '\0', address->length) ||
	    !text_is_printable(address->bytes, address->length))
		return making->count > FORWARDS_MAX ? RESULT_OK : RESULT_PEER;
	if (text_append(&making->addresses, address->bytes, address->length) && text_append(&making->addresses, "", 1))
		return RESULT_OK;
	return RESULT_RETRY;
}

static void drop_forward(struct message *m, uint32_t index)
{
	struct making *making = find_making(m, index);

	if (making && making->event == STATE_FORWARD)
		message_drop_making(m, index);
}

/* A recipient with forward addresses is done when their message stands. */
static bool goes_on_as_forward(struct message *m, uint32_t index, enum state_event event, const char *status)
{
	struct making *making = find_making(m, index);

	if (!making || making->event != STATE_FORWARD)
		return false;
	if (making->count > FORWARDS_MAX || (event != STATE_FORWARDED && event != STATE_DELIVERED)) {
		drop_forward(m, index);
		return false;
	}
	making->result = event == STATE_FORWARDED && making->count > 1 ? STATE_EXPANDED : event;
	memcpy(making->status, status, sizeof making->status);
	message_set_phase(m, index, PHASE_MAKING);
	return true;
}

static void take_result(struct scheduler *s, struct message *m, struct frame *f)
{
	uint32_t index = (uint32_t)f->value[RESULT_INDEX].number;
	size_t verdict = f->value[RESULT_VERDICT].number;
	char status[STATE_STATUS_MAX + 1];
	struct result_words words = {
		status, f->value[RESULT_HOST].bytes, f->value[RESULT_HOST].length,
		f->value[RESULT_WORDS].bytes, f->value[RESULT_WORDS].length,
	};

	if (!frame_value_copy(f, RESULT_STATUS, status, sizeof status) || !status_fits(status, verdicts[verdict].status))
		snprintf(status, sizeof status, "%s", verdicts[verdict].status);
	leave_site(s, &m->recipients[index]);
	if (!goes_on_as_forward(m, index, verdicts[verdict].event, status))
		set_result(s, m, index, verdicts[verdict].event, &words);
}

/* The job and the recipient a frame speaks of. NULL: it speaks of nothing that is in flight. */
static struct job *job_of(struct scheduler *s, struct transport *t, const struct frame *f)
{
	uint64_t number = f->value[RESULT_JOB].number, index = f->value[RESULT_INDEX].number;
	uint32_t slot = (uint32_t)number;
	struct job *job = slot < s->job_count ? &s->jobs[slot] : NULL;
	struct message *m = job ? job->message : NULL;

	if (!m || job->transport != t || job->generation != (uint32_t)(number >> 32) || index >= m->envelope.recipient_count ||
	    m->recipients[index].phase != PHASE_FLYING || m->recipients[index].job != slot)
		return NULL;
	return job;
}

static void finish_one(struct scheduler *s, struct job *job)
{
	job->transport->in_flight--;
	if (--job->outstanding == 0)
		job_free(s, (uint32_t)(job - s->jobs));
}

/* Frames cost their sender the pipe when they make no sense: false. */
static bool take_frame(struct scheduler *s, struct transport *t, struct frame *f)
{
	struct job *job = NULL;
	struct message *m;

	if (f->type == FRAME_RESULT || f->type == FRAME_FORWARD)	/* both begin with job and index */
		job = job_of(s, t, f);
	if (!job)
		return false;
	m = job->message;
	if (f->type == FRAME_FORWARD)
		return take_forward(m, f) == RESULT_OK;
	if (!f->value[RESULT_VERDICT].number || f->value[RESULT_VERDICT].number >= sizeof verdicts / sizeof *verdicts)
		return false;
	finish_one(s, job);
	take_result(s, m, f);
	advance(s, m);
	return true;
}

static void transport_frame(struct channel *channel, struct frame *f)
{
	struct transport *t = container_of(channel, struct transport, channel);

	if (f->descriptor >= 0)
		close(f->descriptor);
	if (take_frame(t->scheduler, t, f))
		return;
	channel_close(channel);
	channel->lost(channel, &(struct why){ .text = "a frame that speaks of nothing in flight" });
}

/* ---- a transport comes and goes ---- */

/* Its jobs become deferrals: what was delivered without a word is delivered again. */
static void fail_job(struct scheduler *s, uint32_t slot)
{
	struct message *m = s->jobs[slot].message;
	uint32_t i;

	m->is_soon = true;
	for (i = 0; i < m->envelope.recipient_count && s->jobs[slot].message == m; i++) {
		if (m->recipients[i].phase != PHASE_FLYING || m->recipients[i].job != slot)
			continue;
		drop_forward(m, i);
		leave_site(s, &m->recipients[i]);
		finish_one(s, &s->jobs[slot]);
		dispatch_result(s, m, i, STATE_DEFERRED, "4.3.0", "the delivering program ended unexpectedly");
	}
	advance(s, m);
}

static void transport_lost(struct channel *channel, const struct why *why)
{
	struct transport *t = container_of(channel, struct transport, channel);
	struct scheduler *s = t->scheduler;
	struct log_line line;
	uint32_t slot;

	t->is_up = false;
	if (!s->is_ending) {
		log_start(&line, "transport-lost");
		log_text(&line, "transport", t->name);
		log_number(&line, "recipients", t->in_flight);
		log_why(&line, why);
		log_end(&line);
	}
	for (slot = 0; slot < s->job_count; slot++)
		if (s->jobs[slot].message && s->jobs[slot].transport == t)
			fail_job(s, slot);
}

void dispatch_start(struct scheduler *s)
{
	static const struct { const char *name; bool is_expected; } rows[TRANSPORTS] = {
		[TRANSPORT_LOCAL] = { "locald", true },
		[TRANSPORT_REMOTE] = { "remoted", false },
	};
	int i;

	s->ring_end = &s->ring_first;
	s->listed_end = &s->listed_first;
	for (i = 0; i < TRANSPORTS; i++) {
		s->transports[i].name = rows[i].name;
		s->transports[i].is_expected = rows[i].is_expected;
		s->transports[i].limit = s->conf->local_concurrency;
		s->transports[i].channel.fd = -1;
		s->transports[i].scheduler = s;
	}
}

void dispatch_greet(struct scheduler *s, const char *peer, int fd)
{
	struct why why = { 0 };
	int i;

	for (i = 0; i < TRANSPORTS && strcmp(s->transports[i].name, peer) != 0; i++)
		;
	if (i == TRANSPORTS) {
		close(fd);
		return;
	}
	if (s->transports[i].is_up) {	/* the old one has died, its pipe has not said so yet */
		channel_close(&s->transports[i].channel);
		transport_lost(&s->transports[i].channel, &why);
	}
	if (channel_open(&s->transports[i].channel, s->loop, fd, transport_frame, transport_lost, &why) != RESULT_OK) {
		log_failure("unable-to-use-a-pipe", &why);
		return;
	}
	s->transports[i].is_up = true;
	scheduler_pump_soon(s);
}
