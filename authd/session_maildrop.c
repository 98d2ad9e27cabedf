#include "authd/maildrop.h"
#include "authd/session_content.h"
#include "common/helper.h"
#include "common/maildir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	LIST_BUFFER_BYTES = 256 * 1024,
	LOCK_TRIES = 10, LOCK_WAIT_MICROSECONDS = 50 * 1000,
	AHEAD_FILES = 64, AHEAD_BYTES = 64 * 1024,
};
static const char *const folder_names[2] = { "cur", "new" };

/* What a listing does with each file. false: stop, no memory. */
typedef bool visit_name(struct maildrop *drop, bool is_new, const char *name, size_t length);

static int compare_unique(const struct maildrop *drop, const struct message *a, const char *name, size_t length)
{
	size_t common = a->unique_length < length ? a->unique_length : length;
	int order = memcmp(maildrop_name(drop, a), name, common);

	return order ? order : (int)a->unique_length - (int)length;
}

/* By time, then by name; of the same message in both folders the one in cur/ comes first. */
static int compare_messages(const void *left, const void *right, void *context)
{
	const struct message *a = left, *b = right;
	const struct maildrop *drop = context;
	int order;

	if (a->time_key != b->time_key)
		return a->time_key < b->time_key ? -1 : 1;
	order = compare_unique(drop, a, maildrop_name(drop, b), b->unique_length);
	return order ? order : (int)a->is_new - (int)b->is_new;
}

static bool append_name(struct maildrop *drop, struct message *message, const char *name, size_t length)
{
	size_t at = drop->names.len;

	if (at > UINT32_MAX - MAILDROP_NAME_MAX - 1 || !stralloc_catb(&drop->names, name, length + 1))	/* with its NUL */
		return false;
	message->name = (uint32_t)at;
	message->name_length = (uint8_t)length;
	return true;
}

static bool grow_messages(struct maildrop *drop)
{
	size_t size = drop->size ? drop->size * 2 : 256;
	struct message *messages;

	if (drop->count < drop->size)
		return true;
	messages = reallocarray(drop->messages, size, sizeof *messages);
	if (!messages)
		return false;
	drop->messages = messages;
	drop->size = size;
	return true;
}

static bool add_message(struct maildrop *drop, bool is_new, const char *name, size_t length)
{
	struct message message = { .is_new = is_new };
	struct name_facts facts;

	if (drop->count == MAILDROP_MESSAGES_MAX)
		return true;
	name_parse(name, length, &facts);
	message.time_key = facts.time_key;
	message.octets = facts.octets;
	message.unique_length = (uint8_t)facts.unique_length;
	if (!grow_messages(drop) || !append_name(drop, &message, name, length))
		return false;
	drop->messages[drop->count++] = message;
	return true;
}

struct message *maildrop_find(const struct maildrop *drop, const char *name, size_t length)
{
	size_t low = 0, high = drop->count;
	struct name_facts facts;

