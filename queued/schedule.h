/* When a message is tried again, warned about, given up: pure functions of times. */
#ifndef QUEUED_SCHEDULE_H
#define QUEUED_SCHEDULE_H

#include "common/configuration.h"

/* The wait after attempt ATTEMPT (the first is 1) in milliseconds: that entry of RETRY, the last one
 * repeats, with 10 % less to 20 % more as CHANCE (0 .. SCHEDULE_CHANCE - 1) says, so that messages
 * that failed together do not come back together. */
enum { SCHEDULE_CHANCE = 1000 };
uint64_t schedule_wait_ms(const struct seconds_list *retry, uint32_t attempt, uint32_t chance);

/* Which attempt of RETRY the last one of ATTEMPTS stands for, when the message is AGE_US old: at most the one that is due by that
 * age. So what was tried before its time, by hand or for its site's sake, does not make the waits that follow longer. */
uint32_t schedule_attempt(const struct seconds_list *retry, uint32_t attempts, uint64_t age_us);

/* The longest wait of RETRY, without chance. */
uint64_t schedule_longest_seconds(const struct seconds_list *retry);

/* The seconds from NOW_US until an attempt planned for PLANNED_US. What is past, or farther off than
 * the longest wait of RETRY can be (a clock that jumped), is due now: 0. */
uint32_t schedule_seconds_until(const struct seconds_list *retry, uint64_t now_us, uint64_t planned_us);

/* What stands on disk for an attempt planned for PLANNED_US: whole seconds, and in place of the microseconds SITE (a
 * site->hash, or 0), so that a restart knows which site each message waits for, before it has opened one. */
uint64_t schedule_due_us(uint64_t planned_us, uint32_t site);
/* The site in it. A time that somebody else set gives any: at worst a message is tried early with another site's. */
uint32_t schedule_site_of(uint64_t due_us);

/* Is a message that ARRIVED_US that old? Never when it seems to come from the future. */
bool schedule_is_older(uint64_t now_us, uint64_t arrived_us, uint32_t age_seconds);

/* Is a deferral with STATUS and WORDS (LENGTH bytes, from the reply's code on) what hosts say that want the same message
 * once more a little later (RFC 6647)? */
bool schedule_is_greylisting(const char *status, const char *words, size_t length);
/* The wait before the next attempt in place of WAIT_MS, which schedule_wait_ms gave: not longer than such hosts want,
 * for some attempts. CHANCE as there. */
uint64_t schedule_greylisted_ms(uint64_t wait_ms, uint32_t attempt, uint32_t chance);

#endif
