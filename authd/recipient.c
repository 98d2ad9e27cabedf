#include "authd/recipient.h"
#include "authd/accounts.h"
#include "common/lookup.h"
#include "common/maildir.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAILDIRSIZE_READ_MAX = 16384, STALE_SECONDS = 15 * 60 };
/* Ten times this, in each line of a whole file, stays far below what fits. */
#define NUMBER_MAX (INT64_MAX / 100 / MAILDIRSIZE_READ_MAX)

/* One entry a hash value: a new recipient takes the place of the old one. */
static struct cached {
	char address[ADDRESS_MAX + 1];
	enum recipient_verdict verdict;
	uint64_t until_ms;
} cache[RECIPIENT_CACHE_SIZE];

/* Signed decimal at *AT; moves behind it. Bounded so that no sum of a whole file overflows: who owns
 * the mailbox writes what is read here. */
static int64_t take_signed(const char **at, const char *end)
{
	bool is_negative = *at < end && **at == '-';
	int64_t number = 0;

	*at += is_negative;
	for (; *at < end && **at >= '0' && **at <= '9'; ++*at)
		if (number < NUMBER_MAX)
			number = number * 10 + (**at - '0');
	return is_negative ? -number : number;
}

/* Maildir++: a first line with the quota it was counted for, then lines "BYTES COUNT". */
static void add_up(const char *at, const char *end, int64_t *bytes, int64_t *messages)
{
	const char *newline = memchr(at, '\n', (size_t)(end - at));

	*bytes = *messages = 0;
	while (newline) {
		at = newline + 1;
		newline = memchr(at, '\n', (size_t)(end - at));
		while (at < end && *at == ' ')
			at++;
		*bytes += take_signed(&at, newline ? newline : end);
		while (at < end && *at == ' ')
			at++;
		*messages += take_signed(&at, newline ? newline : end);
	}
}

bool maildirsize_is_full(int fd, const struct quota *quota, uint64_t now_seconds)
{
	char text[MAILDIRSIZE_READ_MAX];
	int64_t bytes, messages;
	struct stat status;
	ssize_t got;

	if (fstat(fd, &status) || !S_ISREG(status.st_mode))
		return false;
	got = pread(fd, text, sizeof text, 0);
	/* one that fills the buffer is cut off, and counted afresh at the next delivery anyway */
	if (got <= 0 || got == (ssize_t)sizeof text || (uint64_t)status.st_mtim.tv_sec + STALE_SECONDS < now_seconds)
		return false;
	add_up(text, text + got, &bytes, &messages);
	return (quota->bytes && bytes >= 0 && (uint64_t)bytes >= quota->bytes) ||
	       (quota->messages && messages >= 0 && (uint64_t)messages >= quota->messages);
}

/* Root reads below folders of other people: no link is followed, nothing but a file is read. */
static bool is_full(const char *maildir, const char *text)
{
	int folder, fd = -1;
	struct quota quota;
	bool full = false;

	if (!text[0] || !quota_parse(text, &quota))
		return false;
	folder = open(maildir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder >= 0)
		fd = openat(folder, "maildirsize", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0) {
		full = maildirsize_is_full(fd, &quota, time_real_us() / 1000000);
		close(fd);
	}
	if (folder >= 0)
		close(folder);
	return full;
}

/* A question that waits for a look-up of an account of the system. */
struct waiting {
	struct lookup lookup;
	struct channel *worker;		/* NULL: gone meanwhile */
	uint64_t serial;
	struct waiting *next, **at;
	char text[ADDRESS_MAX + 1];	/* the address */
};

static struct loop *loop;
static struct waiting *all;

static void tell(struct channel *worker, uint64_t serial, enum recipient_verdict verdict)
{
	const struct wire_value values[RECIPIENT_TELL_FIELDS] = { WIRE_NUMBER(serial), WIRE_NUMBER(verdict) };

	if (worker)
		channel_send(worker, FRAME_RECIPIENT_TELL, values, -1, NULL);
}

static struct cached *cached_of(const char *text, size_t length)
{
	uint32_t hash = 2166136261;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)text[i]) * 16777619;
	return &cache[hash % RECIPIENT_CACHE_SIZE];
}

static void remember(const char *text, enum recipient_verdict verdict)
{
	struct cached *entry = cached_of(text, strlen(text));

	snprintf(entry->address, sizeof entry->address, "%s", text);
	entry->verdict = verdict;
	entry->until_ms = loop_now_ms(loop) + RECIPIENT_CACHE_MS;
}

/* ---- accounts of the system ---- */

static enum recipient_verdict judge_catch_all(const char *text)
{
	static struct meaning_of meaning;
	struct address address;

