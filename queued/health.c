/* How sites behave: one that takes mail gets more at a time, one with trouble less; one that can't be reached
 * is set aside, and its mail is put off at once until one message has tried it again. */
#include "queued/scheduler.h"

#include "common/log.h"
#include "queued/schedule.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	MOST_LIMIT = 20,		/* jobs at a time, unless the site table says otherwise */
	BACKOFF_FIRST_SECONDS = 60, BACKOFF_MOST_SECONDS = 1800,	/* or the waits of retry, if they are shorter */
	LOSSES_MAX = 3,			/* lost connections in a row before a site is set aside */
	KEPT_SECONDS = 3600,
	RATE_TICK_MS = 100,		/* while there are sites with a rate */
	TICK_MS = 60000,
	PROBES_A_TICK = 16,		/* each looks through all that waits */
	WORDS_KEPT = 300, NAME_SHOWN = 300,
};

struct site_health {
	uint32_t most;			/* the limit never grows beyond */
	uint32_t successes;		/* since the limit grew last */
	uint32_t troubles;		/* times it was set aside without a success in between */
	uint32_t losses;
	bool is_asked;			/* for a probe before its time, by hand */
	bool is_proven;			/* it took mail since the start, and the scan at the start is over */
	uint32_t interval_ms;		/* between two jobs, 0: no rate */
	uint64_t next_ms;
	uint64_t aside_until_ms;	/* nothing is sent before, then one job probes; 0: the probe is due or on its way */
	uint64_t used_ms;
	char status[STATE_STATUS_MAX + 1];
	char words[WORDS_KEPT + 1];	/* what was said last of its trouble */
};

static void tick(struct timer *timer);

static void tick_within(struct scheduler *s, uint64_t ms)
{
	uint64_t due = loop_now_ms(s->loop) + ms;

	if (s->health.due_ms && s->health.due_ms <= due)
		return;
	s->health.due_ms = due;
	loop_set_timer(s->loop, &s->health.timer, ms, tick);
}

/* ---- what the site table says ---- */

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
	if (!slash || slash + 1 == word + length || !text_to_number(word + 5, (size_t)(slash - word - 5), &number) || !number)
		return;
	site->health->interval_ms = (uint32_t)((slash[1] == 'm' ? 60000 : slash[1] == 'h' ? 3600000 : 1000) / number);
	s->health.has_rates = true;
	tick_within(s, RATE_TICK_MS);
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

bool health_begin(struct scheduler *s, struct site *site, const char *next_hop)
{
	if (!site->health) {
		site->health = calloc(1, sizeof *site->health);
		if (!site->health)
			return false;
		site->health->most = MOST_LIMIT;
		apply_rules(s, site, next_hop);
	}
	site->health->used_ms = loop_now_ms(s->loop);
	return true;
}

/* ---- may it get more? ---- */

bool health_is_aside(const struct scheduler *s, const struct site *site)
{
	return site->health && site->health->aside_until_ms > loop_now_ms(s->loop);
}

void health_put_off(struct scheduler *s, struct message *m, uint32_t index, const struct site *site)
{
	m->site = site->hash;
	dispatch_result(s, m, index, STATE_DEFERRED, site->health->status, site->health->words);
}

/* A site that was set aside gets one job as a probe, before it gets more. */
bool health_has_room(const struct scheduler *s, const struct site *site)
{
	const struct site_health *health = site->health;

	if (!health)
		return site->in_flight < site->limit;
	if (health_is_aside(s, site) || (health->interval_ms && health->next_ms > loop_now_ms(s->loop)))
		return false;
	return site->in_flight < (health->troubles ? 1 : site->limit);
}

void health_job_started(const struct scheduler *s, struct site *site)
{
	struct site_health *health = site->health;
	uint64_t now = loop_now_ms(s->loop);

	if (health && health->interval_ms)
		health->next_ms = (health->next_ms > now - health->interval_ms ? health->next_ms : now) + health->interval_ms;
}

/* ---- trouble and success ---- */

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

static uint64_t backoff_seconds(const struct scheduler *s, const struct site_health *health)
{
	uint64_t first = BACKOFF_FIRST_SECONDS, most = BACKOFF_MOST_SECONDS, longest = schedule_longest_seconds(&s->conf->retry), seconds;

	if (first > s->conf->retry.items[0])
		first = s->conf->retry.items[0];
	if (most > longest)
		most = longest;
	seconds = first << (health->troubles < 16 ? health->troubles : 16);
	if (seconds > most)
		seconds = most;
	return seconds + random_below(seconds / 5 + 1);
}

static void set_aside(struct scheduler *s, struct site *site)
{
	struct site_health *health = site->health;
	uint64_t seconds;

	if (health->is_asked && health->troubles)
		health->troubles--;	/* that it still fails is no news */
	seconds = backoff_seconds(s, health);
	health->is_asked = false;
	health->troubles++;
	health->losses = 0;
	health->aside_until_ms = loop_now_ms(s->loop) + seconds * 1000;
	site->limit = SITE_FIRST_LIMIT < health->most ? SITE_FIRST_LIMIT : health->most;
	tick_within(s, seconds * 1000);
	log_site("site-set-aside", site, seconds);
	dispatch_empty_site(s, site);	/* who waits there hears of it now */
}

