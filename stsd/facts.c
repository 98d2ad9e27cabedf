#include "facts.h"

#include "store.h"
#include "common/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 4096, TEXT_MAX = 1000 };

struct row {
	struct row *next;
	uint64_t count;
	size_t length;
	char key[];		/* the fields as in the file, not NUL-ended */
};

static struct row *slots[SLOTS];
static size_t row_count, byte_count;
static uint64_t dropped;
static char today[FACTS_DAY_SIZE];
static bool is_changed;
static int folder = -1;

/* ---- the table ---- */

static size_t slot_of(const char *key, size_t length)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)key[i]) * UINT64_C(1099511628211);
	return (size_t)(hash >> 20) % SLOTS;
}

static void add(const char *key, size_t length, uint64_t count)
{
	struct row **slot = &slots[slot_of(key, length)], *row;

	for (row = *slot; row; row = row->next)
		if (row->length == length && !memcmp(row->key, key, length)) {
			row->count += count;
			return;
		}
	row = row_count < FACTS_ROWS_MAX && byte_count + length <= FACTS_BYTES_MAX ? malloc(sizeof *row + length) : NULL;
	if (!row) {
		dropped += count;
		return;
	}
	*row = (struct row){ *slot, count, length };
	memcpy(row->key, key, length);
	*slot = row;
	row_count++;
	byte_count += length;
}

static void clear(void)
{
	for (size_t i = 0; i < SLOTS; i++)
		while (slots[i]) {
			struct row *row = slots[i];
			slots[i] = row->next;
			free(row);
		}
	row_count = byte_count = 0;
	dropped = 0;
	is_changed = false;
}

/* ---- disk ---- */

static void log_full(void)
{
	struct log_line line;

	if (!dropped)
		return;
	log_start(&line, "facts-full");
	log_text(&line, "day", today);
	log_number(&line, "not-counted", dropped);
	log_end(&line);
	dropped = 0;
}

enum result facts_write(struct why *why)
{
	stralloc text = { 0 };
	bool is_fine = text_append_string(&text, facts_file_head);
	enum result result = RESULT_OK;

	log_full();
	if (folder >= 0 && is_changed) {
		for (size_t i = 0; i < SLOTS && is_fine; i++)
			for (const struct row *row = slots[i]; row && is_fine; row = row->next)
				is_fine = text_append_format(&text, "%llu\t", (unsigned long long)row->count) &&
				          text_append(&text, row->key, row->length) && text_append(&text, "\n", 1);
		is_fine = is_fine && text_append_string(&text, facts_file_end);
		result = is_fine ? store_write(folder, today, text.s, text.len, why) : why_set(why, RESULT_RETRY, "no memory to write the facts of TLS");
		is_changed = result != RESULT_OK;
	}
	stralloc_free(&text);
	return result;
}

/* What an earlier process of this day has counted. */
static void load(void)
{
	char *text = malloc(FACTS_FILE_MAX);
	const char *at = NULL;
	size_t length;
	struct fact fact;
	struct why why;

	if (text && store_read(folder, today, text, FACTS_FILE_MAX, &length, &why) == RESULT_OK && facts_file_is_whole(text, length))
		while (facts_file_next(text, length, &at, &fact)) {
			const struct fact_text *last = &fact.field[FACT_FIELDS - 1];
			const char *key = fact.field[0].at;
			add(key, (size_t)(last->at + last->length - key), fact.count);
		}
	free(text);
}

static void remove_old(void)
{
	char oldest[FACTS_DAY_SIZE];

	facts_day(time_real_us() - FACTS_KEPT_DAYS * UINT64_C(86400) * 1000000, oldest);
	store_remove_before(folder, oldest, facts_day_is_valid);
}

void facts_open(int directory)
{
	folder = directory;
	facts_day(time_real_us(), today);
	if (folder < 0)
		return;
	remove_old();
	load();
}

/* ---- counting ---- */

static void turn_day(void)
{
	char day[FACTS_DAY_SIZE];
	struct why why = { 0 };

	facts_day(time_real_us(), day);
	if (!strcmp(day, today))
		return;
	if (facts_write(&why) != RESULT_OK)
		log_failure("facts-failed", &why);
	clear();
	memcpy(today, day, sizeof today);
	if (folder >= 0)
		remove_old();
}

/* Bytes that would end a field, or a policy's line, and others that no name, address or code has become '?'. */
static bool append_field(stralloc *key, const char *text, bool is_last)
{
	size_t start = key->len, i;

	if (text && !text_append(key, text, strnlen(text, TEXT_MAX)))
		return false;
	for (i = start; i < key->len; i++) {
		unsigned char c = (unsigned char)key->s[i];
		if (c == '\n')
			key->s[i] = '|';
		else if (c < 0x20 || c >= 0x7f || c == '|')
			key->s[i] = '?';
	}
	return is_last || text_append(key, "\t", 1);
}

void facts_count(const struct fact_report *report)
{
	const char *policy_type = fact_policy_word(report->policy_type), *result = fact_result_word(report->result);
	bool is_success = report->result == TLS_FACT_SUCCESS;
	bool has_mx = !is_success || report->policy_type == TLS_FACT_POLICY_TLSA;	/* whose policy is the host's */
	stralloc key = { 0 };

	turn_day();
	if (policy_type && result && append_field(&key, report->domain, false) && append_field(&key, policy_type, false) &&
	    append_field(&key, report->policy, false) && append_field(&key, has_mx ? report->mx : NULL, false) &&
	    append_field(&key, result, false) && append_field(&key, is_success ? NULL : report->sending_ip, false) &&
	    append_field(&key, is_success ? NULL : report->receiving_ip, false) && append_field(&key, is_success ? NULL : report->reason, true)) {
		add(key.s, key.len, 1);
		is_changed = true;
	} else {
		dropped++;
	}
	stralloc_free(&key);
}
