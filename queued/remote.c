/* Next hops and their sites. remoted says which site a next hop belongs to (all domains with the same
 * mail exchangers share one), this remembers it, and how each site has behaved: a site that takes mail
 * gets more at a time, one with trouble less; one that can't be reached is set aside, and its mail is
 * put off at once until one message has tried it again. */
#include "queued/scheduler.h"

#include "common/log.h"
#include "common/wire.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	DESTINATIONS_MAX = 50000,
	DESTINATION_SLOTS = 8192, ASKED_SLOTS = 1024,
	SITE_FIRST_LIMIT = 5,		/* jobs at a time to a site that nothing is known of */
	SITE_MOST_LIMIT = 20,		/* unless the site table says otherwise */
	BACKOFF_FIRST_SECONDS = 60, BACKOFF_MOST_SECONDS = 1800,
	LOSSES_MAX = 3,			/* lost connections in a row before a site is set aside */
	HEALTH_KEPT_SECONDS = 3600,
	TICK_MS = 100,			/* while there are sites with a rate */
	SWEEP_MS = 60000,
	TTL_LEAST_SECONDS = 60,
	WORDS_KEPT = 300,
};

static void tick(struct timer *timer);

/* ---- which site a next hop belongs to ---- */

struct destination {
	struct destination *next, *next_asked;
	uint64_t serial;		/* of the question under way, 0: none */
	uint64_t until_ms;		/* the answer holds; 0: there is none */
	char *site;			/* NULL: not known */
	char name[];			/* a domain, or an address that routes name */
};

struct destination_table {
	struct destination *slots[DESTINATION_SLOTS];
	struct destination *asked[ASKED_SLOTS];	/* with a question under way, by its serial */
	size_t count;
	uint64_t last_serial, swept_ms;
	bool has_rates;			/* some site lets only so many go in a time */
};

/* ---- how a site behaves ---- */

struct site_health {
	uint32_t most;			/* the limit never grows beyond */
	uint32_t successes;		/* since the limit grew last */
	uint32_t troubles;		/* times it was set aside without a success in between */
	uint32_t losses;
	uint32_t interval_ms;		/* between two jobs, 0: no rate */
	uint64_t next_ms;
	uint64_t aside_until_ms;	/* nothing is sent before; then one job probes */
	uint64_t used_ms;
	char status[STATE_STATUS_MAX + 1];
	char words[WORDS_KEPT + 1];	/* what was said last of its trouble */
};

static struct destination **slot_of(struct destination_table *table, const char *name)
{
	uint64_t h = 1469598103934665603u;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 1099511628211u;
	return &table->slots[(h ^ h >> 32) % DESTINATION_SLOTS];
}

static void sweep_destinations(struct scheduler *s)
{
	struct destination_table *table = s->destinations;
	size_t i;

	for (i = 0; i < DESTINATION_SLOTS; i++) {
		struct destination **at = &table->slots[i];
		while (*at) {
			struct destination *d = *at;
			if (d->serial || d->until_ms > loop_now_ms(s->loop)) {
				at = &d->next;
				continue;
			}
			*at = d->next;
			free(d->site);
			free(d);
			table->count--;
		}
	}
}

static struct destination *get_destination(struct scheduler *s, const char *name)
{
	struct destination_table *table = s->destinations;
	struct destination **slot = slot_of(table, name), *d;

	for (d = *slot; d; d = d->next)
		if (!strcmp(d->name, name))
			return d;
	if (table->count >= DESTINATIONS_MAX)
		sweep_destinations(s);
	if (table->count >= DESTINATIONS_MAX)
		return NULL;
	d = calloc(1, sizeof *d + strlen(name) + 1);
	if (!d)
		return NULL;
	memcpy(d->name, name, strlen(name) + 1);
	d->next = *slot;
	*slot = d;
	table->count++;
	return d;
}

/* The address itself where routes name it, else its domain. */
static const char *next_hop_of(struct scheduler *s, const char *address)
{
	const char *value;
	struct why why = { 0 };
	size_t length;

	if (table_find(s->routes, address, strlen(address), &value, &length, &why) == RESULT_OK)
		return address;
	return address_domain(address);
}

