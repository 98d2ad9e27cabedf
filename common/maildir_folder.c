/* The folders of maildirs that are open: made where they are missing, kept in a cache. One process, one
 * thread: the cache is static. */
#include "maildir_private.h"
#include "text.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	FOLDERS_MAX = 256,		/* kept open, two descriptors each */
	CHECK_AFTER_MS = 1000,
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

void maildir_folder_release(struct maildir_folder *folder)
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
	maildir_folder_release(cache[i].folder);
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
		maildir_folder_release(made);
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
