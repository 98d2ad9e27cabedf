/* `dawk queue retry DOMAIN`: what waits for a domain becomes due. The states are read some a turn, so that mail
 * goes on meanwhile. */
#include "queued/scheduler.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>
#include <unistd.h>

enum { WALK_CHUNK = 500, STATE_HEAD = 4096 };

struct control_walk {
	struct scheduler *scheduler;
	struct timer timer;
	uint64_t client;
	char domain[WIRE_ADDRESS_MAX + 1];
	char *ids;			/* of all that wait; those that match are gathered at the front */
	size_t count, at, matches;
};

/* Does the first "sites" line name the domain? A state without one, or with more than it names, may be anybody's. */
static bool names_domain(const char *text, size_t length, const char *domain)
{
	const char *at = text, *word;
	struct state_line line;
	size_t word_length;

	do
		if (!state_next_line(&at, text + length, &line))
			return true;
	while (line.event != STATE_SITES);
	at = line.words;
	while (text_next_word(&at, line.words + line.words_length, &word, &word_length))
		if ((word_length == 1 && *word == '*') || text_equal_folded(word, word_length, domain, strlen(domain)))
			return true;
	return false;
}

static bool matches(struct control_walk *walk, const char *id)
{
	char name[QUEUE_ID_LENGTH + 1] = { 0 }, head[STATE_HEAD];
	ssize_t got;
	int fd;

	memcpy(name, id, QUEUE_ID_LENGTH);
	fd = openat(walk->scheduler->queue.place[QUEUE_STATE], name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno != ENOENT;
	got = pread(fd, head, sizeof head, 0);
	close(fd);
	return got >= 0 && names_domain(head, (size_t)got, walk->domain);
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, QUEUE_ID_LENGTH);
}

static void walk_fired(struct timer *timer)
{
	struct control_walk *walk = container_of(timer, struct control_walk, timer);
	struct scheduler *s = walk->scheduler;
	int i;

	for (i = 0; i < WALK_CHUNK && walk->at < walk->count; i++, walk->at++) {
		const char *id = walk->ids + walk->at * QUEUE_ID_LENGTH;

		if (matches(walk, id))
			memmove(walk->ids + walk->matches++ * QUEUE_ID_LENGTH, id, QUEUE_ID_LENGTH);
	}
	if (walk->at < walk->count) {
		loop_set_timer(s->loop, timer, 0, walk_fired);
		return;
	}
	qsort(walk->ids, walk->matches, QUEUE_ID_LENGTH, compare);
	remote_probe_now(s, walk->domain);
	waiting_hurry_these(&s->retry, walk->ids, walk->matches);
	if (walk->matches)
		control_answer(s, walk->client, EX_OK, "%zu message%s due at once", walk->matches, walk->matches == 1 ? " is" : "s are");
	else
		control_answer(s, walk->client, EX_DATAERR, "nothing waits for %s", walk->domain);
	control_walk_stop(s);
}

void control_retry_domain(struct scheduler *s, uint64_t client, const char *domain)
{
	struct control_walk *walk;
	size_t i;

	if (s->walk) {
		control_answer(s, client, EX_TEMPFAIL, "a retry of %s is under way; try again when it is through", s->walk->domain);
		return;
	}
	walk = calloc(1, sizeof *walk);
	if (walk)
		walk->ids = malloc(s->retry.count * QUEUE_ID_LENGTH + 1);
	if (!walk || !walk->ids) {
		free(walk);
		control_answer(s, client, EX_TEMPFAIL, "queued is out of memory");
		return;
	}
	for (i = 0; i < s->retry.count; i++)
		memcpy(walk->ids + i * QUEUE_ID_LENGTH, s->retry.items[i].id, QUEUE_ID_LENGTH);
	walk->scheduler = s;
	walk->client = client;
	walk->count = s->retry.count;
	memcpy(walk->domain, domain, strlen(domain) + 1);
	s->walk = walk;
	loop_set_timer(s->loop, &walk->timer, 0, walk_fired);
}

void control_walk_stop(struct scheduler *s)
{
	if (!s->walk)
		return;
	loop_unset_timer(s->loop, &s->walk->timer);
	free(s->walk->ids);
	free(s->walk);
	s->walk = NULL;
}