static bool ask(struct scheduler *s, struct destination *d)
{
	struct wire_value values[SITE_ASK_FIELDS] = { [SITE_ASK_NEXT_HOP] = WIRE_STRING(d->name) };

	if (d->serial)
		return true;
	values[SITE_ASK_SERIAL].number = s->destinations->last_serial + 1;
	if (channel_send(&s->transports[TRANSPORT_REMOTE].channel, FRAME_SITE_ASK, values, -1, NULL) != RESULT_OK)
		return false;
	d->serial = ++s->destinations->last_serial;
	d->next_asked = s->destinations->asked[d->serial % ASKED_SLOTS];
	s->destinations->asked[d->serial % ASKED_SLOTS] = d;
	return true;
}

/* ---- sites ---- */

static void apply_rule(struct scheduler *s, struct site *site, const char *word, size_t length)
{
	uint64_t number;
	const char *slash;

	if (length > 12 && !memcmp(word, "concurrency=", 12) && text_to_number(word + 12, length - 12, &number) && number) {
		site->health->most = number < 10000 ? (uint32_t)number : 10000;
		if (site->limit > site->health->most)
			site->limit = site->health->most;
	}
	if (length <= 5 || memcmp(word, "rate=", 5))
		return;
	slash = memchr(word, '/', length);
	if (!s->destinations->has_rates)
		loop_set_timer(s->loop, &s->remote_timer, TICK_MS, tick);
	s->destinations->has_rates = true;
	if (slash && slash + 1 < word + length && text_to_number(word + 5, (size_t)(slash - word - 5), &number) && number)
		site->health->interval_ms = (uint32_t)((slash[1] == 'm' ? 60000 : slash[1] == 'h' ? 3600000 : 1000) / number);
}

/* dawk-site(5): for the domain, a parent of it, or all. */
static void apply_rules(struct scheduler *s, struct site *site, const char *next_hop)
{
	const char *at = strrchr(next_hop, '@'), *key = at ? at + 1 : next_hop, *value, *word;
	struct why why = { 0 };
	size_t length, word_length;
	enum result result = table_find(s->site_rules, key, strlen(key), &value, &length, &why);

	for (key = strchr(key, '.'); key && result == RESULT_END; key = strchr(key + 1, '.'))
		result = table_find(s->site_rules, key, strlen(key), &value, &length, &why);
	if (result == RESULT_END)
		result = table_find(s->site_rules, "*", 1, &value, &length, &why);
	for (at = value; result == RESULT_OK && text_next_word(&at, value + length, &word, &word_length); )
		apply_rule(s, site, word, word_length);
}

static struct site *get_site(struct scheduler *s, const struct destination *d)
{
	struct site *site = site_get(&s->sites, d->site, SITE_FIRST_LIMIT);

	if (site && !site->health) {
		site->health = calloc(1, sizeof *site->health);
		if (!site->health) {
			site_release(&s->sites, site);
			return NULL;
		}
		site->health->most = SITE_MOST_LIMIT;
		apply_rules(s, site, d->name);
	}
	if (site)
		site->health->used_ms = loop_now_ms(s->loop);
	return site;
}

static bool is_aside(struct scheduler *s, const struct site *site)
{
	return site->health && site->health->aside_until_ms > loop_now_ms(s->loop);
}

static void put_off(struct scheduler *s, struct message *m, uint32_t index, const struct site *site)
{
	m->site = site->hash;
	dispatch_result(s, m, index, STATE_DEFERRED, site->health->status, site->health->words);
}

struct site *remote_site(struct scheduler *s, struct message *m, uint32_t index)
{
	const char *address = m->envelope.recipients[index].address;
	struct destination *d = get_destination(s, next_hop_of(s, address));
	char asking[WIRE_ADDRESS_MAX + 2];
	struct site *site = NULL;

	if (d && d->site && d->until_ms > loop_now_ms(s->loop)) {
		site = get_site(s, d);
		if (site && is_aside(s, site)) {
			put_off(s, m, index, site);
			return NULL;
		}
	} else if (d && ask(s, d)) {
		snprintf(asking, sizeof asking, "?%s", d->name);
		site = site_get(&s->sites, asking, 0);
	}
	if (!site) {
		m->is_soon = true;
		dispatch_result(s, m, index, STATE_DEFERRED, "4.3.2", "too many destinations at once");
	}
	return site;
}

