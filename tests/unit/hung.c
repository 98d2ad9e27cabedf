/* What does not answer: single mailboxes, and the mounts that three of them lie on. /proc is a mount everywhere; no path
 * below it is ever looked at. */
#include "unit.h"
#include "common/hung.h"

#include <stdio.h>

enum { NOW = 1000 * 1000 };

static void a_mailbox_is_left_alone_for_a_while(void)
{
	CHECK(!hung_is("/mail/a", NOW) && !hung_was("/mail/a", NOW));
	hung_note("/mail/a", NOW);
	CHECK(hung_is("/mail/a", NOW) && hung_was("/mail/a", NOW));
	CHECK(!hung_is("/mail/b", NOW) && !hung_is("/mail", NOW) && !hung_is("/mail/a/b", NOW));
	CHECK(hung_is("/mail/a", NOW + HUNG_MS - 1) && !hung_is("/mail/a", NOW + HUNG_MS));
	CHECK(hung_was("/mail/a", NOW + HUNG_MS));
	hung_note("/mail/a", NOW + HUNG_MS - 1);	/* still does not */
	CHECK(hung_is("/mail/a", NOW + HUNG_MS));
	CHECK(!hung_was("/mail/a", NOW + HUNG_MS + HUNG_FORGET_MS));
}

static void one_that_answers_is_free_at_once(void)
{
	hung_clear("/mail/b");
	CHECK(hung_is("/mail/a", NOW + HUNG_MS));
	hung_clear("/mail/a");
	CHECK(!hung_is("/mail/a", NOW + HUNG_MS) && !hung_was("/mail/a", NOW + HUNG_MS));
}

static void three_of_one_mount_are_the_mount(void)
{
	hung_note("/proc/mail/a", NOW);
	hung_note("/proc/mail/b", NOW);
	hung_note("/proc/mail/b", NOW + 1);
	CHECK(!hung_is("/proc/mail/d", NOW + 1));
	hung_note("/proc/other/c", NOW + 1);
	CHECK(hung_is("/proc/mail/d", NOW + 1) && hung_is("/proc", NOW + 1) && !hung_is("/process/mail/d", NOW + 1));
	CHECK(!hung_is("/proc/mail/d", NOW + HUNG_MS));		/* the first one's time is over */
	CHECK(hung_was("/proc/mail/d", NOW + HUNG_MS));
}

static void one_mailbox_that_answers_speaks_for_its_mount(void)
{
	hung_clear("/proc/mail/d");
	CHECK(!hung_is("/proc/mail/e", NOW + 1) && !hung_was("/proc/mail/e", NOW + 1));
	CHECK(hung_is("/proc/mail/a", NOW + 1) && hung_is("/proc/other/c", NOW + 1));
	hung_note("/proc/mail/d", NOW + 2);			/* one of three */
	CHECK(!hung_is("/proc/mail/e", NOW + 2));
	hung_note("/proc/mail/a", NOW + HUNG_MS);		/* the mount has answered, and this one has not since */
	hung_note("/proc/mail/b", NOW + HUNG_MS);
	hung_note("/proc/other/c", NOW + HUNG_MS);
	CHECK(!hung_is("/proc/mail/e", NOW + HUNG_MS) && hung_is("/proc/mail/a", NOW + HUNG_MS));
	hung_clear("/proc/mail/a");				/* it has by now */
	hung_note("/proc/mail/a", NOW + HUNG_MS);
	hung_note("/proc/mail/f", NOW + HUNG_MS + 1);
	hung_note("/proc/mail/g", NOW + HUNG_MS + 1);
	CHECK(hung_is("/proc/mail/e", NOW + HUNG_MS + 1));
	hung_clear("/proc/mail/a");
	hung_note("/proc/mail/b", NOW + HUNG_MS + HUNG_FORGET_MS);	/* all that is long ago */
	hung_note("/proc/other/c", NOW + HUNG_MS + HUNG_FORGET_MS);
	hung_note("/proc/mail/f", NOW + HUNG_MS + HUNG_FORGET_MS + 1);
	CHECK(hung_is("/proc/mail/e", NOW + HUNG_MS + HUNG_FORGET_MS + 1));
	hung_clear("/proc/mail/b");
	hung_clear("/proc/mail/d");
	hung_clear("/proc/mail/f");
	hung_clear("/proc/mail/g");
	hung_clear("/proc/other/c");
	CHECK(!hung_was("/proc/mail/a", NOW + 2));
}

static void those_behind_links_stand_for_themselves(void)
{
	hung_note("/proc/link/a", NOW);
	hung_note_apart("/proc/link/a", NOW);			/* it is said once the link is seen */
	hung_note_apart("/proc/link/b", NOW);
	hung_note_apart("/proc/link/c", NOW);
	hung_note("/proc/mail/a", NOW);
	hung_note("/proc/mail/b", NOW);
	CHECK(hung_is("/proc/link/a", NOW) && hung_is("/proc/link/b", NOW) && hung_is("/proc/link/c", NOW));
	CHECK(!hung_is("/proc/link/d", NOW) && !hung_is("/proc/mail/d", NOW));
	hung_note("/proc/mail/c", NOW);
	CHECK(hung_is("/proc/link/d", NOW));			/* the link itself lies there */
	for (char name = 'a'; name <= 'c'; name++) {
		const char link[] = { '/', 'p', 'r', 'o', 'c', '/', 'l', 'i', 'n', 'k', '/', name, 0 };
		const char mail[] = { '/', 'p', 'r', 'o', 'c', '/', 'm', 'a', 'i', 'l', '/', name, 0 };

		hung_clear(link);
		hung_clear(mail);
	}
}

/* What stands on the root alone is no mount: all would be. */
static void the_root_is_no_mount(void)
{
	char path[32];

	for (int i = 0; i < HUNG_MAX + 3; i++) {
		snprintf(path, sizeof path, "/no-such-folder/%d", i);
		hung_note(path, (uint64_t)(NOW + i));
	}
	CHECK(!hung_is("/no-such-folder/x", NOW + HUNG_MAX + 3));
	CHECK(!hung_is("/no-such-folder/2", NOW + HUNG_MAX + 3));	/* made room */
	CHECK(hung_is("/no-such-folder/3", NOW + HUNG_MAX + 3));
	CHECK(hung_is(path, NOW + HUNG_MAX + 3));
}

int main(void)
{
	UNIT_RUN(a_mailbox_is_left_alone_for_a_while);
	UNIT_RUN(one_that_answers_is_free_at_once);
	UNIT_RUN(three_of_one_mount_are_the_mount);
	UNIT_RUN(one_mailbox_that_answers_speaks_for_its_mount);
	UNIT_RUN(those_behind_links_stand_for_themselves);
	UNIT_RUN(the_root_is_no_mount);
	return unit_end();
}
