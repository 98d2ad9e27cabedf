#include "usage.h"

#include "common/text.h"
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum {
	HOUR = 3600, HOUR_BUCKETS = 12, HOUR_WIDTH = HOUR / HOUR_BUCKETS,
	DAY_BUCKETS = 24, DAY_WIDTH = HOUR,
	LOCKS = 64,
	KNOWN_WORDS = 32, KNOWN_BITS = KNOWN_WORDS * 64, KNOWN_HASHES = 4,
	KNOWN_MOST = 250,		/* in a filter before the other takes over: one in 40 strangers is overlooked then */
	USUAL_HOURS = 24,		/* over which what is usual is an average */
	USUAL_FACTOR = 4,
	NEWS_SECONDS = 600,		/* a limit that is reached over and over is told so often */
	HOLD_SECONDS = 10,		/* in which a hold gets to the disk, and is told */
};

enum { COUNT_MESSAGES, COUNT_RECIPIENTS, COUNTS };

struct network_seen { uint32_t network, seconds; };

struct usage_entry {
	uint64_t key;			/* 0: free */
	uint64_t used_seconds;
	uint64_t hour_slot, day_slot;	/* of the newest buckets: time by their width */
	uint32_t hour[COUNTS][HOUR_BUCKETS], day[COUNTS][DAY_BUCKETS];
	uint32_t strangers[HOUR_BUCKETS], refusals[HOUR_BUCKETS];
	uint32_t strangers_now;		/* in this hour by the clock */
	uint32_t usual;			/* strangers an hour, times USUAL_HOURS */
	uint64_t told_seconds[USER_LIMITS];	/* when a limit was told last; 0: never */
	struct network_seen networks[USAGE_NETWORKS_MAX];
	uint64_t known[2][KNOWN_WORDS];	/* [0] is being filled */
	uint64_t tripped_seconds;	/* or when it was asked for again that this be told */
	uint32_t known_count;
	bool is_held, is_on_disk;	/* the breaker's word; the admin has seen it there, and may take it back */
	bool is_untold;			/* a worker is at it, or has died over it */
};

struct usage {
	uint64_t secret[2];
	pthread_mutex_t locks[LOCKS];
	struct usage_entry entries[USAGE_SETS][USAGE_WAYS];
};

/* Robust: a worker that is killed while it counts leaves a lock that the next one gets. */
static enum result locks_make(struct usage *usage, struct why *why)
{
	pthread_mutexattr_t kind;
	int failed = pthread_mutexattr_init(&kind);

	if (!failed)
		failed = pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
	if (!failed)
		failed = pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
	for (int i = 0; i < LOCKS && !failed; i++)
		failed = pthread_mutex_init(&usage->locks[i], &kind);
	errno = failed;
	return failed ? why_errno(why, RESULT_RETRY, "make the locks of the counters of users") : RESULT_OK;
}

enum result usage_make(struct usage **usage, struct why *why)
{
	void *map = mmap(NULL, sizeof **usage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map == MAP_FAILED)
		return why_errno(why, RESULT_RETRY, "map %zu bytes for the counters of users", sizeof **usage);
	*usage = map;
	random_bytes((*usage)->secret, sizeof (*usage)->secret);
	return locks_make(*usage, why);
}

/* ---- keys ---- */

