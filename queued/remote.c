/* Next hops and their sites. remoted says which site a next hop belongs to (all domains with the same
 * mail exchangers share one), this remembers it. */
#include "queued/scheduler.h"

#include "common/address.h"
#include "common/log.h"
#include "common/wire.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_PLACE "?"			/* the site of those who wait for a place among destinations */
enum {
	DESTINATIONS_MAX = 50000,	/* of which those go first that no question is under way about */
	DESTINATION_SLOTS = 8192, ASKED_SLOTS = 1024,
	TTL_LEAST_SECONDS = 60,
};

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
	size_t count, asked_count;	/* all, those with a question under way */
	bool is_awaited;		/* recipients wait at NO_PLACE */
	uint64_t last_serial;
};

static struct destination **slot_of(struct destination_table *table, const char *name)
{
	uint64_t h = 1469598103934665603u;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 1099511628211u;
	return &table->slots[(h ^ h >> 32) % DESTINATION_SLOTS];
}

/* What holds at NOW_MS stays. */
static void sweep(struct destination_table *table, uint64_t now_ms)
{
	size_t i;

	for (i = 0; i < DESTINATION_SLOTS; i++) {
		struct destination **at = &table->slots[i];
		while (*at) {
			struct destination *d = *at;
			if (d->serial || d->until_ms > now_ms) {
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

void remote_sweep(struct scheduler *s)
{
	sweep(s->destinations, loop_now_ms(s->loop));
}

static bool is_full(const struct destination_table *table)
{
	return table->asked_count >= DESTINATIONS_MAX;
}

/* When none is out of date all answers go: they can be had again. */
static void make_room(struct destination_table *table, uint64_t now_ms)
{
	if (table->count >= DESTINATIONS_MAX)
		sweep(table, now_ms);
	if (table->count >= DESTINATIONS_MAX)
		sweep(table, UINT64_MAX);
}

static struct destination *find_destination(const struct scheduler *s, const char *name)
{
	struct destination *d = *slot_of(s->destinations, name);

	while (d && strcmp(d->name, name) != 0)
		d = d->next;
	return d;
}

/* NULL: no memory, or is_full. */
static struct destination *get_destination(struct scheduler *s, const char *name)
{
	struct destination_table *table = s->destinations;
	struct destination **slot = slot_of(table, name), *d = find_destination(s, name);

	if (d || is_full(table))
		return d;
	make_room(table, loop_now_ms(s->loop));
	d = calloc(1, sizeof *d + strlen(name) + 1);
	if (!d)
		return NULL;
	memcpy(d->name, name, strlen(name) + 1);
	d->next = *slot;
	*slot = d;
	table->count++;
	return d;
}

/* The address itself where routes name it, else its domain: as tables and the DNS have them, in A-labels (RFC 6531 3.2). */
static const char *next_hop_of(struct scheduler *s, const char *address, char folded[ADDRESS_MAX + 1])
{
	struct address parsed;
	const char *value;
	struct why why = { 0 };
	size_t length;

	if (address_parse(address, strlen(address), &parsed, &why) != RESULT_OK)
		return address_domain(address);
	if (table_find(s->routes, folded, address_fold(&parsed, folded), &value, &length, &why) == RESULT_OK)
		return folded;
	return address_domain(folded);
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
	s->destinations->asked_count++;
	d->next_asked = s->destinations->asked[d->serial % ASKED_SLOTS];
	s->destinations->asked[d->serial % ASKED_SLOTS] = d;
	return true;
}

/* ---- sites ---- */

static struct site *get_site(struct scheduler *s, const struct destination *d)
{
	struct site *site = site_get(&s->sites, d->site, SITE_FIRST_LIMIT);

	if (!site || health_begin(s, site, d->name))
		return site;
	site_release(&s->sites, site);
	return NULL;
}

struct site *remote_site(struct scheduler *s, struct message *m, uint32_t index)
{
	char folded[ADDRESS_MAX + 1], asking[WIRE_ADDRESS_MAX + 2];
	struct destination *d = get_destination(s, next_hop_of(s, m->envelope.recipients[index].address, folded));
	struct site *site = NULL;

	if (d && d->site && d->until_ms > loop_now_ms(s->loop)) {
		site = get_site(s, d);
		if (site && health_is_aside(s, site)) {
			health_put_off(s, m, index, site);
			return NULL;
		}
	} else if (d && ask(s, d)) {
		snprintf(asking, sizeof asking, "?%s", d->name);
		site = site_get(&s->sites, asking, 0);
	} else if (!d && is_full(s->destinations)) {
		site = site_get(&s->sites, NO_PLACE, 0);
		s->destinations->is_awaited = true;
	}
	if (!site) {
		m->is_soon = true;
		dispatch_defer(s, m, index, "4.3.0", "no memory to ask for the destination");
	}
	return site;
}

void remote_probe_now(struct scheduler *s, const char *name)
{
	const struct destination *d = name ? find_destination(s, name) : NULL;
	struct site *site;

	if (!name) {
		health_probe_now(s, NULL);
		return;
	}
	site = d && d->site ? site_get(&s->sites, d->site, SITE_FIRST_LIMIT) : NULL;
	if (!site)
		return;
	health_probe_now(s, site);
	site_release(&s->sites, site);
}

/* ---- answers ---- */

/* When half of the questions are through there is room for others. */
static void leave_asked(struct scheduler *s)
{
	struct destination_table *table = s->destinations;
	struct site *site;

	table->asked_count--;
	if (!table->is_awaited || table->asked_count > DESTINATIONS_MAX / 2)
		return;
	site = site_get(&s->sites, NO_PLACE, 0);
	if (!site)
		return;		/* without memory: they wait for the next answer */
	table->is_awaited = false;
	dispatch_empty_site(s, site);
}

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
		leave_asked(s);
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
		if (!strcmp(words->status, "4.3.2"))	/* remoted is full: nobody was asked, it lets nothing expire */
			m->recipients[index].was_tried = false;
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
	char folded[ADDRESS_MAX + 1];
	uint32_t i;

	for (i = indexes[0] + 1; i < m->envelope.recipient_count && m->ready && count < most; i++) {
		const struct destination *d;
		if (m->recipients[i].phase != PHASE_READY || m->recipients[i].site || dispatch_is_local(s, all[i].address) ||
		    !same_text(all[i].owner, first->owner))
			continue;
		d = find_destination(s, next_hop_of(s, all[i].address, folded));
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
	char folded[ADDRESS_MAX + 1];
	struct wire_value job[REMOTE_JOB_FIELDS] = {
		[REMOTE_JOB_JOB] = WIRE_NUMBER(number), [REMOTE_JOB_ID] = WIRE_BYTES(m->id, QUEUE_ID_LENGTH),
		[REMOTE_JOB_SITE] = WIRE_STRING(site->name),
		[REMOTE_JOB_NEXT_HOP] = WIRE_STRING(next_hop_of(t->scheduler, first->address, folded)),
		[REMOTE_JOB_OFFSET] = WIRE_NUMBER(e->content_offset), [REMOTE_JOB_LENGTH] = WIRE_NUMBER(e->content_length),
		[REMOTE_JOB_REVERSE_PATH] = WIRE_STRING(first->owner && *e->from ? first->owner : e->from),
		[REMOTE_JOB_BODY] = WIRE_NUMBER(e->body),
		[REMOTE_JOB_FLAGS] = WIRE_NUMBER((e->needs_smtputf8 ? REMOTE_SMTPUTF8 : 0u) | (e->return_full ? REMOTE_RETURN_FULL : 0u) |
		                                 (e->return_headers ? REMOTE_RETURN_HEADERS : 0u) | (e->requires_tls ? REMOTE_REQUIRETLS : 0u) |
		                                 (e->tls_is_optional ? REMOTE_TLS_OPTIONAL : 0u)),
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

enum result remote_start(struct scheduler *s, struct why *why)
{
	s->destinations = calloc(1, sizeof *s->destinations);
	if (!s->destinations)
		return why_errno(why, RESULT_STOP, "no memory for destinations");
	health_start(s);
	return RESULT_OK;
}
