/* Maildirs: see maildir.h. One process, one thread: the cache of open folders and the buffer are static. */
#include "maildir.h"
#include "content.h"
#include "text.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	FOLDERS_MAX = 256,		/* kept open, two descriptors each */
	PIECE = 64 << 10,
	NAME_HOST_MAX = 100,
	NAME_TRIES = 3,
	CHECK_AFTER_MS = 1000,
	SWEEP_AGE_SECONDS = 36 * 3600,
};

struct maildir_folder {
	char *path;
	int tmp, new;
	dev_t device;			/* of new/, to see whether PATH is still the folder that is open */
	ino_t inode;
	uint64_t checked_ms;
	unsigned references;		/* the cache's one, and one for each item */
	uint64_t synced_in;		/* the batch that last synced new/, and how that went */
	int sync_errno;
};

/* The latest used first. */
static struct { uint32_t hash; struct maildir_folder *folder; } cache[FOLDERS_MAX];
static size_t cached;

static uint32_t hash_of(const char *path)
{
	uint32_t hash = 2166136261u;

	for (; *path != '\0'; path++)
		hash = (hash ^ (unsigned char)*path) * 16777619u;
	return hash;
}

static void folder_release(struct maildir_folder *folder)
{
	if (--folder->references > 0)
		return;
	if (folder->tmp >= 0)
		close(folder->tmp);
	if (folder->new >= 0)
		close(folder->new);
	free(folder->path);
	free(folder);
}

static void cache_drop(size_t i)
{
	folder_release(cache[i].folder);
	cached--;
	memmove(&cache[i], &cache[i + 1], (cached - i) * sizeof(cache[0]));
}

static void cache_put_first(uint32_t hash, struct maildir_folder *folder)
{
	if (cached == FOLDERS_MAX)
		cache_drop(cached - 1);
	memmove(&cache[1], &cache[0], cached * sizeof(cache[0]));
	cache[0].hash = hash;
	cache[0].folder = folder;
	cached++;
}

static struct maildir_folder *cache_find(uint32_t hash, const char *path)
{
	for (size_t i = 0; i < cached; i++) {
		struct maildir_folder *folder = cache[i].folder;

		if (cache[i].hash != hash || strcmp(folder->path, path) != 0)
			continue;
		memmove(&cache[1], &cache[0], i * sizeof(cache[0]));
		cache[0].hash = hash;
		cache[0].folder = folder;
		return folder;
	}
	return NULL;
}

/* A folder that was moved away or removed and made afresh under the same name must not get mail
 * through the old descriptors; one look a second settles it. */
static bool folder_is_current(struct maildir_folder *folder)
{
	uint64_t now = time_monotonic_ms();
	char path[4096 + 8];
	struct stat st;

	if (now - folder->checked_ms < CHECK_AFTER_MS)
		return true;
	snprintf(path, sizeof(path), "%s/new", folder->path);
	folder->checked_ms = now;
	return fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == folder->device && st.st_ino == folder->inode;
}

/* Syncs the directories above PATH, up to LEVELS of them. One that may be passed through but not read
 * ends it: what is above was not made for this mailbox. */
static enum result sync_above(const char *path, int levels, struct why *why)
{
	char parent[4096], *slash;
	int fd, failed;

	snprintf(parent, sizeof(parent), "%s", path);
	for (; levels > 0 && (slash = strrchr(parent, '/')) != NULL; levels--) {
		*slash = '\0';
		fd = open(parent[0] != '\0' ? parent : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return errno == EACCES ? RESULT_OK : why_errno(why, RESULT_RETRY, "open %s", parent);
		failed = fsync(fd);
		close(fd);
		if (failed != 0)
			return why_errno(why, RESULT_RETRY, "sync %s", parent);
	}
	return RESULT_OK;
}

/* Makes PATH and what is missing above it. */
static enum result make_path(const char *path, struct why *why)
{
	char part[4096];
	size_t length = strlen(path);

	if (length >= sizeof(part) || path[0] != '/')
		return why_set(why, RESULT_NEVER, "use %s: it is no absolute path of a maildir", path);
	memcpy(part, path, length + 1);
	for (size_t i = 1; i <= length; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		part[i] = '\0';
		if (mkdir(part, 0700) == 0) {
			if (sync_above(part, 1, why) != RESULT_OK)
				return RESULT_RETRY;
		} else if (errno != EEXIST && (i == length || errno == ENOSPC || errno == EDQUOT)) {
			return why_errno(why, RESULT_RETRY, "make %s", part);
		}
		part[i] = path[i];
	}
	return RESULT_OK;
}

static enum result open_root(const char *path, int *root, struct why *why)
{
	enum { FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

	*root = open(path, FLAGS);
	if (*root < 0 && errno == ENOENT) {
		enum result result = make_path(path, why);

		if (result != RESULT_OK)
			return result;
		*root = open(path, FLAGS);
	}
	return *root >= 0 ? RESULT_OK : why_errno(why, RESULT_RETRY, "open the maildir %s", path);
}

static enum result open_part(int root, const char *path, const char *name, int *fd, bool *is_made, struct why *why)
{
	enum { FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

