/* Fills a queue, as it stands after so many deferrals, in seconds: mkqueue [-n COUNT] [-w SECONDS] [-s BYTES] [-f FROM]
 * [-r REASON] QUEUE TO. queued must not run meanwhile, or it finds the messages one by one; nothing is fsynced. Each
 * message goes to one recipient; a "%" in TO is its number. -w: until the next attempt, spread over half of it (3600);
 * 0: not tried yet, in new/. */
#include "common/queue.h"
#include "common/state.h"
#include "common/text.h"
#include "queued/schedule.h"
#include "queued/site.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
	unsigned long count, wait_seconds, bytes;
	const char *from, *reason, *to;
} wish = { 100000, 3600, 5000, "alice@local.example", "connect to mx.dead.example[192.0.2.1]:25: Connection refused", NULL };

static struct queue_directories queue;
static struct stat of_messages, of_states;

static void fail(const char *what)
{
	fprintf(stderr, "mkqueue: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void check(bool is_ok)
{
	if (!is_ok)
		fail("no memory, or a value that no envelope holds");
}

static void write_file(int place, const char *id, const stralloc *text, const struct stat *owner, mode_t mode, uint64_t time_us)
{
	struct timespec times[2] = { { .tv_sec = (time_t)(time_us / 1000000), .tv_nsec = (long)(time_us % 1000000) * 1000 } };
	int fd = openat(queue.place[place], id, O_WRONLY | O_CREAT | O_EXCL, mode);

	times[1] = times[0];
	if (fd < 0 || write(fd, text->s, text->len) != (ssize_t)text->len)
		fail("unable to write a message");
	if (geteuid() == 0 && fchown(fd, owner->st_uid, owner->st_gid))
		fail("unable to set an owner");
	if (time_us && futimens(fd, times))
		fail("unable to set a time");
	close(fd);
}

static void make_address(unsigned long number, char *out, size_t size)
{
	const char *percent = strchr(wish.to, '%');

	if (percent)
		snprintf(out, size, "%.*s%lu%s", (int)(percent - wish.to), wish.to, number, percent + 1);
	else
		snprintf(out, size, "%s", wish.to);
}

static void make_message(const char *id, const char *to, const stralloc *content)
{
	static stralloc file, recipients;
	struct envelope envelope = { .id = id, .arrived_us = queue_id_time_us(id), .from = wish.from, .protocol = "ESMTP", .client = "192.0.2.1", .recipient_count = 1 };
	struct envelope_recipient recipient = { .address = to };
	char trailer[QUEUE_TRAILER_LENGTH + 1];

	recipients.len = 0;
	check(envelope_append_recipient(&recipients, &recipient, NULL) == RESULT_OK);
	check(envelope_append_head(&file, &envelope, recipients.len, NULL) == RESULT_OK);
	check(text_append(&file, recipients.s, recipients.len) && text_append(&file, content->s, content->len));
	queue_trailer(trailer, content->len);
	check(text_append(&file, trailer, QUEUE_TRAILER_LENGTH));
	write_file(wish.wait_seconds ? QUEUE_CUR : QUEUE_NEW, id, &file, &of_messages, 0640, 0);
}

/* As queued leaves it after a first attempt. */
static void make_state(const char *id, const char *to)
{
	static stralloc text;
	const char *domain = strrchr(to, '@') ? strrchr(to, '@') + 1 : to;
	struct state_line sites = { .event = STATE_SITES, .words = domain, .words_length = strlen(domain) };
	struct state_line line = { .event = STATE_DEFERRED, .time_us = time_real_us(), .status = "4.4.1", .words = wish.reason, .words_length = strlen(wish.reason) };
	uint64_t wait_us = wish.wait_seconds * 500000ull + random_below(wish.wait_seconds * 500000ull + 1);

	text.len = 0;
	check(state_append_line(&text, &sites) && state_append_line(&text, &line));
	write_file(QUEUE_STATE, id, &text, &of_states, 0600, schedule_due_us(time_real_us() + wait_us, 0));
}

static void parse(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "n:w:s:f:r:")) != -1)
		switch (option) {
		case 'n': wish.count = strtoul(optarg, NULL, 10); break;
		case 'w': wish.wait_seconds = strtoul(optarg, NULL, 10); break;
		case 's': wish.bytes = strtoul(optarg, NULL, 10); break;
		case 'f': wish.from = optarg; break;
		case 'r': wish.reason = optarg; break;
		default:  argc = 0;
		}
	if (argc - optind != 2) {
		fprintf(stderr, "usage: mkqueue [-n COUNT] [-w SECONDS] [-s BYTES] [-f FROM] [-r REASON] QUEUE TO\n");
		exit(64);
	}
	wish.to = argv[optind + 1];
}

int main(int argc, char **argv)
{
	struct why why = { 0 };
	stralloc content = { 0 };
	char id[QUEUE_ID_LENGTH + 1], to[400];
	unsigned long i;

	parse(argc, argv);
	if (queue_open(argv[optind], (1u << QUEUE_PLACES) - 1, &queue, &why) != RESULT_OK) {
		fprintf(stderr, "mkqueue: %s\n", why.text);
		return 1;
	}
	if (fstat(queue.place[QUEUE_TMP], &of_messages) || fstat(queue.place[QUEUE_STATE], &of_states))
		fail("unable to look at the queue");
	check(text_append_string(&content, "Subject: deferred\r\n\r\n"));
	while (content.len + 72 < wish.bytes)
		check(text_append_string(&content, "The quick brown fox jumps over the lazy dog, and does so once more now\r\n"));
	for (i = 0; i < wish.count; i++) {
		queue_id_make(id);
		make_address(i, to, sizeof to);
		if (wish.wait_seconds)
			make_state(id, to);	/* the state first: a message without one would be tried anew */
		make_message(id, to, &content);
	}
	return 0;
}
