/* Commands that look at all that waits: many messages that are held, removed or made due together, and `dawk queue retry DOMAIN`,
 * for which states are read, some a turn, so that mail goes on meanwhile. */
#include "queued/scheduler.h"

#include "common/address.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>
#include <unistd.h>

enum {
	SETTLE_MAX = 1024,		/* IDs that are looked for together */
	WALK_CHUNK = 500,		/* states read in a turn, */
	WALK_MS = 5,			/* if the disk is quick */
	HURRY_MAX = 16384,		/* messages that become due in a turn */
	BUSY_MS = 5000,			/* between two signs of life to who waits for the answer */
	STATE_HEAD = 4096,
};

/* ---- what is taken out, and what comes in again ---- */

static bool get_room(struct scheduler *s)
{
	if (!s->settling.due)
		s->settling.due = calloc(SETTLE_MAX, sizeof *s->settling.due);
	return s->settling.due && (s->settling.forgotten.most || waiting_set_make(&s->settling.forgotten, SETTLE_MAX));
}

static void forget_at_site(void *context, struct site *site)
{
	waiting_remove_these(&site->overflow, context);
}

/* One that was to come in again in this very turn. */
static void withdraw_due(struct scheduler *s, const char *id)
{
	size_t i;

	for (i = 0; i < s->settling.due_count; i++)
		if (memcmp(s->settling.due[i].id, id, QUEUE_ID_LENGTH) == 0)
			s->settling.due[i--] = s->settling.due[--s->settling.due_count];
}

/* Without memory it stays: a look for it in vain, when it is due, is all that comes of that. */
void control_forget(struct scheduler *s, const char *id)
{
	struct waiting_set *forgotten = &s->settling.forgotten;

	if (!get_room(s))
		return;
	if (waiting_set_has(forgotten, id))
		withdraw_due(s, id);
	if (!waiting_set_add(forgotten, id)) {
		control_settle(s);
		waiting_set_add(forgotten, id);
	}
}

static void add_due(struct scheduler *s, const struct waiting *w)
{
	struct waiting due = *w;

	due.due_seconds = w->is_fresh ? 0 : scheduler_now_seconds(s);
	scheduler_add(s, w->is_fresh ? &s->fresh : &s->retry, &due);
}

void control_make_due(struct scheduler *s, const char *id, bool is_fresh, bool maybe_state)
{
	struct waiting w = { .is_fresh = is_fresh, .maybe_state = is_fresh && maybe_state };

	memcpy(w.id, id, QUEUE_ID_LENGTH);
	control_forget(s, id);
	if (get_room(s))
		s->settling.due[s->settling.due_count++] = w;
	else
		add_due(s, &w);
}

void control_settle(struct scheduler *s)
{
	struct waiting_set *forgotten = &s->settling.forgotten;
	size_t i;

	if (!forgotten->count && !s->settling.due_count && !s->settling.probes)
		return;
	waiting_remove_these(&s->retry, forgotten);
	waiting_remove_these(&s->fresh, forgotten);
	sender_forget_these(&s->senders, forgotten);
	site_each(&s->sites, forget_at_site, forgotten);
	if (s->settling.probes)
		remote_probe_now(s, NULL);
	for (i = 0; i < s->settling.due_count; i++)
		add_due(s, &s->settling.due[i]);
	waiting_set_clear(forgotten);
	s->settling.due_count = 0;
	s->settling.probes = false;
}

/* One that is on its way to another folder can't be opened: it comes in again, due, once it is there. */
void control_retry_loaded(struct scheduler *s, struct message *m)
{
	bool is_moving = m->is_recording && m->record.from != m->record.to;

	if (m->wants_hold || m->wants_removal)
		return;
	m->due_us = 0;
	if (is_moving)
		return;
	message_renew(m);
	advance(s, m);
}

/* ---- a domain ---- */

struct control_walk {
	struct scheduler *scheduler;
	struct timer timer;
	uint64_t client, told_ms;
	char domain[WIRE_ADDRESS_MAX + 1], name[WIRE_ADDRESS_MAX + 1];	/* as given, and to compare with */
	char *ids;			/* of all that wait; those that match are gathered at the front */
	size_t count, at, matches, hurried;
	size_t loaded;			/* messages with deferred recipients there, which are tried again at once */
	struct waiting_set set;		/* that become due in this turn */
};

/* Does the first "sites" line name the domain? A state without one, or with more than it names, may be anybody's. */
static bool names_domain(const char *text, size_t length, const char *domain)
{
	const char *at = text, *word;
	struct state_line line;
	size_t word_length;

	do
		if (!state_next_line(&at, text + length, &line))
			return true;
	while (line.event != STATE_SITES);
	at = line.words;
	while (text_next_word(&at, line.words + line.words_length, &word, &word_length))
		if ((word_length == 1 && *word == '*') || domain_is(word, word_length, domain))
			return true;
	return false;
}

