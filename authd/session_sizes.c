/* The cache of sizes: dawk-pop3.sizes in the maildir, a line "OCTETS NAME" for each message whose
 * file name does not tell. Best effort: without it files are read again. */
#include "authd/maildrop.h"
#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIZES_BYTES_MAX = 256 << 20, SIZES_BLOCK = 64 * 1024 };

struct remembered {
	const char *name;
	size_t length;
	uint64_t octets;
};

static int compare_remembered(const void *left, const void *right)
{
	const struct remembered *a = left, *b = right;
	size_t common = a->length < b->length ? a->length : b->length;
	int order = memcmp(a->name, b->name, common);

	if (order)
		return order;
	return a->length < b->length ? -1 : a->length > b->length;
}

/* The whole cache in memory; NULL: none, or not ours. */
static char *read_cache(const struct maildrop *drop, size_t *length)
{
	int fd = openat(drop->root, "dawk-pop3.sizes", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat status;
	char *bytes = NULL;
	ssize_t got;

	if (fd < 0)
		return NULL;
	*length = 0;
	if (!fstat(fd, &status) && S_ISREG(status.st_mode) && status.st_size > 0 && status.st_size <= SIZES_BYTES_MAX)
		bytes = malloc((size_t)status.st_size);
	while (bytes && *length < (size_t)status.st_size &&
	       (got = read(fd, bytes + *length, (size_t)status.st_size - *length)) > 0)
		*length += (size_t)got;
	close(fd);
	return bytes;
}

static bool take_line(const char **at, const char *end, struct remembered *row)
{
	const char *newline = memchr(*at, '\n', (size_t)(end - *at));
	const char *line = *at, *blank;

	if (!newline)
		return false;
	*at = newline + 1;
	blank = memchr(line, ' ', (size_t)(newline - line));
	row->length = 0;
	if (!blank || !text_to_number(line, (size_t)(blank - line), &row->octets))
		return true;
	row->name = blank + 1;
	row->length = (size_t)(newline - row->name);
	return true;
}

static size_t parse_cache(const char *bytes, size_t length, struct remembered *rows, size_t most)
{
	const char *at = bytes, *end = bytes + length;
	size_t count = 0;

	while (count < most && take_line(&at, end, &rows[count]))
		if (rows[count].length)
			count++;
	qsort(rows, count, sizeof *rows, compare_remembered);
	return count;
}

static void apply_rows(struct maildrop *drop, const struct remembered *rows, size_t count)
{
	for (size_t i = 0; i < drop->count && count; i++) {
		struct message *m = &drop->messages[i];
		struct remembered key = { maildrop_name(drop, m), m->unique_length, 0 };
		const struct remembered *found;

		if (m->octets != MAILDROP_OCTETS_UNKNOWN)
			continue;
		found = bsearch(&key, rows, count, sizeof *rows, compare_remembered);
		if (found)
			m->octets = found->octets;
	}
}

void sizes_load(struct maildrop *drop)
{
	struct remembered *rows;
	size_t length = 0, lines = 0;
	char *bytes;

	if (drop->has_sizes)
		return;
	drop->has_sizes = true;
	bytes = read_cache(drop, &length);
	if (!bytes)
		return;
	for (const char *at = bytes; (at = memchr(at, '\n', (size_t)(bytes + length - at))); at++)
		lines++;
	rows = calloc(lines ? lines : 1, sizeof *rows);
	if (rows)
		apply_rows(drop, rows, parse_cache(bytes, length, rows, lines));
	free(rows);
	free(bytes);
}

static bool write_rows(const struct maildrop *drop, int fd)
{
	stralloc text = { 0 };
	bool is_good = true;

	for (size_t i = 0; i < drop->count && is_good; i++) {
		const struct message *m = &drop->messages[i];
		struct name_facts facts;

		name_parse(maildrop_name(drop, m), m->name_length, &facts);
		if (facts.octets != MAILDROP_OCTETS_UNKNOWN || m->octets == MAILDROP_OCTETS_UNKNOWN || m->is_gone)
			continue;
		is_good = text_append_number(&text, m->octets) && text_append(&text, " ", 1) &&
		          text_append(&text, maildrop_name(drop, m), m->unique_length) && text_append(&text, "\n", 1);
		if (is_good && text.len >= SIZES_BLOCK) {
			is_good = file_write(fd, text.s, text.len);
			text.len = 0;
		}
	}
	is_good = is_good && file_write(fd, text.s, text.len);
	free(text.s);
	return is_good;
}

void sizes_save(const struct maildrop *drop)
{
	static const char name[] = "dawk-pop3.sizes", beside[] = "dawk-pop3.sizes.new";
	int fd;

	if (drop->root < 0)
		return;
	/* The lock is ours, so what is left of this name is from a session that died. */
	unlinkat(drop->root, beside, 0);
	fd = openat(drop->root, beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (!write_rows(drop, fd) || renameat(drop->root, beside, drop->root, name))
		unlinkat(drop->root, beside, 0);
	close(fd);
}