	name_parse(name, length, &facts);
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct message *m = &drop->messages[middle];
		int order = m->time_key != facts.time_key ? (m->time_key < facts.time_key ? -1 : 1)
		                                          : compare_unique(drop, m, name, facts.unique_length);
		if (!order)
			return m;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* Names that messages had before are left behind where they were: once these are half of all, the rest is written afresh. */
static bool drop_old_names(struct maildrop *drop)
{
	stralloc names = { 0 };

	if (drop->names.len <= 2 * drop->fresh_names)
		return true;
	for (size_t i = 0; i < drop->count; i++)
		if (!text_append(&names, maildrop_name(drop, &drop->messages[i]), drop->messages[i].name_length + 1)) {
			free(names.s);
			return false;
		}
	for (size_t i = 0, at = 0; i < drop->count; i++) {
		drop->messages[i].name = (uint32_t)at;
		at += drop->messages[i].name_length + 1;
	}
	free(drop->names.s);
	drop->names = names;
	drop->fresh_names = names.len;
	return true;
}

/* On a second listing: notes where a known message lies now. */
static bool renew_message(struct maildrop *drop, bool is_new, const char *name, size_t length)
{
	struct message *message = maildrop_find(drop, name, length);

	if (!message)
		return true;	/* came after the login: RFC 1939 8, not part of this session */
	message->is_gone = false;
	message->is_new = is_new;
	if (!strcmp(maildrop_name(drop, message), name))
		return true;
	return drop_old_names(drop) && append_name(drop, message, name, length);
}

static enum result visit_entries(struct maildrop *drop, bool is_new, const char *buffer, ssize_t got,
                                 visit_name *visit, struct why *why)
{
	for (ssize_t at = 0; at < got; ) {
		const struct dirent64 *entry = (const void *)(buffer + at);
		size_t length = strlen(entry->d_name);

		at += entry->d_reclen;
		if (entry->d_name[0] == '.' || length > MAILDROP_NAME_MAX || entry->d_type == DT_DIR)
			continue;
		if (!visit(drop, is_new, entry->d_name, length))
			return why_set(why, RESULT_RETRY, "no memory to list the mailbox");
	}
	return RESULT_OK;
}

static enum result list_folder(struct maildrop *drop, bool is_new, char *buffer, visit_name *visit, struct why *why)
{
	int fd = drop->folder[is_new];
	enum result result;
	ssize_t got;

	if (fd < 0)
		return RESULT_OK;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return why_errno(why, RESULT_RETRY, "rewind %s", folder_names[is_new]);
	while ((got = getdents64(fd, buffer, LIST_BUFFER_BYTES)) > 0) {
		result = visit_entries(drop, is_new, buffer, got, visit, why);
		if (result != RESULT_OK)
			return result;
	}
	return got < 0 ? why_errno(why, RESULT_RETRY, "list %s", folder_names[is_new]) : RESULT_OK;
}

/* new/ goes first: a message that moves to cur/ meanwhile is then seen twice, never not at all. */
static enum result list_folders(struct maildrop *drop, visit_name *visit, struct why *why)
{
	char *buffer = malloc(LIST_BUFFER_BYTES);
	enum result result;

	if (!buffer)
		return why_set(why, RESULT_RETRY, "no memory to list the mailbox");
	result = list_folder(drop, true, buffer, visit, why);
	if (result == RESULT_OK)
		result = list_folder(drop, false, buffer, visit, why);
	free(buffer);
	return result;
}

static void sort_messages(struct maildrop *drop)
{
	size_t kept = 0;

	if (drop->count)
		qsort_r(drop->messages, drop->count, sizeof *drop->messages, compare_messages, drop);
	for (size_t i = 0; i < drop->count; i++) {
		struct message *m = &drop->messages[i];
		const struct message *last = kept ? &drop->messages[kept - 1] : NULL;
		if (last && last->time_key == m->time_key &&
		    !compare_unique(drop, last, maildrop_name(drop, m), m->unique_length))
			continue;
		drop->messages[kept++] = *m;
	}
	drop->count = kept;
	drop->fresh_names = drop->names.len;
}

/* On a full or read-only disk the folder itself is locked: who has no room must be able to make some. */
static enum result open_lock(struct maildrop *drop, struct why *why)
{
	drop->lock = openat(drop->root, "dawk-pop3.lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
	if (drop->lock < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EROFS))
		drop->lock = openat(drop->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return drop->lock < 0 ? why_errno(why, result_of_errno(errno), "open dawk-pop3.lock") : RESULT_OK;
}

static enum result lock_maildrop(struct maildrop *drop, struct why *why)
{
	enum result result = open_lock(drop, why);