static uint64_t usage_mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return a ^ b ^ (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Keyed: nobody can aim at another's place. Never 0. */
static uint64_t usage_hash(const struct usage *usage, const void *bytes, size_t length)
{
	uint64_t hash = usage->secret[0] ^ length;
	const char *at = bytes;

	while (length > 0) {
		uint64_t word = 0;
		size_t take = length < sizeof word ? length : sizeof word;
		memcpy(&word, at, take);
		hash = usage_mix(hash ^ word, usage->secret[1]) + 0x9e3779b97f4a7c15;
		at += take;
		length -= take;
	}
	hash = usage_mix(hash ^ usage->secret[1], usage->secret[0]);
	return hash ? hash : 1;
}

uint32_t usage_network(const struct usage *usage, const struct address_ip *ip)
{
	uint8_t bytes[8] = { ip->family };
	uint32_t network;

	if (ip->family == 0)
		return 0;
	memcpy(bytes + 1, ip->bytes, ip->family == 4 ? 3 : 6);
	network = (uint32_t)usage_hash(usage, bytes, sizeof bytes);
	return network ? network : 1;
}

/* ---- windows ---- */

/* Empties the buckets between the slot of before and NOW. A clock that went back leaves all as it is. */
static uint64_t buckets_advance(uint32_t *buckets, size_t count, uint64_t slot, uint64_t now)
{
	for (uint64_t at = slot + 1, steps = 0; at <= now && steps < count; at++, steps++)
		buckets[at % count] = 0;
	return now > slot ? now : slot;
}

static uint32_t buckets_sum(const uint32_t *buckets, size_t count)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += buckets[i];
	return sum;
}

/* Seconds until so many of the oldest buckets are gone that the sum is below MOST. */
static uint32_t buckets_wait(const uint32_t *buckets, size_t count, uint64_t slot, uint32_t width, uint32_t most, uint64_t now_seconds)
{
	uint32_t sum = buckets_sum(buckets, count);

	for (size_t age = count; age-- > 0; ) {
		uint64_t bucket = slot - age;
		if (slot < age)
			continue;
		sum -= buckets[bucket % count];
		uint64_t ends = (bucket + count) * width;
		if (sum < most)
			return ends > now_seconds ? (uint32_t)(ends - now_seconds) : 1;
	}
	return width;
}

/* The hours that are over since the last time, into the average; those in which nothing was sent too. */
static void usual_advance(struct usage_entry *entry, uint64_t day_slot)
{
	uint64_t hours = day_slot > entry->day_slot ? day_slot - entry->day_slot : 0;

	if (hours == 0)
		return;
	entry->usual += entry->strangers_now;
	entry->strangers_now = 0;
	for (uint64_t i = 0; i < hours && entry->usual > 0 && i < 100 * USUAL_HOURS; i++)
		entry->usual -= (entry->usual + USUAL_HOURS - 1) / USUAL_HOURS;
}

static void entry_advance(struct usage_entry *entry, uint64_t now_seconds)
{
	uint64_t hour_slot = now_seconds / HOUR_WIDTH, day_slot = now_seconds / DAY_WIDTH, hour_was = entry->hour_slot, day_was = entry->day_slot;

	usual_advance(entry, day_slot);
	for (int i = 0; i < COUNTS; i++) {
		entry->hour_slot = buckets_advance(entry->hour[i], HOUR_BUCKETS, hour_was, hour_slot);
		entry->day_slot = buckets_advance(entry->day[i], DAY_BUCKETS, day_was, day_slot);
	}
	buckets_advance(entry->strangers, HOUR_BUCKETS, hour_was, hour_slot);
	buckets_advance(entry->refusals, HOUR_BUCKETS, hour_was, hour_slot);
	entry->used_seconds = now_seconds;
}

/* ---- entries ---- */

/* The place of KEY; or of one that is free, or was quiet for longest and is not held. */
static struct usage_entry *entry_find(struct usage_entry *set, uint64_t key, uint64_t now_seconds)
{
	struct usage_entry *oldest = NULL;

	for (int i = 0; i < USAGE_WAYS; i++) {
		if (set[i].key == key)
			return &set[i];
		if (!oldest || (oldest->key && (!set[i].key || (oldest->is_held && !set[i].is_held) ||
		                                (oldest->is_held == set[i].is_held && set[i].used_seconds < oldest->used_seconds))))
			oldest = &set[i];
	}
	*oldest = (struct usage_entry){ .key = key, .hour_slot = now_seconds / HOUR_WIDTH, .day_slot = now_seconds / DAY_WIDTH };
	return oldest;
}

