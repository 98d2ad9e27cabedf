/* Reports: whom they go to, what they are about; report.c writes them. */
#include "queued/child.h"

#include "queued/expand.h"
#include "queued/report.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { SCAN_MAX = 65536 };		/* bytes of a message that are looked at */

static bool is_postmaster(const struct scheduler *s, const char *address)
{
	const char *at = address ? strchr(address, '@') : NULL;

	if (!address || strncasecmp(address, "postmaster", 10) != 0 || (address[10] && address + 10 != at))
		return false;
	return !at || configuration_is_local_domain(s->conf, at + 1, strlen(at + 1));
}

const char *child_postmaster(const struct scheduler *s, const struct message *m, uint32_t index)
{
	const struct envelope_recipient *r = &m->envelope.recipients[index];

	if (!message_wants_report(m, index, STATE_FAILED) || *message_report_target(m, index, STATE_FAILED))
		return NULL;
	return is_postmaster(s, r->as) ? r->as : is_postmaster(s, r->address) ? r->address : NULL;
}

bool child_is_hopeless(const struct scheduler *s, const struct message *m, uint32_t index)
{
	return m->recipients[index].event == STATE_FAILED && m->recipients[index].phase == PHASE_FINAL &&
	       child_postmaster(s, m, index) != NULL;
}

/* Is something about the recipient owed in a report of KIND? */
static bool is_owed(const struct scheduler *s, const struct message *m, uint32_t index, enum state_event kind)
{
	const struct recipient *r = &m->recipients[index];
	enum state_event event = (enum state_event)r->event;
	bool is_target_null = !*message_report_target(m, index, event);

	if (event == STATE_SITES || !message_wants_report(m, index, event))
		return false;
	switch (kind) {
	case STATE_REPORT:
		return r->phase == PHASE_FINAL && event == STATE_FAILED && !child_is_hopeless(s, m, index);
	case STATE_WARNING:	/* no sender, nobody to tell of it (RFC 3461 6.1) */
		return r->phase == PHASE_DEFERRED && !is_target_null;
	default:
		return r->phase == PHASE_FINAL && event != STATE_FAILED && !is_target_null;
	}
}

/* Reports are grouped by whom they go to. A group is known by its first recipient, whatever that one's state, so
 * that it is the same one in every attempt. Successes are all told to the reverse-path: group 0. */
static uint32_t group_of(const struct message *m, const char *target)
{
	uint32_t i;

	for (i = 0; strcmp(message_report_target(m, i, STATE_FAILED), target) != 0; i++)
		;
	return i;
}

uint32_t child_report_group(const struct message *m, uint32_t index)
{
	return group_of(m, message_report_target(m, index, STATE_FAILED));
}

static bool is_told(const struct message *m, enum state_event kind, uint32_t group)
{
	if (kind == STATE_SUCCESS)
		return m->is_success_told;
	return kind == STATE_WARNING ? m->recipients[group].is_warned : m->recipients[group].is_reported;
}

static bool find_group(const struct scheduler *s, const struct message *m, enum state_event kind, const char **target, uint32_t *group)
{
	uint32_t i;

	for (i = 0; i < m->envelope.recipient_count; i++) {
		if (!is_owed(s, m, i, kind))
			continue;
		*target = message_report_target(m, i, (enum state_event)m->recipients[i].event);
		*group = kind == STATE_SUCCESS ? 0 : group_of(m, *target);
		if (!is_told(m, kind, *group))
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
		enum state_event event = (enum state_event)m->recipients[i].event;

		if (!is_owed(s, m, i, kind) || strcmp(message_report_target(m, i, event), target) != 0)
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

static enum result plan_report(struct scheduler *s, struct message *m, struct report *report, struct plan *plan, struct why *why)
{
	static const struct envelope_recipient plain;
	bool is_8bit, needs_smtputf8;
	enum result result;

	report->third = report_choose_third(&m->envelope, plan->kind == STATE_REPORT, s->conf->message_size_limit_bytes);
	plan->copy_at = (off_t)m->envelope.content_offset;
	plan->copy_length = m->envelope.content_length;
	if (!look_at_content(s, m, report, &plan->copy_length))
		return why_errno(why, RESULT_RETRY, "unable to read the message");
	if (!report_build(report, &plan->head, &plan->tail, &is_8bit, &needs_smtputf8))
		return why_set(why, RESULT_RETRY, "out of memory for a report");
	plan->envelope = (struct envelope){
		.from = "", .is_report = true, .body = is_8bit ? BODY_8BITMIME : BODY_7BIT, .needs_smtputf8 = needs_smtputf8,
		.requires_tls = m->envelope.requires_tls,	/* RFC 8689 5 */
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
	report.give_up_us = message_since_us(m, report.now_us) + (uint64_t)s->conf->queue_lifetime_seconds * 1000000;
	if (all && plan_report(s, m, &report, &plan, &why) == RESULT_OK) {
		child_begin(s, m, &plan);
	} else {
		plan_free(&plan);
		advance_stall(s, m, "unable-to-make-a-report", &why);
	}
	free(all);
	return true;
}
