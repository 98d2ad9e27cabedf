#include "limits.h"

#include "text.h"
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

enum { SKETCH_ROWS = 4, SKETCH_COLUMNS = 8192 };

struct worker_row { _Atomic uint16_t count[SKETCH_ROWS][SKETCH_COLUMNS]; };

struct limits {
	uint64_t secret[2];
	unsigned workers;
	struct worker_row row[];
};

enum result limits_make(unsigned workers, struct limits **limits, struct why *why)
{
	size_t size = sizeof **limits + workers * sizeof (*limits)->row[0];
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		return why_errno(why, RESULT_RETRY, "map %zu bytes for the counters of clients", size);
	*limits = map;
	random_bytes((*limits)->secret, sizeof (*limits)->secret);
	(*limits)->workers = workers;
	return RESULT_OK;
}

/* Multiply and fold: enough against one who does not know the secret and never sees a hash. Each bit of A and B counts. */
static uint64_t limits_mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return a ^ b ^ (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t limits_hash(const struct limits *limits, uint64_t high, uint64_t low)
{
	uint64_t hash = limits_mix(high ^ limits->secret[0], low ^ limits->secret[1]);

	return limits_mix(hash ^ limits->secret[0], limits->secret[1] + low);
}

uint64_t limits_key_of_address(const struct limits *limits, const struct address_ip *ip)
{
	uint64_t prefix = 0;

	memcpy(&prefix, ip->bytes, ip->family == 4 ? 4 : 8);
	return limits_hash(limits, ip->family, prefix);
}

uint64_t limits_key_of_uid(const struct limits *limits, uint32_t uid)
{
	return limits_hash(limits, 0, uid);
}

static size_t limits_column(uint64_t key, unsigned row)
{
	return (size_t)(key >> (16 * row)) % SKETCH_COLUMNS;
}

uint32_t limits_count(const struct limits *limits, uint64_t key)
{
	uint32_t least = UINT32_MAX;

	for (unsigned row = 0; row < SKETCH_ROWS; row++) {
		uint32_t sum = 0;
		for (unsigned worker = 0; worker < limits->workers; worker++)
			sum += atomic_load_explicit(&limits->row[worker].count[row][limits_column(key, row)], memory_order_relaxed);
		if (sum < least)
			least = sum;
	}
	return least;
}

void limits_add(struct limits *limits, unsigned worker, uint64_t key)
{
	for (unsigned row = 0; row < SKETCH_ROWS; row++)
		atomic_fetch_add_explicit(&limits->row[worker].count[row][limits_column(key, row)], 1, memory_order_relaxed);
}

void limits_remove(struct limits *limits, unsigned worker, uint64_t key)
{
	for (unsigned row = 0; row < SKETCH_ROWS; row++)
		atomic_fetch_sub_explicit(&limits->row[worker].count[row][limits_column(key, row)], 1, memory_order_relaxed);
}

void limits_forget(struct limits *limits, unsigned worker)
{
	memset((void *)&limits->row[worker], 0, sizeof limits->row[worker]);
}
