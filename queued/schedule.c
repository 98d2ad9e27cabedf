#include "queued/schedule.h"

#include <string.h>
#include <strings.h>

enum {
	GREY_MS = 300000, GREY_CHANCE_MS = 60000,	/* most hosts that greylist want five minutes, and that they are over */
	GREY_ATTEMPTS = 6,				/* then it is something else */
};

uint64_t schedule_wait_ms(const struct seconds_list *retry, uint32_t attempt, uint32_t chance)
{
	size_t i = attempt ? attempt - 1 : 0;
	uint64_t base_ms;

	if (i >= retry->count)
		i = retry->count - 1;
	base_ms = (uint64_t)retry->items[i] * 1000;
	return base_ms - base_ms / 10 + base_ms * 3 / 10 * (chance % SCHEDULE_CHANCE) / SCHEDULE_CHANCE;
}

uint32_t schedule_attempt(const struct seconds_list *retry, uint32_t attempts, uint64_t age_us)
{
	uint64_t least_us = 0;
	uint32_t i;

	for (i = 1; i < attempts && i <= retry->count; i++) {
		least_us += schedule_wait_ms(retry, i, 0) * 1000;
		if (age_us < least_us)
			return i;
	}
	return attempts;
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

uint64_t schedule_due_us(uint64_t planned_us, uint32_t site)
{
	return (planned_us + 500000) / 1000000 * 1000000 + site % 1000000;
}

uint32_t schedule_site_of(uint64_t due_us)
{
	return (uint32_t)(due_us % 1000000);
}

bool schedule_is_older(uint64_t now_us, uint64_t arrived_us, uint32_t age_seconds)
{
	return now_us > arrived_us && now_us - arrived_us >= (uint64_t)age_seconds * 1000000;
}

static bool holds(const char *words, size_t length, const char *part)
{
	size_t part_length = strlen(part), i;

	for (i = 0; i + part_length <= length; i++)
		if (!strncasecmp(words + i, part, part_length))
			return true;
	return false;
}

bool schedule_is_greylisting(const char *status, const char *words, size_t length)
{
	if (length < 3 || (memcmp(words, "450", 3) && memcmp(words, "451", 3)))
		return false;
	return !strcmp(status, "4.7.1") || !strcmp(status, "4.2.0") || holds(words, length, "greylist") || holds(words, length, "graylist");
}

uint64_t schedule_greylisted_ms(uint64_t wait_ms, uint32_t attempt, uint32_t chance)
{
	if (attempt > GREY_ATTEMPTS || wait_ms < GREY_MS - GREY_MS / 10)
		return wait_ms;
	return GREY_MS + (uint64_t)GREY_CHANCE_MS * (chance % SCHEDULE_CHANCE) / SCHEDULE_CHANCE;
}
