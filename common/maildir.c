/* Messages in maildirs: see maildir.h. One process, one thread: the buffer is static. */
#include "maildir_private.h"
#include "content.h"
#include "durable.h"
#include "file.h"
#include "text.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	PIECE = 64 << 10,
	NAME_HOST_MAX = 100,
	NAME_TRIES = 3,
	SWEEP_AGE_SECONDS = 36 * 3600,
	COMMIT_MAX = 256,
};

/* HOST as it may stand in a file name; ',' begins the sizes and ':' the flags. */
static void escape_host(const char *host, char out[NAME_HOST_MAX])
{
	size_t length = 0;

	for (; *host != '\0' && length < NAME_HOST_MAX - 5; host++) {
		if (*host == '/' || *host == ':' || *host == ',')
			length += (size_t)snprintf(out + length, NAME_HOST_MAX - length, "\\%03o", (unsigned)(unsigned char)*host);
		else
			out[length++] = *host;
	}
	out[length] = '\0';
}

/* The name without sizes, as it stands in tmp/: time, process and a counter make it unique. */
static void make_name(const char *host, char name[MAILDIR_NAME_MAX])
{
	static unsigned counter;
	uint64_t now_us = time_real_us();
	char safe[NAME_HOST_MAX];

	escape_host(host, safe);
	snprintf(name, MAILDIR_NAME_MAX, "%llu.M%06lluP%ldQ%u.%s", (unsigned long long)(now_us / 1000000),
	         (unsigned long long)(now_us % 1000000), (long)getpid(), ++counter, safe);
}

static void tmp_name(const struct maildir_item *item, char name[MAILDIR_NAME_MAX])
{
	size_t length = strcspn(item->name, ",");

	memcpy(name, item->name, length);
	name[length] = '\0';
}

static enum result open_tmp(struct maildir_folder *folder, const char *host, struct maildir_item *item, struct why *why)
{
	for (int i = 0; i < NAME_TRIES; i++) {
		make_name(host, item->name);
		item->fd = openat(folder->tmp, item->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (item->fd >= 0)
			return RESULT_OK;
		if (errno != EEXIST)
			break;
	}
	/* ENOENT: the folder was removed under us; the next maildir_open looks again */
	folder->checked_ms = 0;
	return why_errno(why, RESULT_RETRY, "make a file in %s/tmp", folder->path);
}

static enum result write_all(const struct maildir_folder *folder, int fd, const char *bytes, size_t length, struct why *why)
{
	return file_write(fd, bytes, length) ? RESULT_OK : why_errno(why, RESULT_RETRY, "write into %s/tmp", folder->path);
}

static uint64_t count_lines(const char *bytes, size_t length)
{
	uint64_t count = 0;
	const char *end = bytes + length;

	while ((bytes = memchr(bytes, '\n', (size_t)(end - bytes))) != NULL) {
		bytes++;
		count++;
	}
	return count;
}

/* Prefix and content through one buffer, so that a small message is one write. */
static enum result write_message(struct maildir_folder *folder, const char *prefix, size_t prefix_length,
                                 struct content *content, struct maildir_item *item, struct why *why)
{
	static char buffer[PIECE];
	size_t used = 0, length;
	enum result result = RESULT_OK;

