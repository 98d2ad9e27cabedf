/* See table.h. */
#include "table.h"
#include "log.h"

#include <cdb.h>
#ifndef TINYCDB_VERSION
#error this <cdb.h> is not tinycdb's: install libcdb-dev, and keep libowfat's folder out of the include path
#endif

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char GENERATION[] = "generation";

enum {
	LOOK_INTERVAL_MS = 1000,
	HEADER_ENTRIES = 256,		/* of a hash table each: its place and its slots, 4 bytes little-endian each */
	HEADER_SIZE = HEADER_ENTRIES * 8,
	SLOT_SIZE = 8,
};

struct table_directory {
	int fd;
	char *path;
	_Atomic uint64_t *generation;	/* the mapped counter; NULL: none, the look once a second has to do */
};

struct table {
	struct table_directory *directory;
	const char *name;
	char file[NAME_MAX + 1];
	bool is_open, is_needed;
	struct cdb cdb;
	struct stat seen;		/* of the file that is open */
	struct stat damaged;		/* of the one that was refused last, and logged */
	uint64_t generation;		/* counter at the last look */
	uint64_t looked_ms;		/* clock at the last look, 0: never */
};

/* The coarse clock costs no system call, and a second is all that is asked of it. */
static uint64_t coarse_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void directory_map_generation(struct table_directory *directory)
{
	int fd = openat(directory->fd, GENERATION, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	void *map;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= (off_t)sizeof *directory->generation) {
		map = mmap(NULL, sizeof *directory->generation, PROT_READ, MAP_SHARED, fd, 0);
		if (map != MAP_FAILED)
			directory->generation = map;
	}
	close(fd);
}

enum result table_directory_open(const char *path, struct table_directory **directory, struct why *why)
{
	struct table_directory *made = calloc(1, sizeof *made);

	*directory = NULL;
	if (!made || !(made->path = strdup(path))) {
		free(made);
		return why_set(why, RESULT_RETRY, "open %s: no memory", path);
	}
	made->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (made->fd < 0) {
		enum result result = result_of_errno(errno);
		why_errno(why, result, "open the tables in %s (run `dawk update`)", path);
		free(made->path);
		free(made);
		return result;
	}
	directory_map_generation(made);
	*directory = made;
	return RESULT_OK;
}

void table_directory_close(struct table_directory *directory)
{
	if (!directory)
		return;
	if (directory->generation)
		munmap((void *)(uintptr_t)directory->generation, sizeof *directory->generation);
	close(directory->fd);
	free(directory->path);
	free(directory);
}

enum result table_open(struct table_directory *directory, const char *name, struct table **table, struct why *why)
{
	struct table *made = calloc(1, sizeof *made);
	int length;

	*table = NULL;
	if (!made)
		return why_set(why, RESULT_RETRY, "open table %s: no memory", name);
	made->directory = directory;
	made->name = name;
	length = snprintf(made->file, sizeof made->file, "%s.cdb", name);
	if (length < 0 || (size_t)length >= sizeof made->file) {
		free(made);
		return why_set(why, RESULT_NEVER, "open table: its name is too long");
	}
	*table = made;
	return RESULT_OK;
}

void table_need(struct table *table)
{
	table->is_needed = true;
}

static bool is_whole(int fd, const struct stat *st);

enum result table_open_descriptor(int fd, const char *name, struct table **table, struct why *why)
{
	struct table *made = calloc(1, sizeof *made);
	struct stat st;

	*table = NULL;
	if (!made || fstat(fd, &st) != 0 || !is_whole(fd, &st) || cdb_init(&made->cdb, fd) != 0) {
		free(made);
		close(fd);
		return why_set(why, RESULT_RETRY, "read table %s: not a compiled table (run `dawk update`)", name);
	}
	close(fd);
	made->name = name;
	made->is_open = true;
	*table = made;
	return RESULT_OK;
}

static void table_let_go(struct table *table)
{
	if (table->is_open)
		cdb_free(&table->cdb);
	table->is_open = false;
}