	*fd = openat(root, name, FLAGS);
	if (*fd >= 0)
		return RESULT_OK;
	if (errno != ENOENT)
		return why_errno(why, RESULT_RETRY, "open %s/%s", path, name);
	if (mkdirat(root, name, 0700) != 0 && errno != EEXIST)
		return why_errno(why, RESULT_RETRY, "make %s/%s", path, name);
	*is_made = true;
	*fd = openat(root, name, FLAGS);
	return *fd >= 0 ? RESULT_OK : why_errno(why, RESULT_RETRY, "open %s/%s", path, name);
}

static enum result folder_open(struct maildir_folder *folder, struct why *why)
{
	int root, cur = -1;
	bool is_made = false;
	struct stat st;
	enum result result = open_root(folder->path, &root, why);

	if (result != RESULT_OK)
		return result;
	/* new/ last: a folder that has it is complete */
	result = open_part(root, folder->path, "cur", &cur, &is_made, why);
	if (result == RESULT_OK)
		result = open_part(root, folder->path, "tmp", &folder->tmp, &is_made, why);
	if (result == RESULT_OK)
		result = open_part(root, folder->path, "new", &folder->new, &is_made, why);
	if (result == RESULT_OK && is_made && fsync(root) != 0)
		result = why_errno(why, RESULT_RETRY, "sync %s", folder->path);
	if (result == RESULT_OK && is_made)	/* the spawner of locald may have made two levels just now */
		result = sync_above(folder->path, 2, why);
	if (result == RESULT_OK && fstat(folder->new, &st) != 0)
		result = why_errno(why, RESULT_RETRY, "look at %s/new", folder->path);
	if (cur >= 0)
		close(cur);
	close(root);
	if (result != RESULT_OK)
		return result;
	folder->device = st.st_dev;
	folder->inode = st.st_ino;
	folder->checked_ms = time_monotonic_ms();
	return RESULT_OK;
}

static enum result folder_make(const char *path, struct maildir_folder **folder, struct why *why)
{
	struct maildir_folder *made = calloc(1, sizeof(*made));
	enum result result;

	if (made == NULL || (made->path = strdup(path)) == NULL) {
		free(made);
		return why_set(why, RESULT_RETRY, "open %s: out of memory", path);
	}
	made->tmp = made->new = -1;
	made->references = 1;
	result = folder_open(made, why);
	if (result == RESULT_OK)
		*folder = made;
	else
		folder_release(made);
	return result;
}

enum result maildir_open(const char *path, struct maildir_folder **folder, struct why *why)
{
	uint32_t hash = hash_of(path);
	enum result result;

	*folder = cache_find(hash, path);
	if (*folder != NULL && folder_is_current(*folder))
		return RESULT_OK;
	if (*folder != NULL)
		cache_drop(0);
	result = folder_make(path, folder, why);
	if (result != RESULT_OK && why != NULL && why->errno_value == EMFILE && cached > 0) {
		while (cached > 0)
			cache_drop(cached - 1);
		result = folder_make(path, folder, why);
	}
	if (result == RESULT_OK)
		cache_put_first(hash, *folder);
	return result;
}

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
	while (length > 0) {
		ssize_t put = write(fd, bytes, length);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return why_errno(why, RESULT_RETRY, "write into %s/tmp", folder->path);
		bytes += put;
		length -= (size_t)put;
	}
	return RESULT_OK;
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
	folder_release(item->folder);
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

static void item_sync(struct maildir_item *item)
{
	item->result = RESULT_OK;
	item->why = (struct why){ 0 };
	if (fsync(item->fd) != 0)
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

static void item_sync_folder(struct maildir_item *item, uint64_t batch)
{
	struct maildir_folder *folder = item->folder;

	if (folder->synced_in != batch) {
		folder->synced_in = batch;
		folder->sync_errno = fsync(folder->new) == 0 ? 0 : errno;
	}
	if (folder->sync_errno == 0)
		return;
	errno = folder->sync_errno;
	item_fail(item, "sync the folder");
	unlinkat(folder->new, item->name, 0);	/* it comes again: not twice if that can be helped */
}

void maildir_commit(struct maildir_item *items, size_t count)
{
	static uint64_t batch;

	batch++;
	/* all on their way first, so that the disk may take them side by side */
	for (size_t i = 0; i < count && count > 1; i++)
		(void)sync_file_range(items[i].fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	for (size_t i = 0; i < count; i++)
		item_sync(&items[i]);
	for (size_t i = 0; i < count; i++)
		if (items[i].result == RESULT_OK)
			item_rename(&items[i]);
	for (size_t i = 0; i < count; i++) {
		if (items[i].result != RESULT_OK) {
			item_abandon(&items[i]);
			continue;
		}
		item_sync_folder(&items[i], batch);
	}
	for (size_t i = 0; i < count; i++) {
		if (items[i].folder != NULL)
			folder_release(items[i].folder);
		items[i].folder = NULL;
	}
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
