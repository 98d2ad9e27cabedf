#include "held.h"

#include "file.h"
#include "text.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 2048, PATH_SIZE = 4096, HASH_DIGITS = 17 };

static bool held_path(const struct configuration *conf, char *path)
{
	int length = snprintf(path, PATH_SIZE, "%s/held", conf->queue);

	return length > 0 && length < PATH_SIZE;
}

enum result held_open(const struct configuration *conf, int *fd, struct why *why)
{
	char path[PATH_SIZE];

	if (!held_path(conf, path))
		return why_set(why, RESULT_NEVER, "open the folder of held accounts: the path of the queue is too long");
	*fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*fd >= 0)
		return RESULT_OK;
	return errno == ENOENT ? RESULT_END : why_errno(why, RESULT_RETRY, "open %s", path);
}

static bool folder_sync(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool is_durable = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	return is_durable;
}

enum result held_make(const struct configuration *conf, uid_t owner, gid_t group, int *fd, struct why *why)
{
	char path[PATH_SIZE];
	enum result result;

	if (held_path(conf, path) && mkdir(path, 0700) != 0 && errno != EEXIST)
		return why_errno(why, RESULT_RETRY, "make %s", path);
	result = held_open(conf, fd, why);
	if (result != RESULT_OK)
		return result == RESULT_END ? why_set(why, RESULT_RETRY, "make %s: it is gone again", path) : result;
	if (owner != (uid_t)-1 && fchown(*fd, owner, group) != 0)
		result = why_errno(why, RESULT_RETRY, "give %s to the workers of smtpd", path);
	else if (!folder_sync(conf->queue))
		result = why_errno(why, RESULT_RETRY, "make it durable that there is a folder %s", path);
	if (result != RESULT_OK) {
		close(*fd);
		*fd = -1;
	}
	return result;
}

/* FNV-1a: for names that are too long to stand as they are. */
static uint64_t held_hash(const char *address)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (; *address; address++)
		hash = (hash ^ (unsigned char)*address) * 0x100000001b3;
	return hash;
}

static bool is_plain(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c != '\0' && strchr("@.+-=_", c));
}

void held_name(const char *address, char *name)
{
	size_t used = 0;
	const char *at = address;

	for (; *at && used + 3 + HASH_DIGITS <= HELD_NAME_MAX; at++) {
		bool is_kept = is_plain(*at) && !(*at == '.' && at == address);
		used += (size_t)snprintf(name + used, HELD_NAME_MAX + 1 - used, is_kept ? "%c" : "%%%02X", (unsigned char)*at);
	}
	name[used] = '\0';
	if (*at)
		snprintf(name + used, HELD_NAME_MAX + 1 - used, "%%%016llx", (unsigned long long)held_hash(address));
}

enum result held_look(int fd, const char *address, struct why *why)
{
	char name[HELD_NAME_MAX + 1];
	struct stat st;

	held_name(address, name);
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return RESULT_OK;
	return errno == ENOENT ? RESULT_END : why_errno(why, RESULT_RETRY, "see whether %s is held", address);
}

/* A line each: the values hold no line end, which why_set sees to. */
static enum result held_write(int fd, const struct held *held, struct why *why)
{
	struct why clean;
	char text[FILE_MAX];
	int length;

	why_set(&clean, RESULT_OK, "%s", held->reason);
	length = snprintf(text, sizeof text, "address %s\nsince %llu\nby %s\nreason %s\n", held->address,
	                  (unsigned long long)held->since_us, held->by, clean.text);
	if (length > 0 && (size_t)length < sizeof text && file_write(fd, text, (size_t)length))
		return RESULT_OK;
	return why_errno(why, RESULT_RETRY, "note why %s is held", held->address);
}

/* A name that was found may be another's who has not come to its fsync. */
static enum result held_already(int fd, const char *address, struct why *why)
{
	return fsync(fd) == 0 ? RESULT_END : why_errno(why, RESULT_RETRY, "make it durable that %s is held", address);
}