static bool lock_take(pthread_mutex_t *lock)
{
	struct timespec until;

	int failed = pthread_mutex_trylock(lock);
	if (failed == EBUSY) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += USAGE_LOCK_WAIT_MS * 1000000L;
		if (until.tv_nsec >= 1000000000L) {
			until.tv_nsec -= 1000000000L;
			until.tv_sec++;
		}
		failed = pthread_mutex_clocklock(lock, CLOCK_MONOTONIC, &until);
	}
	if (failed == EOWNERDEAD)
		failed = pthread_mutex_consistent(lock);
	return failed == 0;
}

/* The entry of USER, its windows up to date, and its lock held. NULL: the lock can't be had. The time of a worker that is in a
 * long turn is behind that of another, which has been here: *NOW_SECONDS is the later one afterwards. */
static struct usage_entry *entry_open(struct usage *usage, const char *user, uint64_t *now_seconds, pthread_mutex_t **lock)
{
	uint64_t key = usage_hash(usage, user, strlen(user));
	size_t set = (size_t)(key >> 20) % USAGE_SETS;

	*lock = &usage->locks[set % LOCKS];
	if (!lock_take(*lock))
		return NULL;
	struct usage_entry *entry = entry_find(usage->entries[set], key, *now_seconds);
	if (*now_seconds < entry->used_seconds)
		*now_seconds = entry->used_seconds;
	entry_advance(entry, *now_seconds);
	return entry;
}

/* ---- what is judged ---- */

static const struct usage_verdict is_free = { .outcome = USAGE_FREE }, is_busy = { .outcome = USAGE_BUSY }, is_held_already = { .outcome = USAGE_HELD };

/* Which window each limit looks at. */
static const struct { uint8_t count; bool is_day; } windows[] = {
	[USER_MESSAGES_HOUR] = { COUNT_MESSAGES, false }, [USER_MESSAGES_DAY] = { COUNT_MESSAGES, true },
	[USER_RECIPIENTS_HOUR] = { COUNT_RECIPIENTS, false }, [USER_RECIPIENTS_DAY] = { COUNT_RECIPIENTS, true },
};

static struct usage_verdict judge_limit(struct usage_entry *entry, enum user_limit limit, uint32_t most, uint64_t now_seconds)
{
	bool is_day = windows[limit].is_day;
	const uint32_t *buckets = is_day ? entry->day[windows[limit].count] : entry->hour[windows[limit].count];
	size_t count = is_day ? DAY_BUCKETS : HOUR_BUCKETS;
	struct usage_verdict verdict = { .outcome = USAGE_LIMITED, .limit = limit, .most = most, .count = buckets_sum(buckets, count) };

	if (most == 0 || verdict.count < most)
		return is_free;
	verdict.wait_seconds = buckets_wait(buckets, count, is_day ? entry->day_slot : entry->hour_slot,
	                                    is_day ? DAY_WIDTH : HOUR_WIDTH, most, now_seconds);
	verdict.is_news = entry->told_seconds[limit] == 0 || now_seconds - entry->told_seconds[limit] >= NEWS_SECONDS;
	if (verdict.is_news)
		entry->told_seconds[limit] = now_seconds ? now_seconds : 1;
	return verdict;
}

static struct usage_verdict judge_limits(struct usage_entry *entry, enum user_limit first, enum user_limit last,
                                         const struct usage_limits *limits, uint64_t now_seconds)
{
	struct usage_verdict verdict = is_free;

	for (unsigned limit = first; limit <= last && verdict.outcome == USAGE_FREE; limit++)
		verdict = judge_limit(entry, (enum user_limit)limit, limits->most[limit], now_seconds);
	return verdict;
}

