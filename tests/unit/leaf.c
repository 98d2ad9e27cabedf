/* link: locald/leaf.o */
/* Mailboxes' directories, made by root for others: where, whose, and past which links. Only below folders that nobody
 * else may write to; so not in /tmp, but in /var/lib as root, else in the caller's home. */
#include "locald/leaf.h"
#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char base[4096];
static struct configuration conf;
static uid_t user;

static const char *below(const char *path)
{
	static char out[2][5000];
	static int at;

	at = !at;
	snprintf(out[at], sizeof out[at], "%s/%s", base, path);
	return out[at];
}

static bool is_directory_of(const char *path, uid_t uid)
{
	struct stat st;

	return lstat(below(path), &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == uid;
}

static enum result prepare_kind(const char *path, bool is_mbox)
{
	struct account account = { user, getegid(), NULL };
	struct why why = { 0 };

	return leaf_prepare(&conf, below(path), is_mbox, &account, &why);
}

static enum result prepare(const char *path)
{
	return prepare_kind(path, false);
}

static void a_virtual_mailbox_is_made_and_given_away(void)
{
	CHECK(prepare("mail/local.example/alice/Maildir") == RESULT_OK);
	CHECK(is_directory_of("mail/local.example", geteuid()) && is_directory_of("mail/local.example/alice", user));
	CHECK(!is_directory_of("mail/local.example/alice/Maildir", user));	/* the deliverer's to make */
}

static void a_link_of_root_s_own_is_passed(void)
{
	CHECK(!mkdir(below("disk"), 0755) && !symlink("disk", below("linked")));
	CHECK(prepare("linked/alice") == RESULT_OK);
	CHECK(is_directory_of("disk/alice", user));
}

static void nothing_is_made_where_others_may_write(void)
{
	CHECK(!mkdir(below("open"), 0755) && !chmod(below("open"), 0777) && !symlink("disk", below("open/linked")));
	CHECK(prepare("open/alice") == RESULT_OK && access(below("open/alice"), F_OK) != 0);
	CHECK(prepare("open/linked/bob") == RESULT_OK && access(below("disk/bob"), F_OK) != 0);
	CHECK(!mkdir(below("mail/local.example/bob"), 0755) && !chmod(below("mail/local.example/bob"), 0777));
	CHECK(prepare("mail/local.example/bob/x/y") == RESULT_OK && access(below("mail/local.example/bob/x"), F_OK) != 0);
}

/* Killed between making and giving away: what was left behind under its own name is in nobody's way. */
static void what_a_kill_left_behind_is_used(void)
{
	char making[64];

	snprintf(making, sizeof making, "disk/.making.%ld", (long)getpid());
	CHECK(!mkdir(below(making), 0700));
	CHECK(prepare("disk/carol") == RESULT_OK && is_directory_of("disk/carol", user));
	CHECK(access(below(making), F_OK) != 0);
	CHECK(prepare("disk/carol") == RESULT_OK);
}

/* By a process of the same number, after it had been given to somebody: what he has in it does not get into another's mailbox. */
static void what_was_given_away_and_not_named_is_not_used(void)
{
	char making[64], inside[80];
	struct stat left, made;

	snprintf(making, sizeof making, "disk/.making.%ld", (long)getpid());
	snprintf(inside, sizeof inside, "%s/new", making);
	CHECK(!mkdir(below(making), 0700) && !mkdir(below(inside), 0777));
	CHECK(prepare("disk/dora") == RESULT_RETRY && access(below("disk/dora"), F_OK) != 0);
	CHECK(!rmdir(below(inside)));
	CHECK(prepare("disk/dora") == RESULT_OK && is_directory_of("disk/dora", user));
	int fd = open(below(making), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && prepare_kind("disk/dora.mbox", true) == RESULT_OK);
	CHECK(!fstat(fd, &left) && !stat(below("disk/dora.mbox"), &made) && left.st_ino != made.st_ino);
	close(fd);
}

static void dots_are_not_walked(void)
{
	CHECK(prepare("disk/../etc/alice") == RESULT_RETRY);
	CHECK(prepare("mail/../../etc") == RESULT_RETRY);
}

int main(void)
{
	char command[5000];
	const char *home = geteuid() == 0 ? "/var/lib" : getenv("HOME");

	snprintf(base, sizeof base, "%s/dawk-unit.XXXXXX", home ? home : "/");
	CHECK(mkdtemp(base) != NULL && !chmod(base, 0755));
	user = geteuid() == 0 ? 12345 : geteuid();
	conf.mailboxes = strdup(below("mail"));
	CHECK(!mkdir(conf.mailboxes, 0755));
	UNIT_RUN(a_virtual_mailbox_is_made_and_given_away);
	UNIT_RUN(a_link_of_root_s_own_is_passed);
	UNIT_RUN(nothing_is_made_where_others_may_write);
	UNIT_RUN(what_a_kill_left_behind_is_used);
	UNIT_RUN(what_was_given_away_and_not_named_is_not_used);
	UNIT_RUN(dots_are_not_walked);
	free(conf.mailboxes);
	snprintf(command, sizeof command, "rm -rf '%s'", base);
	CHECK(system(command) == 0);
	return unit_end();
}
