/* Maildir++ quota: see maildir.h. The file maildirsize holds the quota on its first line, then a
 * line "BYTES COUNT" per change, each appended with one write. */
#include "maildir.h"
#include "text.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	SIZES_MAX = 5120,		/* bytes of maildirsize, then it is counted afresh */
	RECOUNT_AFTER_SECONDS = 15 * 60,
	QUOTA_TEXT_MAX = 64,
};
/* A larger one in a name is looked at: the sum of a whole mailbox has to fit. */
static const uint64_t SIZE_BELIEVED_MAX = 1ull << 40;

struct usage {
	int64_t bytes, messages;
	unsigned lines;			/* of changes */
	time_t written;			/* maildirsize was */
};

/* One part of a quota: digits and at most one letter. AT is its place in the list. */
static bool parse_part(const char *part, size_t length, unsigned at, struct quota *quota)
{
	static const struct { char letter; unsigned shift; } units[] = {
		{ 'k', 10 }, { 'K', 10 }, { 'm', 20 }, { 'M', 20 }, { 'g', 30 }, { 'G', 30 }, { 't', 40 }, { 'T', 40 },
	};
	uint64_t number;
	char last;

	if (length == 0)
		return false;
	last = part[length - 1];
	if (last >= '0' && last <= '9') {
		if (!text_to_number(part, length, &number))
			return false;
		*(at == 0 ? &quota->bytes : &quota->messages) = number;
		return true;
	}
	if (!text_to_number(part, length - 1, &number))
		return false;
	if (last == 'S' || last == 'C') {
		*(last == 'S' ? &quota->bytes : &quota->messages) = number;
		return true;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (units[i].letter != last)
			continue;
		quota->bytes = number << units[i].shift;
		return at == 0 && quota->bytes >> units[i].shift == number;
	}
	return false;
}

bool quota_parse(const char *text, struct quota *quota)
{
	*quota = (struct quota){ 0 };
	if (*text == '\0')
		return true;
	for (unsigned at = 0; at < 2; at++) {
		size_t length = strcspn(text, ",");

		if (!parse_part(text, length, at, quota))
			return false;
		text += length;
		if (*text == '\0')
			return quota->bytes <= INT64_MAX && quota->messages <= INT64_MAX;
		text++;
	}
	return false;
}

/* Maildir++'s own form, as the first line has it. */
static void quota_text(const struct quota *quota, char out[QUOTA_TEXT_MAX])
{
	size_t used = 0;

	out[0] = '\0';
	if (quota->bytes > 0)
		used = (size_t)snprintf(out, QUOTA_TEXT_MAX, "%lluS", (unsigned long long)quota->bytes);
	if (quota->messages > 0)
		snprintf(out + used, QUOTA_TEXT_MAX - used, "%s%lluC", used > 0 ? "," : "", (unsigned long long)quota->messages);
}

/* The bytes of a message from its name's ",S=", else from the file. */
static int64_t message_bytes(int directory, const char *name)
{
	const char *size = strstr(name, ",S=");
	uint64_t bytes;
	struct stat st;

	if (size != NULL && text_to_number(size + 3, strspn(size + 3, "0123456789"), &bytes) && bytes <= SIZE_BELIEVED_MAX)
		return (int64_t)bytes;
	return fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) ? st.st_size : 0;
}

bool quota_counts(const char *name)
{
	const char *flags = strstr(name, ":2,");

	return flags == NULL || strchr(flags, 'T') == NULL;
}

/* Adds what lies in FOLDER/PART ("new", "cur"). */
static enum result count_part(int folder, const char *part, struct usage *usage, struct why *why)
{
	int fd = openat(folder, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (directory == NULL) {
		if (fd >= 0)
			close(fd);
		return errno == ENOENT ? RESULT_OK : why_errno(why, RESULT_RETRY, "count the messages in %s", part);
	}
	while ((entry = readdir(directory)) != NULL) {
		if (entry->d_name[0] == '.' || !quota_counts(entry->d_name))
			continue;
		usage->bytes += message_bytes(fd, entry->d_name);
		usage->messages++;
	}
	closedir(directory);
	return RESULT_OK;
}

static enum result count_folder(int folder, struct usage *usage, struct why *why)
{
	enum result result = count_part(folder, "new", usage, why);

	return result == RESULT_OK ? count_part(folder, "cur", usage, why) : result;
}

/* The maildir itself and its sub-folders (".name"), but the trash. */
static enum result count_all(int root, struct usage *usage, struct why *why)
{
	int fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	enum result result;

	*usage = (struct usage){ 0 };
	if (directory == NULL) {
		if (fd >= 0)
			close(fd);
		return why_errno(why, RESULT_RETRY, "list the maildir");
	}
	result = count_folder(root, usage, why);
	while (result == RESULT_OK && (entry = readdir(directory)) != NULL) {
		const char *name = entry->d_name;
		int folder;

		if (name[0] != '.' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, ".Trash") == 0)
			continue;
		folder = openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (folder < 0)
			continue;
		result = count_folder(folder, usage, why);
		close(folder);
	}
	closedir(directory);
	return result;
}

