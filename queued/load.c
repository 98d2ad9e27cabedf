#include "queued/scheduler.h"

#include "common/log.h"
#include "common/state.h"
#include "queued/errand.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MESSAGES_TABLE = 4096, LATER_SECONDS = 30 };

/* The random part of an ID spreads well. */
uint32_t load_hash(const char *id)
{
	uint32_t h = 0;
	size_t i;

	for (i = QUEUE_ID_LENGTH - 8; i < QUEUE_ID_LENGTH; i++)
		h = h * 31 + (unsigned char)id[i];
	return h;
}

static size_t bucket_of(const char *id)
{
	return load_hash(id) % MESSAGES_TABLE;
}

struct message *load_find(const struct scheduler *s, const char *id)
{
	struct message *m;

	if (!s->table)
		return NULL;
	for (m = s->table[bucket_of(id)]; m; m = m->next_in_table)
		if (memcmp(m->id, id, QUEUE_ID_LENGTH) == 0)
			return m;
	return NULL;
}

static void add(struct scheduler *s, struct message *m, struct sender *sender)
{
	size_t at = bucket_of(m->id);

	m->scheduler = s;
	m->sender = sender;
	sender->messages++;
	sender->recipients += m->envelope.recipient_count;
	m->next_in_table = s->table[at];
	s->table[at] = m;
	s->active++;
	s->active_retries += m->is_retry;
	s->active_recipients += m->envelope.recipient_count;
	s->counters.loaded++;
}

void load_drop(struct scheduler *s, struct message *m)
{
	struct message **at = &s->table[bucket_of(m->id)];

	dispatch_forget(s, m);	/* with nothing left to hand over it may still stand there */
	while (*at != m)
		at = &(*at)->next_in_table;
	*at = m->next_in_table;
	s->active--;
	s->active_retries -= m->is_retry;
	s->active_recipients -= m->envelope.recipient_count;
	m->sender->messages--;
	m->sender->recipients -= m->envelope.recipient_count;
	sender_release(&s->senders, m->sender);
	message_free(m);
	scheduler_pump_soon(s);
}

void load_each(struct scheduler *s, void (*each)(struct scheduler *, struct message *))
{
	struct message *m, *next;
	size_t i;

	for (i = 0; s->table && i < MESSAGES_TABLE; i++)
		for (m = s->table[i]; m; m = next) {
			next = m->next_in_table;
			each(s, m);
		}
}

enum queue_place load_place_of(struct scheduler *s, const char *id)
{
	static const enum queue_place places[] = { QUEUE_NEW, QUEUE_CUR, QUEUE_HOLD, QUEUE_CORRUPT };
	size_t i;