static struct usage_verdict judge_hold(struct usage_entry *entry, enum user_limit limit, uint32_t count, uint32_t most)
{
	if (most == 0 || count <= most)
		return is_free;
	entry->is_held = entry->is_untold = true;
	entry->tripped_seconds = entry->used_seconds;
	return (struct usage_verdict){ .outcome = USAGE_TRIPPED, .limit = limit, .count = count, .most = most };
}

static uint32_t note_network(struct usage_entry *entry, uint32_t network, uint64_t now_seconds)
{
	struct network_seen *place = NULL, *oldest = &entry->networks[0];
	uint32_t count = 0;

	for (size_t i = 0; i < USAGE_NETWORKS_MAX && network; i++) {
		struct network_seen *seen = &entry->networks[i];
		if (seen->network && (uint32_t)now_seconds - seen->seconds >= HOUR)
			seen->network = 0;
		if (seen->network == network || (!seen->network && !place))
			place = seen;
		if (seen->seconds < oldest->seconds)
			oldest = seen;
	}
	if (network)
		*(place ? place : oldest) = (struct network_seen){ network, (uint32_t)now_seconds };
	for (size_t i = 0; i < USAGE_NETWORKS_MAX; i++)
		count += entry->networks[i].network != 0;
	return count;
}

static bool known_contains(const uint64_t *filter, uint64_t hash)
{
	for (int i = 0; i < KNOWN_HASHES; i++, hash >>= 16)
		if (!(filter[hash % KNOWN_BITS / 64] >> (hash % 64) & 1))
			return false;
	return true;
}

static void known_add(struct usage_entry *entry, uint64_t hash)
{
	if (entry->known_count >= KNOWN_MOST) {
		memcpy(entry->known[1], entry->known[0], sizeof entry->known[1]);
		memset(entry->known[0], 0, sizeof entry->known[0]);
		entry->known_count = 0;
	}
	entry->known_count++;
	for (int i = 0; i < KNOWN_HASHES; i++, hash >>= 16)
		entry->known[0][hash % KNOWN_BITS / 64] |= UINT64_C(1) << (hash % 64);
}

/* Is the recipient one that was not written to of late? From now on it is none. */
static bool note_recipient(struct usage_entry *entry, uint64_t hash)
{
	bool is_known = known_contains(entry->known[1], hash);

	if (known_contains(entry->known[0], hash))
		return false;
	known_add(entry, hash);
	return !is_known;
}

/* The limit, or several times what is usual where that is more. */
static uint32_t strangers_most(const struct usage_entry *entry, uint32_t most)
{
	uint32_t usual = entry->usual / USUAL_HOURS * USUAL_FACTOR;

	return most && usual > most ? usual : most;
}

static void entry_release(struct usage_entry *entry)
{
	entry->is_held = entry->is_on_disk = entry->is_untold = false;
	memset(entry->strangers, 0, sizeof entry->strangers);
	memset(entry->refusals, 0, sizeof entry->refusals);
	memset(entry->networks, 0, sizeof entry->networks);
}

static bool is_overdue(struct usage_entry *entry, uint64_t now_seconds)
{
	if (!entry->is_untold || now_seconds - entry->tripped_seconds < HOLD_SECONDS)
		return false;
	entry->tripped_seconds = now_seconds;
	return true;
}

struct usage_verdict usage_message(struct usage *usage, const char *user, uint64_t now_seconds, const struct usage_limits *limits,
                                   uint32_t network, bool is_held, bool *was_released)
{
	pthread_mutex_t *lock;
	struct usage_entry *entry = entry_open(usage, user, &now_seconds, &lock);
	struct usage_verdict verdict = is_held_already;

	*was_released = false;
	if (!entry)
		return is_busy;
	*was_released = entry->is_held && entry->is_on_disk && !is_held;
	if (*was_released)
		entry_release(entry);
	if (is_held)
		entry->is_held = entry->is_on_disk = true;
	verdict.is_news = is_overdue(entry, now_seconds);
	if (!entry->is_held)
		verdict = judge_hold(entry, USER_NETWORKS_HOUR, note_network(entry, network, now_seconds), limits->most[USER_NETWORKS_HOUR]);
	if (verdict.outcome == USAGE_FREE)
		verdict = judge_limits(entry, USER_MESSAGES_HOUR, USER_RECIPIENTS_DAY, limits, now_seconds);
	pthread_mutex_unlock(lock);
	return verdict;
}