/* Replaces maildirsize by one line. Best effort: without it the next check counts again. */
static void sizes_write(int root, const struct quota *quota, const struct usage *usage)
{
	char name[64], text[160], limit[QUOTA_TEXT_MAX];
	int fd, length;
	bool is_written;

	quota_text(quota, limit);
	length = snprintf(text, sizeof(text), "%s\n%lld %lld\n", limit, (long long)usage->bytes, (long long)usage->messages);
	snprintf(name, sizeof(name), "tmp/%lld.P%ld.maildirsize", (long long)time_real_us(), (long)getpid());
	fd = openat(root, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	is_written = write(fd, text, (size_t)length) == length;
	close(fd);
	if (!is_written || renameat(root, name, root, "maildirsize") != 0)
		unlinkat(root, name, 0);
}

static enum result recount(int root, const struct quota *quota, struct usage *usage, struct why *why)
{
	enum result result = count_all(root, usage, why);

	if (result == RESULT_OK)
		sizes_write(root, quota, usage);
	return result;
}

/* The next word: a number with an optional minus. */
static bool next_signed(const char **at, const char *end, int64_t *value)
{
	const char *word;
	uint64_t number;
	size_t length;
	bool is_negative;

	if (!text_next_word(at, end, &word, &length))
		return false;
	is_negative = word[0] == '-';
	if (!text_to_number(word + is_negative, length - is_negative, &number) || number > INT64_MAX / 4096)
		return false;
	*value = is_negative ? -(int64_t)number : (int64_t)number;
	return true;
}

/* "BYTES COUNT" */
static bool parse_change(const char *line, size_t length, struct usage *usage)
{
	const char *at = line, *end = line + length;
	int64_t bytes, messages;

	if (!next_signed(&at, end, &bytes) || !next_signed(&at, end, &messages))
		return false;
	usage->bytes += bytes;
	usage->messages += messages;
	usage->lines++;
	return true;
}

/* Sums maildirsize up. false: it has to be counted afresh. */
static bool sizes_read(int root, const struct quota *quota, struct usage *usage)
{
	char text[SIZES_MAX + 1], limit[QUOTA_TEXT_MAX], *line = text, *lf;
	int fd = openat(root, "maildirsize", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	ssize_t length;

	*usage = (struct usage){ 0 };
	if (fd < 0)
		return false;
	length = read(fd, text, sizeof(text));
	if (length <= 0 || length > SIZES_MAX || fstat(fd, &st) != 0)
		length = -1;
	close(fd);
	if (length < 0)
		return false;
	usage->written = st.st_mtime;
	quota_text(quota, limit);
	lf = memchr(line, '\n', (size_t)length);
	if (lf == NULL || (size_t)(lf - line) != strlen(limit) || memcmp(line, limit, strlen(limit)) != 0)
		return false;
	for (line = lf + 1; line < text + length; line = lf + 1) {
		lf = memchr(line, '\n', (size_t)(text + length - line));
		if (lf == NULL || !parse_change(line, (size_t)(lf - line), usage))
			return false;
	}
	return usage->lines > 0 && usage->bytes >= 0 && usage->messages >= 0;
}

static bool has_room(const struct quota *quota, const struct usage *usage, uint64_t add)
{
	if (add == 0)
		add = 1;
	if (quota->messages > 0 && (uint64_t)usage->messages >= quota->messages)
		return false;
	return quota->bytes == 0 || (add <= quota->bytes && (uint64_t)usage->bytes <= quota->bytes - add);
}

enum result quota_check(const char *path, const struct quota *quota, uint64_t add, struct why *why)
{
	struct usage usage;
	enum result result = RESULT_OK;
	bool is_fresh;
	int root;

	if (quota->bytes == 0 && quota->messages == 0)
		return RESULT_OK;
	root = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (root < 0 && errno != ENOENT)
		return why_errno(why, RESULT_RETRY, "open the maildir %s", path);
	is_fresh = root < 0 || !sizes_read(root, quota, &usage);
	if (root < 0)
		usage = (struct usage){ 0 };
	else if (is_fresh)
		result = recount(root, quota, &usage, why);
	/* over by the sums: they may be wrong, unless they are young and of one piece */
	if (result == RESULT_OK && !is_fresh && !has_room(quota, &usage, add) &&
	    (usage.lines > 1 || time(NULL) - usage.written > RECOUNT_AFTER_SECONDS))
		result = recount(root, quota, &usage, why);
	if (root >= 0)
		close(root);
	if (result != RESULT_OK)
		return result;
	if (has_room(quota, &usage, add))
		return RESULT_OK;
	return why_set(why, RESULT_NEVER, "the mailbox is over its quota (%lld bytes in %lld messages)",
	               (long long)usage.bytes, (long long)usage.messages);
}

static void append_change(int fd, int root, int64_t bytes, int64_t messages)
{
	char line[64];
	int length = snprintf(line, sizeof(line), "%lld %lld\n", (long long)bytes, (long long)messages);

	if (write(fd, line, (size_t)length) != length)	/* wrong sums mend themselves: counted afresh */
		unlinkat(root, "maildirsize", 0);
	close(fd);
}

void quota_add(const char *path, const struct quota *quota, int64_t bytes, int64_t messages)
{
	int root, fd;
	struct usage usage;

	if (quota->bytes == 0 && quota->messages == 0)
		return;
	root = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (root < 0)
		return;
	fd = openat(root, "maildirsize", O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		(void)recount(root, quota, &usage, NULL);	/* what is there by now includes the change */
	if (fd >= 0)
		append_change(fd, root, bytes, messages);
	close(root);
}