	if (prefix_length <= PIECE / 2) {
		memcpy(buffer, prefix, prefix_length);
		used = prefix_length;
	} else {
		result = write_all(folder, item->fd, prefix, prefix_length, why);
	}
	item->bytes = prefix_length;
	while (result == RESULT_OK) {
		result = content_read(content, buffer + used, PIECE - used, &length, why);
		if (result != RESULT_OK)
			break;
		used += length;
		item->bytes += length;
		if (PIECE - used < PIECE / 4) {
			result = write_all(folder, item->fd, buffer, used, why);
			used = 0;
		}
	}
	return result == RESULT_END ? write_all(folder, item->fd, buffer, used, why) : result;
}

static void item_abandon(struct maildir_item *item)
{
	char name[MAILDIR_NAME_MAX];

	tmp_name(item, name);
	unlinkat(item->folder->tmp, name, 0);
	if (item->fd >= 0)
		close(item->fd);
	item->fd = -1;
	maildir_folder_release(item->folder);
	item->folder = NULL;
}

enum result maildir_write(struct maildir_folder *folder, const char *host, const char *prefix, size_t prefix_length,
                          int message, uint64_t offset, uint64_t length, struct maildir_item *item, struct why *why)
{
	struct content content;
	size_t used;
	enum result result;

	*item = (struct maildir_item){ .fd = -1 };
	result = open_tmp(folder, host, item, why);
	if (result != RESULT_OK)
		return result;
	item->folder = folder;
	folder->references++;
	content_start(&content, message, offset, length);
	result = write_message(folder, prefix, prefix_length, &content, item, why);
	if (result != RESULT_OK) {
		item_abandon(item);
		return result;
	}
	used = strlen(item->name);
	snprintf(item->name + used, sizeof(item->name) - used, ",S=%llu,W=%llu", (unsigned long long)item->bytes,
	         (unsigned long long)(item->bytes + content.lines + count_lines(prefix, prefix_length)));
	return RESULT_OK;
}

static enum result item_fail(struct maildir_item *item, const char *what)
{
	return item->result = why_errno(&item->why, RESULT_RETRY, "%s %s", what, item->folder->path);
}

/* ERROR: what came of making it durable. */
static void item_synced(struct maildir_item *item, int error)
{
	item->result = RESULT_OK;
	item->why = (struct why){ 0 };
	errno = error;
	if (error != 0)
		item_fail(item, "sync a file in");
	if (close(item->fd) != 0 && item->result == RESULT_OK)
		item_fail(item, "close a file in");
	item->fd = -1;
}

static void item_rename(struct maildir_item *item)
{
	struct maildir_folder *folder = item->folder;
	char name[MAILDIR_NAME_MAX];
	int failed;

	tmp_name(item, name);
	failed = renameat2(folder->tmp, name, folder->new, item->name, RENAME_NOREPLACE);
	if (failed != 0 && (errno == EINVAL || errno == ENOSYS))	/* a file system without it: the name is unique anyway */
		failed = renameat(folder->tmp, name, folder->new, item->name);
	if (failed == 0)
		return;
	folder->checked_ms = 0;
	item_fail(item, "put a file into");
}

static void item_folder_synced(struct maildir_item *item)
{
	struct maildir_folder *folder = item->folder;

	if (folder->sync_errno == 0)
		return;
	errno = folder->sync_errno;
	item_fail(item, "sync the folder");
	unlinkat(folder->new, item->name, 0);	/* it comes again: not twice if that can be helped */
}

/* One file system for all? Mailboxes may lie on several. */
static bool share_a_device(const struct maildir_item *items, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (items[i].folder->device != items[0].folder->device)
			return false;
	return true;
}

static void sync_files(struct maildir_item *items, size_t count)
{
	struct durable files[COMMIT_MAX];

	for (size_t i = 0; i < count; i++)
		files[i] = (struct durable){ .fd = items[i].fd };
	durable_make(files, count, share_a_device(items, count));
	for (size_t i = 0; i < count; i++)
		item_synced(&items[i], files[i].error);
}

/* Each once, whatever the number of its items. */
static void sync_folders(struct maildir_item *items, size_t count, uint64_t batch)
{
	struct durable files[COMMIT_MAX];
	struct maildir_folder *folders[COMMIT_MAX];
	size_t used = 0;

	for (size_t i = 0; i < count; i++) {
		if (items[i].result != RESULT_OK || items[i].folder->synced_in == batch)
			continue;
		items[i].folder->synced_in = batch;
		folders[used] = items[i].folder;
		files[used++].fd = items[i].folder->new;
	}
	durable_make(files, used, share_a_device(items, count));
	for (size_t i = 0; i < used; i++)
		folders[i]->sync_errno = files[i].error;
	for (size_t i = 0; i < count; i++) {
		if (items[i].result == RESULT_OK)
			item_folder_synced(&items[i]);
		else
			item_abandon(&items[i]);
	}
}

static void commit_some(struct maildir_item *items, size_t count, uint64_t batch)
{
	sync_files(items, count);
	for (size_t i = 0; i < count; i++)
		if (items[i].result == RESULT_OK)
			item_rename(&items[i]);
	sync_folders(items, count, batch);
	for (size_t i = 0; i < count; i++) {
		if (items[i].folder != NULL)
			maildir_folder_release(items[i].folder);
		items[i].folder = NULL;
	}
}

void maildir_commit(struct maildir_item *items, size_t count)
{
	static uint64_t batch;

	for (; count > COMMIT_MAX; items += COMMIT_MAX, count -= COMMIT_MAX)
		commit_some(items, COMMIT_MAX, ++batch);
	commit_some(items, count, ++batch);
}

void maildir_abandon(struct maildir_item *item)
{
	if (item->folder != NULL)
		item_abandon(item);
}

/* Names begin with the time; a young one needs no look at the file. */
static bool is_young_by_name(const char *name, time_t limit)
{
	uint64_t seconds;

	return text_to_number(name, strspn(name, "0123456789"), &seconds) && seconds >= (uint64_t)limit;
}

void maildir_sweep(struct maildir_folder *folder)
{
	int fd = openat(folder->tmp, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
	time_t limit = time(NULL) - SWEEP_AGE_SECONDS;
	struct dirent *entry;
	struct stat st;

	if (directory == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(directory)) != NULL) {
		if (entry->d_name[0] == '.' || is_young_by_name(entry->d_name, limit))
			continue;
		if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && st.st_mtime < limit)
			unlinkat(fd, entry->d_name, 0);
	}
	closedir(directory);
}