/* A site that was set aside gets one job as a probe, before it gets more. */
bool remote_has_room(struct scheduler *s, const struct site *site)
{
	const struct site_health *health = site->health;

	if (!health)
		return site->in_flight < site->limit;
	if (is_aside(s, site) || (health->interval_ms && health->next_ms > loop_now_ms(s->loop)))
		return false;
	return site->in_flight < (health->troubles ? 1 : site->limit);
}

void remote_started(struct scheduler *s, struct site *site)
{
	struct site_health *health = site->health;
	uint64_t now = loop_now_ms(s->loop);

	if (health && health->interval_ms)
		health->next_ms = (health->next_ms > now - health->interval_ms ? health->next_ms : now) + health->interval_ms;
}

/* ---- health ---- */

static void log_site(const char *event, const struct site *site, uint64_t seconds)
{
	struct log_line line;

	log_start(&line, event);
	log_text(&line, "site", site->name);
	if (seconds)
		log_number(&line, "seconds", seconds);
	log_text(&line, "words", site->health->words);
	log_end(&line);
}

static void set_aside(struct scheduler *s, struct site *site)
{
	struct site_health *health = site->health;
	uint32_t doublings = health->troubles < 10 ? health->troubles : 10;
	uint64_t seconds = (uint64_t)BACKOFF_FIRST_SECONDS << doublings;

	if (seconds > BACKOFF_MOST_SECONDS)
		seconds = BACKOFF_MOST_SECONDS;
	seconds += random_below(seconds / 5 + 1);
	health->troubles++;
	health->losses = 0;
	health->aside_until_ms = loop_now_ms(s->loop) + seconds * 1000;
	site->limit = SITE_FIRST_LIMIT < health->most ? SITE_FIRST_LIMIT : health->most;
	log_site("site-set-aside", site, seconds);
	dispatch_empty_site(s, site);	/* who waits there hears of it now */
}

/* It takes mail again: what was put off on its account need not wait for its own time. */
static void welcome(struct scheduler *s, struct site *site)
{
	log_site("site-back", site, 0);
	site->health->troubles = 0;
	site->health->aside_until_ms = 0;
	waiting_hurry_site(&s->retry, site->hash, scheduler_now_seconds(s));
	scheduler_pump_soon(s);
}

static void keep_words(struct site_health *health, const struct result_words *words)
{
	snprintf(health->status, sizeof health->status, "%s", words->status);
	snprintf(health->words, sizeof health->words, "%.*s",
	         (int)(words->words_length < WORDS_KEPT ? words->words_length : WORDS_KEPT), words->words);
}

/* 4.4.X: the host was not reached, or lost (RFC 3463 3.5). Whatever else it said, it answers. */
void remote_result(struct scheduler *s, struct site *site, enum state_event event, const struct result_words *words)
{
	struct site_health *health = site->health;
	bool is_trouble = event == STATE_DEFERRED && !strncmp(words->status, "4.4.", 4);

	if (!is_trouble) {
		health->losses = 0;
		if (health->troubles)
			welcome(s, site);
		if (++health->successes >= site->limit && site->limit < health->most) {
			site->limit++;
			health->successes = 0;
		}
		return;
	}
	if (is_aside(s, site))
		return;		/* another job of the same time */
	keep_words(health, words);
	site->limit = site->limit > 1 ? site->limit / 2 : 1;
	if (strcmp(words->status, "4.4.2") || ++health->losses >= LOSSES_MAX)
		set_aside(s, site);
}

/* ---- answers ---- */

/* Takes the destination that question SERIAL was about; NULL: none. */
static struct destination *take_asked(struct scheduler *s, uint64_t serial)
{
	struct destination **at = &s->destinations->asked[serial % ASKED_SLOTS], *d;

	while (*at && (*at)->serial != serial)
		at = &(*at)->next_asked;
	d = *at;
	if (d) {
		*at = d->next_asked;
		d->serial = 0;
	}
	return d;
}

static struct site *asking_site(struct scheduler *s, const struct destination *d)
{
	char name[WIRE_ADDRESS_MAX + 2];

	snprintf(name, sizeof name, "?%s", d->name);
	return site_get(&s->sites, name, 0);
}

