/* What stsd knows of domains: policies, on disk too, a file each, so that they outlive a restart (RFC 8461 3.3); and
 * for a while, that a domain has none. Used by stsd.
 *
 * A file that a crash left half written is not whole, and counts as none: the policy is fetched again. */
#ifndef STSD_CACHE_H
#define STSD_CACHE_H

#include "policy.h"
#include "common/sts_client.h"

enum {
	CACHE_DOMAIN_MAX = 244,		/* so that "_mta-sts." fits in front: RFC 1035 2.3.4 */
	CACHE_ENTRIES_MAX = 50000,
	CACHE_POLICIES_MAX = 10000,	/* and files; the one that was not used for longest gives way */
	CACHE_BYTES_MAX = 32 << 20,	/* of all patterns */
};

struct entry {
	struct entry *next;		/* the cache's own */
	char domain[CACHE_DOMAIN_MAX + 1];
	bool has_policy;
	char id[STS_ID_MAX + 1];
	struct policy policy;
	uint64_t fetched, used;		/* seconds since 1970 */

	/* what discovery.c keeps here */
	uint64_t known_until_ms;	/* monotonic: what is here needs no look at the DNS before */
	uint64_t no_fetch_until_ms;	/* monotonic: the last one, of the policy FAILED_ID, failed */
	char failed_id[STS_ID_MAX + 1];
	uint32_t failures;		/* in a row */
	char words[257];		/* why there is none */
	struct discovery *discovery;	/* under way */
};

/* Reads the policies in DIRECTORY, which is kept; what is not whole or has run out is removed. Without one (-1)
 * nothing is on disk. RESULT_RETRY: it can't be read; the cache works, on disk as far as it can. */
enum result cache_open(int directory, struct why *why);

/* The entry of DOMAIN, made where there is none. It may give way to others later unless it has a discovery. NULL: no
 * memory, or too many are under way. */
struct entry *cache_find(const char *domain);

/* Is there a policy that has not run out? */
bool cache_is_valid(const struct entry *entry);
uint64_t cache_seconds_left(const struct entry *entry);	/* of a valid one */
/* Has it been there so long that it ought to be fetched again? A day, or half its max_age. */
bool cache_is_stale(const struct entry *entry);

/* ENTRY has POLICY, which is taken over, under ID from now on; on disk unless its mode is none. RESULT_RETRY: it is
 * not on disk, WHY. */
enum result cache_put(struct entry *entry, const char *id, struct policy *policy, struct why *why);
/* Notes that ENTRY is asked for. */
void cache_use(struct entry *entry);

/* Drops what has run out and what nobody has to remember, and calls REFRESH for up to COUNT valid policies that are stale,
 * were used in the last month and are due; entries with a discovery stay as they are. */
void cache_sweep(uint64_t now_ms, size_t count, void (*refresh)(struct entry *entry));
void cache_close(void);

#endif
