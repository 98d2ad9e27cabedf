#include "remoted/call.h"

#include "common/log.h"
#include "common/service.h"
#include "remoted/session.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SLOTS = 4096, WORDS_KEPT = 200, PUMP_MS = 50 };

/* What the inner host of a recipient said last. */
struct known {
	struct known *next;		/* in its slot */
	struct known *older, *newer;	/* by the time it was said */
	uint64_t said_ms;
	enum recipient_verdict verdict;	/* RECIPIENT_EXISTS, RECIPIENT_REFUSED, RECIPIENT_PUT_OFF */
	char words[WORDS_KEPT + 1];
	char recipient[];		/* folded */
};

struct asker { unsigned worker; uint64_t serial; };

struct call {
	struct call *next;		/* in its slot */
	struct call *next_waiting;
	struct site_ask ask;
	struct site *site;		/* while it waits for a connection of it */
	struct timer timer;
	struct asker askers[CALL_ASKERS_MAX];
	size_t asker_count;
	char recipient[WIRE_ADDRESS_MAX + 1];	/* folded */
	char address[WIRE_ADDRESS_MAX + 1];	/* as it was given */
};

static struct channel workers[SERVICE_INSTANCES_MAX];
static bool is_open[SERVICE_INSTANCES_MAX];
static struct known *known_slots[SLOTS], *oldest, *newest;
static size_t known_count, call_count;
static struct call *call_slots[SLOTS], *waiting, **last_waiting = &waiting;
static struct timer pump;

static size_t slot_of(const char *recipient)
{
	uint32_t hash = 2166136261u;	/* FNV-1a */

	for (; *recipient; recipient++)
		hash = (hash ^ (unsigned char)*recipient) * 16777619u;
	return hash % SLOTS;
}

/* ---- what is known ---- */

static struct known *known_find(const char *recipient)
{
	struct known *known = known_slots[slot_of(recipient)];

	while (known && strcmp(known->recipient, recipient))
		known = known->next;
	return known;
}

static void known_unlink(struct known *known)
{
	*(known->older ? &known->older->newer : &oldest) = known->newer;
	*(known->newer ? &known->newer->older : &newest) = known->older;
}

static void known_drop(struct known *known)
{
	struct known **at = &known_slots[slot_of(known->recipient)];

	while (*at != known)
		at = &(*at)->next;
	*at = known->next;
	known_unlink(known);
	free(known);
	known_count--;
}

static void known_put_newest(struct known *known)
{
	known->older = newest;
	known->newer = NULL;
	*(newest ? &newest->newer : &oldest) = known;
	newest = known;
}

static void known_keep(const char *recipient, enum recipient_verdict verdict, const char *words)
{
	struct known *known = known_find(recipient), **slot = &known_slots[slot_of(recipient)];

	if (known) {
		known_unlink(known);
	} else {
		if (known_count >= CALL_KNOWN_MAX)
			known_drop(oldest);
		known = calloc(1, sizeof *known + strlen(recipient) + 1);
		if (!known)
			return;
		memcpy(known->recipient, recipient, strlen(recipient) + 1);
		known->next = *slot;
		*slot = known;
		known_count++;
	}
	known->verdict = verdict;
	known->said_ms = loop_now_ms(remoted.loop);
	snprintf(known->words, sizeof known->words, "%s", words);
	known_put_newest(known);
}

/* NULL: nothing that holds. IS_AWAY: nobody can be asked, so that older words do. */
static const struct known *known_look(const char *recipient, bool is_away)
{
	const struct known *known = known_find(recipient);
	uint64_t seconds = CALL_PUT_OFF_SECONDS, age_ms = known ? loop_now_ms(remoted.loop) - known->said_ms : 0;

	if (!known)
		return NULL;
	if (known->verdict != RECIPIENT_PUT_OFF)
		seconds = is_away ? CALL_STALE_SECONDS : known->verdict == RECIPIENT_EXISTS ? CALL_TAKEN_SECONDS : CALL_REFUSED_SECONDS;
	return age_ms < seconds * 1000 ? known : NULL;
}

