#include "remoted/clear.h"

static struct row { struct address_ip ip; uint16_t port; uint64_t until_ms; } rows[CLEAR_HOSTS_MAX];

/* The CLEAR_WAYS places where IP may stand. */
static struct row *places_of(const struct address_ip *ip, uint16_t port)
{
	uint32_t hash = 2166136261u ^ port;	/* FNV-1a */
	size_t i;

	for (i = 0; i < sizeof ip->bytes; i++)
		hash = (hash ^ ip->bytes[i]) * 16777619u;
	return &rows[(hash ^ hash >> 16) % (CLEAR_HOSTS_MAX / CLEAR_WAYS) * CLEAR_WAYS];
}

static struct row *find(const struct address_ip *ip, uint16_t port)
{
	struct row *places = places_of(ip, port);
	size_t i;

	for (i = 0; i < CLEAR_WAYS; i++)
		if (places[i].until_ms && places[i].port == port && ip_equal(&places[i].ip, ip))
			return &places[i];
	return NULL;
}

void clear_remember(const struct address_ip *ip, uint16_t port, uint64_t now_ms)
{
	struct row *place = find(ip, port), *places = places_of(ip, port);
	size_t i;

	for (i = 0; !place && i < CLEAR_WAYS; i++)
		if (places[i].until_ms <= now_ms)
			place = &places[i];
	if (!place)
		for (place = places, i = 1; i < CLEAR_WAYS; i++)
			if (places[i].until_ms < place->until_ms)
				place = &places[i];
	*place = (struct row){ *ip, port, now_ms + CLEAR_KEPT_MS };
}

bool clear_is_remembered(const struct address_ip *ip, uint16_t port, uint64_t now_ms)
{
	const struct row *row = find(ip, port);

	return row && row->until_ms > now_ms;
}

void clear_forget(const struct address_ip *ip, uint16_t port)
{
	struct row *row = find(ip, port);

	if (row)
		row->until_ms = 0;
}
