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

/* A row is at most 20 digits, a name and two bytes. There is room for more rows than messages, since some go. */
enum { SIZES_BYTES_MAX = 256 << 20, SIZES_ROW_BYTES = 300, SIZES_SPARE_BYTES = 64 * 1024, SIZES_BLOCK = 64 * 1024 };

static bool is_cache(const struct maildrop *drop, const struct stat *status)
{
	return S_ISREG(status->st_mode) && status->st_size > 0 && status->st_size <= SIZES_BYTES_MAX &&
	       (uint64_t)status->st_size <= drop->count * SIZES_ROW_BYTES + SIZES_SPARE_BYTES;
}

/* The whole cache in memory; NULL: none, or one that is not ours or far too large for these messages. */
static char *read_cache(const struct maildrop *drop, size_t *length)
{
	int fd = openat(drop->root, "dawk-pop3.sizes", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat status;
	char *bytes = NULL;
	ssize_t got;

	if (fd < 0)
		return NULL;
	*length = 0;
	if (!fstat(fd, &status) && is_cache(drop, &status))
		bytes = malloc((size_t)status.st_size);
	while (bytes && *length < (size_t)status.st_size &&
	       (got = read(fd, bytes + *length, (size_t)status.st_size - *length)) > 0)
		*length += (size_t)got;
	close(fd);
	return bytes;
}

static void apply_line(struct maildrop *drop, const char *line, size_t length)
{
	const char *blank = memchr(line, ' ', length);
	struct message *message;
	uint64_t octets;

	if (!blank || !text_to_number(line, (size_t)(blank - line), &octets))
		return;
	message = maildrop_find(drop, blank + 1, length - (size_t)(blank + 1 - line));
	if (message && message->octets == MAILDROP_OCTETS_UNKNOWN)
		message->octets = octets;
}

void sizes_load(struct maildrop *drop)
{
	const char *at, *newline;
	size_t length = 0;
	char *bytes;

	if (drop->has_sizes)
		return;
	drop->has_sizes = true;
	bytes = read_cache(drop, &length);
	if (!bytes)
		return;
	for (at = bytes; (newline = memchr(at, '\n', (size_t)(bytes + length - at))); at = newline + 1)
		apply_line(drop, at, (size_t)(newline - at));
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
		if (facts.octets != MAILDROP_OCTETS_UNKNOWN || m->octets == MAILDROP_OCTETS_UNKNOWN || m->is_unmeasured || m->is_gone)
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
