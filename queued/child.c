#include "queued/scheduler.h"

#include "common/log.h"
#include "queued/expand.h"
#include "queued/report.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

/* A message made from another one: a forward, a part of a long list, a report. In order:
 *   1. tmp/ID is written. A crash leaves a file that is swept.
 *   2. The parent's state says durably that ID is being made. A crash before 3 leaves no ID anywhere in the
 *      queue: the parent, read again, makes another.
 *   3. ID is committed: durable in new/. A crash before 4 leaves an ID in the queue of which the state does not
 *      say "made": who of the two is read first settles that (load.c, message.c), so it is not made again.
 *   4. "made" and what it means for the parent stand durably in its state, or the parent is unlinked durably. Only
 *      then ID may be delivered (message.h, children), and vanish. */
enum child_step { CHILD_WRITING, CHILD_WRITTEN, CHILD_ANNOUNCING, CHILD_COMMITTING };

enum { COPY_CHUNK = 1 << 20, SCAN_MAX = 65536 };

struct child {
	struct commit commit;
	struct message *parent;
	enum child_step step;
	enum state_event kind;
	uint32_t index;
	struct making *making;
	uint64_t next_offset;		/* of a list: where the part after this one begins, */
	stralloc next_member;		/* the last member before that, */
	bool is_with_programs;		/* and whether locald has a part of its own */
	int fd;
	stralloc tail;			/* behind what is copied */
	off_t copy_at;
	uint64_t copy_left, content_length;
	struct timer copy_timer;
};

/* What goes into a child, all of it known but the copy. */
struct plan {
	enum state_event kind;
	uint32_t index;
	struct making *making;
	struct making next;		/* of a list: what MAKING becomes */
	struct envelope envelope;	/* id, time and parent are filled in by open_child */
	stralloc recipients, head, tail;	/* head and tail of the content, around what is copied */
	off_t copy_at;
	uint64_t copy_length;
	char id[QUEUE_ID_LENGTH + 1];
};

static void plan_free(struct plan *plan)
{
	stralloc_free(&plan->next.member);
	stralloc_free(&plan->recipients);
	stralloc_free(&plan->head);
	stralloc_free(&plan->tail);
}

static void child_free(struct scheduler *s, struct child *child)
{
	loop_unset_timer(s->loop, &child->copy_timer);
	stralloc_free(&child->tail);
	stralloc_free(&child->next_member);
	free(child);
}

bool child_is_pending(const struct message *parent, const char *id)
{
	const stralloc *lists[] = { &parent->children, &parent->record_children };
	size_t i, at;

	if (parent->child && memcmp(parent->child->commit.id, id, QUEUE_ID_LENGTH) == 0)
		return true;
	for (i = 0; i < 2; i++)
		for (at = 0; at < lists[i]->len; at += QUEUE_ID_LENGTH)
			if (memcmp(lists[i]->s + at, id, QUEUE_ID_LENGTH) == 0)
				return true;
	return false;
}

/* ---- 1: writing ---- */

