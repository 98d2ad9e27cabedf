/* link: authd/digest.o authd/session_names.o authd/session_maildrop.o authd/session_sizes.o authd/session_content.o */
#include "unit.h"
#include "authd/maildrop.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
	const char *name;
	uint64_t time_key, octets, bytes;
	size_t unique_length;
} names[] = {
	{ "1795300000.M123456P77_1.host,S=20,W=23:2,S", 1795300000123456, 23, 20, 38 },
	{ "1795300000.M123456P77_1.host", 1795300000123456, MAILDROP_OCTETS_UNKNOWN, MAILDROP_OCTETS_UNKNOWN, 28 },
	{ "1795300000.77.host:2,", 1795300000000000, MAILDROP_OCTETS_UNKNOWN, MAILDROP_OCTETS_UNKNOWN, 18 },
	{ "1795300000.M99999999999999999999.h", 1795300000000000, MAILDROP_OCTETS_UNKNOWN, MAILDROP_OCTETS_UNKNOWN, 34 },
	{ "99999999999999999999999.M1.h", 0, MAILDROP_OCTETS_UNKNOWN, MAILDROP_OCTETS_UNKNOWN, 28 },
	{ "abc,W=5", 0, 5, MAILDROP_OCTETS_UNKNOWN, 7 },
	{ "abc,W=5x", 0, MAILDROP_OCTETS_UNKNOWN, MAILDROP_OCTETS_UNKNOWN, 8 },
	{ "abc,W=,S=7", 0, MAILDROP_OCTETS_UNKNOWN, 7, 10 },
	{ "abc,W=99999999999999999", 0, MAILDROP_OCTETS_UNKNOWN, MAILDROP_OCTETS_UNKNOWN, 23 },
	{ "abc:2,W=5", 0, MAILDROP_OCTETS_UNKNOWN, MAILDROP_OCTETS_UNKNOWN, 3 },
	{ "1", 1000000, MAILDROP_OCTETS_UNKNOWN, MAILDROP_OCTETS_UNKNOWN, 1 },
};

static void names_tell(void)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct name_facts facts;
		name_parse(names[i].name, strlen(names[i].name), &facts);
		CHECK(facts.time_key == names[i].time_key);
		CHECK(facts.octets == names[i].octets);
		CHECK(facts.bytes == names[i].bytes);
		CHECK(facts.unique_length == names[i].unique_length);
	}
}

