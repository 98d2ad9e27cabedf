#include "queued/site.h"

#include <stdlib.h>
#include <string.h>

enum { SITES_FIRST_SIZE = 256 };

/* FNV-1a: names come from our own tables and envelopes; a long chain costs time alone. */
static size_t hash(const char *name)
{
	uint64_t h = 1469598103934665603u;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 1099511628211u;
	return (size_t)(h ^ h >> 32);
}

static bool grow(struct site_table *table)
{
	size_t size = table->size ? table->size * 2 : SITES_FIRST_SIZE, i;
	struct site **buckets = calloc(size, sizeof *buckets);

	if (!buckets)
		return table->size > 0;	/* longer chains do as well */
	for (i = 0; i < table->size; i++)
		while (table->buckets[i]) {
			struct site *site = table->buckets[i];
			size_t to = hash(site->name) % size;

			table->buckets[i] = site->next;
			site->next = buckets[to];
			buckets[to] = site;
		}
	free(table->buckets);
	table->buckets = buckets;
	table->size = size;
	return true;
}

struct site *site_get(struct site_table *table, const char *name, uint32_t limit)
{
	size_t length = strlen(name), at;
	struct site *site;

	if (table->count >= table->size && !grow(table))
		return NULL;
	at = hash(name) % table->size;
	for (site = table->buckets[at]; site; site = site->next)
		if (strcmp(site->name, name) == 0)
			return site;
	site = calloc(1, sizeof *site + length + 1);
	if (!site)
		return NULL;
	memcpy(site->name, name, length);
	site->hash = (uint32_t)(hash(name) % (SITE_HASH_END - 1)) + 1;
	site->limit = limit;
	site->lanes_end = &site->lanes;
	site->next = table->buckets[at];
	table->buckets[at] = site;
	table->count++;
	return site;
}

bool site_has_room(const struct site *site)
{
	return site->in_flight < site->limit && !site->parked;
}

/* ---- lanes ---- */

static struct site_lane **find_lane(struct site *site, const struct sender *sender)
{
	struct site_lane **at = &site->lanes;

	while (*at && (*at)->sender != sender)
		at = &(*at)->next;
	return at;
}

static void put_last(struct site *site, struct site_lane *lane)
{
	lane->next = NULL;
	*site->lanes_end = lane;
	site->lanes_end = &lane->next;
}

/* Takes the lane at AT out of turn. */
static struct site_lane *take_lane(struct site *site, struct site_lane **at)
{
	struct site_lane *lane = *at;

	*at = lane->next;
	if (!*at)
		site->lanes_end = at;
	return lane;
}

bool site_park(struct site *site, struct recipient *recipient)
{
	struct site_lane *lane = *find_lane(site, recipient->message->sender);

	if (!lane) {
		lane = calloc(1, sizeof *lane);
		if (!lane)
			return false;
		lane->sender = recipient->message->sender;
		lane->end = &lane->first;
		put_last(site, lane);
	}
	recipient->next_parked = NULL;
	recipient->site = site;
	*lane->end = recipient;
	lane->end = &recipient->next_parked;
	lane->count++;
	site->parked++;
	return true;
}

/* Takes the recipient at AT out of the lane at LANE_AT, which goes when it is empty. */
static struct recipient *take_out(struct site *site, struct site_lane **lane_at, struct recipient **at)
{
	struct site_lane *lane = *lane_at;
	struct recipient *recipient = *at;

	*at = recipient->next_parked;
	if (!*at)
		lane->end = at;
	lane->count--;
	site->parked--;
	if (!lane->count)
		free(take_lane(site, lane_at));
	return recipient;
}

struct recipient *site_unpark(struct site *site)
{
	struct site_lane *lane = site->lanes;

	if (!lane)
		return NULL;
	if (lane->count > 1)
		put_last(site, take_lane(site, &site->lanes));
	return take_out(site, find_lane(site, lane->sender), &lane->first);
}

struct recipient *site_unpark_along(struct site *site, const struct recipient *recipient)
{
	struct site_lane **lane = find_lane(site, recipient->message->sender);

	return *lane && (*lane)->first->message == recipient->message ? take_out(site, lane, &(*lane)->first) : NULL;
}

uint32_t site_waiting_of(const struct site *site, const struct sender *sender)
{
	const struct site_lane *lane = site->lanes;

	while (lane && lane->sender != sender)
		lane = lane->next;
	return lane ? lane->count : 0;
}

void site_forget(struct site *site, struct recipient *recipient)
{
	struct site_lane **lane = find_lane(site, recipient->message->sender);
	struct recipient **at;

	if (!*lane)
		return;
	for (at = &(*lane)->first; *at && *at != recipient; at = &(*at)->next_parked)
		;
	if (*at)
		take_out(site, lane, at);
}

void site_release(struct site_table *table, struct site *site)
{
	struct site **at;

	if (site->in_flight || site->parked || site->overflow.count || site->health)
		return;
	for (at = &table->buckets[hash(site->name) % table->size]; *at != site; at = &(*at)->next)
		;
	*at = site->next;
	table->count--;
	waiting_free(&site->overflow);
	free(site);
}

void site_each(struct site_table *table, void (*each)(void *, struct site *), void *context)
{
	struct site *site, *next;
	size_t i;

	for (i = 0; i < table->size; i++)
		for (site = table->buckets[i]; site; site = next) {
			next = site->next;
			each(context, site);	/* which may release it */
		}
}