/* No site: who waits gets the verdict. More may lie there by ID alone; they come and ask again. */
static void refuse_all(struct scheduler *s, struct site *site, enum state_event event, const struct result_words *words)
{
	struct recipient *r;

	while ((r = site_unpark(site))) {
		struct message *m = r->message;
		uint32_t index = (uint32_t)(r - m->recipients);

		r->site = NULL;
		dispatch_take_result(s, m, index, event, words);
		advance(s, m);
	}
	dispatch_empty_site(s, site);
}

bool remote_take_site(struct scheduler *s, struct frame *f)
{
	struct destination *d = take_asked(s, f->value[SITE_TELL_SERIAL].number);
	uint64_t seconds = f->value[SITE_TELL_TTL_SECONDS].number, verdict = f->value[SITE_TELL_VERDICT].number;
	char status[STATE_STATUS_MAX + 1] = "";
	struct result_words words = { status, "", 0, f->value[SITE_TELL_WORDS].bytes, f->value[SITE_TELL_WORDS].length };
	struct site *site;

	if (!d)
		return false;
	free(d->site);
	d->site = NULL;
	if (verdict == DELIVERY_DELIVERED)
		d->site = strndup(f->value[SITE_TELL_SITE].bytes, f->value[SITE_TELL_SITE].length);
	d->until_ms = loop_now_ms(s->loop) + (seconds > TTL_LEAST_SECONDS ? seconds : TTL_LEAST_SECONDS) * 1000;
	site = asking_site(s, d);
	if (!site)
		return true;	/* without memory: they wait for the next answer */
	if (d->site) {
		dispatch_empty_site(s, site);
		return true;
	}
	frame_value_copy(f, SITE_TELL_STATUS, status, sizeof status);
	if (!status[0])
		snprintf(status, sizeof status, "%s", verdict == DELIVERY_FAILED ? "5.4.4" : "4.4.3");
	refuse_all(s, site, verdict == DELIVERY_FAILED ? STATE_FAILED : STATE_DEFERRED, &words);
	return true;
}

void remote_lost(struct scheduler *s)
{
	struct site *site;
	size_t i;

	for (i = 0; i < ASKED_SLOTS; i++)
		while (s->destinations->asked[i]) {
			site = asking_site(s, take_asked(s, s->destinations->asked[i]->serial));
			if (site)
				dispatch_empty_site(s, site);
		}
}

/* ---- jobs ---- */

static bool same_text(const char *a, const char *b)
{
	return !strcmp(a ? a : "", b ? b : "");
}

uint32_t remote_gather(struct scheduler *s, struct message *m, uint32_t *indexes, uint32_t count, uint32_t most)
{
	const struct envelope_recipient *all = m->envelope.recipients;
	const struct envelope_recipient *first = &all[indexes[0]];
	const struct site *site = m->recipients[indexes[0]].site;
	uint32_t i;

	for (i = indexes[0] + 1; i < m->envelope.recipient_count && m->ready && count < most; i++) {
		const struct destination *d;
		if (m->recipients[i].phase != PHASE_READY || m->recipients[i].site || dispatch_is_local(s, all[i].address) ||
		    !same_text(all[i].owner, first->owner))
			continue;
		d = get_destination(s, next_hop_of(s, all[i].address));
		if (!d || !d->site || d->until_ms <= loop_now_ms(s->loop) || strcmp(d->site, site->name))
			continue;
		message_set_phase(m, i, PHASE_FLYING);
		indexes[count++] = i;
	}
	return count;
}

