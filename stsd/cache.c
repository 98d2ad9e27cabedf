#include "cache.h"

#include "common/address.h"
#include "store.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	SLOTS = 16384,
	DAY_SECONDS = 86400, FORGET_DAYS = 30,
	HEAD_MAX = 128,			/* of a file, before the policy */
};
static const char magic[] = "dawk-sts 1", end_mark[] = "end\n";

static struct entry *slots[SLOTS];
static size_t entry_count, policy_count, byte_count;
static int folder = -1;

static uint64_t now_seconds(void)
{
	return time_real_us() / 1000000;
}

/* ---- the table ---- */

/* FNV-1a, with a key of this start so that nobody can fill one slot. */
static size_t slot_of(const char *domain)
{
	static uint64_t key;
	uint64_t hash;

	while (!key)
		random_bytes(&key, sizeof key);
	for (hash = key; *domain; domain++)
		hash = (hash ^ (unsigned char)*domain) * UINT64_C(1099511628211);
	return (size_t)(hash >> 20) % SLOTS;
}

static void drop_policy(struct entry *entry)
{
	if (!entry->has_policy)
		return;
	if (entry->policy.mode != STS_NONE && folder >= 0)
		unlinkat(folder, entry->domain, 0);
	byte_count -= entry->policy.patterns.len;
	policy_count--;
	policy_free(&entry->policy);
	entry->has_policy = false;
	entry->id[0] = 0;
}

/* The memory alone: the file stays. */
static void free_entry(struct entry *entry)
{
	if (entry->has_policy) {
		byte_count -= entry->policy.patterns.len;
		policy_count--;
		policy_free(&entry->policy);
	}
	free(entry);
	entry_count--;
}

static struct entry *make_entry(const char *domain)
{
	struct entry *entry = calloc(1, sizeof *entry), **slot = &slots[slot_of(domain)];

	if (!entry)
		return NULL;
	memcpy(entry->domain, domain, strlen(domain) + 1);
	entry->next = *slot;
	*slot = entry;
	entry_count++;
	return entry;
}

/* Makes room by one that nothing is lost with, of this slot or the next ones. */
static bool give_way(size_t slot)
{
	for (size_t i = 0; i < SLOTS; i++) {
		struct entry **at = &slots[(slot + i) % SLOTS];
		while (*at && ((*at)->has_policy || (*at)->discovery))
			at = &(*at)->next;
		if (*at) {
			struct entry *gone = *at;
			*at = gone->next;
			free_entry(gone);
			return true;
		}
	}
	return false;
}

struct entry *cache_find(const char *domain)
{
	size_t slot = slot_of(domain);
	struct entry *entry;

	if (strlen(domain) > CACHE_DOMAIN_MAX)
		return NULL;
	for (entry = slots[slot]; entry; entry = entry->next)
		if (!strcmp(entry->domain, domain))
			return entry;
	if (entry_count >= CACHE_ENTRIES_MAX && !give_way(slot))
		return NULL;
	return make_entry(domain);
}

/* ---- policies ---- */

bool cache_is_valid(const struct entry *entry)
{
	uint64_t now = now_seconds();

	/* a clock that stepped back makes no policy eternal */
	return entry->has_policy && now < entry->fetched + entry->policy.max_age_seconds && entry->fetched <= now + DAY_SECONDS;
}

uint64_t cache_seconds_left(const struct entry *entry)
{
	return entry->fetched + entry->policy.max_age_seconds - now_seconds();
}

bool cache_is_stale(const struct entry *entry)
{
	uint64_t half = entry->policy.max_age_seconds / 2;

	return now_seconds() >= entry->fetched + (half < DAY_SECONDS ? half : DAY_SECONDS);
}

void cache_use(struct entry *entry)
{
	entry->used = now_seconds();
}

static bool is_longer_unused(const struct entry *entry, const struct entry *other)
{
	return entry->has_policy && !entry->discovery && (!other || entry->used < other->used);
}

static void make_room(const struct entry *keep)
{
	while (policy_count >= CACHE_POLICIES_MAX || byte_count > CACHE_BYTES_MAX) {
		struct entry *oldest = NULL;
		for (size_t i = 0; i < SLOTS; i++)
			for (struct entry *entry = slots[i]; entry; entry = entry->next)
				if (entry != keep && is_longer_unused(entry, oldest))
					oldest = entry;
		if (!oldest)
			return;
		drop_policy(oldest);
	}
}

/* On disk: a line with id and time of the fetch, the policy, a mark that it is whole. */
static enum result write_policy(const struct entry *entry, struct why *why)
{
	stralloc text = { 0 };
	enum result result;

	if (text_append_format(&text, "%s %s %llu\n", magic, entry->id, (unsigned long long)entry->fetched) &&
	    policy_append_text(&entry->policy, &text) && text_append_string(&text, end_mark))
		result = store_write(folder, entry->domain, text.s, text.len, why);
	else
		result = why_set(why, RESULT_RETRY, "no memory to write a policy");
	stralloc_free(&text);
	return result;
}

