/* Maildir++ quota: the forms it is written in, maildirsize, counting (common/quota.c). */
#include "common/maildir.h"
#include "tests/unit/unit.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

static char base[64] = "/tmp/unit-quota.XXXXXX";

static void forms(void)
{
	static const struct { const char *text; bool is_good; uint64_t bytes, messages; } cases[] = {
		{ "", true, 0, 0 },
		{ "50M", true, 50ull << 20, 0 },
		{ "50M,1000", true, 50ull << 20, 1000 },
		{ "52428800S,1000C", true, 52428800, 1000 },
		{ "1000C,5S", true, 5, 1000 },
		{ "7C", true, 0, 7 },
		{ "123", true, 123, 0 },
		{ "2g", true, 2ull << 30, 0 },
		{ "1T", true, 1ull << 40, 0 },
		{ "99999999999T", false, 0, 0 },
		{ "M", false, 0, 0 },
		{ "50X", false, 0, 0 },
		{ "50M,", false, 0, 0 },
		{ "50M,10,10", false, 0, 0 },
		{ "-5", false, 0, 0 },
		{ "5 M", false, 0, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct quota quota;
		bool is_good = quota_parse(cases[i].text, &quota);

		printf("# \"%s\"\n", cases[i].text);
		CHECK(is_good == cases[i].is_good);
		CHECK(!is_good || (quota.bytes == cases[i].bytes && quota.messages == cases[i].messages));
	}
}

static void make_file(const char *name, const char *text)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", base, name);
	fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void make_folder(const char *name)
{
	static const char *const parts[] = { "", "/tmp", "/new", "/cur" };
	char path[512];

	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/%s%s", base, name, parts[i]);
		CHECK(mkdir(path, 0700) == 0);
	}
}

static const char *sizes(const char *name)
{
	static char text[512];
	char path[512];
	int fd;
	ssize_t length;

	snprintf(path, sizeof(path), "%s/%s/maildirsize", base, name);
	fd = open(path, O_RDONLY);
	length = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	if (fd >= 0)
		close(fd);
	text[length > 0 ? length : 0] = '\0';
	return text;
}

static enum result check(const char *name, const char *text, uint64_t add)
{
	char path[512];
	struct quota quota;
	struct why why;

	CHECK(quota_parse(text, &quota));
	snprintf(path, sizeof(path), "%s/%s", base, name);
	return quota_check(path, &quota, add, &why);
}

static void add(const char *name, const char *text, int64_t bytes, int64_t messages)
{
	char path[512];
	struct quota quota;

	CHECK(quota_parse(text, &quota));
	snprintf(path, sizeof(path), "%s/%s", base, name);
	quota_add(path, &quota, bytes, messages);
}

static void a_missing_mailbox_has_room_for_what_fits(void)
{
	CHECK(check("nobody", "1k", 1024) == RESULT_OK);
	CHECK(check("nobody", "1k", 1025) == RESULT_NEVER);
}

/* Names first, then the files; the trash and what is marked as trashed do not count. */
static void counts_all_folders(void)
{
	make_folder("alice");
	make_folder("alice/.lists");
	make_folder("alice/.Trash");
	make_file("alice/new/1.a,S=100,W=104", "x");
	make_file("alice/cur/2.a:2,S", "0123456789");
	make_file("alice/cur/3.a,S=5000:2,T", "");
	make_file("alice/.lists/cur/4.a,S=200:2,", "");
	make_file("alice/.Trash/cur/5.a,S=9000:2,", "");
	CHECK(check("alice", "1000S,9C", 690) == RESULT_OK);
	CHECK_STRING(sizes("alice"), "1000S,9C\n310 3\n");
	CHECK(check("alice", "1000S,9C", 691) == RESULT_NEVER);
}

static void changes_are_appended(void)
{
	add("alice", "1000S,9C", 90, 1);
	add("alice", "1000S,9C", -50, -1);
	CHECK_STRING(sizes("alice"), "1000S,9C\n310 3\n90 1\n-50 -1\n");
	CHECK(check("alice", "1000S,9C", 650) == RESULT_OK);
}

static void a_missing_file_is_made(void)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/alice/maildirsize", base);
	CHECK(unlink(path) == 0);
	add("alice", "1000S,9C", 90, 1);
	CHECK_STRING(sizes("alice"), "1000S,9C\n310 3\n");
	CHECK(unlink(path) == 0);
	add("alice", "1000S,9C", -90, -1);
	CHECK_STRING(sizes("alice"), "1000S,9C\n310 3\n");
}

static void another_quota_counts_afresh(void)
{
	CHECK(check("alice", "2000S", 1) == RESULT_OK);
	CHECK_STRING(sizes("alice"), "2000S\n310 3\n");
}

static void over_by_the_sums_counts_afresh(void)
{
	make_file("alice/maildirsize", "2000S\n310 3\n5000 3\n");
	CHECK(check("alice", "2000S", 10) == RESULT_OK);
	CHECK_STRING(sizes("alice"), "2000S\n310 3\n");
}

static void one_young_line_is_believed(void)
{
	struct timeval old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	char path[512];

	make_file("alice/maildirsize", "2000S\n5000 3\n");
	CHECK(check("alice", "2000S", 10) == RESULT_NEVER);
	snprintf(path, sizeof(path), "%s/alice/maildirsize", base);
	CHECK(utimes(path, old) == 0);
	CHECK(check("alice", "2000S", 10) == RESULT_OK);
}

static void broken_files_are_counted_afresh(void)
{
	static const char *const broken[] = { "", "2000S", "2000S\n", "2000S\nx y\n", "2000S\n1 1", "\n\n\n", "2000S\n-5 -1\n", "2000S\n99999999999999999999 1\n" };

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		make_file("alice/maildirsize", broken[i]);
		CHECK(check("alice", "2000S", 10) == RESULT_OK);
		CHECK_STRING(sizes("alice"), "2000S\n310 3\n");
	}
}

static void a_long_file_is_counted_afresh(void)
{
	for (int i = 0; i < 2000; i++)
		add("alice", "2000S", 1, 0);
	CHECK(check("alice", "2000S", 10) == RESULT_OK);
	CHECK_STRING(sizes("alice"), "2000S\n310 3\n");
}

static void messages_are_limited(void)
{
	CHECK(check("alice", "3C", 0) == RESULT_NEVER);
	CHECK(check("alice", "4C", 0) == RESULT_OK);
}

int main(void)
{
	char command[128];

	if (mkdtemp(base) == NULL)
		return 1;
	UNIT_RUN(forms);
	UNIT_RUN(a_missing_mailbox_has_room_for_what_fits);
	UNIT_RUN(counts_all_folders);
	UNIT_RUN(changes_are_appended);
	UNIT_RUN(a_missing_file_is_made);
	UNIT_RUN(another_quota_counts_afresh);
	UNIT_RUN(over_by_the_sums_counts_afresh);
	UNIT_RUN(one_young_line_is_believed);
	UNIT_RUN(broken_files_are_counted_afresh);
	UNIT_RUN(a_long_file_is_counted_afresh);
	UNIT_RUN(messages_are_limited);
	snprintf(command, sizeof(command), "rm -rf %s", base);
	CHECK(system(command) == 0);
	return unit_end();
}
