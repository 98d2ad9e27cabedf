#include "queued/schedule.h"

uint64_t schedule_wait_ms(const struct seconds_list *retry, uint32_t attempt, uint32_t chance)
{
	size_t i = attempt ? attempt - 1 : 0;
	uint64_t base_ms;

	if (i >= retry->count)
		i = retry->count - 1;
	base_ms = (uint64_t)retry->items[i] * 1000;
	return base_ms - base_ms / 10 + base_ms * 3 / 10 * (chance % SCHEDULE_CHANCE) / SCHEDULE_CHANCE;
}

uint64_t schedule_longest_seconds(const struct seconds_list *retry)
{
	uint64_t longest = 0;
	size_t i;

	for (i = 0; i < retry->count; i++)
		if (retry->items[i] > longest)
			longest = retry->items[i];
	return longest;
}

uint32_t schedule_seconds_until(const struct seconds_list *retry, uint64_t now_us, uint64_t planned_us)
{
	uint64_t seconds, longest = schedule_longest_seconds(retry);

	if (planned_us <= now_us)
		return 0;
	seconds = (planned_us - now_us + 999999) / 1000000;
	return seconds > longest + longest / 5 + 1 ? 0 : (uint32_t)seconds;
}

bool schedule_is_older(uint64_t now_us, uint64_t arrived_us, uint32_t age_seconds)
{
	return now_us > arrived_us && now_us - arrived_us >= (uint64_t)age_seconds * 1000000;
}