/* ---- answers ---- */

static void tell(const struct asker *asker, enum recipient_verdict verdict, const char *words)
{
	struct wire_value values[CALL_TELL_FIELDS] = {
		[CALL_TELL_SERIAL] = WIRE_NUMBER(asker->serial), [CALL_TELL_VERDICT] = WIRE_NUMBER(verdict),
		[CALL_TELL_WORDS] = WIRE_BYTES(words, strnlen(words, WORDS_KEPT)),
	};

	if (is_open[asker->worker])
		channel_send(&workers[asker->worker], FRAME_CALL_TELL, values, -1, NULL);
}

static void tell_all(struct call *call, enum recipient_verdict verdict, const char *words)
{
	while (call->asker_count)
		tell(&call->askers[--call->asker_count], verdict, words);
}

/* Nobody can be asked: what was said before, or that. */
static void tell_away(struct call *call, const char *words)
{
	const struct known *known = known_look(call->recipient, true);

	if (known)
		tell_all(call, known->verdict, known->words);
	else
		tell_all(call, RECIPIENT_AWAY, words);
}

static void call_free(struct call *call)
{
	struct call **at = &call_slots[slot_of(call->recipient)];

	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	loop_unset_timer(remoted.loop, &call->timer);
	call_count--;
	free(call);
}

static void log_call(const struct call *call, const char *verdict, const char *words)
{
	struct log_line line;

	log_start(&line, "recipient-asked");
	log_text(&line, "to", call->recipient);
	log_text(&line, "verdict", verdict);
	log_text(&line, "words", words);
	log_end(&line);
}

void call_told(struct call *call, bool is_answered, enum delivery_verdict verdict, const char *words)
{
	enum recipient_verdict said = verdict == DELIVERY_DELIVERED ? RECIPIENT_EXISTS :
	                              verdict == DELIVERY_FAILED ? RECIPIENT_REFUSED : RECIPIENT_PUT_OFF;

	if (is_answered) {
		log_call(call, said == RECIPIENT_EXISTS ? "taken" : said == RECIPIENT_REFUSED ? "refused" : "put-off", words);
		known_keep(call->recipient, said, words);
		tell_all(call, said, words);
	} else {
		log_call(call, "away", words);
		if (call->site)
			call->site->away_until_ms = loop_now_ms(remoted.loop) + CALL_AWAY_SECONDS * 1000;
		tell_away(call, words);
	}
	call_free(call);
}

/* The askers wait no longer. What the host says later is remembered all the same. */
static void time_over(struct timer *timer)
{
	struct call *call = container_of(timer, struct call, timer);

	if (call->site)
		call->site->away_until_ms = loop_now_ms(remoted.loop) + CALL_AWAY_SECONDS * 1000;
	tell_away(call, "no answer in time");
}

/* ---- asking ---- */

static bool can_start(const struct site *site)
{
	return site->idle || site->session_count < CALL_SITE_SESSIONS;
}

static void start(struct call *call)
{
	struct job *job = job_make_call(call, call->recipient, call->address);

	if (job)
		site_start_job(call->site, job);
	else
		call_told(call, true, DELIVERY_DEFERRED, "no memory for a question");
}

/* Those whose site has a connection for them now, and those whose time is over. */
static void pump_fired(struct timer *timer)
{
	struct call *call, *next = waiting;

	waiting = NULL;
	last_waiting = &waiting;
	while ((call = next)) {
		next = call->next_waiting;
		if (!call->asker_count) {
			call_free(call);
		} else if (can_start(call->site)) {
			start(call);
		} else {
			call->next_waiting = NULL;
			*last_waiting = call;
			last_waiting = &call->next_waiting;
		}
	}
	if (waiting)
		loop_set_timer(remoted.loop, timer, PUMP_MS, pump_fired);
}

