#include "queued/message.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>


const char *address_domain(const char *address)
{
	const char *at = strrchr(address, '@');

	return at ? at + 1 : "";
}

static uint32_t *count_of(struct message *message, enum recipient_phase phase)
{
	switch (phase) {
	case PHASE_READY:    return &message->ready;
	case PHASE_PARKED:   return &message->parked;
	case PHASE_FLYING:   return &message->flying;
	case PHASE_MAKING:   return &message->making_count;
	case PHASE_DEFERRED: return &message->deferred;
	case PHASE_FINAL:    break;
	}
	return &message->final;
}

void message_set_phase(struct message *message, uint32_t index, enum recipient_phase phase)
{
	struct recipient *r = &message->recipients[index];

	--*count_of(message, (enum recipient_phase)r->phase);
	++*count_of(message, phase);
	r->phase = (uint8_t)phase;
	if (phase == PHASE_READY && index < message->cursor)
		message->cursor = index;
}

/* ---- results ---- */

static void set_outcome(struct message *message, uint32_t index, uint64_t time_us, const struct result_words *words)
{
	struct recipient *r = &message->recipients[index];
	struct outcome *o = malloc(sizeof *o + words->host_length + words->words_length + 2);

	if (!o)
		return;
	o->time_us = time_us;
	memset(o->status, 0, sizeof o->status);
	memcpy(o->status, words->status, strnlen(words->status, STATE_STATUS_MAX));
	o->host = (char *)(o + 1);
	memcpy(o->host, words->host, words->host_length);
	o->host[words->host_length] = '\0';
	o->words = o->host + words->host_length + 1;
	memcpy(o->words, words->words, words->words_length);
	o->words[words->words_length] = '\0';
	free(r->outcome);	/* only now: WORDS may point into it */
	r->outcome = o;
}

/* What no report will name need not be remembered. */
static bool has_to_be_kept(const struct message *message, uint32_t index, enum state_event event)
{
	return event == STATE_DEFERRED || event == STATE_FAILED || message_wants_report(message, index, event);
}

static void apply_result(struct message *message, const struct state_line *line)
{
	struct recipient *r = &message->recipients[line->index];
	struct result_words words = { line->status, line->host, line->host_length, line->words, line->words_length };

	r->event = (uint8_t)line->event;
	if (line->event == STATE_DEFERRED || line->event == STATE_FAILED)
		r->attempts++;
	if (r->attempts > message->attempts)
		message->attempts = r->attempts;
	if (!message->first_us || line->time_us < message->first_us)
		message->first_us = line->time_us;
	if (has_to_be_kept(message, line->index, line->event))
		set_outcome(message, line->index, line->time_us, &words);
	if (state_is_final(line->event))
		message_set_phase(message, line->index, PHASE_FINAL);
	else if (r->phase == PHASE_FINAL)	/* a failure that was taken back */
		message_set_phase(message, line->index, PHASE_READY);
}

bool message_add_line(struct message *message, const struct state_line *line)
{
	return state_append_line(&message->lines, line);
}

void message_set_result(struct message *message, uint32_t index, enum state_event event, uint64_t time_us,
                        const struct result_words *words)
{
	struct state_line line = { .event = event, .index = index, .time_us = time_us, .host = words->host,
	                           .host_length = words->host_length, .words = words->words, .words_length = words->words_length };

	memcpy(line.status, words->status, strnlen(words->status, STATE_STATUS_MAX));
	message_add_line(message, &line);
	apply_result(message, &line);
	if (!state_is_final(event))
		message_set_phase(message, index, PHASE_DEFERRED);
	message->recipients[index].was_tried = true;
}

void message_drop_making(struct message *message, uint32_t index)
{
	struct making **at = &message->making, *making;

	while (*at && (*at)->index != index)
		at = &(*at)->next;
	making = *at;
	if (!making)
		return;
	*at = making->next;
	stralloc_free(&making->addresses);
	stralloc_free(&making->member);
	free(making);
}

void message_reopen(struct message *message, uint32_t index, uint64_t time_us, const struct result_words *words)
{
	message_set_result(message, index, STATE_DEFERRED, time_us, words);
}

