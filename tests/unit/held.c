/* Accounts that are held: a file each. */
#include "common/held.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], path[128];
static int held = -1;

/* Our own fsync: what came to the disk in which order, and what the disk refuses. */
static char synced[16];
static char refused;

int fsync(int fd)
{
	struct stat st;
	char kind = !fstat(fd, &st) && S_ISDIR(st.st_mode) ? 'd' : 'f';

	if (strlen(synced) + 1 < sizeof synced)
		synced[strlen(synced)] = kind;
	errno = EIO;
	return kind == refused ? -1 : 0;
}

static const char *take_synced(void)
{
	static char taken[sizeof synced];

	memcpy(taken, synced, sizeof taken);
	memset(synced, 0, sizeof synced);
	return taken;
}

static void names_are_safe_and_unlike_each_other(void)
{
	static const struct { const char *address, *name; } rows[] = {
		{ "alice@a.example", "alice@a.example" },
		{ "alice+x-y_z=1@a.example", "alice+x-y_z=1@a.example" },
		{ "a/../b@a.example", "a%2F..%2Fb@a.example" },
		{ "\"al ice\"@a.example", "%22al%20ice%22@a.example" },
		{ "%2f@a.example", "%252f@a.example" },
		{ "..@a.example", "%2E.@a.example" },
		{ "zo\xc3\xab@a.example", "zo%C3%AB@a.example" },
	};
	char name[HELD_NAME_MAX + 1], other[HELD_NAME_MAX + 1], one[ADDRESS_MAX + 1], two[ADDRESS_MAX + 1];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		held_name(rows[i].address, name);
		CHECK_STRING(name, rows[i].name);
	}
	memset(one, 'x', sizeof one - 1);
	one[sizeof one - 1] = '\0';
	memcpy(two, one, sizeof one);
	two[sizeof two - 2] = 'y';
	held_name(one, name);
	held_name(two, other);
	CHECK(strlen(name) <= HELD_NAME_MAX && strlen(other) <= HELD_NAME_MAX && strcmp(name, other));
}

static bool count(void *context, const struct held *found)
{
	printf("# %s by %s: %s\n", found->address, found->by, found->reason);
	++*(int *)context;
	return true;
}

static void an_account_is_held_until_it_is_released(void)
{
	struct held facts = { .address = "alice@a.example", .by = "root", .reason = "because\nsince 1", .since_us = 1234567 }, found;
	struct why why;
	int number = 0;

	CHECK(held_look(held, "alice@a.example", &why) == RESULT_END);
	CHECK(held_add(held, &facts, &why) == RESULT_OK);
	CHECK(held_add(held, &facts, &why) == RESULT_END);
	CHECK(held_look(held, "alice@a.example", &why) == RESULT_OK);
	CHECK(held_look(held, "bob@a.example", &why) == RESULT_END);
	CHECK(held_read(held, "alice@a.example", &found, &why) == RESULT_OK);
	CHECK_STRING(found.address, "alice@a.example");
	CHECK_STRING(found.by, "root");
	CHECK_STRING(found.reason, "because?since 1");
	CHECK(found.since_us == 1234567);
	CHECK(held_walk(held, count, &number, &why) == RESULT_OK && number == 1);
	number = 0;
	CHECK(held_walk(held, count, &number, &why) == RESULT_OK && number == 1);
	CHECK(held_remove(held, "alice@a.example", &why) == RESULT_OK);
	CHECK(held_remove(held, "alice@a.example", &why) == RESULT_END);
	CHECK(held_look(held, "alice@a.example", &why) == RESULT_END);
}

/* First the file, then its name; who finds the name there can't know whether its maker came so far. */
static void what_is_said_is_durable(void)
{
	struct held facts = { .address = "alice@a.example", .by = "root", .reason = "y" };
	struct why why;

	take_synced();
	CHECK(held_add(held, &facts, &why) == RESULT_OK);
	CHECK_STRING(take_synced(), "fd");
	CHECK(held_add(held, &facts, &why) == RESULT_END);
	CHECK_STRING(take_synced(), "d");
	CHECK(held_remove(held, facts.address, &why) == RESULT_OK);
	CHECK_STRING(take_synced(), "d");
	CHECK(held_remove(held, facts.address, &why) == RESULT_END);
	CHECK_STRING(take_synced(), "d");
}