static void site_found(struct site_ask *ask, struct site *site, int verdict, const char *status, const char *words)
{
	struct call *call = container_of(ask, struct call, ask);

	(void)status;
	call->site = site;
	if (!site) {	/* no such domain, a loop: nobody could get the message; or the DNS does not say now */
		call_told(call, verdict == DELIVERY_FAILED, DELIVERY_DEFERRED, words);
	} else if (site->away_until_ms > loop_now_ms(remoted.loop)) {
		tell_away(call, "it was away a moment ago");
		call_free(call);
	} else if (!waiting && can_start(site)) {
		start(call);
	} else {
		call->next_waiting = NULL;
		*last_waiting = call;
		last_waiting = &call->next_waiting;
		loop_set_timer(remoted.loop, &pump, PUMP_MS, pump_fired);
	}
}

static struct call *call_make(const char *recipient, const char *address)
{
	struct call *call = call_count < CALLS_MAX ? calloc(1, sizeof *call) : NULL, **slot = &call_slots[slot_of(recipient)];

	if (!call)
		return NULL;
	snprintf(call->recipient, sizeof call->recipient, "%s", recipient);
	snprintf(call->address, sizeof call->address, "%s", address);
	call->next = *slot;
	*slot = call;
	call_count++;
	return call;
}

static void ask(const struct asker *asker, const char *recipient, const char *address)
{
	const struct known *known = known_look(recipient, false);
	struct call *call = call_slots[slot_of(recipient)];
	bool is_new;

	if (known) {
		tell(asker, known->verdict, known->words);
		return;
	}
	while (call && (strcmp(call->recipient, recipient) || !call->asker_count || call->asker_count == CALL_ASKERS_MAX))
		call = call->next;
	is_new = !call;
	if (is_new)
		call = call_make(recipient, address);
	if (!call) {
		tell(asker, RECIPIENT_LATER, "too many questions at once");
		return;
	}
	call->askers[call->asker_count++] = *asker;
	if (!is_new)
		return;
	loop_set_timer(remoted.loop, &call->timer, CALL_SECONDS * 1000, time_over);
	site_find(&call->ask, call->recipient, site_found);
}

/* ---- the pipes ---- */

static void worker_frame(struct channel *channel, struct frame *f)
{
	struct asker asker = { .worker = (unsigned)(channel - workers), .serial = f->value[CALL_ASK_SERIAL].number };
	char recipient[WIRE_ADDRESS_MAX + 1], address[WIRE_ADDRESS_MAX + 1];

	if (f->type == FRAME_CALL_ASK && frame_value_copy(f, CALL_ASK_RECIPIENT, recipient, sizeof recipient) &&
	    frame_value_copy(f, CALL_ASK_ADDRESS, address, sizeof address)) {
		ask(&asker, recipient, address);
		return;
	}
	if (f->descriptor >= 0)
		close(f->descriptor);
	channel_close(channel);
	is_open[asker.worker] = false;
}

static void worker_lost(struct channel *channel, const struct why *why)
{
	(void)why;	/* its questions get answers that nobody reads */
	is_open[channel - workers] = false;
}

enum result call_join(unsigned index, int fd, struct why *why)
{
	enum result result;

	if (index >= SERVICE_INSTANCES_MAX) {
		close(fd);
		return why_set(why, RESULT_PEER, "worker %u is one too many", index);
	}
	if (is_open[index])
		channel_close(&workers[index]);
	result = channel_open(&workers[index], remoted.loop, fd, worker_frame, worker_lost, why);
	is_open[index] = result == RESULT_OK;
	return result;
}

void call_end_all(void)
{
	unsigned i;

	for (i = 0; i < SERVICE_INSTANCES_MAX; i++)
		if (is_open[i])
			channel_flush(&workers[i], NULL);
}
