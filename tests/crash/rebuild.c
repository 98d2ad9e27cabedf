/* rebuild BASE LOG OUT: the disk as it could have been at any moment. BASE is the image as it was when LOG (of remember) began.
 * Reads "CUT SEED" lines from standard input: the power goes when CUT entries of the log have happened. Makes OUT: BASE, all
 * that was written before the last flush among them, and of what was written since what chance keeps: whole, torn at sectors
 * of 512 bytes, or not at all; SEED decides. An odd SEED has the power go later, just before the next flush, when most is open.
 * Answers each line with one: where the cut is, its time (microseconds since 1970), and how many writes were kept, torn and lost.
 * Cuts come in ascending order. */
#include "disk_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

enum { SECTOR = 512, PAGE = 4096 };

struct log {
	const unsigned char *bytes;
	size_t length;
	const struct disk_entry **entries;
	uint64_t count;
};
struct image {
	unsigned char *bytes;		/* durable: BASE and all that was flushed */
	bool *is_used;			/* a page each: it may hold something else than zeros */
	uint64_t size;
	uint64_t applied;		/* entries of the log that are in there */
};
struct outcome { unsigned kept, torn, lost; };

static void die(const char *what)
{
	fprintf(stderr, "rebuild: unable to %s: %s\n", what, strerror(errno));
	exit(EX_OSERR);
}

static void *map_file(const char *path, int protection, size_t *length)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	void *bytes;

	if (fd < 0 || fstat(fd, &status))
		die(path);
	*length = (size_t)status.st_size;
	bytes = mmap(NULL, *length, protection, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		die(path);
	close(fd);
	return bytes;
}

/* ---- the log ---- */

static void log_read(struct log *log, const char *path)
{
	size_t at = 0, room = 0;

	log->bytes = map_file(path, PROT_READ, &log->length);
	while (log->length - at >= sizeof(struct disk_entry)) {
		const struct disk_entry *entry = (const void *)(log->bytes + at);

		at += sizeof *entry + (entry->act == DISK_WRITE ? entry->length : 0);
		if (at > log->length)
			break;
		if (log->count == room) {
			room = room ? room * 2 : 4096;
			log->entries = reallocarray(log->entries, room, sizeof *log->entries);
			if (!log->entries)
				die("read the log");
		}
		log->entries[log->count++] = entry;
	}
}

static const unsigned char *log_bytes(const struct disk_entry *entry)
{
	return entry->act == DISK_WRITE ? (const unsigned char *)(entry + 1) : NULL;
}

/* ---- chance: splitmix64 ---- */

static uint64_t chance(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static bool happens(uint64_t *state, unsigned percent)
{
	return chance(state) % 100 < percent;
}

/* ---- the image ---- */

static void image_read(struct image *image, const char *path)
{
	static const unsigned char zeros[PAGE];
	size_t length;

	image->bytes = map_file(path, PROT_READ | PROT_WRITE, &length);
	image->size = length;
	image->is_used = calloc(length / PAGE + 1, sizeof *image->is_used);
	if (!image->is_used)
		die("read the image");
	for (size_t at = 0; at + PAGE <= length; at += PAGE)
		image->is_used[at / PAGE] = memcmp(image->bytes + at, zeros, PAGE) != 0;
}

static void image_apply(struct image *image, const struct disk_entry *entry)
{
	uint64_t end = entry->offset + entry->length;

	if (entry->act == DISK_FLUSH || end > image->size)
		return;
	if (entry->act == DISK_ZERO)
		memset(image->bytes + entry->offset, 0, entry->length);
	else
		memcpy(image->bytes + entry->offset, log_bytes(entry), entry->length);
	for (uint64_t page = entry->offset / PAGE; page * PAGE < end; page++)
		image->is_used[page] = true;
}

static void put(int out, const void *bytes, size_t length, uint64_t offset)
{
	if (pwrite(out, bytes, length, (off_t)offset) != (ssize_t)length)
		die("write the new image");
}

/* Afresh: the old OUT may still be in the kernel's caches. */
static int image_copy(const struct image *image, const char *path)
{
	uint64_t pages = image->size / PAGE, from, to;
	int out;

	unlink(path);
	out = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out < 0 || ftruncate(out, (off_t)image->size))
		die("make the new image");
	for (from = 0; from < pages; from = to) {
		for (to = from; to < pages && image->is_used[to] == image->is_used[from]; to++)
			;
		if (image->is_used[from])
			put(out, image->bytes + from * PAGE, (to - from) * PAGE, from * PAGE);
	}
	return out;
}

