/* Compiled tables: make, find, replace, damage. */
#include "common/table.h"
#include "unit.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

/* A table NAME with COUNT keys "k0".., each with VALUE. */
static void make(const char *name, unsigned count, const char *value)
{
	struct table_writer *writer;
	struct why why;
	char key[16];

	CHECK(table_create(folder, name, 0644, &writer, &why) == RESULT_OK);
	for (unsigned i = 0; i < count; i++) {
		snprintf(key, sizeof key, "k%u", i);
		if (table_add(writer, key, strlen(key), value, strlen(value), &why) != RESULT_OK)
			CHECK(!"table_add");
	}
	CHECK(table_commit(writer, &why) == RESULT_OK);
}

static bool finds(struct table *table, const char *key, const char *wanted)
{
	const char *value;
	size_t length;
	struct why why;

	return table_find(table, key, strlen(key), &value, &length, &why) == RESULT_OK &&
	       length == strlen(wanted) && memcmp(value, wanted, length) == 0;
}

static enum result look(struct table *table, const char *key)
{
	const char *value;
	size_t length;
	struct why why = { 0 };
	enum result result = table_find(table, key, strlen(key), &value, &length, &why);

	if (result == RESULT_RETRY)
		CHECK(strstr(why.text, "dawk update"));
	return result;
}

static struct table_directory *open_directory(void)
{
	struct table_directory *directory;
	struct why why;

	CHECK(table_directory_open(folder, &directory, &why) == RESULT_OK);
	return directory;
}

static struct table *open_table(struct table_directory *directory, const char *name)
{
	struct table *table;
	struct why why;

	CHECK(table_open(directory, name, &table, &why) == RESULT_OK);
	return table;
}

static bool count_record(void *context, const char *key, size_t key_length, const char *value, size_t value_length)
{
	unsigned *count = context;

	if (key_length < 2 || *key != 'k' || value_length != 5 || memcmp(value, "first", 5) != 0)
		CHECK(!"a record as it was put in");
	return ++*count < 150;
}

static void records_are_found_and_walked(void)
{
	struct table_directory *directory;
	struct table *table;
	struct why why;
	unsigned count = 0;

	make("some", 200, "first");
	directory = open_directory();
	table = open_table(directory, "some");
	CHECK(finds(table, "k0", "first") && finds(table, "k199", "first"));
	CHECK(look(table, "k200") == RESULT_END && look(table, "") == RESULT_END);
	CHECK(table_walk(table, count_record, &count, &why) == RESULT_OK);
	CHECK(count == 150);
	table_close(table);
	table_directory_close(directory);
}

static void a_key_goes_in_once(void)
{
	struct table_writer *writer;
	struct why why;

	CHECK(table_create(folder, "twice", 0600, &writer, &why) == RESULT_OK);
	CHECK(table_add(writer, "a", 1, "1", 1, &why) == RESULT_OK);
	CHECK(table_add(writer, "a", 1, "2", 1, &why) == RESULT_NEVER);
	table_abandon(writer);
}

static void an_abandoned_table_leaves_nothing(void)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof path, "%s/twice.cdb", folder);
	CHECK(stat(path, &st) != 0);
	snprintf(path, sizeof path, "%s/twice.cdb.new", folder);
	CHECK(stat(path, &st) != 0);
}

static void a_table_that_is_not_there_is_empty(void)
{
	struct table_directory *directory = open_directory();
	struct table *table = open_table(directory, "absent");

	CHECK(look(table, "a") == RESULT_END);
	table_close(table);
	table_directory_close(directory);
}

static void a_table_that_is_needed_is_not_taken_for_an_empty_one(void)
{
	struct table_directory *directory = open_directory();
	struct table *table = open_table(directory, "needed");
	char path[128];

	table_need(table);
	CHECK(look(table, "k1") == RESULT_RETRY);
	make("needed", 2, "first");
	CHECK(look(table, "k1") == RESULT_OK && look(table, "k3") == RESULT_END);
	table_close(table);
	table_directory_close(directory);
	snprintf(path, sizeof path, "%s/needed.cdb", folder);
	unlink(path);
}