static bool write_all(int fd, const stralloc *text)
{
	size_t done = 0;

	while (done < text->len) {
		ssize_t n = write(fd, text->s + done, text->len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

static void give_up(struct scheduler *s, struct child *child, const struct why *why)
{
	struct message *m = child->parent;

	close(child->fd);
	unlinkat(s->queue.place[QUEUE_TMP], child->commit.id, 0);
	m->child = NULL;
	child_free(s, child);
	advance_stall(s, m, "unable-to-make-a-message", why);
}

static bool write_tail(struct child *child)
{
	char trailer[QUEUE_TRAILER_LENGTH + 1];

	queue_trailer(trailer, child->content_length);
	return text_append(&child->tail, trailer, QUEUE_TRAILER_LENGTH) && write_all(child->fd, &child->tail);
}

/* A bounded piece a turn, so that others are served beside a large message. */
static void copy_fired(struct timer *timer)
{
	struct child *child = container_of(timer, struct child, copy_timer);
	struct message *m = child->parent;
	struct scheduler *s = m->scheduler;
	struct why why = { 0 };
	ssize_t n = 0;

	if (child->copy_left && load_reopen(s, m))
		n = sendfile(child->fd, m->fd, &child->copy_at, child->copy_left < COPY_CHUNK ? child->copy_left : COPY_CHUNK);
	if (n > 0)
		child->copy_left -= (uint64_t)n;
	if (child->copy_left && (n > 0 || errno == EINTR)) {
		loop_set_timer(s->loop, timer, 0, copy_fired);
		return;
	}
	if (child->copy_left || !write_tail(child)) {
		why_errno(&why, RESULT_RETRY, "unable to write tmp/%s", child->commit.id);
		give_up(s, child, &why);
		return;
	}
	child->step = CHILD_WRITTEN;
	advance(s, m);
}

static enum result open_child(struct scheduler *s, struct child *child, struct plan *plan, struct why *why)
{
	stralloc head = { 0 };
	enum result result;

	plan->envelope.id = child->commit.id;
	plan->envelope.arrived_us = time_real_us();
	plan->envelope.parent = child->parent->id;
	result = envelope_append_head(&head, &plan->envelope, plan->recipients.len, why);
	if (result == RESULT_OK) {
		child->fd = openat(s->queue.place[QUEUE_TMP], child->commit.id, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
		if (child->fd < 0 || !write_all(child->fd, &head) || !write_all(child->fd, &plan->recipients) || !write_all(child->fd, &plan->head))
			result = why_errno(why, RESULT_RETRY, "unable to write tmp/%s", child->commit.id);
	}
	stralloc_free(&head);
	return result;
}

/* Starts what PLAN says; frees PLAN. On failure the parent stalls. */
static void child_begin(struct scheduler *s, struct message *m, struct plan *plan)
{
	struct child *child = calloc(1, sizeof *child);
	struct why why = { 0 };

	if (!child) {
		plan_free(plan);
		why_set(&why, RESULT_RETRY, "out of memory");
		advance_stall(s, m, "unable-to-make-a-message", &why);
		return;
	}
	memcpy(child->commit.id, plan->id, sizeof child->commit.id);
	child->parent = m;
	child->kind = plan->kind;
	child->index = plan->index;
	child->making = plan->making;
	child->next_offset = plan->next.offset;
	child->next_member = plan->next.member;
	plan->next.member = (stralloc){ 0 };
	child->is_with_programs = plan->next.is_with_programs;
	child->fd = -1;
	child->copy_at = plan->copy_at;
	child->copy_left = plan->copy_length;
	child->content_length = plan->head.len + plan->copy_length + plan->tail.len;
	m->child = child;
	if (open_child(s, child, plan, &why) == RESULT_OK) {
		child->tail = plan->tail;
		plan->tail = (stralloc){ 0 };
		loop_set_timer(s->loop, &child->copy_timer, 0, copy_fired);
	} else {
		give_up(s, child, &why);
	}
	plan_free(plan);
}

/* ---- 2 and 3: announcing, committing ---- */

static void committed(struct commit *commit);

static void announced(struct message *m)
{
	struct child *child = m->child;

	child->step = CHILD_COMMITTING;
	child->commit.fd = child->fd;
	child->commit.done = committed;
	commit_submit(m->scheduler->committer, &child->commit);
	advance(m->scheduler, m);
}

static bool add_announcement(struct child *child)
{
	struct state_line line = { .event = child->kind, .index = child->index, .time_us = time_real_us() };

	memcpy(line.id, child->commit.id, sizeof line.id);
	if (child->kind == STATE_PART) {
		line.offset = child->next_offset;
		line.words = child->next_member.s;
		line.words_length = child->next_member.len;
	}
	return message_add_line(child->parent, &line);
}

void child_continue(struct scheduler *s, struct message *m)
{
	struct child *child = m->child;

	if (child->step != CHILD_WRITTEN && child->step != CHILD_ANNOUNCING)
		return;
	if (child->step == CHILD_WRITTEN && !add_announcement(child)) {
		give_up(s, child, &(struct why){ .text = "out of memory" });
		return;
	}
	child->step = CHILD_ANNOUNCING;	/* again after a failure: the record kept its lines */
	advance_record(s, m, time_real_us(), announced);
}

/* ---- 4: what it means for the parent ---- */

static void log_made(const struct child *child)
{
	struct log_line line;

	log_start(&line, "message-made");
	log_text(&line, "id", child->commit.id);
	log_text(&line, "parent", child->parent->id);
	log_text(&line, "kind", state_event_names[child->kind]);
	log_end(&line);
}

static void finish_forward(struct scheduler *s, struct message *m, struct child *child)
{
	struct making *making = child->making;
	enum state_event result = making->result;
	char status[STATE_STATUS_MAX + 1];
	uint32_t index = child->index;

	memcpy(status, making->status, sizeof status);
	message_drop_making(m, index);
	dispatch_result(s, m, index, result, status, "forwarded");
}

/* All parts are made. */
static void finish_list(struct scheduler *s, struct message *m, struct making *making)
{
	bool is_with_programs = making->is_with_programs;
	uint32_t index = making->index;

	m->recipients[index].is_list_done = true;
	message_drop_making(m, index);
	if (is_with_programs)
		message_set_phase(m, index, PHASE_READY);	/* locald runs the list's programs */
	else
		dispatch_result(s, m, index, STATE_EXPANDED, "2.1.5", "expanded to the members of the list");
}

static void finish_part(struct scheduler *s, struct message *m, struct child *child)
{
	struct making *making = child->making;
	stralloc member = making->member;

	making->offset = child->next_offset;
	making->member = child->next_member;
	child->next_member = member;
	making->is_with_programs = child->is_with_programs;
	if (making->offset == STATE_OFFSET_END)
		finish_list(s, m, making);	/* else the recipient stays, the next part follows */
}

/* The result stands before "made": a torn append then leaves an announced message, which is settled. */
static void finish_child(struct scheduler *s, struct message *m, struct child *child)
{
	switch (child->kind) {
	case STATE_FORWARD:
		finish_forward(s, m, child);
		break;
	case STATE_PART:
		finish_part(s, m, child);
		break;
	case STATE_REPORT:
		m->recipients[child->index].is_reported = true;
		s->counters.reports++;
		break;
	default:
		m->recipients[child->index].is_warned = true;
		s->counters.reports++;
		break;
	}
}

static void committed(struct commit *commit)
{
	struct child *child = container_of(commit, struct child, commit);
	struct message *m = child->parent;
	struct scheduler *s = m->scheduler;
	struct state_line line = { .event = STATE_MADE, .index = child->index, .time_us = time_real_us() };

	m->child = NULL;
	if (commit->result != RESULT_OK) {
		unlinkat(s->queue.place[QUEUE_NEW], commit->id, 0);	/* named, but nobody knows whether durably */
		advance_stall(s, m, "unable-to-make-a-message", &commit->why);
		child_free(s, child);
		return;
	}
	log_made(child);
	finish_child(s, m, child);
	memcpy(line.id, commit->id, sizeof line.id);
	message_add_line(m, &line);
	text_append(&m->children, commit->id, QUEUE_ID_LENGTH);	/* without memory: found by the scan */
	child_free(s, child);
	advance(s, m);
}

/* ---- forwards and parts ---- */

/* Where the parent came from goes along, for logs and for what expects it. */
static void inherit(struct plan *plan, const struct message *m)
{
	plan->envelope = m->envelope;
	plan->envelope.recipients = NULL;
	plan->envelope.bytes = NULL;
	plan->copy_at = (off_t)m->envelope.content_offset;
	plan->copy_length = m->envelope.content_length;
	queue_id_make(plan->id);
}

/* RFC 3461 5.2.7: to one address the DSN parameters go along; to several NOTIFY=SUCCESS stays here. */
static struct envelope_recipient forwarded_recipient(const struct message *m, const struct making *making)
{
	const struct envelope_recipient *from = &m->envelope.recipients[making->index];
	struct envelope_recipient to = { .owner = from->owner, .notify = from->notify };

	if (making->count == 1 && making->result == STATE_FORWARDED) {
		to.orcpt = from->orcpt;
		return to;
	}
	to.notify &= ~(unsigned)NOTIFY_SUCCESS;
	if (from->notify && !to.notify)
		to.notify = NOTIFY_NEVER;
	return to;
}

static enum result plan_forward(struct scheduler *s, struct message *m, struct making *making, struct plan *plan, struct why *why)
{
	struct envelope_recipient like = forwarded_recipient(m, making);
	size_t at;

	/* The loop stop: locald finds its own mark when the message comes back. */
	if (!text_append_format(&plan->head, "Delivered-To: %s\r\n", m->envelope.recipients[making->index].address))
		return why_set(why, RESULT_RETRY, "out of memory");
	for (at = 0; at < making->addresses.len; at += strlen(making->addresses.s + at) + 1) {
		enum result result = expand_address(s, making->addresses.s + at, &like, &plan->recipients, &plan->envelope.recipient_count, why);

		if (result != RESULT_OK)
			return result;
	}
	return RESULT_OK;
}

static enum result plan_part(struct scheduler *s, struct message *m, struct making *making, struct plan *plan, char *owner, struct why *why)
{
	enum result result;

	plan->next = (struct making){ .index = making->index, .event = STATE_PART, .offset = making->offset };
	if (!text_append(&plan->next.member, making->member.s, making->member.len))
		return why_set(why, RESULT_RETRY, "out of memory for a list");
	result = expand_next_part(s, m, &plan->next, &plan->recipients, &plan->envelope.recipient_count, owner, why);
	if (*owner && *m->envelope.from)	/* never for the null reverse-path: it would make a loop of reports */
		plan->envelope.from = owner;
	plan->envelope.envid = NULL;
	return result;
}

static struct making *next_making(const struct message *m)
{
	struct making *making;

	for (making = m->making; making; making = making->next)
		if (m->recipients[making->index].phase == PHASE_MAKING)
			break;
	return making;
}

/* The recipient can't be made into a message: it is tried again, whole. */
static void defer_making(struct scheduler *s, struct message *m, uint32_t index, const struct why *why)
{
	struct making *making = message_making(m, index);

	if (making && making->event == STATE_FORWARD)
		message_drop_making(m, index);
	dispatch_result(s, m, index, STATE_DEFERRED, "4.3.0", *why->text ? why->text : "the message to go on could not be made");
}

void child_start_making(struct scheduler *s, struct message *m)
{
	struct making *making = next_making(m);
	char owner[ADDRESS_MAX + 1] = "";
	struct plan plan = { 0 };
	struct why why = { 0 };
	bool is_with_programs;
	enum result result;

	inherit(&plan, m);
	plan.envelope.recipient_count = 0;
	plan.kind = making->event;
	plan.index = making->index;
	plan.making = making;
	result = making->event == STATE_FORWARD ? plan_forward(s, m, making, &plan, &why)
	                                        : plan_part(s, m, making, &plan, owner, &why);
	if (result == RESULT_OK && plan.envelope.recipient_count) {
		child_begin(s, m, &plan);
		return;
	}
	is_with_programs = plan.next.is_with_programs;
	plan_free(&plan);
	if (result == RESULT_END) {	/* the long list has become short, or a mailbox */
		uint32_t index = making->index;

		message_drop_making(m, index);
		message_set_phase(m, index, PHASE_READY);
		dispatch_add(s, m);
	} else if (result == RESULT_OK && making->event == STATE_PART) {
		making->is_with_programs = is_with_programs;
		finish_list(s, m, making);	/* an empty part: only programs are left */
	} else {
		defer_making(s, m, making->index, &why);
	}
}

/* ---- reports ---- */

static bool is_postmaster(const struct scheduler *s, const char *address)
{
	const char *at = address ? strchr(address, '@') : NULL;

	if (!address || strncasecmp(address, "postmaster", 10) != 0 || (address[10] && address + 10 != at))
		return false;
	return !at || configuration_is_local_domain(s->conf, at + 1, strlen(at + 1));
}

static bool is_for_postmaster(const struct scheduler *s, const struct envelope_recipient *r)
{
	return is_postmaster(s, r->as) || is_postmaster(s, r->address);
}

bool child_is_hopeless(const struct scheduler *s, const struct message *m, uint32_t index)
{
	return m->recipients[index].event == STATE_FAILED && m->recipients[index].phase == PHASE_FINAL &&
	       message_wants_report(m, index, STATE_FAILED) && !*message_report_target(m, index, STATE_FAILED) &&
	       is_for_postmaster(s, &m->envelope.recipients[index]);
}

/* Is something about the recipient owed in a report of KIND? The event it tells, or STATE_SITES. */
static enum state_event owed(const struct scheduler *s, const struct message *m, uint32_t index, enum state_event kind)
{
	const struct recipient *r = &m->recipients[index];
	enum state_event event = (enum state_event)r->event;
	bool is_right_phase = r->phase == (kind == STATE_WARNING ? PHASE_DEFERRED : PHASE_FINAL);

	if (!is_right_phase || event == STATE_SITES || !message_wants_report(m, index, event) || child_is_hopeless(s, m, index))
		return STATE_SITES;
	if (event != STATE_FAILED && !*message_report_target(m, index, event))
		return STATE_SITES;	/* nobody to tell, RFC 3461 6.1 */
	return event;
}

/* Reports are grouped by whom they go to. A group is known by its first recipient, whatever that one's state, so
 * that it is the same one in every attempt. */
static uint32_t group_of(const struct message *m, const char *target)
{
	uint32_t i;

	for (i = 0; i < m->envelope.recipient_count; i++)
		if (strcmp(message_report_target(m, i, STATE_FAILED), target) == 0 || strcmp(m->envelope.from, target) == 0)
			return i;
	return 0;
}

static bool find_group(const struct scheduler *s, const struct message *m, enum state_event kind, const char **target, uint32_t *group)
{
	uint32_t i;

	for (i = 0; i < m->envelope.recipient_count; i++) {
		enum state_event event = owed(s, m, i, kind);

		if (event == STATE_SITES)
			continue;
		*target = message_report_target(m, i, event);
		*group = group_of(m, *target);
		if (kind == STATE_WARNING ? !m->recipients[*group].is_warned : !m->recipients[*group].is_reported)
			return true;
	}
	return false;
}

/* The recipients the report is about. */
static struct report_recipient *collect(const struct scheduler *s, const struct message *m, enum state_event kind, const char *target, size_t *count)
{
	struct report_recipient *all = calloc(m->envelope.recipient_count, sizeof *all);
	uint32_t i;

	*count = 0;
	for (i = 0; all && i < m->envelope.recipient_count; i++) {
		const struct envelope_recipient *e = &m->envelope.recipients[i];
		const struct outcome *o = m->recipients[i].outcome;
		enum state_event event = owed(s, m, i, kind);

		if (event == STATE_SITES || strcmp(message_report_target(m, i, event), target) != 0)
			continue;
		all[(*count)++] = (struct report_recipient){
			.address = e->address, .as = e->as, .orcpt = e->orcpt, .event = event, .status = o ? o->status : "5.0.0",
			.host = o ? o->host : "", .words = o ? o->words : "", .time_us = o ? o->time_us : time_real_us(),
		};
	}
	return all;
}

/* Where the header of the content ends, and whether what is copied holds 8-bit bytes; looks at its beginning, more
 * than that counts as 8-bit. */
static bool look_at_content(struct scheduler *s, struct message *m, struct report *report, uint64_t *copy_length)
{
	static char bytes[SCAN_MAX];
	const struct envelope *e = &m->envelope;
	const char *end;
	ssize_t got, i;

	if (!load_reopen(s, m))
		return false;
	got = pread(m->fd, bytes, e->content_length < SCAN_MAX ? (size_t)e->content_length : SCAN_MAX, (off_t)e->content_offset);
	if (got < 0)
		return false;
	if (report->third == REPORT_HEADERS) {
		end = memmem(bytes, (size_t)got, "\r\n\r\n", 4);
		*copy_length = end ? (uint64_t)(end + 2 - bytes) : (uint64_t)got;
	}
	report->third_is_8bit = *copy_length > (uint64_t)got;
	for (i = 0; i < got && (uint64_t)i < *copy_length && !report->third_is_8bit; i++)
		report->third_is_8bit = (unsigned char)bytes[i] > 0x7f;
	return true;
}

static bool tells_failure(const struct report *report)
{
	size_t i;

	for (i = 0; i < report->count; i++)
		if (report->recipients[i].event == STATE_FAILED)
			return true;
	return false;
}

static enum result plan_report(struct scheduler *s, struct message *m, struct report *report, struct plan *plan, struct why *why)
{
	static const struct envelope_recipient plain;
	bool is_8bit, needs_smtputf8;
	enum result result;

	report->third = report_choose_third(&m->envelope, tells_failure(report), s->conf->message_size_limit_bytes);
	plan->copy_at = (off_t)m->envelope.content_offset;
	plan->copy_length = m->envelope.content_length;
	if (!look_at_content(s, m, report, &plan->copy_length))
		return why_errno(why, RESULT_RETRY, "unable to read the message");
	if (!report_build(report, &plan->head, &plan->tail, &is_8bit, &needs_smtputf8))
		return why_set(why, RESULT_RETRY, "out of memory for a report");
	plan->envelope = (struct envelope){
		.from = "", .is_report = true, .body = is_8bit ? BODY_8BITMIME : BODY_7BIT, .needs_smtputf8 = needs_smtputf8,
	};
	result = expand_address(s, report->to, &plain, &plan->recipients, &plan->envelope.recipient_count, why);
	if (result == RESULT_OK && !plan->envelope.recipient_count)
		return why_set(why, RESULT_RETRY, "nobody stands behind %s", report->to);
	return result;
}

bool child_start_report(struct scheduler *s, struct message *m, enum state_event kind)
{
	char postmaster[ADDRESS_MAX + 1];
	struct report_recipient *all;
	struct plan plan = { .kind = kind };
	struct report report = { 0 };
	struct why why = { 0 };
	const char *target;

	if (!find_group(s, m, kind, &target, &plan.index))
		return false;
	snprintf(postmaster, sizeof postmaster, "postmaster@%s", s->conf->domains.items[0]);
	queue_id_make(plan.id);
	all = collect(s, m, kind, target, &report.count);
	report.recipients = all;
	report.hostname = s->conf->hostname;
	report.id = plan.id;
	report.is_for_postmaster = !*target;
	report.to = *target ? target : postmaster;
	report.envelope = &m->envelope;
	report.now_us = time_real_us();
	report.give_up_us = m->envelope.arrived_us + (uint64_t)s->conf->queue_lifetime_seconds * 1000000;
	if (all && plan_report(s, m, &report, &plan, &why) == RESULT_OK) {
		child_begin(s, m, &plan);
	} else {
		plan_free(&plan);
		advance_stall(s, m, "unable-to-make-a-report", &why);
	}
	free(all);
	return true;
}