	for (i = 0; i < sizeof places / sizeof *places; i++)
		if (faccessat(s->queue.place[places[i]], id, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
			return places[i];
	return QUEUE_PLACES;
}

/* For message_make: an error other than "not there" counts as there, so that nothing is made twice. */
static bool exists(void *context, const char *id)
{
	return load_place_of(context, id) != QUEUE_PLACES;
}

static int open_at(struct scheduler *s, enum queue_place place, const char *id)
{
	return openat(s->queue.place[place], id, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

bool load_reopen(struct scheduler *s, struct message *m)
{
	struct why why = { 0 };

	if (m->fd >= 0)
		return true;
	m->fd = open_at(s, m->place, m->id);
	if (m->fd >= 0)
		return true;
	why_errno(&why, RESULT_RETRY, "unable to open %s/%s again", queue_place_names[m->place], m->id);
	scheduler_log("unable-to-read", m->id, &why);
	return false;
}

/* A directory, a link: not made by us, not ours to move. */
static bool is_foreign(struct scheduler *s, const char *id, enum queue_place place)
{
	struct stat st;

	return fstatat(s->queue.place[place], id, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode);
}

/* ---- children: the parent's record is settled first ----
 *
 * A child's ID stands durably in its parent's state before the child is committed, and "made" or
 * the parent's unlinking after it. The child may be delivered, and so vanish, only when one of the two is
 * durable: otherwise a parent that is read after a crash would find an announced child nowhere and
 * make it again. In this process child.c keeps that order. After a crash the child may be found in
 * new/ while its parent's state has no "made": then that line is appended here, durably, before the
 * child is loaded. A parent without state announced nothing, or is gone: nothing to settle. */

static bool is_unsettled(const stralloc *state, const char *child, struct state_line *found)
{
	const char *at = state->s, *end = state->s + state->len;
	struct state_line line;
	bool is_open = false;

	while (state_next_line(&at, end, &line)) {
		if (line.event < STATE_FORWARD || memcmp(line.id, child, QUEUE_ID_LENGTH) != 0)
			continue;
		is_open = line.event != STATE_MADE;
		*found = line;
	}
	return is_open;
}

/* What settling a state found, where a crash took its lines from the log: messages that were made, and the results of
 * recipients that became one. */
static void log_settled(const struct scheduler *s, const struct message *m, const stralloc *state)
{
	const char *at = m->lines.s, *end = m->lines.s + m->lines.len;
	struct state_line line, announced;

	while (state_next_line(&at, end, &line)) {
		if (line.event == STATE_MADE && is_unsettled(state, line.id, &announced))
			story_made(line.id, m->id, announced.event, announced.index, 0);
		else if (line.event == STATE_FORWARDED)
			story_result(s, m, line.index, line.event, &(struct result_words){ "2.0.0", "", 0, "forwarded", 9 });
	}
}

static void load_child(struct errand *errand)
{
	if (errand->record.result == RESULT_OK)	/* else the scan comes back to it */
		scheduler_add_fresh(errand->scheduler, errand->child, true);
}

static bool append_made(struct scheduler *s, const char *parent, const char *child, const struct state_line *announced)
{
	struct state_line line = { .event = STATE_MADE, .index = announced->index, .time_us = time_real_us() };
	struct errand *errand = errand_make(s, parent, QUEUE_CUR, QUEUE_CUR);

	if (!errand)
		return false;
	errand->record.has_state = true;
	story_made(child, parent, announced->event, announced->index, 0);
	memcpy(line.id, child, sizeof line.id);
	memcpy(errand->child, child, sizeof errand->child);
	if (!state_append_line(&errand->record.lines, &line)) {
		errand_free(errand);
		return false;
	}
	errand->then = load_child;
	errand_submit(errand);
	return true;
}

/* RESULT_OK: go on; RESULT_END: not now, it comes back by itself; RESULT_RETRY: try again later. */
static enum result settle_parent(struct scheduler *s, const char *parent, const char *child)
{
	struct message *active = load_find(s, parent);
	struct state_line found = { 0 };
	enum result result = RESULT_OK;
	stralloc state = { 0 };
	struct why why = { 0 };
	int fd;

	if (active && child_is_pending(active, child))
		return RESULT_END;
	fd = openat(s->queue.place[QUEUE_STATE], parent, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? RESULT_OK : RESULT_RETRY;
	if (state_read(fd, &state, NULL, &why) != RESULT_OK)
		result = RESULT_RETRY;
	else if (is_unsettled(&state, child, &found))
		result = append_made(s, parent, child, &found) ? RESULT_END : RESULT_RETRY;
	close(fd);
	stralloc_free(&state);
	return result;
}

/* ---- loading ---- */

/* RESULT_OK: *FD, *PLACE; RESULT_END: it is gone or not to be tried; RESULT_RETRY. */
static enum result find_file(struct scheduler *s, const char *id, bool is_fresh, int *fd, enum queue_place *place, struct why *why)
{
	*place = is_fresh ? QUEUE_NEW : QUEUE_CUR;
	*fd = open_at(s, *place, id);
	if (*fd < 0 && errno == ENOENT && !is_fresh) {
		*place = QUEUE_NEW;
		*fd = open_at(s, *place, id);
	}
	if (*fd >= 0)
		return RESULT_OK;
	if (errno != ENOENT)
		return why_errno(why, errno == ELOOP || errno == ENXIO ? RESULT_PEER : RESULT_RETRY, "unable to open %s/%s",
		                 queue_place_names[*place], id);
	if (!is_fresh && load_place_of(s, id) == QUEUE_PLACES)
		unlinkat(s->queue.place[QUEUE_STATE], id, 0);	/* a state without a message */
	return RESULT_END;
}

static enum result read_state_file(struct scheduler *s, const char *id, stralloc *text, bool *has_state, struct why *why)
{
	int fd = openat(s->queue.place[QUEUE_STATE], id, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	enum result result;

	*has_state = fd >= 0;
	if (fd < 0)
		return errno == ENOENT ? RESULT_OK : why_errno(why, RESULT_RETRY, "unable to open state/%s", id);
	result = state_read(fd, text, NULL, why);
	close(fd);
	return result == RESULT_OK ? RESULT_OK : RESULT_RETRY;
}

static enum result read_message(struct scheduler *s, const struct waiting *w, const char *id, struct message **m,
                                enum queue_place *place, struct why *why)
{
	stralloc state = { 0 };
	bool has_state = false;
	enum result result;
	int fd;

	result = find_file(s, id, w->is_fresh, &fd, place, why);
	if (result != RESULT_OK)
		return result;
	if (!w->is_fresh || w->maybe_state)
		result = read_state_file(s, id, &state, &has_state, why);
	if (result == RESULT_OK)
		result = message_make(id, *place, fd, has_state ? &state : NULL, exists, s, m, why);
	else
		close(fd);
	if (result == RESULT_OK && *m && (*m)->lines.len)
		log_settled(s, *m, &state);
	stralloc_free(&state);
	return result;
}

/* The next scan of new/ finds it. */
static bool is_left_to_scan(const struct waiting *w)
{
	return w->is_fresh && !w->maybe_state;
}

static void put_back(struct scheduler *s, const struct waiting *w)
{
	struct waiting later = *w;

	if (is_left_to_scan(w))
		return;
	later.is_fresh = false;
	later.due_seconds = scheduler_now_seconds(s) + LATER_SECONDS;
	scheduler_add(s, &s->retry, &later);
}

/* It stays where it was, and waits, unless somebody who waited for this move brings it back anyway. */
static void corrupt_moved(struct errand *errand)
{
	struct waiting w = { 0 };

	memcpy(w.id, errand->record.id, QUEUE_ID_LENGTH);
	if (errand->record.result != RESULT_OK && !errand->is_awaited)
		put_back(errand->scheduler, &w);
}

static void put_into_corrupt(struct scheduler *s, const struct waiting *w, const char *id, enum queue_place place, const struct why *why)
{
	struct errand *errand;

	if (is_foreign(s, id, place)) {
		scan_say_foreign(s, place, id);
		return;
	}
	errand = errand_make(s, id, place, QUEUE_CORRUPT);
	scheduler_log("message-corrupt", id, why);
	if (!errand) {
		put_back(s, w);
		return;
	}
	if (!is_left_to_scan(w))
		errand->then = corrupt_moved;
	errand_submit(errand);
}

/* Is there room for one more of the sender's, beside what others may want? */
static bool has_share(void *context, const struct sender *sender)
{
	const struct scheduler *s = context;

	return !sender_is_over(sender->messages, MESSAGES_MAX - s->active, LOADED_SHARE) &&
	       !sender_is_over(sender->recipients, RECIPIENTS_MAX - s->active_recipients, LOADED_SHARE);
}

/* M is whole: into the table, or out again because its sender has his share. */
static void let_in(struct scheduler *s, struct message *m, const struct waiting *w, bool is_peek)
{
	struct sender *sender = sender_get(&s->senders, sender_key(&m->envelope));

	if (!sender) {
		scheduler_log("unable-to-load", m->id, &(struct why){ .text = "out of memory" });
		put_back(s, w);
		message_free(m);
		return;
	}
	if ((!has_share(s, sender) || (is_peek && sender->messages >= PEEK_SHARE)) && sender_put_off(&s->senders, sender, w)) {
		message_free(m);
		return;
	}
	m->is_retry = !w->is_fresh;
	add(s, m, sender);
	advance(s, m);
}

/* Is it loaded, or being changed on disk? Then that goes on with it, or brings it back. */
static bool is_busy(const struct scheduler *s, const char *id)
{
	struct errand *errand = errand_find(s, id);

	if (errand)
		errand->is_awaited = true;
	return errand || load_find(s, id);
}

static void load(struct scheduler *s, const struct waiting *w, bool is_peek)
{
	char id[QUEUE_ID_LENGTH + 1] = { 0 };
	struct message *m = NULL;
	enum queue_place place;
	struct why why = { 0 };
	enum result result;

	memcpy(id, w->id, QUEUE_ID_LENGTH);
	if (is_busy(s, id))
		return;
	result = read_message(s, w, id, &m, &place, &why);
	if (result == RESULT_OK && m->envelope.parent && queue_id_is_valid(m->envelope.parent, strlen(m->envelope.parent)))
		result = settle_parent(s, m->envelope.parent, id);
	switch (result) {
	case RESULT_OK:
		let_in(s, m, w, is_peek);
		return;
	case RESULT_RETRY:
		scheduler_log("unable-to-load", id, &why);
		put_back(s, w);
		break;
	case RESULT_PEER:
		put_into_corrupt(s, w, id, place, &why);
		break;
	default:
		break;
	}
	message_free(m);
}

/* New mail goes first, but retries get every second place, and never more than half of the room. */
static struct waiting_heap *next_heap(struct scheduler *s)
{
	const struct waiting *retry = waiting_first(&s->retry);
	bool is_due = retry && retry->due_seconds <= scheduler_now_seconds(s);

	if (!is_due)
		return s->fresh.count ? &s->fresh : NULL;
	if (!s->fresh.count)
		return &s->retry;
	s->is_retry_turn = !s->is_retry_turn;
	return s->is_retry_turn && s->active_retries < MESSAGES_MAX / 2 ? &s->retry : &s->fresh;
}

static bool has_room(struct scheduler *s)
{
	if (!s->table)
		s->table = calloc(MESSAGES_TABLE, sizeof *s->table);
	return s->table && !s->is_ending && s->active < MESSAGES_MAX && s->active_recipients < RECIPIENTS_MAX;
}

/* What was put off for its sender's sake takes turns with the rest. */
bool load_next(struct scheduler *s)
{
	struct waiting_heap *heap = has_room(s) ? next_heap(s) : NULL;
	struct sender *sender = NULL;
	struct waiting next;

	if (!has_room(s))
		return false;
	s->is_overflow_turn = !s->is_overflow_turn;
	if (!heap || s->is_overflow_turn)
		sender = sender_next(&s->senders, has_share, s);
	if (!heap && !sender)
		return false;
	if (sender)
		sender_take(&s->senders, sender, &next);
	else
		waiting_pop(heap, &next);
	load(s, &next, false);
	return true;
}

bool load_peek(struct scheduler *s)
{
	struct waiting next;
	int i;

	for (i = 0; i < PEEKS && s->fresh.count >= PEEK_LEAST && has_room(s); i++) {
		waiting_pop(&s->fresh, &next);
		load(s, &next, true);
	}
	return i > 0;
}

static void add_overflow(void *context, struct site *site)
{
	*(size_t *)context += site->overflow.count;
}

size_t load_overflowed(struct scheduler *s)
{
	size_t count = s->senders.overflowed;

	site_each(&s->sites, add_overflow, &count);
	return count;
}