void message_renew(struct message *message)
{
	uint32_t i;

	for (i = 0; i < message->envelope.recipient_count && message->deferred; i++)
		if (message->recipients[i].phase == PHASE_DEFERRED) {
			message->recipients[i].was_tried = false;
			message_set_phase(message, i, PHASE_READY);
		}
}

uint64_t message_since_us(const struct message *message, uint64_t now_us)
{
	return message->envelope.arrived_us > now_us && message->first_us ? message->first_us : message->envelope.arrived_us;
}

/* ---- reports ---- */

bool message_wants_report(const struct message *message, uint32_t index, enum state_event event)
{
	unsigned notify = message->envelope.recipients[index].notify;

	if (notify & NOTIFY_NEVER)
		return false;
	switch (event) {
	case STATE_FAILED:   return !notify || (notify & NOTIFY_FAILURE);
	case STATE_DEFERRED: return !notify || (notify & NOTIFY_DELAY);
	case STATE_FORWARDED: return false;	/* NOTIFY went along with it */
	default:             return notify & NOTIFY_SUCCESS;
	}
}

const char *message_report_target(const struct message *message, uint32_t index, enum state_event event)
{
	const struct envelope_recipient *e = &message->envelope.recipients[index];

	if (e->owner && *message->envelope.from && (event == STATE_FAILED || event == STATE_DEFERRED))
		return e->owner;
	return message->envelope.from;
}

/* ---- loading ---- */

struct reading {
	struct message *message;
	struct announced *announced;	/* not made yet, few */
	size_t count, size;
};

static void forget_announced(struct reading *reading, size_t i)
{
	free(reading->announced[i].member);
	reading->announced[i] = reading->announced[--reading->count];
}

static bool add_announced(struct reading *reading, const struct state_line *line)
{
	struct announced *a;

	if (reading->count == reading->size) {
		size_t size = reading->size ? reading->size * 2 : 8;
		struct announced *items = realloc(reading->announced, size * sizeof *items);

		if (!items)
			return false;
		reading->announced = items;
		reading->size = size;
	}
	a = &reading->announced[reading->count];
	*a = (struct announced){ .event = line->event, .index = line->index, .offset = line->offset };
	memcpy(a->id, line->id, sizeof a->id);
	if (line->event == STATE_PART && !(a->member = strndup(line->words, line->words_length)))
		return false;
	reading->count++;
	return true;
}

struct making *message_making(struct message *message, uint32_t index)
{
	struct making *m;

	for (m = message->making; m; m = m->next)
		if (m->index == index)
			return m;
	m = calloc(1, sizeof *m);
	if (!m)
		return NULL;
	m->index = index;
	m->event = STATE_PART;
	m->result = STATE_EXPANDED;
	memcpy(m->status, "2.1.5", 6);
	m->next = message->making;
	message->making = m;
	return m;
}

/* The announced message stands in the queue, or stood: what it was made for is done. */
static bool apply_made(struct message *message, const struct announced *a)
{
	struct recipient *r = &message->recipients[a->index];
	struct result_words words = { "2.0.0", "", 0, "forwarded", 9 };
	struct making *m;

	switch (a->event) {
	case STATE_REPORT:
		r->is_reported = true;
		return true;
	case STATE_WARNING:
		r->is_warned = true;
		return true;
	case STATE_SUCCESS:
		message->is_success_told = true;
		return true;
	case STATE_FORWARD:	/* its result's line follows or was lost */
		if (r->phase != PHASE_FINAL)
			message_set_result(message, a->index, STATE_FORWARDED, time_real_us(), &words);
		return true;
	default:
		break;
	}
	if (a->offset == STATE_OFFSET_END) {
		r->is_list_done = true;
		return true;
	}
	m = message_making(message, a->index);
	if (!m)
		return false;
	m->offset = a->offset;
	m->member.len = 0;
	return text_append_string(&m->member, a->member);
}

static bool read_line(struct reading *reading, const struct state_line *line)
{
	size_t i;
	bool is_good = true;

	if (line->index >= reading->message->envelope.recipient_count)
		return true;
	if (line->event <= STATE_FAILED) {
		apply_result(reading->message, line);
		return true;
	}
	if (line->event != STATE_MADE)
		return add_announced(reading, line);
	for (i = 0; i < reading->count; i++)
		if (memcmp(reading->announced[i].id, line->id, QUEUE_ID_LENGTH) == 0) {
			is_good = apply_made(reading->message, &reading->announced[i]);
			forget_announced(reading, i);
			break;
		}
	return is_good;
}