/* It takes mail again: what was put off on its account need not wait for its own time. */
static void welcome(struct scheduler *s, struct site *site)
{
	log_site("site-back", site, 0);
	site->health->troubles = 0;
	site->health->aside_until_ms = 0;
	site->health->is_asked = false;
	waiting_hurry_site(&s->retry, site->hash, scheduler_now_seconds(s));
	scheduler_pump_soon(s);
}

/* What was put off before the start, perhaps because the site did not answer then, need not wait for its own time. Later than the
 * longest wait all of that has been tried. */
static void prove(struct scheduler *s, struct site *site)
{
	uint64_t longest_us = schedule_longest_seconds(&s->conf->retry) * 1200000;

	if (s->scan_state)
		return;
	site->health->is_proven = true;
	if (!s->restored || time_real_us() - s->started_us > longest_us)
		return;
	waiting_hurry_site(&s->retry, site->hash, scheduler_now_seconds(s));
	scheduler_pump_soon(s);
}

static void keep_words(struct site_health *health, const struct result_words *words)
{
	snprintf(health->status, sizeof health->status, "%s", words->status);
	snprintf(health->words, sizeof health->words, "%.*s",
	         (int)(words->words_length < WORDS_KEPT ? words->words_length : WORDS_KEPT), words->words);
}

/* A host that says something answers, whatever it says: with 4.4.X of its own it may mean what lies behind it, for one recipient. */
void health_result(struct scheduler *s, struct site *site, bool is_trouble, const struct result_words *words)
{
	struct site_health *health = site->health;

	if (!is_trouble) {
		health->losses = 0;
		if (health->troubles)
			welcome(s, site);
		else if (!health->is_proven)
			prove(s, site);
		if (++health->successes >= site->limit && site->limit < health->most) {
			site->limit++;
			health->successes = 0;
		}
		return;
	}
	if (health_is_aside(s, site))
		return;		/* another job of the same time */
	keep_words(health, words);
	site->limit = site->limit > 1 ? site->limit / 2 : 1;
	if (strcmp(words->status, "4.4.2") || ++health->losses >= LOSSES_MAX)
		set_aside(s, site);
}

static void probe_now(void *context, struct site *site)
{
	if (!site->health)
		return;
	site->health->is_asked = site->health->is_asked || health_is_aside(context, site);
	site->health->aside_until_ms = 0;
}

void health_probe_now(struct scheduler *s, struct site *site)
{
	if (site)
		probe_now(s, site);
	else
		site_each(&s->sites, probe_now, s);
}

/* ---- time passes ---- */

/* A site with a rate lets the next ones go; of one that was set aside long enough one message is due as a probe. */
static void look_at(void *context, struct site *site)
{
	struct scheduler *s = context;
	struct site_health *health = site->health;
	uint64_t now = loop_now_ms(s->loop);

	if (!health)
		return;
	if (health->aside_until_ms > now)
		tick_within(s, health->aside_until_ms - now);
	else if (health->aside_until_ms && !s->health.probes)
		tick_within(s, RATE_TICK_MS);
	else if (health->aside_until_ms) {
		s->health.probes--;
		health->aside_until_ms = 0;
		waiting_hurry_one(&s->retry, site->hash, scheduler_now_seconds(s));
		scheduler_pump_soon(s);
	}
	if (health->interval_ms && site->parked && health_has_room(s, site))
		dispatch_next_at(s, site);
}

/* One without work is forgotten after a while. */
static void forget_old(void *context, struct site *site)
{
	struct scheduler *s = context;
	struct site_health *health = site->health;

	if (!health || site->in_flight || site->parked || site->overflow.count ||
	    loop_now_ms(s->loop) - health->used_ms < KEPT_SECONDS * 1000ull)
		return;
	free(health);
	site->health = NULL;
	site_release(&s->sites, site);
}

static void tick(struct timer *timer)
{
	struct scheduler *s = container_of(timer, struct scheduler, health.timer);

	s->health.due_ms = 0;
	s->health.probes = PROBES_A_TICK;
	tick_within(s, s->health.has_rates ? RATE_TICK_MS : TICK_MS);
	site_each(&s->sites, look_at, s);
	if (loop_now_ms(s->loop) - s->health.swept_ms < TICK_MS)
		return;
	s->health.swept_ms = loop_now_ms(s->loop);
	remote_sweep(s);
	site_each(&s->sites, forget_old, s);
}

void health_start(struct scheduler *s)
{
	tick_within(s, TICK_MS);
}

void health_describe(const struct scheduler *s, const struct site *site, struct log_line *row)
{
	const struct site_health *health = site->health;
	uint64_t now = loop_now_ms(s->loop);
	char aside[32];

	row->length = 0;
	log_bytes(row, "site", site->name, strnlen(site->name, NAME_SHOWN));
	log_number(row, "in-flight", site->in_flight);
	log_number(row, "waiting", site->parked + site->overflow.count);
	if (!health)
		return;
	log_number(row, "limit", site->limit);
	if (health->aside_until_ms > now) {
		snprintf(aside, sizeof aside, "%llus", (unsigned long long)(health->aside_until_ms - now) / 1000);
		log_text(row, "aside", aside);
	}
	if (health->words[0])
		log_text(row, "words", health->words);
}