static void put_entry(int out, const struct disk_entry *entry, uint32_t from, uint32_t to)
{
	static const unsigned char zeros[SECTOR];
	const unsigned char *bytes = log_bytes(entry);

	if (bytes)
		put(out, bytes + from, to - from, entry->offset + from);
	for (; !bytes && from < to; from += SECTOR)
		put(out, zeros, to - from < SECTOR ? to - from : SECTOR, entry->offset + from);
}

/* Each sector of its own: disks promise no more. */
static void put_torn(int out, const struct disk_entry *entry, uint64_t *state)
{
	unsigned percent = (unsigned)(chance(state) % 100);
	uint32_t to;

	for (uint32_t from = 0; from < entry->length; from = to) {
		to = entry->length - from < SECTOR ? entry->length : from + SECTOR;
		if (happens(state, percent))
			put_entry(out, entry, from, to);
	}
}

/* btrfs writes its superblock in place, and does not mount a torn one: it counts on disks that write 4,096 bytes whole. */
static bool is_superblock_of_btrfs(const struct disk_entry *entry)
{
	const unsigned char *bytes = log_bytes(entry);

	return bytes && entry->length == PAGE && !memcmp(bytes + 64, "_BHRfS_M", 8);
}

/* ---- a cut ---- */

/* A flush that is the last entry has happened: the power goes after it. */
static uint64_t last_flush(const struct log *log, uint64_t cut)
{
	while (cut > 0 && log->entries[cut - 1]->act != DISK_FLUSH)
		cut--;
	return cut;
}

static uint64_t next_flush(const struct log *log, uint64_t cut)
{
	while (cut < log->count && log->entries[cut]->act != DISK_FLUSH)
		cut++;
	return cut;
}

/* How the disk took what nobody asked it to keep: all, nothing, the first of it, or any of it. */
static struct outcome put_undecided(int out, const struct log *log, uint64_t from, uint64_t to, uint64_t *state)
{
	static const unsigned kept_percents[] = { 0, 100, 50, 90, 10, 75 };
	unsigned percent = kept_percents[chance(state) % (sizeof kept_percents / sizeof *kept_percents)];
	unsigned torn_percent = happens(state, 50) ? 0 : 30;
	struct outcome outcome = { 0 };

	for (uint64_t i = from; i < to; i++) {
		const struct disk_entry *entry = log->entries[i];

		if (entry->length > SECTOR && !is_superblock_of_btrfs(entry) && happens(state, torn_percent)) {
			put_torn(out, entry, state);
			outcome.torn++;
		} else if (happens(state, percent)) {
			put_entry(out, entry, 0, entry->length);
			outcome.kept++;
		} else {
			outcome.lost++;
		}
	}
	return outcome;
}

static void make_cut(struct image *image, const struct log *log, const char *path, uint64_t cut, uint64_t seed)
{
	uint64_t durable = last_flush(log, cut), state = seed;
	struct outcome outcome;
	int out;

	for (; image->applied < durable; image->applied++)
		image_apply(image, log->entries[image->applied]);
	out = image_copy(image, path);
	outcome = put_undecided(out, log, durable, cut, &state);
	close(out);
	printf("%llu %llu %u %u %u\n", (unsigned long long)cut, cut ? (unsigned long long)log->entries[cut - 1]->time_us : 0, outcome.kept, outcome.torn, outcome.lost);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct image image = { 0 };
	struct log log = { 0 };
	unsigned long long cut, seed;

	if (argc != 4) {
		fprintf(stderr, "usage: rebuild BASE LOG OUT <<<\"CUT SEED\"\n");
		return EX_USAGE;
	}
	image_read(&image, argv[1]);
	log_read(&log, argv[2]);
	fprintf(stderr, "rebuild: %llu entries\n", (unsigned long long)log.count);
	while (scanf("%llu %llu", &cut, &seed) == 2) {
		if (cut > log.count || cut < image.applied) {
			fprintf(stderr, "rebuild: a cut at %llu is out of order, or beyond the log\n", cut);
			return EX_DATAERR;
		}
		make_cut(&image, &log, argv[3], seed % 2 ? next_flush(&log, cut) : cut, seed);
	}
	return EX_OK;
}