static void unique_ids(void)
{
	char id[MAILDROP_UIDL_MAX + 1], other[MAILDROP_UIDL_MAX + 1], text[300];

	CHECK(name_unique_id("abc,S=1", 7, id) == 7);
	CHECK_STRING(id, "abc,S=1");
	memset(text, 'x', sizeof text);
	CHECK(name_unique_id(text, 70, id) == 70);
	CHECK(name_unique_id(text, 71, id) == 65);
	CHECK(name_unique_id(text, 72, other) == 65);
	CHECK(strcmp(id, other) != 0);
	CHECK(name_unique_id("a b", 3, id) == 65);
	CHECK(name_unique_id("\xc3\xa9", 2, other) == 65);
	CHECK(strcmp(id, other) != 0);
	CHECK(name_unique_id("", 0, id) == 65);
	CHECK_STRING(id, ":e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	/* a plain name can't be the id of another one */
	CHECK(name_unique_id("a:b", 3, id) == 65);
}

static char folder[] = "/tmp/dawk-unit.XXXXXX";

static void touch(const char *name, const char *text)
{
	char path[300];
	int fd;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void make_folder(const char *name)
{
	char path[300];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	CHECK(!mkdir(path, 0700));
}

static void maildrops(void)
{
	struct maildrop drop, second;
	struct maildrop_removed removed;
	struct why why;

	CHECK(mkdtemp(folder) != NULL);
	CHECK(maildrop_open("/nonexistent/dawk", &drop, &why) == RESULT_OK && drop.count == 0);
	maildrop_close(&drop);
	make_folder("new");
	make_folder("cur");
	make_folder("cur/1.subfolder");
	touch("new/20.M1P1.h,S=2,W=3", "a\n");
	touch("cur/3.M1P1.h:2,S", "b\nb");
	touch("cur/20.M1P1.h,S=2,W=3:2,S", "a\n");	/* seen in both while it moves */
	touch("new/.hidden", "x");
	touch("new/20.M0P1.h", "c\n");
	touch("cur/40.M1P1.h,S=2,W=3:2,ST", "d\n");	/* trashed: a quota does not count it */
	CHECK(maildrop_open(folder, &drop, &why) == RESULT_OK);
	CHECK(drop.count == 4);
	CHECK_STRING(maildrop_name(&drop, &drop.messages[0]), "3.M1P1.h:2,S");
	CHECK_STRING(maildrop_name(&drop, &drop.messages[1]), "20.M0P1.h");
	CHECK_STRING(maildrop_name(&drop, &drop.messages[2]), "20.M1P1.h,S=2,W=3:2,S");
	CHECK(maildrop_open(folder, &second, &why) == RESULT_PEER);
	maildrop_size_all(&drop);
	CHECK(drop.messages[0].octets == 6 && drop.messages[1].octets == 3 && drop.messages[2].octets == 3);
	drop.messages[0].is_deleted = drop.messages[2].is_deleted = drop.messages[3].is_deleted = true;
	CHECK(maildrop_update(&drop, &removed, &why) == RESULT_OK);
	CHECK(removed.messages == 3 && removed.quota_messages == 2 && removed.quota_bytes == 5);
	maildrop_close(&drop);
	maildrop_close(&drop);
}

/* A message that moved is looked for; when that fails, the others are still there. */
static void a_failed_listing_loses_none(void)
{
	struct maildrop drop;
	struct message *moved, *other;
	struct why why = { 0 };
	char path[300];
	int fd, cur;

	touch("cur/30.M1P1.h:2,", "a\n");
	touch("new/31.M1P1.h", "b\n");
	CHECK(maildrop_open(folder, &drop, &why) == RESULT_OK && drop.count >= 2);
	moved = &drop.messages[drop.count - 1];
	other = moved - 1;
	snprintf(path, sizeof path, "%s/new/31.M1P1.h", folder);
	CHECK(!unlink(path));
	cur = drop.folder[0];
	drop.folder[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	CHECK(maildrop_open_message(&drop, moved, &fd, &why) == RESULT_RETRY);
	close(drop.folder[0]);
	drop.folder[0] = cur;
	CHECK(maildrop_open_message(&drop, other, &fd, &why) == RESULT_OK);
	close(fd);
	CHECK(maildrop_open_message(&drop, moved, &fd, &why) == RESULT_END);
	maildrop_close(&drop);
}

/* Other programs may set flags all the time: what a message was called before takes no room. */
static void old_names_are_not_kept(void)
{
	static const char *const flags[] = { "S", "FS", "" };
	char from[300] = "", to[300];
	struct maildrop drop;
	struct message *moved;
	struct why why = { 0 };
	size_t first;
	int fd;

	touch("cur/32.M1P1.h:2,", "c\n");
	snprintf(from, sizeof from, "%s/cur/32.M1P1.h:2,", folder);
	CHECK(maildrop_open(folder, &drop, &why) == RESULT_OK);
	first = drop.names.len;
	moved = maildrop_find(&drop, "32.M1P1.h", 9);
	for (int i = 0; i < 300; i++) {
		snprintf(to, sizeof to, "%s/cur/32.M1P1.h:2,%s", folder, flags[i % 3]);
		if (rename(from, to) || maildrop_open_message(&drop, moved, &fd, &why) != RESULT_OK || close(fd))
			CHECK(!"it is found again");
		memcpy(from, to, sizeof from);
	}
	CHECK(drop.names.len <= 3 * first);
	for (size_t i = 0; i < drop.count; i++)
		CHECK(maildrop_find(&drop, maildrop_name(&drop, &drop.messages[i]), strlen(maildrop_name(&drop, &drop.messages[i]))) == &drop.messages[i]);
	CHECK_STRING(maildrop_name(&drop, moved), "32.M1P1.h:2,");
	CHECK(!unlink(from));
	maildrop_close(&drop);
}

/* In libowfat's place. */
static bool has_no_memory;

int stralloc_catb(stralloc *text, const char *bytes, size_t length)
{
	if (has_no_memory || !stralloc_readyplus(text, length))
		return 0;
	memcpy(text->s + text->len, bytes, length);
	text->len += length;
	return 1;
}

static void a_listing_short_of_memory_leaves_names_as_they_were(void)
{
	struct maildrop drop;
	struct message *moved;
	struct why why = { 0 };
	char from[300], to[300];
	int fd;

	touch("new/33.M1P1.h", "d\n");
	snprintf(from, sizeof from, "%s/new/33.M1P1.h", folder);
	snprintf(to, sizeof to, "%s/cur/33.M1P1.h:2,FS", folder);
	CHECK(maildrop_open(folder, &drop, &why) == RESULT_OK);
	moved = maildrop_find(&drop, "33.M1P1.h", 9);
	CHECK(!rename(from, to));
	has_no_memory = true;
	CHECK(maildrop_open_message(&drop, moved, &fd, &why) == RESULT_RETRY);
	has_no_memory = false;
	CHECK(moved->name < drop.names.len && moved->name_length == 9);
	CHECK(moved->name < drop.names.len && !strcmp(maildrop_name(&drop, moved), "33.M1P1.h"));
	CHECK(maildrop_open_message(&drop, moved, &fd, &why) == RESULT_OK);
	close(fd);
	CHECK_STRING(maildrop_name(&drop, moved), "33.M1P1.h:2,FS");
	CHECK(!unlink(to));
	maildrop_close(&drop);
}

/* Of a file of two bytes that stands last in a cache with FOREIGN rows of 15 bytes of other messages. */
static uint64_t octets_beside(size_t foreign)
{
	static char cache[6000 * 15 + 64];
	struct maildrop drop;
	struct message *message;
	struct why why = { 0 };
	uint64_t octets;
	size_t length = 0;

	for (size_t i = 0; i < foreign; i++)
		length += (size_t)snprintf(cache + length, sizeof cache - length, "7 %07zu.M1.h\n", i);
	snprintf(cache + length, sizeof cache - length, "x\n1x 40.M1P1.h\n1000 40.M1P1.h\n2000 40.M1P1.h");
	touch("dawk-pop3.sizes", cache);
	CHECK(maildrop_open(folder, &drop, &why) == RESULT_OK && drop.count < 10);
	message = maildrop_find(&drop, "40.M1P1.h", 9);
	CHECK(message != NULL);
	maildrop_size_message(&drop, message);
	octets = message->octets;
	maildrop_close(&drop);
	return octets;
}

/* Its owner can write it: one larger than these messages can need is not taken into memory. */
static void a_cache_of_sizes_is_believed_up_to_what_the_messages_can_need(void)
{
	touch("cur/40.M1P1.h:2,S", "a\n");
	CHECK(octets_beside(0) == 1000);
	CHECK(octets_beside(4000) == 1000);
	CHECK(octets_beside(6000) == 3);
}

/* A file that can't be read now, here a link, may be readable in the next session. */
static void what_could_not_be_read_is_not_remembered(void)
{
	struct maildrop drop;
	struct why why = { 0 };
	char path[300];

	touch("cur/41.M1P1.h", "abc\n");
	snprintf(path, sizeof path, "%s/cur/42.M1P1.h", folder);
	CHECK(!symlink("41.M1P1.h", path));
	CHECK(maildrop_open(folder, &drop, &why) == RESULT_OK);
	maildrop_size_all(&drop);
	CHECK(maildrop_find(&drop, "41.M1P1.h", 9)->octets == 5);
	CHECK(maildrop_find(&drop, "42.M1P1.h", 9)->octets == 0);
	maildrop_close(&drop);
	CHECK(!unlink(path));
	touch("cur/42.M1P1.h", "abcd\n");
	CHECK(maildrop_open(folder, &drop, &why) == RESULT_OK);
	maildrop_size_all(&drop);
	CHECK(maildrop_find(&drop, "42.M1P1.h", 9)->octets == 6);
	maildrop_close(&drop);
}

/* More than are asked for at a time; one is moved by another program meanwhile, one is removed. */
static void sizes_of_many_are_counted(void)
{
	enum { FOREIGN = 150, MOVED = 70, REMOVED = 140 };
	char name[64], from[300], to[300], text[FOREIGN + 2];
	struct maildrop drop;
	struct why why = { 0 };
	int next = dup(0);
	size_t right = 0;

	CHECK(next >= 0 && !close(next));
	for (size_t i = 0; i < FOREIGN; i++) {
		memset(text, 'x', i);
		text[i] = '\n';
		text[i + 1] = '\0';
		snprintf(name, sizeof name, "new/%zu.M1P1.h", 1000 + i);
		touch(name, text);
	}
	CHECK(maildrop_open(folder, &drop, &why) == RESULT_OK && drop.count >= FOREIGN);
	snprintf(from, sizeof from, "%s/new/%d.M1P1.h", folder, 1000 + MOVED);
	snprintf(to, sizeof to, "%s/cur/%d.M1P1.h:2,S", folder, 1000 + MOVED);
	CHECK(!rename(from, to));
	snprintf(from, sizeof from, "%s/new/%d.M1P1.h", folder, 1000 + REMOVED);
	CHECK(!unlink(from));
	maildrop_size_all(&drop);
	for (size_t i = 0; i < FOREIGN; i++)
		right += drop.messages[drop.count - FOREIGN + i].octets == (i == REMOVED ? 0 : i + 2);
	CHECK(right == FOREIGN);
	maildrop_close(&drop);
	CHECK(dup(0) == next && !close(next));
}

int main(void)
{
	UNIT_RUN(names_tell);
	UNIT_RUN(unique_ids);
	UNIT_RUN(maildrops);
	UNIT_RUN(a_failed_listing_loses_none);
	UNIT_RUN(old_names_are_not_kept);
	UNIT_RUN(a_listing_short_of_memory_leaves_names_as_they_were);
	UNIT_RUN(a_cache_of_sizes_is_believed_up_to_what_the_messages_can_need);
	UNIT_RUN(what_could_not_be_read_is_not_remembered);
	UNIT_RUN(sizes_of_many_are_counted);
	return unit_end();
}
