/* Maildirs: names, sizes, line ends, batches (common/maildir.c, common/content.c). */
#include "common/content.h"
#include "common/maildir.h"
#include "tests/unit/unit.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

static char base[64] = "/tmp/unit-maildir.XXXXXX";

static int message_of(const char *bytes, size_t length)
{
	int fd = open(base, O_TMPFILE | O_RDWR, 0600);

	CHECK(write(fd, bytes, length) == (ssize_t)length);
	return fd;
}

static char *at(const char *name)
{
	static char path[4][512];
	static unsigned turn;

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof(path[0]), "%s/%s", base, name);
	return path[turn];
}

static size_t read_file(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t length = fd >= 0 ? read(fd, out, size - 1) : -1;

	if (fd >= 0)
		close(fd);
	out[length > 0 ? length : 0] = '\0';
	return length > 0 ? (size_t)length : 0;
}

static unsigned entries_in(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	unsigned count = 0;

	while (directory != NULL && (entry = readdir(directory)) != NULL)
		count += entry->d_name[0] != '.';
	if (directory != NULL)
		closedir(directory);
	return count;
}

/* Content with CRLF becomes LF, piece by piece of every size. */
static void line_ends(void)
{
	static const struct { const char *in, *out; unsigned lines; } cases[] = {
		{ "a\r\nb\r\n", "a\nb\n", 2 },
		{ "", "", 0 },
		{ "no end", "no end\n", 1 },
		{ "ends in cr\r", "ends in cr\r\n", 1 },
		{ "lone\rcr\r\n", "lone\rcr\n", 1 },
		{ "lone\nlf\r\n", "lone\nlf\n", 2 },
		{ "\r\r\n\r\n\n", "\r\n\n\n", 3 },
		{ "\r\n", "\n", 1 },
	};
	struct content content;
	struct why why;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t piece = 2; piece < 12; piece++) {
			char out[64] = "", buffer[16];
			size_t length;
			int fd = message_of(cases[i].in, strlen(cases[i].in));

			content_start(&content, fd, 0, strlen(cases[i].in));
			while (content_read(&content, buffer, piece, &length, &why) == RESULT_OK)
				strncat(out, buffer, length);
			CHECK_STRING(out, cases[i].out);
			CHECK(content.lines == cases[i].lines);
			close(fd);
		}
	}
}

static void short_file_is_told(void)
{
	struct content content;
	struct why why;
	char buffer[64];
	size_t length;
	int fd = message_of("abc", 3);

	content_start(&content, fd, 0, 10);
	CHECK(content_read(&content, buffer, sizeof(buffer), &length, &why) == RESULT_OK && length == 3);
	CHECK(content_read(&content, buffer, sizeof(buffer), &length, &why) == RESULT_RETRY);
	close(fd);
}

static void one_message(void)
{
	struct maildir_folder *folder;
	struct maildir_item item;
	struct why why;
	char path[600], text[256];
	int fd = message_of("XXSubject: hi\r\n\r\nhello\r\n", 24);

	CHECK(maildir_open(at("deep/er/alice"), &folder, &why) == RESULT_OK);
	CHECK(maildir_write(folder, "mail/host:1,x", "Return-Path: <>\n", 16, fd, 2, 22, &item, &why) == RESULT_OK);
	CHECK(strstr(item.name, ".mail\\057host\\0721\\054x,S=35,W=39") != NULL);
	CHECK(item.bytes == 35);
	CHECK(entries_in(at("deep/er/alice/tmp")) == 1);
	maildir_commit(&item, 1);
	CHECK(item.result == RESULT_OK && item.fd == -1);
	CHECK(entries_in(at("deep/er/alice/tmp")) == 0);
	snprintf(path, sizeof(path), "%s/deep/er/alice/new/%s", base, item.name);
	CHECK(read_file(path, text, sizeof(text)) == 35);
	CHECK_STRING(text, "Return-Path: <>\nSubject: hi\n\nhello\n");
	close(fd);
}

static void names_are_unique_in_a_batch(void)
{
	enum { COUNT = 300 };
	static struct maildir_item items[COUNT];
	struct maildir_folder *folder;
	struct why why;
	int fd = message_of("a\r\n", 3), good = 0, written = 0;

	for (int i = 0; i < COUNT; i++)
		written += maildir_open(at(i % 2 ? "bob" : "carol"), &folder, &why) == RESULT_OK &&
		           maildir_write(folder, "h", "", 0, fd, 0, 3, &items[i], &why) == RESULT_OK;
	CHECK(written == COUNT);
	maildir_commit(items, COUNT);
	for (int i = 0; i < COUNT; i++)
		good += items[i].result == RESULT_OK;
	CHECK(good == COUNT);
	CHECK(entries_in(at("bob/new")) == COUNT / 2 && entries_in(at("carol/new")) == COUNT / 2);
	close(fd);
}