/* What was announced and not recorded as made: it exists or it never will (record.h, child.h). */
static bool settle(struct reading *reading, bool (*exists)(void *, const char *), void *context)
{
	struct state_line line = { .event = STATE_MADE, .time_us = time_real_us() };
	bool is_good = true;

	while (reading->count) {
		struct announced *a = &reading->announced[0];

		if (exists(context, a->id)) {
			line.index = a->index;
			memcpy(line.id, a->id, sizeof line.id);
			is_good = is_good && apply_made(reading->message, a) && message_add_line(reading->message, &line);
		}
		forget_announced(reading, 0);
	}
	return is_good;
}

static enum result read_state(struct message *message, const stralloc *state, bool (*exists)(void *, const char *),
                              void *context, struct why *why)
{
	struct reading reading = { .message = message };
	const char *at = state->s, *end = state->s + state->len;
	struct state_line line;
	bool is_good = true;

	message->has_state = true;
	while (is_good && state_next_line(&at, end, &line))
		if (line.event == STATE_SITES)
			message->has_sites = true;
		else
			is_good = read_line(&reading, &line);
	is_good = settle(&reading, exists, context) && is_good;
	free(reading.announced);
	return is_good ? RESULT_OK : why_set(why, RESULT_RETRY, "out of memory for the state of %s", message->id);
}

/* The copies that owe an "expanded" report only (RFC 3461 5.2.7.3) are final from the start. */
static enum result make_recipients(struct message *message, struct why *why)
{
	uint32_t i, count = message->envelope.recipient_count;
	struct result_words words = { "2.1.5", "", 0, "expanded to the members of a list", 33 };

	message->recipients = calloc(count ? count : 1, sizeof *message->recipients);
	if (!message->recipients)
		return why_set(why, RESULT_RETRY, "out of memory for %u recipients", count);
	message->ready = count;
	for (i = 0; i < count; i++)
		if (message->envelope.recipients[i].is_expanded) {
			struct recipient *r = &message->recipients[i];

			r->event = STATE_EXPANDED;
			message_set_phase(message, i, PHASE_FINAL);
			if (message_wants_report(message, i, STATE_EXPANDED))
				set_outcome(message, i, message->envelope.arrived_us, &words);
		}
	return RESULT_OK;
}

enum result message_make(const char *id, enum queue_place place, int fd, const stralloc *state,
                         bool (*exists)(void *, const char *), void *context, struct message **message, struct why *why)
{
	struct message *m = calloc(1, sizeof *m);
	enum result result;

	if (!m) {
		close(fd);
		return why_set(why, RESULT_RETRY, "out of memory for a message");
	}
	memcpy(m->id, id, QUEUE_ID_LENGTH);
	m->place = place;
	m->fd = fd;
	result = envelope_read(fd, &m->envelope, why);
	if (result == RESULT_OK && strcmp(m->envelope.id, m->id) != 0)
		result = why_set(why, RESULT_PEER, "the file holds the message %s", m->envelope.id);
	if (result == RESULT_OK)
		result = make_recipients(m, why);
	if (result == RESULT_OK && state)
		result = read_state(m, state, exists, context, why);
	if (result != RESULT_OK) {
		message_free(m);
		return result;
	}
	m->bytes = sizeof *m + m->envelope.recipient_count * (sizeof *m->recipients + sizeof *m->envelope.recipients + 64);
	*message = m;
	return RESULT_OK;
}

void message_free(struct message *message)
{
	struct making *m, *next;
	uint32_t i;

	if (!message)
		return;
	if (message->fd >= 0)
		close(message->fd);
	for (i = 0; message->recipients && i < message->envelope.recipient_count; i++)
		free(message->recipients[i].outcome);
	for (m = message->making; m; m = next) {
		next = m->next;
		stralloc_free(&m->addresses);
		stralloc_free(&m->member);
		free(m);
	}
	free(message->recipients);
	envelope_free(&message->envelope);
	stralloc_free(&message->lines);
	stralloc_free(&message->children);
	stralloc_free(&message->record_children);
	stralloc_free(&message->record.lines);
	stralloc_free(&message->clients);
	free(message);
}