enum result remote_send_frames(struct message *m, struct transport *t, uint64_t number, const uint32_t *indexes,
                               uint32_t count, int fd)
{
	const struct envelope *e = &m->envelope;
	const struct envelope_recipient *first = &e->recipients[indexes[0]];
	const struct site *site = m->recipients[indexes[0]].site;
	struct wire_value job[REMOTE_JOB_FIELDS] = {
		[REMOTE_JOB_JOB] = WIRE_NUMBER(number), [REMOTE_JOB_ID] = WIRE_BYTES(m->id, QUEUE_ID_LENGTH),
		[REMOTE_JOB_SITE] = WIRE_STRING(site->name),
		[REMOTE_JOB_NEXT_HOP] = WIRE_STRING(next_hop_of(t->scheduler, first->address)),
		[REMOTE_JOB_OFFSET] = WIRE_NUMBER(e->content_offset), [REMOTE_JOB_LENGTH] = WIRE_NUMBER(e->content_length),
		[REMOTE_JOB_REVERSE_PATH] = WIRE_STRING(first->owner ? first->owner : e->from),
		[REMOTE_JOB_BODY] = WIRE_NUMBER(e->body),
		[REMOTE_JOB_FLAGS] = WIRE_NUMBER((e->needs_smtputf8 ? REMOTE_SMTPUTF8 : 0u) | (e->return_full ? REMOTE_RETURN_FULL : 0u) |
		                                 (e->return_headers ? REMOTE_RETURN_HEADERS : 0u)),
		[REMOTE_JOB_ENVID] = WIRE_STRING(e->envid ? e->envid : ""), [REMOTE_JOB_COUNT] = WIRE_NUMBER(count),
	};
	enum result result = channel_send(&t->channel, FRAME_REMOTE_JOB, job, fd, NULL);
	uint32_t i;

	for (i = 0; i < count && result == RESULT_OK; i++) {
		const struct envelope_recipient *r = &e->recipients[indexes[i]];
		struct wire_value values[REMOTE_RECIPIENT_FIELDS] = {
			[REMOTE_RECIPIENT_JOB] = WIRE_NUMBER(number), [REMOTE_RECIPIENT_INDEX] = WIRE_NUMBER(indexes[i]),
			[REMOTE_RECIPIENT_ADDRESS] = WIRE_STRING(r->address), [REMOTE_RECIPIENT_ORCPT] = WIRE_STRING(r->orcpt ? r->orcpt : ""),
			[REMOTE_RECIPIENT_NOTIFY] = WIRE_NUMBER(r->notify),
		};
		result = channel_send(&t->channel, FRAME_REMOTE_RECIPIENT, values, -1, NULL);
	}
	return result;
}

/* ---- time passes ---- */

/* A site with a rate lets the next ones go; one without work is forgotten after a while. */
static void look_at(void *context, struct site *site)
{
	struct scheduler *s = context;

	if (site->health && site->health->interval_ms && site->parked && remote_has_room(s, site))
		dispatch_next_at(s, site);
}

static void forget_old(void *context, struct site *site)
{
	struct scheduler *s = context;
	struct site_health *health = site->health;

	if (!health || site->in_flight || site->parked || site->overflow.count ||
	    loop_now_ms(s->loop) - health->used_ms < HEALTH_KEPT_SECONDS * 1000ull)
		return;
	free(health);
	site->health = NULL;
	site_release(&s->sites, site);
}

static void tick(struct timer *timer)
{
	struct scheduler *s = container_of(timer, struct scheduler, remote_timer);

	site_each(&s->sites, look_at, s);
	if (loop_now_ms(s->loop) - s->destinations->swept_ms >= SWEEP_MS) {
		s->destinations->swept_ms = loop_now_ms(s->loop);
		sweep_destinations(s);
		site_each(&s->sites, forget_old, s);
	}
	loop_set_timer(s->loop, timer, s->destinations->has_rates ? TICK_MS : SWEEP_MS, tick);
}

enum result remote_start(struct scheduler *s, struct why *why)
{
	s->destinations = calloc(1, sizeof *s->destinations);
	if (!s->destinations)
		return why_errno(why, RESULT_STOP, "no memory for destinations");
	loop_set_timer(s->loop, &s->remote_timer, SWEEP_MS, tick);
	return RESULT_OK;
}

void remote_describe(struct scheduler *s, const struct site *site, char *out, size_t size)
{
	const struct site_health *health = site->health;
	uint64_t now = loop_now_ms(s->loop);
	size_t length = (size_t)snprintf(out, size, "site=%.300s in-flight=%u waiting=%zu", site->name, site->in_flight,
	                                 site->parked + site->overflow.count);

	if (!health || length >= size)
		return;
	length += (size_t)snprintf(out + length, size - length, " limit=%u", site->limit);
	if (health->aside_until_ms > now)
		length += (size_t)snprintf(out + length, size - length, " aside=%llus", (unsigned long long)(health->aside_until_ms - now) / 1000);
	if (health->words[0] && length < size)
		snprintf(out + length, size - length, " words=\"%s\"", health->words);
}