static bool matches(struct control_walk *walk, const char *id)
{
	char name[QUEUE_ID_LENGTH + 1] = { 0 }, head[STATE_HEAD];
	ssize_t got;
	int fd;

	memcpy(name, id, QUEUE_ID_LENGTH);
	fd = queue_open_file(walk->scheduler->queue.place[QUEUE_STATE], name);
	if (fd < 0)
		return errno != ENOENT;
	got = pread(fd, head, sizeof head, 0);
	close(fd);
	return got >= 0 && names_domain(head, (size_t)got, walk->name);
}

static void retry_loaded_there(struct scheduler *s, struct message *m)
{
	uint32_t i;

	for (i = 0; i < m->envelope.recipient_count && m->deferred; i++) {
		const char *domain = address_domain(m->envelope.recipients[i].address);

		if (m->recipients[i].phase != PHASE_DEFERRED || m->wants_hold || m->wants_removal || !domain_is(domain, strlen(domain), s->walk->name))
			continue;
		s->walk->loaded++;
		control_retry_loaded(s, m);
		return;
	}
}

static void answer(const struct control_walk *walk)
{
	size_t count = walk->matches + walk->loaded;

	if (count)
		control_answer(walk->scheduler, walk->client, EX_OK, "%zu message%s due at once", count, count == 1 ? " is" : "s are");
	else
		control_answer(walk->scheduler, walk->client, EX_DATAERR, "nothing waits for %s", walk->domain);
}

static void tell_busy(struct control_walk *walk)
{
	uint64_t now = loop_now_ms(walk->scheduler->loop);

	if (now - walk->told_ms < BUSY_MS)
		return;
	walk->told_ms = now;
	control_tell_busy(walk->scheduler, walk->client);
}

static void read_states(struct control_walk *walk)
{
	uint64_t until_ms = time_monotonic_ms() + WALK_MS;
	int i;

	for (i = 0; i < WALK_CHUNK && walk->at < walk->count && time_monotonic_ms() <= until_ms; i++, walk->at++) {
		const char *id = walk->ids + walk->at * QUEUE_ID_LENGTH;

		if (matches(walk, id))
			memmove(walk->ids + walk->matches++ * QUEUE_ID_LENGTH, id, QUEUE_ID_LENGTH);
	}
}

/* When all are known: the first that are due would take the time from the rest. */
static void hurry_some(struct control_walk *walk)
{
	waiting_set_clear(&walk->set);
	while (walk->hurried < walk->matches && waiting_set_add(&walk->set, walk->ids + walk->hurried * QUEUE_ID_LENGTH))
		walk->hurried++;
	remote_probe_now(walk->scheduler, walk->name);	/* it may have failed again since the beginning */
	waiting_hurry_these(&walk->scheduler->retry, &walk->set);
}

static void walk_fired(struct timer *timer)
{
	struct control_walk *walk = container_of(timer, struct control_walk, timer);
	struct scheduler *s = walk->scheduler;

	if (walk->at < walk->count)
		read_states(walk);
	else
		hurry_some(walk);
	if (walk->at < walk->count || walk->hurried < walk->matches) {
		tell_busy(walk);
		loop_set_timer(s->loop, timer, 0, walk_fired);
		return;
	}
	answer(walk);
	control_walk_stop(s);
}

void control_retry_domain(struct scheduler *s, uint64_t client, const char *domain)
{
	struct control_walk *walk;
	size_t i;

	if (s->walk) {
		control_answer(s, client, EX_TEMPFAIL, "a retry of %s is under way; try again when it is through", s->walk->domain);
		return;
	}
	walk = calloc(1, sizeof *walk);
	if (walk)
		walk->ids = malloc(s->retry.count * QUEUE_ID_LENGTH + 1);
	if (!walk || !walk->ids || !waiting_set_make(&walk->set, HURRY_MAX)) {
		free(walk ? walk->ids : NULL);
		free(walk);
		control_answer(s, client, EX_TEMPFAIL, "queued is out of memory");
		return;
	}
	for (i = 0; i < s->retry.count; i++)
		memcpy(walk->ids + i * QUEUE_ID_LENGTH, s->retry.items[i].id, QUEUE_ID_LENGTH);
	walk->scheduler = s;
	walk->client = client;
	walk->told_ms = loop_now_ms(s->loop);
	walk->count = s->retry.count;
	memcpy(walk->domain, domain, strlen(domain) + 1);
	if (domain_to_ascii(domain, strlen(domain), walk->name, NULL) != RESULT_OK)
		snprintf(walk->name, sizeof walk->name, "%s", domain);	/* an address literal */
	s->walk = walk;
	remote_probe_now(s, walk->name);
	load_each(s, retry_loaded_there);
	loop_set_timer(s->loop, &walk->timer, 0, walk_fired);
}

void control_walk_stop(struct scheduler *s)
{
	if (!s->walk)
		return;
	loop_unset_timer(s->loop, &s->walk->timer);
	waiting_set_free(&s->walk->set);
	free(s->walk->ids);
	free(s->walk);
	s->walk = NULL;
}
