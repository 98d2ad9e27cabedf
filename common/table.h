/* Compiled tables: tables/NAME.cdb and secret/NAME.cdb, replaced by rename. The only user of
 * tinycdb. A reader sees a new table at its next look-up without a system call: `dawk update`
 * counts up an eight-byte file `generation` beside the tables, which readers map; and at most once a
 * second the file itself is looked at, so that nothing depends on it. */
#ifndef COMMON_TABLE_H
#define COMMON_TABLE_H

#include "result.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct table_directory;	/* tables/ or secret/, opened once, before the sandbox */
struct table;

/* RESULT_RETRY / RESULT_NEVER: WHY names the path and says `run dawk update`. */
enum result table_directory_open(const char *path, struct table_directory **directory, struct why *why);
void table_directory_close(struct table_directory *directory);

/* NAME without ".cdb". The file is opened at the first look-up; NAME must outlive the table. */
enum result table_open(struct table_directory *directory, const char *name, struct table **table, struct why *why);
/* From now on RESULT_RETRY where there is no such table, which is empty else: for one whose "no such key" refuses mail. */
void table_need(struct table *table);
/* From FD, which it takes over: stays as it is for ever. For a process that has no way to the file. */
enum result table_open_descriptor(int fd, const char *name, struct table **table, struct why *why);
void table_close(struct table *table);

/* RESULT_OK: *VALUE points at *VALUE_LENGTH bytes in the map, valid until the next look-up in this
 * TABLE. RESULT_END: no such key, or no such table. RESULT_RETRY: unreadable (defer, say 4xx);
 * a new file that can't be read, or none any more, leaves the last good one in force. */
enum result table_find(struct table *table, const void *key, size_t key_length,
                       const char **value, size_t *value_length, struct why *why);
/* Calls EACH for every record, in file order; stops when it returns false. */
enum result table_walk(struct table *table, bool (*each)(void *context, const char *key, size_t key_length,
                       const char *value, size_t value_length), void *context, struct why *why);

/* Writer: a new table beside the old one; table_commit makes it durable and renames it. Keys once. */
struct table_writer;
enum result table_create(const char *directory_path, const char *name, mode_t mode, struct table_writer **writer, struct why *why);
/* RESULT_NEVER: the key is there already. */
enum result table_add(struct table_writer *writer, const void *key, size_t key_length,
                      const void *value, size_t value_length, struct why *why);
enum result table_commit(struct table_writer *writer, struct why *why);	/* frees WRITER in every case */
void table_abandon(struct table_writer *writer);
/* After the last commit of an update: readers look again. */
enum result table_announce(const char *directory_path, struct why *why);

#endif
