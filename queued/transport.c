/* The pipes to the programs that deliver: jobs go out, results come back a recipient each. */
#include "queued/scheduler.h"

#include "common/log.h"
#include "common/wire.h"
#include "common/service.h"
#include "queued/schedule.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	REMOTE_RECIPIENTS_MAX = 10000,	/* in flight in remoted */
	REMOTE_ANSWER_SECONDS = 6 * 3600,
};
enum { FORWARDS_MAX = 10000 };		/* addresses one mailbox's mail may go on to */

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
	s->jobs[*slot].started_ms = loop_now_ms(s->loop);
	return &s->jobs[*slot];
}

static void job_free(struct scheduler *s, uint32_t slot)
{
	s->jobs[slot].message = NULL;
	s->jobs[slot].generation++;
	s->jobs[slot].next_free = s->job_free;
	s->job_free = slot + 1;
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
	enum result result;
	uint32_t i;

	if (t == &s->transports[TRANSPORT_REMOTE])
		return remote_send_frames(m, t, number, indexes, count, fd);
	result = channel_send(&t->channel, FRAME_LOCAL_JOB, job, fd, NULL);
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
		dispatch_leave_site(s, &m->recipients[indexes[i]]);
		dispatch_defer(s, m, indexes[i], "4.3.0", words);
	}
}

void transport_send(struct scheduler *s, struct message *m, struct transport *t, const uint32_t *indexes, uint32_t count)
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
	dispatch_count_flying(s, m, (int)(t - s->transports), (int32_t)count);
	if (send_frames(s, m, t, (uint64_t)job->generation << 32 | slot, indexes, count, fd) == RESULT_OK)
		return;
	/* Half a job may have gone out, for want of memory: only a fresh start makes both sides agree again. */
	scheduler_log("unable-to-send-a-job", m->id, NULL);
	loop_stop(s->loop);
}

/* ---- results ---- */

static const struct { enum state_event event; const char *status; } verdicts[] = {
	[DELIVERY_DELIVERED] = { STATE_DELIVERED, "2.0.0" }, [DELIVERY_DEFERRED] = { STATE_DEFERRED, "4.3.0" },
	[DELIVERY_FAILED] = { STATE_FAILED, "5.3.0" },       [DELIVERY_FORWARDED] = { STATE_FORWARDED, "2.1.5" },
	[DELIVERY_RELAYED] = { STATE_RELAYED, "2.0.0" },     [DELIVERY_PASSED] = { STATE_FORWARDED, "2.0.0" },
	[DELIVERY_UNREACHED] = { STATE_DEFERRED, "4.4.1" },
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
	if (verdicts[verdict].event == STATE_DEFERRED && words.host_length)
		m->is_greylisted |= schedule_is_greylisting(status, words.words, words.words_length);
	if (m->recipients[index].site && m->recipients[index].site->health) {
		if (verdicts[verdict].event == STATE_DEFERRED)
			m->site = m->recipients[index].site->hash;
		health_result(s, m->recipients[index].site, verdict == DELIVERY_UNREACHED, &words);
	}
	dispatch_leave_site(s, &m->recipients[index]);
	if (!goes_on_as_forward(m, index, verdicts[verdict].event, status))
		dispatch_take_result(s, m, index, verdicts[verdict].event, &words);
}

/* The job and the recipient a frame speaks of. NULL: it speaks of nothing that is in flight; *IS_LATE: of what
 * was given up before. */
static struct job *job_of(struct scheduler *s, struct transport *t, const struct frame *f, bool *is_late)
{
	uint64_t number = f->value[RESULT_JOB].number, index = f->value[RESULT_INDEX].number;
	uint32_t slot = (uint32_t)number;
	struct job *job = slot < s->job_count ? &s->jobs[slot] : NULL;
	struct message *m = job ? job->message : NULL;

	*is_late = job && job->generation != (uint32_t)(number >> 32);
	if (!m || job->transport != t || job->generation != (uint32_t)(number >> 32) || index >= m->envelope.recipient_count ||
	    m->recipients[index].phase != PHASE_FLYING || m->recipients[index].job != slot)
		return NULL;
	return job;
}

static void finish_one(struct scheduler *s, struct job *job)
{
	job->transport->in_flight--;
	dispatch_count_flying(s, job->message, (int)(job->transport - s->transports), -1);
	if (--job->outstanding == 0)
		job_free(s, (uint32_t)(job - s->jobs));
}

