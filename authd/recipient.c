#include "authd/recipient.h"
#include "authd/accounts.h"
#include "common/maildir.h"

#include <fcntl.h>
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

/* Nobody of this name in the tables: an account of the system, else the domain's catch-all. MEANING is
 * as resolve() left it, its key without the extension; it is overwritten. */
static enum recipient_verdict judge_unknown(const struct address *address, struct meaning_of *meaning)
{
	char local[ADDRESS_MAX + 1], home[4096];

	if (!meaning->maybe_system)
		return RECIPIENT_UNKNOWN;
	snprintf(local, sizeof local, "%s", meaning->key);
	*strrchr(local, '@') = 0;
	switch (resolve_system_account(local, meaning, home, NULL)) {
	case RESULT_OK:
		return RECIPIENT_EXISTS;
	case RESULT_END:
		resolve_catch_all(accounts_resolver(), address, meaning, NULL);
		return meaning->meaning == MEANS_UNKNOWN ? RECIPIENT_UNKNOWN :
		       meaning->meaning == MEANS_LATER ? RECIPIENT_LATER : RECIPIENT_EXISTS;
	default:
		return RECIPIENT_LATER;
	}
}

static enum recipient_verdict judge(const char *text, size_t length)
{
	static struct meaning_of meaning;
	struct address address;

	if (address_parse(text, length, &address, NULL) != RESULT_OK)
		return RECIPIENT_UNKNOWN;
	resolve(accounts_resolver(), &address, &meaning, NULL);
	switch (meaning.meaning) {
	case MEANS_MAILBOX:
		return !meaning.is_mbox && is_full(meaning.maildir, meaning.quota) ? RECIPIENT_FULL : RECIPIENT_EXISTS;
	case MEANS_LATER:
		return RECIPIENT_LATER;
	case MEANS_UNKNOWN:
		return judge_unknown(&address, &meaning);
	default:
		return RECIPIENT_EXISTS;
	}
}

static struct cached *cached_of(const char *text, size_t length)
{
	uint32_t hash = 2166136261;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)text[i]) * 16777619;
	return &cache[hash % RECIPIENT_CACHE_SIZE];
}

void recipient_ask(struct channel *worker, const struct frame *f, uint64_t now_ms)
{
	const struct wire_value *text = &f->value[RECIPIENT_ASK_ADDRESS];
	struct cached *entry = cached_of(text->bytes, text->length);

	if (entry->until_ms <= now_ms || !frame_value_is(f, RECIPIENT_ASK_ADDRESS, entry->address)) {
		entry->verdict = judge(text->bytes, text->length);
		entry->until_ms = now_ms + RECIPIENT_CACHE_MS;
		if (!frame_value_copy(f, RECIPIENT_ASK_ADDRESS, entry->address, sizeof entry->address))
			entry->until_ms = 0;
	}
	const struct wire_value values[RECIPIENT_TELL_FIELDS] = {
		WIRE_NUMBER(f->value[RECIPIENT_ASK_SERIAL].number), WIRE_NUMBER(entry->verdict),
	};
	channel_send(worker, FRAME_RECIPIENT_TELL, values, -1, NULL);
}