enum result cache_put(struct entry *entry, const char *id, struct policy *policy, struct why *why)
{
	make_room(entry);
	if (entry->has_policy) {
		if (entry->policy.mode != STS_NONE && policy->mode == STS_NONE && folder >= 0)
			unlinkat(folder, entry->domain, 0);
		byte_count -= entry->policy.patterns.len;
		policy_count--;
		policy_free(&entry->policy);
	}
	entry->policy = *policy;
	entry->has_policy = true;
	entry->fetched = now_seconds();
	snprintf(entry->id, sizeof entry->id, "%s", id);
	byte_count += policy->patterns.len;
	policy_count++;
	if (policy->mode == STS_NONE || folder < 0)
		return RESULT_OK;
	return write_policy(entry, why);
}

/* ---- from disk ---- */

/* "dawk-sts 1 ID SECONDS"; *LENGTH: of the line with its end. */
static bool read_head(struct entry *entry, const char *text, size_t size, size_t *length)
{
	const char *newline = memchr(text, '\n', size < HEAD_MAX ? size : HEAD_MAX), *at, *word;
	size_t word_length;

	if (!newline || strncmp(text, magic, strlen(magic)) || text[strlen(magic)] != ' ')
		return false;
	*length = (size_t)(newline + 1 - text);
	at = text + strlen(magic);
	if (!text_next_word(&at, newline, &word, &word_length) || word_length > STS_ID_MAX)
		return false;
	memcpy(entry->id, word, word_length);
	entry->id[word_length] = 0;
	return text_next_word(&at, newline, &word, &word_length) && text_to_number(word, word_length, &entry->fetched) &&
	       entry->fetched < UINT64_MAX / 2;
}

static bool take_file(struct entry *entry, const char *text, size_t length)
{
	size_t head, mark = strlen(end_mark);
	struct why why;

	if (length < mark || memcmp(text + length - mark, end_mark, mark) || !read_head(entry, text, length - mark, &head))
		return false;
	if (policy_parse(text + head, length - mark - head, &entry->policy, &why) != RESULT_OK)
		return false;
	entry->has_policy = true;
	byte_count += entry->policy.patterns.len;
	policy_count++;
	return cache_is_valid(entry);
}

static void load(const char *name)
{
	char text[HEAD_MAX + WIRE_STS_PATTERNS_MAX * 4];
	struct entry *entry = policy_count < CACHE_POLICIES_MAX && byte_count <= CACHE_BYTES_MAX ? cache_find(name) : NULL;
	size_t length;
	struct why why = { 0 };

	if (!entry)
		return;
	if (store_read(folder, name, text, sizeof text, &length, &why) == RESULT_OK && take_file(entry, text, length)) {
		entry->used = entry->fetched;
		return;
	}
	if (entry->has_policy)
		drop_policy(entry);
	else if (!why.errno_value)
		unlinkat(folder, name, 0);
}

enum result cache_open(int directory, struct why *why)
{
	struct dirent *item;
	DIR *list;
	int copy;

	folder = directory;
	if (folder < 0)
		return RESULT_OK;
	copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	list = copy < 0 ? NULL : fdopendir(copy);
	if (!list) {
		if (copy >= 0)
			close(copy);
		return why_errno(why, RESULT_RETRY, "unable to list the policies");
	}
	while ((item = readdir(list)))
		if (item->d_name[0] != '.' && domain_is_valid(item->d_name, strlen(item->d_name)))
			load(item->d_name);
	closedir(list);
	return RESULT_OK;
}

/* ---- time goes by ---- */

static bool is_worth_keeping(const struct entry *entry, uint64_t now_ms)
{
	return entry->has_policy || entry->discovery || entry->known_until_ms > now_ms || entry->no_fetch_until_ms > now_ms;
}

static bool is_due(const struct entry *entry, uint64_t now_ms)
{
	return entry->has_policy && !entry->discovery && entry->policy.mode != STS_NONE && cache_is_stale(entry) &&
	       entry->no_fetch_until_ms <= now_ms && entry->known_until_ms <= now_ms &&
	       entry->used + FORGET_DAYS * DAY_SECONDS > now_seconds();
}

void cache_sweep(uint64_t now_ms, size_t count, void (*refresh)(struct entry *entry))
{
	for (size_t i = 0; i < SLOTS; i++) {
		struct entry **at = &slots[i];
		while (*at) {
			struct entry *entry = *at;
			if (entry->has_policy && !entry->discovery && !cache_is_valid(entry))
				drop_policy(entry);
			if (!is_worth_keeping(entry, now_ms)) {
				*at = entry->next;
				free_entry(entry);
				continue;
			}
			at = &entry->next;
			if (count && is_due(entry, now_ms)) {
				count--;
				refresh(entry);
			}
		}
	}
}

void cache_close(void)
{
	for (size_t i = 0; i < SLOTS; i++)
		while (slots[i]) {
			struct entry *entry = slots[i];
			slots[i] = entry->next;
			free_entry(entry);
		}
}