	if (result != RESULT_OK)
		return result;
	for (int tries = 0; flock(drop->lock, LOCK_EX | LOCK_NB); tries++) {
		if (errno != EWOULDBLOCK)
			return why_errno(why, RESULT_RETRY, "lock dawk-pop3.lock");
		if (tries == LOCK_TRIES)
			return why_set(why, RESULT_PEER, "another session has this mailbox");
		usleep(LOCK_WAIT_MICROSECONDS);
	}
	return RESULT_OK;
}

static enum result open_folder(int at, const char *name, int *fd, struct why *why)
{
	*fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*fd < 0 && errno != ENOENT)
		return why_errno(why, result_of_errno(errno), "open %s", name);
	return RESULT_OK;
}

static enum result open_folders(const char *path, struct maildrop *drop, struct why *why)
{
	enum result result = open_folder(AT_FDCWD, path, &drop->root, why);

	if (result != RESULT_OK || drop->root < 0)
		return result;
	result = lock_maildrop(drop, why);
	for (int i = 0; i < 2 && result == RESULT_OK; i++)
		result = open_folder(drop->root, folder_names[i], &drop->folder[i], why);
	return result == RESULT_OK ? list_folders(drop, add_message, why) : result;
}

enum result maildrop_open(const char *path, struct maildrop *drop, struct why *why)
{
	enum result result;

	*drop = (struct maildrop){ .root = -1, .folder = { -1, -1 }, .lock = -1 };
	result = open_folders(path, drop, why);
	if (result != RESULT_OK) {
		maildrop_close(drop);
		return result;
	}
	sort_messages(drop);
	return RESULT_OK;
}

void maildrop_close(struct maildrop *drop)
{
	int *const all[] = { &drop->root, &drop->folder[0], &drop->folder[1], &drop->lock };

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		if (*all[i] >= 0)
			close(*all[i]);
		*all[i] = -1;
	}
	free(drop->messages);
	free(drop->names.s);
	drop->messages = NULL;
	drop->names = (stralloc){ 0 };
	drop->count = drop->size = 0;
}

static void mark_all(struct maildrop *drop, bool is_gone)
{
	for (size_t i = 0; i < drop->count; i++)
		drop->messages[i].is_gone = is_gone;
}

/* A listing that failed halfway says of no message that it is gone. */
static enum result list_again(struct maildrop *drop, struct why *why)
{
	enum result result;

	mark_all(drop, true);
	result = list_folders(drop, renew_message, why);
	if (result != RESULT_OK)
		mark_all(drop, false);
	return result;
}