/* Frames cost their sender the pipe when they make no sense: false. */
static bool take_frame(struct scheduler *s, struct transport *t, struct frame *f)
{
	struct job *job = NULL;
	bool is_late = false;
	struct message *m;

	if (f->type == FRAME_SITE_TELL && t == &s->transports[TRANSPORT_REMOTE])
		return remote_take_site(s, f);
	if (f->type == FRAME_RESULT || f->type == FRAME_FORWARD)	/* both begin with job and index */
		job = job_of(s, t, f, &is_late);
	if (!job)
		return is_late;
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

/* Once it is no attempt that the helper came to nothing; again, perhaps it is this message that it comes to nothing by. */
static void defer_lost(struct scheduler *s, struct message *m, uint32_t index, const char *words)
{
	const struct outcome *o = m->recipients[index].outcome;

	if (o && !strcmp(o->words, words))
		dispatch_result(s, m, index, STATE_DEFERRED, "4.3.0", words);
	else
		dispatch_defer(s, m, index, "4.3.0", words);
}

/* Its jobs become deferrals: what was delivered without a word is delivered again. */
static void fail_job(struct scheduler *s, uint32_t slot, const char *words)
{
	struct message *m = s->jobs[slot].message;
	uint32_t i;

	m->is_soon = true;
	for (i = 0; i < m->envelope.recipient_count && s->jobs[slot].message == m; i++) {
		if (m->recipients[i].phase != PHASE_FLYING || m->recipients[i].job != slot)
			continue;
		drop_forward(m, i);
		dispatch_leave_site(s, &m->recipients[i]);
		finish_one(s, &s->jobs[slot]);
		defer_lost(s, m, i, words);
	}
	advance(s, m);
}

static void awaited_long_enough(struct timer *timer)
{
	scheduler_pump_soon(container_of(timer, struct transport, awaited_timer)->scheduler);
}

static void await(struct scheduler *s, struct transport *t)
{
	t->awaited_until_ms = loop_now_ms(s->loop) + AWAITED_MS;
	loop_set_timer(s->loop, &t->awaited_timer, AWAITED_MS, awaited_long_enough);
}

bool transport_is_awaited(const struct scheduler *s, const struct transport *t)
{
	return t->is_up || t->is_expected || loop_now_ms(s->loop) < t->awaited_until_ms;
}

static void transport_lost(struct channel *channel, const struct why *why)
{
	struct transport *t = container_of(channel, struct transport, channel);
	struct scheduler *s = t->scheduler;
	struct log_line line;
	uint32_t slot;

	t->is_up = false;
	if (loop_now_ms(s->loop) - t->up_since_ms >= AWAITED_MS)	/* one that dies again and again puts no deferral off */
		await(s, t);
	if (!s->is_ending) {
		log_start(&line, "transport-lost");
		log_text(&line, "transport", t->name);
		log_number(&line, "recipients", t->in_flight);
		log_why(&line, why);
		log_end(&line);
	}
	for (slot = 0; slot < s->job_count; slot++)
		if (s->jobs[slot].message && s->jobs[slot].transport == t)
			fail_job(s, slot, "the delivering program ended unexpectedly");
	if (t == &s->transports[TRANSPORT_REMOTE])
		remote_lost(s);
}

/* Every wait has a limit: what a transport does not answer is taken from it. */
static void watch_fired(struct timer *timer)
{
	struct scheduler *s = container_of(timer, struct scheduler, watch_timer);
	const uint64_t limits_ms[TRANSPORTS] = {
		[TRANSPORT_LOCAL] = ((uint64_t)s->conf->program_timeout_seconds + ANSWER_SECONDS) * 1000,
		[TRANSPORT_REMOTE] = REMOTE_ANSWER_SECONDS * 1000ull,	/* remoted has limits of its own for each step */
	};
	uint32_t slot;

	for (slot = 0; slot < s->job_count; slot++) {
		const struct job *job = &s->jobs[slot];

		if (!job->message || job->started_ms + limits_ms[job->transport - s->transports] >= loop_now_ms(s->loop))
			continue;
		scheduler_log("transport-silent", job->message->id, NULL);
		fail_job(s, slot, "the delivering program gave no answer in time");
	}
	loop_set_timer(s->loop, timer, WATCH_SECONDS * 1000, watch_fired);
}

void transport_start(struct scheduler *s)
{
	static const struct { const char *name; bool is_expected; } rows[TRANSPORTS] = {
		[TRANSPORT_LOCAL] = { "locald", true },
		[TRANSPORT_REMOTE] = { "remoted", false },
	};
	int i;

	for (i = 0; i < TRANSPORTS; i++) {
		s->transports[i].name = rows[i].name;
		s->transports[i].is_expected = rows[i].is_expected;
		s->transports[i].limit = i == TRANSPORT_LOCAL ? s->conf->local_concurrency : REMOTE_RECIPIENTS_MAX;
		s->transports[i].channel.fd = -1;
		s->transports[i].scheduler = s;
		await(s, &s->transports[i]);
	}
	watch_fired(&s->watch_timer);
}

void transport_greet(struct scheduler *s, const char *peer, int fd)
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
		service_link_failed(&why);
		return;
	}
	s->transports[i].is_up = true;
	s->transports[i].up_since_ms = loop_now_ms(s->loop);
	scheduler_pump_soon(s);
}