/* An fsync that fails is not asked again, and nothing is said to be durable. */
static void a_disk_that_refuses_is_told(void)
{
	struct held facts = { .address = "alice@a.example", .by = "root", .reason = "y" };
	struct why why;

	for (refused = 'd'; refused <= 'f'; refused = (char)(refused + 2)) {
		CHECK(held_add(held, &facts, &why) == RESULT_RETRY && why.errno_value == EIO);
		CHECK_STRING(take_synced(), refused == 'd' ? "fd" : "f");
		CHECK(held_look(held, facts.address, &why) == RESULT_OK);	/* for the moment */
		CHECK(held_add(held, &facts, &why) == (refused == 'd' ? RESULT_RETRY : RESULT_END));
		CHECK(held_remove(held, facts.address, &why) == (refused == 'd' ? RESULT_RETRY : RESULT_OK));
		CHECK(held_remove(held, facts.address, &why) == (refused == 'd' ? RESULT_RETRY : RESULT_END));
		take_synced();
	}
	refused = 0;
}

static void put(const char *name, const char *text)
{
	int fd = openat(held, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

/* The folder is not root's: what stands there is believed only as far as its name goes. */
static void odd_files_hold_and_tell_nothing(void)
{
	struct held found;
	struct why why;

	put("bob@a.example", "");
	CHECK(held_look(held, "bob@a.example", &why) == RESULT_OK);
	CHECK(held_read(held, "bob@a.example", &found, &why) == RESULT_OK && !*found.reason && found.since_us == 0);
	CHECK(symlinkat("/etc/passwd", held, "carol@a.example") == 0);
	CHECK(held_look(held, "carol@a.example", &why) == RESULT_OK);
	CHECK(held_read(held, "carol@a.example", &found, &why) == RESULT_RETRY);
	CHECK(mkfifoat(held, "dora@a.example", 0600) == 0);
	CHECK(held_read(held, "dora@a.example", &found, &why) == RESULT_RETRY);
	put("emil@a.example", "address root@a.example\nsince x\nby \x1b[2Jme\nreason y");
	CHECK(held_read(held, "emil@a.example", &found, &why) == RESULT_OK);
	CHECK_STRING(found.address, "emil@a.example");
	CHECK_STRING(found.by, "?[2Jme");
	int number = 0;
	CHECK(held_walk(held, count, &number, &why) == RESULT_OK && number == 4);
	CHECK(held_remove(held, "bob@a.example", &why) == RESULT_OK && held_remove(held, "carol@a.example", &why) == RESULT_OK);
	CHECK(held_remove(held, "dora@a.example", &why) == RESULT_OK && held_remove(held, "emil@a.example", &why) == RESULT_OK);
}

int main(void)
{
	struct configuration conf = { .queue = folder };
	struct why why = { .errno_value = 0 };
	int other;

	snprintf(folder, sizeof folder, "/tmp/unit-held-XXXXXX");
	CHECK(mkdtemp(folder) != NULL);
	snprintf(path, sizeof path, "%s/held", folder);
	UNIT_RUN(names_are_safe_and_unlike_each_other);
	CHECK(held_open(&conf, &other, &why) == RESULT_END);
	refused = 'd';
	CHECK(held_make(&conf, (uid_t)-1, (gid_t)-1, &other, &why) == RESULT_RETRY && other == -1);
	refused = 0;
	take_synced();
	CHECK(held_make(&conf, (uid_t)-1, (gid_t)-1, &held, &why) == RESULT_OK);
	CHECK_STRING(take_synced(), "d");
	CHECK(held_make(&conf, (uid_t)-1, (gid_t)-1, &other, &why) == RESULT_OK && close(other) == 0);
	CHECK(held_open(&conf, &other, &why) == RESULT_OK && close(other) == 0);
	UNIT_RUN(an_account_is_held_until_it_is_released);
	UNIT_RUN(what_is_said_is_durable);
	UNIT_RUN(a_disk_that_refuses_is_told);
	UNIT_RUN(odd_files_hold_and_tell_nothing);
	close(held);
	CHECK(rmdir(path) == 0 && rmdir(folder) == 0);
	return unit_end();
}
