#include "queued/scheduler.h"

#include "queued/child.h"
#include "common/file.h"
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

enum { COPY_CHUNK = 1 << 20 };	/* bytes a turn */

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
	uint32_t recipients;
	struct timer copy_timer;
};

void plan_free(struct plan *plan)
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

static bool write_text(int fd, const stralloc *text)
{
	return file_write(fd, text->s, text->len);
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
	return text_append(&child->tail, trailer, QUEUE_TRAILER_LENGTH) && write_text(child->fd, &child->tail);
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
		if (child->fd < 0 || !write_text(child->fd, &head) || !write_text(child->fd, &plan->recipients) || !write_text(child->fd, &plan->head))
			result = why_errno(why, RESULT_RETRY, "unable to write tmp/%s", child->commit.id);
	}
	stralloc_free(&head);
	return result;
}

void child_begin(struct scheduler *s, struct message *m, struct plan *plan)
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
	child->recipients = plan->envelope.recipient_count;
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

static void finish_part(struct scheduler *s, struct message *m, struct child *child)
{
	struct making *making = child->making;
	stralloc member = making->member;

	making->offset = child->next_offset;
	making->member = child->next_member;
	child->next_member = member;
	making->is_with_programs = child->is_with_programs;
	if (making->offset == STATE_OFFSET_END)
		child_finish_list(s, m, making);	/* else the recipient stays, the next part follows */
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
	case STATE_WARNING:
		m->recipients[child->index].is_warned = true;
		s->counters.reports++;
		break;
	default:
		m->is_success_told = true;
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
	story_made(commit->id, m->id, child->kind, child->index, child->recipients);
	finish_child(s, m, child);
	memcpy(line.id, commit->id, sizeof line.id);
	message_add_line(m, &line);
	text_append(&m->children, commit->id, QUEUE_ID_LENGTH);	/* without memory: found by the scan */
	child_free(s, child);
	advance(s, m);
}
