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
	site->hash = (uint32_t)hash(name) ? (uint32_t)hash(name) : 1;
	site->limit = limit;
	site->parked_end = &site->first_parked;
	site->next = table->buckets[at];
	table->buckets[at] = site;
	table->count++;
	return site;
}

bool site_has_room(const struct site *site)
{
	return site->in_flight < site->limit && !site->parked;
}

void site_park(struct site *site, struct recipient *recipient)
{
	recipient->next_parked = NULL;
	recipient->site = site;
	*site->parked_end = recipient;
	site->parked_end = &recipient->next_parked;
	site->parked++;
}

struct recipient *site_unpark(struct site *site)
{
	struct recipient *recipient = site->first_parked;

	if (!recipient)
		return NULL;
	site->first_parked = recipient->next_parked;
	if (!site->first_parked)
		site->parked_end = &site->first_parked;
	site->parked--;
	return recipient;
}

void site_forget(struct site *site, struct recipient *recipient)
{
	struct recipient **at = &site->first_parked;

	while (*at && *at != recipient)
		at = &(*at)->next_parked;
	if (!*at)
		return;
	*at = recipient->next_parked;
	if (!*at)
		site->parked_end = at;
	site->parked--;
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