/* What matters is the name: a file whose text could not be written stays. */
enum result held_add(int fd, const struct held *held, struct why *why)
{
	char name[HELD_NAME_MAX + 1];
	enum result result;
	int file;

	held_name(held->address, name);
	file = openat(fd, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (file < 0)
		return errno == EEXIST ? held_already(fd, held->address, why) : why_errno(why, RESULT_RETRY, "hold %s", held->address);
	result = held_write(file, held, why);
	if (fsync(file) != 0 || fsync(fd) != 0)
		result = why_errno(why, RESULT_RETRY, "make it durable that %s is held", held->address);
	close(file);
	return result;
}

enum result held_remove(int fd, const char *address, struct why *why)
{
	char name[HELD_NAME_MAX + 1];
	bool was_held;

	held_name(address, name);
	was_held = unlinkat(fd, name, 0) == 0;
	if (!was_held && errno != ENOENT)
		return why_errno(why, RESULT_RETRY, "release %s", address);
	if (fsync(fd) != 0)
		return why_errno(why, RESULT_RETRY, "make it durable that %s is released", address);
	return was_held ? RESULT_OK : RESULT_END;
}

/* ---- reading ---- */

/* "KEY VALUE" of the text into OUT, printable. */
static void take_value(const char *text, const char *key, char *out, size_t size)
{
	size_t length = strlen(key), used = 0;

	*out = '\0';
	for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		if (strncmp(line, key, length) != 0 || line[length] != ' ')
			continue;
		for (line += length + 1; *line && *line != '\n' && used + 1 < size; line++)
			out[used++] = *line;
		out[used] = '\0';
		text_clean(out, used, '?');
		return;
	}
}

static enum result read_file(int fd, const char *name, char *text, struct why *why)
{
	int file = openat(fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	ssize_t got = -1;

	if (file < 0)
		return errno == ENOENT ? RESULT_END : why_errno(why, RESULT_RETRY, "read held/%s", name);
	if (fstat(file, &st) == 0 && S_ISREG(st.st_mode))
		got = read(file, text, FILE_MAX - 1);
	if (got < 0)
		why_errno(why, RESULT_RETRY, "read held/%s", name);
	close(file);
	text[got > 0 ? got : 0] = '\0';
	return got < 0 ? RESULT_RETRY : RESULT_OK;
}

static enum result read_held(int fd, const char *name, struct held *held, struct why *why)
{
	char text[FILE_MAX], since[32];
	enum result result = read_file(fd, name, text, why);

	*held = (struct held){ .since_us = 0 };
	if (result != RESULT_OK)
		return result;
	take_value(text, "address", held->address, sizeof held->address);
	take_value(text, "by", held->by, sizeof held->by);
	take_value(text, "reason", held->reason, sizeof held->reason);
	take_value(text, "since", since, sizeof since);
	if (!text_to_number(since, strlen(since), &held->since_us))
		held->since_us = 0;
	return RESULT_OK;
}

enum result held_read(int fd, const char *address, struct held *held, struct why *why)
{
	char name[HELD_NAME_MAX + 1];
	enum result result;

	held_name(address, name);
	result = read_held(fd, name, held, why);
	snprintf(held->address, sizeof held->address, "%s", address);
	return result;
}

/* What the file says of its address counts only when it is named for that: else the name is shown. */
static void check_address(const char *name, struct held *held)
{
	char expected[HELD_NAME_MAX + 1];

	held_name(held->address, expected);
	if (strcmp(expected, name) != 0)
		snprintf(held->address, sizeof held->address, "%s", name);
}

enum result held_walk(int fd, bool (*each)(void *context, const struct held *held), void *context, struct why *why)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *entry;
	struct held held;

	if (!folder) {
		why_errno(why, RESULT_RETRY, "list the held accounts");
		if (copy >= 0)
			close(copy);
		return RESULT_RETRY;
	}
	while ((entry = readdir(folder))) {
		if (*entry->d_name == '.' || read_held(fd, entry->d_name, &held, NULL) == RESULT_END)
			continue;
		check_address(entry->d_name, &held);
		if (!each(context, &held))
			break;
	}
	closedir(folder);
	return RESULT_OK;
}
