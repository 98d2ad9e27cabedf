/* Forwards, and the parts of long lists. */
#include "queued/child.h"

#include "queued/expand.h"
#include <string.h>

void child_finish_list(struct scheduler *s, struct message *m, struct making *making)
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
static struct envelope_recipient forwarded_recipient(const struct scheduler *s, const struct message *m, const struct making *making)
{
	const struct envelope_recipient *from = &m->envelope.recipients[making->index];
	struct envelope_recipient to = { .as = child_postmaster(s, m, making->index), .owner = from->owner, .notify = from->notify };

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
	struct envelope_recipient like = forwarded_recipient(s, m, making);
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

/* What is to be held sends nothing more to its lists; the addresses of a forward stand in memory alone. */
static struct making *next_making(const struct message *m)
{
	struct making *making;

	for (making = m->making; making; making = making->next)
		if (m->recipients[making->index].phase == PHASE_MAKING && !(m->wants_hold && making->event == STATE_PART))
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

bool child_start_making(struct scheduler *s, struct message *m)
{
	struct making *making = next_making(m);
	char owner[ADDRESS_MAX + 1] = "";
	struct plan plan = { 0 };
	struct why why = { 0 };
	bool is_with_programs;
	enum result result;

	if (!making)
		return false;
	inherit(&plan, m);
	plan.envelope.recipient_count = 0;
	plan.kind = making->event;
	plan.index = making->index;
	plan.making = making;
	result = making->event == STATE_FORWARD ? plan_forward(s, m, making, &plan, &why)
	                                        : plan_part(s, m, making, &plan, owner, &why);
	if (result == RESULT_OK && plan.envelope.recipient_count) {
		child_begin(s, m, &plan);
		return true;
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
		child_finish_list(s, m, making);	/* an empty part: only programs are left */
	} else {
		defer_making(s, m, making->index, &why);
	}
	return true;
}