void table_close(struct table *table)
{
	if (!table)
		return;
	table_let_go(table);
	free(table);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static uint64_t number_at(const unsigned char *at)
{
	return (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24;
}

/* tinycdb believes the header it finds. A file that was cut, lengthened or overwritten at its start would
 * answer "no such key" to everything: here the hash tables must end where the file ends. */
static bool is_whole(int fd, const struct stat *st)
{
	unsigned char header[HEADER_SIZE];
	uint64_t size = (uint64_t)st->st_size, end = HEADER_SIZE;
	size_t i;

	if (size < HEADER_SIZE || pread(fd, header, sizeof header, 0) != (ssize_t)sizeof header)
		return false;
	for (i = 0; i < HEADER_ENTRIES; i++) {
		uint64_t place = number_at(header + i * 8), slots = number_at(header + i * 8 + 4);
		if (place < HEADER_SIZE || place + slots * SLOT_SIZE > size)
			return false;
		if (place + slots * SLOT_SIZE > end)
			end = place + slots * SLOT_SIZE;
	}
	return end == size;
}

/* Opens the file that is there now. The one in force stays when the new one can't be read. The
 * map outlives the descriptor. */
static enum result table_take_new(struct table *table, struct why *why)
{
	struct cdb fresh;
	struct stat st;
	int fd = openat(table->directory->fd, table->file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return why_errno(why, RESULT_RETRY, "open %s/%s", table->directory->path, table->file);
	if (fstat(fd, &st) != 0 || !is_whole(fd, &st) || cdb_init(&fresh, fd) != 0) {
		close(fd);
		return why_set(why, RESULT_RETRY, "read %s/%s: not a compiled table (run `dawk update`)",
		               table->directory->path, table->file);
	}
	close(fd);
	table_let_go(table);
	table->cdb = fresh;
	table->is_open = true;
	table->seen = st;
	return RESULT_OK;
}

/* Once for each damaged file: a service that goes on with the last good table must not do so in silence. */
static void table_log_damage(struct table *table, const struct stat *st, const struct why *why)
{
	if (same_file(st, &table->damaged))
		return;
	table->damaged = *st;
	log_failure("table-damaged", why);
}

static enum result table_look(struct table *table, struct why *why)
{
	struct why own = { 0 };
	struct stat st;

	if (!why)
		why = &own;
	/* `dawk update` makes empty tables and removes none: one that is gone was lost, and stays in force */
	if (fstatat(table->directory->fd, table->file, &st, 0) != 0) {
		if (table->is_open)
			return RESULT_OK;
		if (errno == ENOENT && !table->is_needed)
			return RESULT_END;
		return why_errno(why, RESULT_RETRY, "look at %s/%s (run `dawk update`)", table->directory->path, table->file);
	}
	if (table->is_open && same_file(&st, &table->seen))
		return RESULT_OK;
	if (table_take_new(table, why) == RESULT_OK)
		return RESULT_OK;
	table_log_damage(table, &st, why);
	return table->is_open ? RESULT_OK : RESULT_RETRY;
}

/* RESULT_OK: a table is open and as new as it has to be. */
static enum result table_refresh(struct table *table, struct why *why)
{
	const _Atomic uint64_t *counter = table->directory ? table->directory->generation : NULL;
	uint64_t generation = counter ? atomic_load_explicit(counter, memory_order_acquire) : 0;
	uint64_t now = coarse_ms();
	enum result result;

	if (!table->directory)
		return RESULT_OK;
	if (table->looked_ms != 0 && generation == table->generation && now - table->looked_ms < LOOK_INTERVAL_MS)
		return table->is_open ? RESULT_OK : RESULT_END;
	result = table_look(table, why);
	if (result == RESULT_RETRY)
		return result;		/* looked_ms stays: the next look-up tries again */
	table->generation = generation;
	table->looked_ms = now ? now : 1;
	return result;
}

static enum result table_unreadable(const struct table *table, struct why *why)
{
	return why_set(why, RESULT_RETRY, "read %s/%s: damaged (run `dawk update`)", table->directory ? table->directory->path : "table",
	               table->directory ? table->file : table->name);
}

enum result table_find(struct table *table, const void *key, size_t key_length,
                       const char **value, size_t *value_length, struct why *why)
{
	enum result result = table_refresh(table, why);
	int found;

	*value = NULL;
	*value_length = 0;
	if (result != RESULT_OK)
		return result;
	if (key_length > UINT_MAX)
		return RESULT_END;
	found = cdb_find(&table->cdb, key, (unsigned)key_length);
	if (found == 0)
		return RESULT_END;
	if (found < 0)
		return table_unreadable(table, why);
	*value = cdb_getdata(&table->cdb);
	*value_length = cdb_datalen(&table->cdb);
	return *value ? RESULT_OK : table_unreadable(table, why);
}

enum result table_walk(struct table *table, bool (*each)(void *context, const char *key, size_t key_length,
                       const char *value, size_t value_length), void *context, struct why *why)
{
	enum result result = table_refresh(table, why);
	unsigned position;
	int found;

	if (result != RESULT_OK)
		return result;
	cdb_seqinit(&position, &table->cdb);
	while ((found = cdb_seqnext(&position, &table->cdb)) > 0) {
		const char *key = cdb_getkey(&table->cdb), *value = cdb_getdata(&table->cdb);
		if (!key || !value)
			return table_unreadable(table, why);
		if (!each(context, key, cdb_keylen(&table->cdb), value, cdb_datalen(&table->cdb)))
			return RESULT_OK;
	}
	return found < 0 ? table_unreadable(table, why) : RESULT_OK;
}

struct table_writer {
	int fd;
	char *path;		/* of the table */
	char *temporary;	/* beside it */
	char *directory;
	struct cdb_make make;
};

static void writer_free(struct table_writer *writer)
{
	if (writer->fd >= 0)
		close(writer->fd);
	free(writer->path);
	free(writer->temporary);
	free(writer->directory);
	free(writer);
}

static struct table_writer *writer_new(const char *directory_path, const char *name)
{
	struct table_writer *writer = calloc(1, sizeof *writer);

	if (!writer)
		return NULL;
	writer->fd = -1;
	writer->directory = strdup(directory_path);
	if (asprintf(&writer->path, "%s/%s.cdb", directory_path, name) < 0)
		writer->path = NULL;
	if (asprintf(&writer->temporary, "%s/%s.cdb.new", directory_path, name) < 0)
		writer->temporary = NULL;
	if (writer->directory && writer->path && writer->temporary)
		return writer;
	writer_free(writer);
	return NULL;
}

enum result table_create(const char *directory_path, const char *name, mode_t mode, struct table_writer **writer, struct why *why)
{
	struct table_writer *made = writer_new(directory_path, name);

	*writer = NULL;
	if (!made)
		return why_set(why, RESULT_RETRY, "make table %s: no memory", name);
	unlink(made->temporary);
	made->fd = open(made->temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (made->fd < 0 || fchmod(made->fd, mode) != 0 || cdb_make_start(&made->make, made->fd) != 0) {
		enum result result = result_of_errno(errno);
		why_errno(why, result, "make %s", made->temporary);
		writer_free(made);
		return result;
	}
	*writer = made;
	return RESULT_OK;
}

enum result table_add(struct table_writer *writer, const void *key, size_t key_length,
                      const void *value, size_t value_length, struct why *why)
{
	int there;

	if (key_length > UINT_MAX || value_length > UINT_MAX)
		return why_set(why, RESULT_NEVER, "a record of %zu bytes is too long for a table", value_length);
	errno = 0;
	there = cdb_make_put(&writer->make, key, (unsigned)key_length, value, (unsigned)value_length, CDB_PUT_INSERT);
	if (there > 0)
		return why_set(why, RESULT_NEVER, "the key is there already");
	if (there < 0)
		return why_errno(why, result_of_errno(errno), "write %s", writer->temporary);
	return RESULT_OK;
}

enum result table_commit(struct table_writer *writer, struct why *why)
{
	enum result result = RESULT_OK;
	int directory;

	errno = 0;
	if (cdb_make_finish(&writer->make) != 0 || fsync(writer->fd) != 0 ||
	    rename(writer->temporary, writer->path) != 0) {
		result = why_errno(why, result_of_errno(errno), "write %s", writer->temporary);
		unlink(writer->temporary);
		writer_free(writer);
		return result;
	}
	directory = open(writer->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0 || fsync(directory) != 0)
		result = why_errno(why, RESULT_RETRY, "make %s durable", writer->path);
	if (directory >= 0)
		close(directory);
	writer_free(writer);
	return result;
}

void table_abandon(struct table_writer *writer)
{
	if (!writer)
		return;
	unlink(writer->temporary);
	cdb_make_finish(&writer->make);		/* frees what it holds; the file has no name any more */
	writer_free(writer);
}

enum result table_announce(const char *directory_path, struct why *why)
{
	char path[PATH_MAX];
	_Atomic uint64_t *counter;
	int length = snprintf(path, sizeof path, "%s/%s", directory_path, GENERATION), fd;

	if (length < 0 || (size_t)length >= sizeof path)
		return why_set(why, RESULT_NEVER, "%s: the path is too long", directory_path);
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0 || fchmod(fd, 0644) != 0 || ftruncate(fd, sizeof *counter) != 0) {
		why_errno(why, RESULT_RETRY, "open %s", path);
		if (fd >= 0)
			close(fd);
		return RESULT_RETRY;
	}
	counter = mmap(NULL, sizeof *counter, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (counter == MAP_FAILED)
		return why_errno(why, RESULT_RETRY, "map %s", path);
	atomic_fetch_add_explicit(counter, 1, memory_order_release);
	munmap((void *)(uintptr_t)counter, sizeof *counter);
	return RESULT_OK;
}