	if (address_parse(text, strlen(text), &address, NULL) != RESULT_OK)
		return RECIPIENT_UNKNOWN;
	resolve_catch_all(accounts_resolver(), &address, &meaning, NULL);
	return meaning.meaning == MEANS_UNKNOWN ? RECIPIENT_UNKNOWN :
	       meaning.meaning == MEANS_LATER ? RECIPIENT_LATER : RECIPIENT_EXISTS;
}

/* Behind accounts stands the domain's catch-all. */
static enum recipient_verdict judge_account(const char *text, enum result result, const struct lookup_account *account)
{
	static struct meaning_of meaning;

	if (result == RESULT_OK)
		result = resolve_account(account->uid, account->gid, account->home, &meaning);
	if (result == RESULT_OK)
		return RECIPIENT_EXISTS;
	return result == RESULT_END ? judge_catch_all(text) : RECIPIENT_LATER;
}

static void looked_up(struct lookup *lookup, enum result result, const struct lookup_account *account, const struct why *why)
{
	struct waiting *waiting = container_of(lookup, struct waiting, lookup);
	enum recipient_verdict verdict = judge_account(waiting->text, result, account);

	(void)why;	/* a look-up that failed is logged where it failed */
	remember(waiting->text, verdict);
	tell(waiting->worker, waiting->serial, verdict);
	*waiting->at = waiting->next;
	if (waiting->next)
		waiting->next->at = waiting->at;
	free(waiting);
}

/* NAME: of the account that TEXT may mean. */
static void ask_system(struct channel *worker, uint64_t serial, const char *text, const char *name)
{
	struct waiting *waiting = calloc(1, sizeof *waiting);

	if (!waiting) {
		tell(worker, serial, RECIPIENT_LATER);
		return;
	}
	waiting->worker = worker;
	waiting->serial = serial;
	snprintf(waiting->text, sizeof waiting->text, "%s", text);
	waiting->next = all;
	waiting->at = &all;
	if (all)
		all->at = &waiting->next;
	all = waiting;
	lookup_ask(&waiting->lookup, name, false, looked_up);
}

/* ---- questions ---- */

/* NAME: set where an account of the system is to be looked up, and "" otherwise; ADDRESS_MAX + 1 bytes. */
static enum recipient_verdict judge(const char *text, char *name)
{
	static struct meaning_of meaning;
	struct address address;

	name[0] = 0;
	if (address_parse(text, strlen(text), &address, NULL) != RESULT_OK)
		return RECIPIENT_UNKNOWN;
	resolve(accounts_resolver(), &address, &meaning, NULL);
	switch (meaning.meaning) {
	case MEANS_MAILBOX:
		return !meaning.is_mbox && is_full(meaning.maildir, meaning.quota) ? RECIPIENT_FULL : RECIPIENT_EXISTS;
	case MEANS_LATER:
		return RECIPIENT_LATER;
	case MEANS_UNKNOWN:
		if (meaning.maybe_system)	/* the key is without the extension */
			snprintf(name, ADDRESS_MAX + 1, "%.*s", (int)(strrchr(meaning.key, '@') - meaning.key), meaning.key);
		return RECIPIENT_UNKNOWN;
	default:
		return RECIPIENT_EXISTS;
	}
}

void recipient_ask(struct channel *worker, const struct frame *f)
{
	const struct wire_value *value = &f->value[RECIPIENT_ASK_ADDRESS];
	uint64_t serial = f->value[RECIPIENT_ASK_SERIAL].number;
	const struct cached *entry = cached_of(value->bytes, value->length);
	char text[ADDRESS_MAX + 1], name[ADDRESS_MAX + 1];
	enum recipient_verdict verdict;

	if (entry->until_ms > loop_now_ms(loop) && frame_value_is(f, RECIPIENT_ASK_ADDRESS, entry->address)) {
		tell(worker, serial, entry->verdict);
		return;
	}
	if (!frame_value_copy(f, RECIPIENT_ASK_ADDRESS, text, sizeof text)) {
		tell(worker, serial, RECIPIENT_UNKNOWN);
		return;
	}
	verdict = judge(text, name);
	if (name[0]) {
		ask_system(worker, serial, text, name);
		return;
	}
	remember(text, verdict);
	tell(worker, serial, verdict);
}

void recipients_forget(const struct channel *worker)
{
	for (struct waiting *waiting = all; waiting; waiting = waiting->next)
		if (waiting->worker == worker)
			waiting->worker = NULL;
}

void recipients_begin(struct loop *its_loop)
{
	loop = its_loop;
}