static void large_message_is_whole(void)
{
	enum { LINES = 50000 };
	struct maildir_folder *folder;
	struct maildir_item item;
	struct why why;
	struct stat st;
	char path[600];
	int fd = open(base, O_TMPFILE | O_RDWR, 0600), lines = 0;

	for (int i = 0; i < LINES; i++)
		lines += write(fd, "0123456789abcdef\r\n", 18) == 18;
	CHECK(lines == LINES);
	CHECK(maildir_open(at("large"), &folder, &why) == RESULT_OK);
	CHECK(maildir_write(folder, "h", "P: x\n", 5, fd, 0, 18 * LINES, &item, &why) == RESULT_OK);
	maildir_commit(&item, 1);
	snprintf(path, sizeof(path), "%s/large/new/%s", base, item.name);
	CHECK(stat(path, &st) == 0 && st.st_size == 17 * LINES + 5);
	CHECK(strstr(item.name, ",S=850005,W=900006") != NULL);
	close(fd);
}

static void many_folders_are_bounded(void)
{
	struct maildir_folder *folder;
	struct why why;
	char name[32];
	int good = 0;

	for (int i = 0; i < 600; i++) {
		snprintf(name, sizeof(name), "many/%d", i);
		good += maildir_open(at(name), &folder, &why) == RESULT_OK;
	}
	CHECK(good == 600);
	CHECK(entries_in("/proc/self/fd") < 560);
}

/* An item keeps its folder open though the cache has let it go. */
static void item_outlives_the_cache(void)
{
	struct maildir_folder *folder;
	struct maildir_item item;
	struct why why;
	char name[32];
	int fd = message_of("a\r\n", 3);

	CHECK(maildir_open(at("first"), &folder, &why) == RESULT_OK);
	CHECK(maildir_write(folder, "h", "", 0, fd, 0, 3, &item, &why) == RESULT_OK);
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "other/%d", i);
		CHECK(maildir_open(at(name), &folder, &why) == RESULT_OK);
	}
	maildir_commit(&item, 1);
	CHECK(item.result == RESULT_OK && entries_in(at("first/new")) == 1);
	close(fd);
}

static void links_are_refused(void)
{
	struct maildir_folder *folder;
	struct why why;

	CHECK(mkdir(at("victim"), 0700) == 0 && symlink(at("victim"), at("link")) == 0);
	CHECK(maildir_open(at("link"), &folder, &why) == RESULT_RETRY);
	CHECK(mkdir(at("half"), 0700) == 0 && symlink(at("victim"), at("half/new")) == 0);
	CHECK(maildir_open(at("half"), &folder, &why) == RESULT_RETRY);
	CHECK(entries_in(at("victim")) == 0);
}

static void abandoned_leaves_nothing(void)
{
	struct maildir_folder *folder;
	struct maildir_item item;
	struct why why;
	int fd = message_of("a\r\n", 3);

	CHECK(maildir_open(at("dave"), &folder, &why) == RESULT_OK);
	CHECK(maildir_write(folder, "h", "", 0, fd, 0, 3, &item, &why) == RESULT_OK);
	maildir_abandon(&item);
	CHECK(entries_in(at("dave/tmp")) == 0 && entries_in(at("dave/new")) == 0);
	CHECK(maildir_write(folder, "h", "", 0, fd, 0, 99, &item, &why) == RESULT_RETRY);
	CHECK(entries_in(at("dave/tmp")) == 0);
	close(fd);
}

static void sweep_takes_old_files_only(void)
{
	struct maildir_folder *folder;
	struct why why;
	struct timeval old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };

	CHECK(maildir_open(at("erin"), &folder, &why) == RESULT_OK);
	close(open(at("erin/tmp/old"), O_CREAT | O_WRONLY, 0600));
	close(open(at("erin/tmp/young"), O_CREAT | O_WRONLY, 0600));
	CHECK(utimes(at("erin/tmp/old"), old) == 0);
	maildir_sweep(folder);
	CHECK(access(at("erin/tmp/old"), F_OK) != 0 && access(at("erin/tmp/young"), F_OK) == 0);
}

int main(void)
{
	char command[128];

	if (mkdtemp(base) == NULL)
		return 1;
	UNIT_RUN(line_ends);
	UNIT_RUN(short_file_is_told);
	UNIT_RUN(one_message);
	UNIT_RUN(names_are_unique_in_a_batch);
	UNIT_RUN(large_message_is_whole);
	UNIT_RUN(many_folders_are_bounded);
	UNIT_RUN(item_outlives_the_cache);
	UNIT_RUN(links_are_refused);
	UNIT_RUN(abandoned_leaves_nothing);
	UNIT_RUN(sweep_takes_old_files_only);
	snprintf(command, sizeof(command), "rm -rf %s", base);
	CHECK(system(command) == 0);
	return unit_end();
}