static void an_announced_table_is_seen_at_the_next_look_up(void)
{
	struct table_directory *directory;
	struct table *table;
	struct why why;

	make("live", 1, "first");
	CHECK(table_announce(folder, &why) == RESULT_OK);
	directory = open_directory();
	table = open_table(directory, "live");
	CHECK(finds(table, "k0", "first"));
	make("live", 2, "second");
	CHECK(table_announce(folder, &why) == RESULT_OK);
	CHECK(finds(table, "k0", "second") && finds(table, "k1", "second"));
	table_close(table);
	table_directory_close(directory);
}

static void a_damaged_file_leaves_the_last_good_one_in_force(void)
{
	struct table_directory *directory = open_directory();
	struct table *table = open_table(directory, "live");
	char path[PATH_MAX], other[PATH_MAX];
	struct why why;
	FILE *file;

	CHECK(finds(table, "k0", "second"));
	snprintf(path, sizeof path, "%s/live.cdb", folder);
	snprintf(other, sizeof other, "%s/other", folder);
	file = fopen(other, "w");
	fputs("rubbish", file);
	fclose(file);
	CHECK(rename(other, path) == 0);
	CHECK(table_announce(folder, &why) == RESULT_OK);
	CHECK(finds(table, "k0", "second"));
	CHECK(unlink(path) == 0);
	CHECK(table_announce(folder, &why) == RESULT_OK);
	CHECK(finds(table, "k0", "second"));
	make("live", 1, "third");
	file = fopen(path, "w");
	fputs("rubbish", file);
	fclose(file);
	table_close(table);
	table = open_table(directory, "live");
	CHECK(look(table, "k0") == RESULT_RETRY);
	make("live", 1, "mended");
	CHECK(finds(table, "k0", "mended"));
	table_close(table);
	table_directory_close(directory);
}

/* Whatever bytes are wrong, a look-up answers; a sanitizer watches. */
static void damage_anywhere_is_survived(void)
{
	char path[PATH_MAX];
	unsigned char bytes[4096];
	struct table_directory *directory = open_directory();
	int fd;
	ssize_t length;

	make("damaged", 20, "value");
	snprintf(path, sizeof path, "%s/damaged.cdb", folder);
	fd = open(path, O_RDONLY);
	length = read(fd, bytes, sizeof bytes);
	close(fd);
	CHECK(length > 2048);
	for (ssize_t i = 0; i < length; i += 7) {
		struct table *table = open_table(directory, "damaged");
		unsigned char whole = bytes[i];
		bytes[i] = 0xff;
		unlink(path);
		fd = open(path, O_WRONLY | O_CREAT, 0644);
		if (write(fd, bytes, (size_t)length) != length)
			CHECK(!"write");
		close(fd);
		for (int k = 0; k < 20; k++) {
			char key[16];
			const char *value;
			size_t value_length;
			snprintf(key, sizeof key, "k%d", k);
			table_find(table, key, strlen(key), &value, &value_length, NULL);
		}
		bytes[i] = whole;
		table_close(table);
	}
	CHECK(unlink(path) == 0);
	table_directory_close(directory);
}

static void a_missing_folder_says_what_to_do(void)
{
	struct table_directory *directory;
	struct why why;

	CHECK(table_directory_open("/nonexistent/tables", &directory, &why) != RESULT_OK);
	CHECK(directory == NULL && strstr(why.text, "/nonexistent/tables") && strstr(why.text, "dawk update"));
}

static void clean(void)
{
	static const char *const names[] = { "some.cdb", "live.cdb", "generation" };
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		unlink(path);
	}
	CHECK(rmdir(folder) == 0);
}

int main(void)
{
	snprintf(folder, sizeof folder, "/tmp/unit-table-XXXXXX");
	CHECK(mkdtemp(folder) != NULL);
	UNIT_RUN(records_are_found_and_walked);
	UNIT_RUN(a_key_goes_in_once);
	UNIT_RUN(an_abandoned_table_leaves_nothing);
	UNIT_RUN(a_table_that_is_not_there_is_empty);
	UNIT_RUN(a_table_that_is_needed_is_not_taken_for_an_empty_one);
	UNIT_RUN(an_announced_table_is_seen_at_the_next_look_up);
	UNIT_RUN(a_damaged_file_leaves_the_last_good_one_in_force);
	UNIT_RUN(damage_anywhere_is_survived);
	UNIT_RUN(a_missing_folder_says_what_to_do);
	clean();
	return unit_end();
}
