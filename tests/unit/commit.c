#include "common/commit.h"
#include "unit.h"
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MESSAGES = 300 };

static struct loop *loop;
static struct why why;
static char base[] = "/tmp/dawk-unit-XXXXXX";
static int tmp, new, fifo[2];
static struct commit commits[MESSAGES], others[3];
static int done_count, good, bad;
static pthread_t ran_in[3];

static void done(struct commit *commit)
{
	done_count++;
	if (commit->result == RESULT_OK)
		good++;
	else
		bad++;
	if (done_count == MESSAGES)
		loop_stop(loop);
}

static int open_directory(const char *name)
{
	char path[64];

	snprintf(path, sizeof path, "%s/%s", base, name);
	mkdir(path, 0700);
	return open(path, O_RDONLY | O_DIRECTORY);
}

static int count_files(int directory)
{
	DIR *d = fdopendir(dup(directory));
	struct dirent *entry;
	int count = 0;

	rewinddir(d);
	while ((entry = readdir(d)))
		count += entry->d_name[0] != '.';
	closedir(d);
	return count;
}

static void remove_files(int directory)
{
	DIR *d = fdopendir(dup(directory));
	struct dirent *entry;

	rewinddir(d);
	while ((entry = readdir(d)))
		unlinkat(directory, entry->d_name, 0);
	closedir(d);
}

/* Every third ID stands in new/ already: those are refused and never replaced. */
static void make_messages(void)
{
	int i;

	for (i = 0; i < MESSAGES; i++) {
		struct commit *c = &commits[i];
		queue_id_make(c->id);
		c->fd = openat(tmp, c->id, O_WRONLY | O_CREAT | O_EXCL, 0600);
		CHECK(write(c->fd, "x", 1) == 1);
		c->done = done;
		if (i % 3 == 0)
			close(openat(new, c->id, O_WRONLY | O_CREAT | O_EXCL, 0600));
	}
}

static void a_batch_is_named_once_and_replaces_nothing(void)
{
	struct committer *committer;
	char records[MESSAGES * QUEUE_TRIGGER_LENGTH + 1];
	int i, replaced = 0;
	struct stat st;

	make_messages();
	CHECK(committer_start(loop, tmp, new, fifo[1], &committer, &why) == RESULT_OK);
	for (i = 0; i < MESSAGES; i++)
		commit_submit(committer, &commits[i]);
	CHECK(committer_load(committer) == MESSAGES);
	CHECK(loop_run(loop, &why) == RESULT_OK);
	CHECK(committer_load(committer) == 0);
	CHECK(good == MESSAGES - MESSAGES / 3 && bad == MESSAGES / 3);
	CHECK(count_files(tmp) == 0);
	CHECK(count_files(new) == MESSAGES);
	for (i = 0; i < MESSAGES; i += 3)
		replaced += fstatat(new, commits[i].id, &st, 0) || st.st_size != 0;
	CHECK(replaced == 0);
	CHECK(read(fifo[0], records, sizeof records) == (ssize_t)good * QUEUE_TRIGGER_LENGTH);
	CHECK(queue_id_is_valid(records, QUEUE_ID_LENGTH) && records[QUEUE_ID_LENGTH] == '\n');
	committer_stop(committer);
}

static void run(struct commit *commit)
{
	ran_in[commit - others] = pthread_self();
	commit->result = commit == others ? why_set(&commit->why, RESULT_END, "for a reason") : RESULT_OK;
}

static void other_done(struct commit *commit)
{
	CHECK(commit - others == done_count);
	if (++done_count == 3)
		loop_stop(loop);
}

/* What is no message is run by the thread, in its turn, and nothing is named or triggered for it. */
static void other_work_waits_for_the_disk_too(void)
{
	struct committer *committer;
	char byte;

	done_count = 0;
	CHECK(committer_start(loop, tmp, new, fifo[1], &committer, &why) == RESULT_OK);
	for (int i = 0; i < 3; i++)
		others[i] = (struct commit){ .fd = -1, .run = i == 1 ? NULL : run, .done = other_done };
	queue_id_make(others[1].id);
	others[1].fd = openat(tmp, others[1].id, O_WRONLY | O_CREAT | O_EXCL, 0600);
	for (int i = 0; i < 3; i++)
		commit_submit(committer, &others[i]);
	CHECK(loop_run(loop, &why) == RESULT_OK);
	CHECK(others[0].result == RESULT_END && !strcmp(others[0].why.text, "for a reason"));
	CHECK(others[1].result == RESULT_OK && others[2].result == RESULT_OK);
	CHECK(!pthread_equal(ran_in[0], pthread_self()) && pthread_equal(ran_in[0], ran_in[2]));
	CHECK(count_files(tmp) == 0 && count_files(new) == MESSAGES + 1);
	for (int i = 0; i < QUEUE_TRIGGER_LENGTH; i++)
		CHECK(read(fifo[0], &byte, 1) == 1);
	CHECK(read(fifo[0], &byte, 1) < 0);
	committer_stop(committer);
}

int main(void)
{
	CHECK(mkdtemp(base) != NULL);
	tmp = open_directory("tmp");
	new = open_directory("new");
	CHECK(!pipe2(fifo, O_NONBLOCK));
	CHECK(loop_make(&loop, &why) == RESULT_OK);
	UNIT_RUN(a_batch_is_named_once_and_replaces_nothing);
	UNIT_RUN(other_work_waits_for_the_disk_too);
	loop_free(loop);
	remove_files(new);
	unlinkat(open(base, O_RDONLY | O_DIRECTORY), "tmp", AT_REMOVEDIR);
	unlinkat(open(base, O_RDONLY | O_DIRECTORY), "new", AT_REMOVEDIR);
	rmdir(base);
	return unit_end();
}