static struct usage_verdict entry_take_recipient(struct usage_entry *entry, uint64_t now_seconds, const struct usage_limits *limits,
                                                 uint64_t recipient, bool is_first)
{
	uint64_t hour = entry->hour_slot % HOUR_BUCKETS, day = entry->day_slot % DAY_BUCKETS;
	struct usage_verdict verdict = judge_limits(entry, is_first ? USER_MESSAGES_HOUR : USER_RECIPIENTS_HOUR, USER_RECIPIENTS_DAY,
	                                            limits, now_seconds);

	if (verdict.outcome != USAGE_FREE)
		return verdict;
	if (note_recipient(entry, recipient)) {
		entry->strangers[hour]++;
		entry->strangers_now++;
	}
	verdict = judge_hold(entry, USER_STRANGERS_HOUR, buckets_sum(entry->strangers, HOUR_BUCKETS), strangers_most(entry, limits->most[USER_STRANGERS_HOUR]));
	if (verdict.outcome != USAGE_FREE)
		return verdict;
	entry->hour[COUNT_RECIPIENTS][hour]++;
	entry->day[COUNT_RECIPIENTS][day]++;
	entry->hour[COUNT_MESSAGES][hour] += is_first;
	entry->day[COUNT_MESSAGES][day] += is_first;
	return verdict;
}

struct usage_verdict usage_recipient(struct usage *usage, const char *user, uint64_t now_seconds, const struct usage_limits *limits,
                                     const char *recipient, bool is_first)
{
	pthread_mutex_t *lock;
	struct usage_entry *entry = entry_open(usage, user, &now_seconds, &lock);
	struct usage_verdict verdict = is_held_already;

	if (!entry)
		return is_busy;
	if (!entry->is_held)
		verdict = entry_take_recipient(entry, now_seconds, limits, usage_hash(usage, recipient, strlen(recipient)), is_first);
	pthread_mutex_unlock(lock);
	return verdict;
}

struct usage_verdict usage_refusal(struct usage *usage, const char *user, uint64_t now_seconds, const struct usage_limits *limits)
{
	pthread_mutex_t *lock;
	struct usage_entry *entry = entry_open(usage, user, &now_seconds, &lock);
	struct usage_verdict verdict = is_held_already;

	if (!entry)
		return is_busy;
	if (!entry->is_held) {
		entry->refusals[entry->hour_slot % HOUR_BUCKETS]++;
		verdict = judge_hold(entry, USER_REFUSALS_HOUR, buckets_sum(entry->refusals, HOUR_BUCKETS), limits->most[USER_REFUSALS_HOUR]);
	}
	pthread_mutex_unlock(lock);
	return verdict;
}

void usage_note_held(struct usage *usage, const char *user, uint64_t now_seconds)
{
	pthread_mutex_t *lock;
	struct usage_entry *entry = entry_open(usage, user, &now_seconds, &lock);

	if (!entry)
		return;
	entry->is_held = entry->is_on_disk = true;
	entry->is_untold = false;
	pthread_mutex_unlock(lock);
}

bool usage_is_held(struct usage *usage, const char *user, uint64_t now_seconds)
{
	pthread_mutex_t *lock;
	struct usage_entry *entry = entry_open(usage, user, &now_seconds, &lock);
	bool is_held = entry && entry->is_held;

	if (entry)
		pthread_mutex_unlock(lock);
	return is_held;
}