/* -1: errno tells; EINVAL: something other than a file. */
static int open_file(const struct maildrop *drop, const struct message *message)
{
	int fd = openat(drop->folder[message->is_new], maildrop_name(drop, message),
	                O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat status;

	if (fd < 0 || (!fstat(fd, &status) && S_ISREG(status.st_mode)))
		return fd;
	close(fd);
	errno = EINVAL;
	return -1;
}

enum result maildrop_open_message(struct maildrop *drop, struct message *message, int *fd, struct why *why)
{
	enum result result;

	if (message->is_gone)
		return why_set(why, RESULT_END, "another program removed this message");
	*fd = open_file(drop, message);
	if (*fd >= 0)
		return RESULT_OK;
	if (errno != ENOENT)
		return why_errno(why, result_of_errno(errno), "open the message");
	result = list_again(drop, why);
	if (result != RESULT_OK)
		return result;
	if (!message->is_gone)
		*fd = open_file(drop, message);
	if (*fd >= 0)
		return RESULT_OK;
	message->is_gone = true;
	return why_set(why, RESULT_END, "another program removed this message");
}

/* FD: its file, or -1: not open yet. false: it can't be read now, and counts 0. */
static bool count_file(struct maildrop *drop, struct message *message, int fd)
{
	struct why why;

	message->octets = 0;
	message->is_unmeasured = true;
	if (fd < 0 && maildrop_open_message(drop, message, &fd, &why) != RESULT_OK)
		return false;
	if (content_measure(fd, &message->octets, &why) == RESULT_OK)
		message->is_unmeasured = false;
	else
		message->octets = 0;
	close(fd);
	return !message->is_unmeasured;
}

/* All are asked for before the first is read, so that the disk fetches them side by side. false: none can be read now. */
static bool count_files(struct maildrop *drop, struct message *const *messages, size_t count)
{
	bool has_read = false;
	int fds[AHEAD_FILES];

	for (size_t i = 0; i < count; i++) {
		fds[i] = open_file(drop, messages[i]);
		if (fds[i] >= 0)
			posix_fadvise(fds[i], 0, AHEAD_BYTES, POSIX_FADV_WILLNEED);
	}
	for (size_t i = 0; i < count; i++)
		has_read |= count_file(drop, messages[i], fds[i]);
	return has_read;
}

void maildrop_size_message(struct maildrop *drop, struct message *message)
{
	if (message->octets == MAILDROP_OCTETS_UNKNOWN)
		sizes_load(drop);
	if (message->octets == MAILDROP_OCTETS_UNKNOWN)
		count_file(drop, message, -1);
}

void maildrop_size_all(struct maildrop *drop)
{
	struct message *unknown[AHEAD_FILES];
	size_t count = 0;
	bool has_read = false;

	for (size_t i = 0; i < drop->count; i++) {
		struct message *message = &drop->messages[i];
		if (message->octets == MAILDROP_OCTETS_UNKNOWN)
			sizes_load(drop);
		if (message->octets == MAILDROP_OCTETS_UNKNOWN)
			unknown[count++] = message;
		if (count == AHEAD_FILES || (count && i + 1 == drop->count)) {
			has_read |= count_files(drop, unknown, count);
			count = 0;
		}
	}
	if (has_read)
		sizes_save(drop);
}

/* The bytes that go from the quota: as the name says, else as the file has. */
static uint64_t bytes_on_disk(const struct maildrop *drop, const struct message *message)
{
	const char *name = maildrop_name(drop, message);
	struct name_facts facts;
	struct stat status;

	name_parse(name, message->name_length, &facts);
	if (facts.bytes != MAILDROP_OCTETS_UNKNOWN)
		return facts.bytes;
	if (fstatat(drop->folder[message->is_new], name, &status, AT_SYMLINK_NOFOLLOW) || status.st_size < 0)
		return 0;
	return (uint64_t)status.st_size;
}

static enum result remove_message(struct maildrop *drop, struct message *message, uint64_t *bytes, struct why *why)
{
	for (int tries = 0; tries < 2 && !message->is_gone; tries++) {
		*bytes = bytes_on_disk(drop, message);
		if (!unlinkat(drop->folder[message->is_new], maildrop_name(drop, message), 0))
			return RESULT_OK;
		if (errno != ENOENT)
			return why_errno(why, RESULT_RETRY, "remove a message");
		if (list_again(drop, why) != RESULT_OK)
			return RESULT_RETRY;
	}
	return RESULT_END;
}

static void note_removed(const struct maildrop *drop, const struct message *message, uint64_t bytes, struct maildrop_removed *removed)
{
	removed->messages++;
	if (!quota_counts(maildrop_name(drop, message)))
		return;
	removed->quota_messages++;
	removed->quota_bytes += bytes;
}

enum result maildrop_update(struct maildrop *drop, struct maildrop_removed *removed, struct why *why)
{
	bool is_touched[2] = { false, false };
	enum result result = RESULT_OK;
	uint64_t one;

	*removed = (struct maildrop_removed){ 0 };
	for (size_t i = 0; i < drop->count; i++) {
		struct message *message = &drop->messages[i];
		if (!message->is_deleted)
			continue;
		helper_limit_again();
		switch (remove_message(drop, message, &one, why)) {
		case RESULT_OK:
			is_touched[message->is_new] = true;
			note_removed(drop, message, one, removed);
			break;
		case RESULT_END:	/* somebody else removed it: what was wanted */
			break;
		default:
			result = RESULT_RETRY;
		}
	}
	for (int i = 0; i < 2; i++)
		if (is_touched[i] && fsync(drop->folder[i]))
			result = why_errno(why, RESULT_RETRY, "sync %s", folder_names[i]);
	return result;
}
