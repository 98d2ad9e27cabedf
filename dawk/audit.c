/* dawk audit: proves from the logs and the queue that
 *
 *	accepted = delivered + relayed + made into messages + reported + no report wanted + waiting + removed by hand
 *
 * for each recipient of each message, and names the messages for which it does not hold.
 *
 * Why it holds at any moment, while everything runs. First the logs are read, then the queue is listed. A message stands in
 * the queue before "accepted" or "message-made" is written, and its last lines are written before it is unlinked (queued,
 * story.h). So one that the logs know and the queue has not, has left since, or its lines stand in what was added
 * to the logs since: it is looked for by its name, and the logs are read on, for as long as a logger may lag behind. What
 * neither finds has gone without a word. Moves within the queue go between folders that are all looked through, and by
 * name they are looked for again; a message that arrives meanwhile is found by name too. */
#include "audit_log.h"
#include "command.h"
#include "queue_view.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LOOKS = 40, LOOK_MS = 100, NAMED_MAX = 50 };

enum bucket {
	DELIVERED, RELAYED, MADE, REPORTED, UNWANTED, WAITING, REMOVED, COPIES, LOST, BUCKETS
};
static const struct { const char *key, *words; } buckets[BUCKETS] = {
	[DELIVERED] = { "delivered", "delivered" }, [RELAYED] = { "relayed", "handed to another host" },
	[MADE] = { "made", "made into other messages" }, [REPORTED] = { "reported", "failed and reported" },
	[UNWANTED] = { "unwanted", "failed, no report wanted" }, [WAITING] = { "waiting", "waiting" },
	[REMOVED] = { "removed", "removed by hand" }, [COPIES] = { "copies", "expanded when they were accepted" },
	[LOST] = { "lost", "WITHOUT A WORD" },
};

struct audit {
	struct book book;
	struct audit_log log;
	struct queue_directories queue;
	uint64_t since_us[LOG_SERVICES];
	uint64_t recipients[BUCKETS], accepted, made, waiting_messages;
	uint64_t before, unannounced, ended, broken;
	bool is_json;
};

/* ---- the queue ---- */

static bool note_queued(void *context, enum queue_place place, const char *id)
{
	struct audit *audit = context;
	struct entry *entry = book_entry(&audit->book, id);

	if (!entry)
		return false;
	entry->flags |= BOOK_QUEUED;
	entry->place = (uint8_t)place;
	return true;
}

/* Removed while no scheduler ran, which logs it when it starts. */
static void read_removed(struct audit *audit)
{
	char line[QUEUE_ID_LENGTH + 2];
	int fd = openat(audit->queue.root, QUEUE_REMOVED, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;

	while (file && fgets(line, sizeof line, file)) {
		struct entry *entry = queue_id_is_valid(line, QUEUE_ID_LENGTH) ? book_entry(&audit->book, line) : NULL;
		if (entry)
			entry->flags |= BOOK_REMOVED | BOOK_TOLD;
	}
	if (file)
		fclose(file);
	else if (fd >= 0)
		close(fd);
}

static bool is_explained(const struct entry *entry)
{
	return entry->flags & (BOOK_QUEUED | BOOK_DONE | BOOK_REMOVED);
}

/* How many are explained by neither the queue nor the logs. */
static uint64_t look_by_name(struct audit *audit)
{
	char id[QUEUE_ID_LENGTH + 1] = { 0 };
	uint64_t unexplained = 0;
	enum queue_place place;

	for (uint32_t i = 0; i < audit->book.count; i++) {
		struct entry *entry = &audit->book.entries[i];

		if (is_explained(entry))
			continue;
		memcpy(id, entry->id, QUEUE_ID_LENGTH);
		if (view_find_place(&audit->queue, id, &place))
			note_queued(audit, place, id);
		else
			unexplained++;
	}
	return unexplained;
}

static enum result look(struct audit *audit, struct why *why)
{
	const struct timespec wait = { .tv_nsec = LOOK_MS * 1000000L };
	enum result result = view_walk(&audit->queue, note_queued, audit, why);

	for (int i = 0; i < LOOKS && result == RESULT_OK; i++) {
		read_removed(audit);
		result = audit_log_follow(&audit->log, why);
		if (result != RESULT_OK || !look_by_name(audit))
			break;
		nanosleep(&wait, NULL);
	}
	if (result == RESULT_OK && audit->book.is_short)
		return why_set(why, RESULT_RETRY, "out of memory for %u messages", audit->book.count);
	return result;
}

/* ---- judging ---- */

/* Where the lines have no time, acceptances tell it by their IDs. */
static void find_beginnings(struct audit *audit)
{
	audit->since_us[LOG_SMTPD] = audit->log.services[LOG_SMTPD].since_us;
	audit->since_us[LOG_QUEUED] = audit->log.services[LOG_QUEUED].since_us;
	for (uint32_t i = 0; i < audit->book.count && !audit->log.services[LOG_SMTPD].since_us; i++) {
		uint64_t time_us = queue_id_time_us(audit->book.entries[i].id);

		if ((audit->book.entries[i].flags & BOOK_ACCEPTED) && (!audit->since_us[LOG_SMTPD] || time_us < audit->since_us[LOG_SMTPD]))
			audit->since_us[LOG_SMTPD] = time_us;
	}
}

static void say(struct audit *audit, const struct entry *entry, const char *key, const char *words)
{
	if (audit->is_json) {
		printf("%s{\"id\":\"%.*s\",\"what\":\"%s\",\"words\":", audit->broken + audit->before + audit->unannounced + audit->ended > 1 ? "," : "",
		       QUEUE_ID_LENGTH, entry->id, key);
		json_string(stdout, words, strlen(words));
		printf("}");
	} else {
		printf("%.*s %s\n", QUEUE_ID_LENGTH, entry->id, words);
	}
}

static void say_broken(struct audit *audit, const struct entry *entry, const char *words)
{
	audit->broken++;
	say(audit, entry, "broken", words);
}

/* In all forms but JSON a few of a kind will do. */
static void say_aside(struct audit *audit, const struct entry *entry, uint64_t *count, const char *key, const char *words)
{
	if (++*count <= NAMED_MAX || audit->is_json)
		say(audit, entry, key, words);
	else if (*count == NAMED_MAX + 1)
		printf("(further ones are counted below)\n");
}

/* Whose acceptance no line tells. */
static void judge_unannounced(struct audit *audit, const struct entry *entry)
{
	if (!is_explained(entry)) {
		say_broken(audit, entry, "the log speaks of it, it is neither in the queue nor done");
	} else if (!audit->since_us[LOG_SMTPD] || queue_id_time_us(entry->id) < audit->since_us[LOG_SMTPD]) {
		say_aside(audit, entry, &audit->before, "before", entry->flags & BOOK_QUEUED ? "was accepted before the log begins, and waits" :
		          "was accepted before the log begins");
	} else {
		say_aside(audit, entry, &audit->unannounced, "unannounced", entry->flags & BOOK_QUEUED ?
		          "waits, no line tells of its acceptance" : "was done, no line tells of its acceptance");
	}
}

static enum bucket bucket_of_open(const struct entry *entry)
{
	return entry->flags & BOOK_QUEUED ? WAITING : entry->flags & BOOK_REMOVED ? REMOVED : LOST;
}

/* What a recipient comes to. IS_WHOLE: its message is no older than queued's log. */
static enum bucket judge_recipient(const struct audit *audit, const struct entry *entry, uint32_t index, bool is_whole)
{
	switch (book_fate(entry, index)) {
	case FATE_DELIVERED:
		return DELIVERED;
	case FATE_RELAYED:
		return RELAYED;
	case FATE_UNWANTED:
		return UNWANTED;
	case FATE_FORWARDED:
		return !is_whole || book_has_link(&audit->book, entry, LINK_FORWARD, index) ? MADE : bucket_of_open(entry);
	case FATE_FAILED:
		return entry->flags & BOOK_DONE ? REPORTED : bucket_of_open(entry);
	default:
		return bucket_of_open(entry);
	}
}

static void judge_recipients(struct audit *audit, const struct entry *entry)
{
	bool is_whole = queue_id_time_us(entry->id) >= audit->since_us[LOG_QUEUED];
	uint64_t counts[BUCKETS] = { 0 }, copies;
	uint32_t group;
	char words[200];

	for (uint32_t i = 0; i < entry->recipients; i++)
		counts[judge_recipient(audit, entry, i, is_whole)]++;
	copies = counts[LOST] < entry->copies ? counts[LOST] : entry->copies;
	counts[COPIES] += copies;
	counts[LOST] -= copies;
	if (!is_whole && counts[LOST]) {	/* the lines of what was done before are gone */
		say_aside(audit, entry, &audit->ended, "older", "is older than queued's log");
		counts[LOST] = 0;
	}
	for (int i = 0; i < BUCKETS; i++)
		audit->recipients[i] += counts[i];
	if (counts[LOST]) {
		snprintf(words, sizeof words, "is done, but of %llu of its %u recipients no line tells what became of them",
		         (unsigned long long)counts[LOST], entry->recipients);
		say_broken(audit, entry, words);
	}
	if ((entry->flags & (BOOK_DONE | BOOK_QUEUED)) == BOOK_DONE && is_whole && !book_is_reported(&audit->book, entry, &group)) {
		snprintf(words, sizeof words, "is done, but its recipient %u failed and no report was made", group);
		say_broken(audit, entry, words);
	}
}

static void judge(struct audit *audit, const struct entry *entry)
{
	char words[100];

	audit->accepted += entry->flags & BOOK_ACCEPTED ? 1 : 0;
	audit->made += (entry->flags & (BOOK_ACCEPTED | BOOK_MADE)) == BOOK_MADE;
	audit->waiting_messages += entry->flags & BOOK_QUEUED ? 1 : 0;
	if (!(entry->flags & (BOOK_ACCEPTED | BOOK_MADE))) {
		judge_unannounced(audit, entry);
	} else if (!is_explained(entry) && !(entry->flags & BOOK_TOLD) && queue_id_time_us(entry->id) < audit->since_us[LOG_QUEUED]) {
		say_aside(audit, entry, &audit->ended, "older", "is older than queued's log");
	} else if (!is_explained(entry)) {
		audit->recipients[LOST] += entry->recipients;
		snprintf(words, sizeof words, "left the queue without a word, with %u recipient%s", entry->recipients, entry->recipients == 1 ? "" : "s");
		say_broken(audit, entry, words);
	} else {
		judge_recipients(audit, entry);
	}
	if (entry->disagreements)
		say_broken(audit, entry, "the log's lines disagree on how many recipients it has");
}

/* ---- the outcome ---- */

static uint64_t lost_lines(const struct audit *audit)
{
	return audit->log.services[LOG_SMTPD].lost + audit->log.services[LOG_QUEUED].lost;
}

static void print_json(const struct audit *audit)
{
	printf("],\"proven\":%s,\"messages\":{\"accepted\":%llu,\"made\":%llu,\"queued\":%llu,\"before\":%llu,\"unannounced\":%llu,"
	       "\"older\":%llu,\"broken\":%llu},\"recipients\":{", audit->broken ? "false" : "true", (unsigned long long)audit->accepted,
	       (unsigned long long)audit->made, (unsigned long long)audit->waiting_messages, (unsigned long long)audit->before,
	       (unsigned long long)audit->unannounced, (unsigned long long)audit->ended, (unsigned long long)audit->broken);
	for (int i = 0; i < BUCKETS; i++)
		printf("%s\"%s\":%llu", i ? "," : "", buckets[i].key, (unsigned long long)audit->recipients[i]);
	printf("},\"repeats\":%llu,\"lines\":%llu,\"lines_lost\":%llu}\n", (unsigned long long)audit->book.repeats,
	       (unsigned long long)audit->log.lines, (unsigned long long)lost_lines(audit));
}

static void print_count(uint64_t count, const char *words)
{
	if (count)
		printf("%12llu %s\n", (unsigned long long)count, words);
}

static void print_text(const struct audit *audit)
{
	uint64_t all = 0;

	for (int i = 0; i < BUCKETS; i++)
		all += audit->recipients[i];
	printf("%12llu messages accepted, %llu made here, %llu in the queue\n", (unsigned long long)audit->accepted,
	       (unsigned long long)audit->made, (unsigned long long)audit->waiting_messages);
	printf("%12llu recipients, of them\n", (unsigned long long)all);
	for (int i = 0; i < BUCKETS; i++)
		print_count(audit->recipients[i], buckets[i].words);
	print_count(audit->book.repeats, "deliveries were made again after a crash");
	print_count(audit->before, "messages were accepted before the log begins");
	print_count(audit->ended, "messages are older than queued's log");
	print_count(audit->unannounced, "messages without a line of acceptance: smtpd ended before it was written");
	print_count(lost_lines(audit), "lines are missing from the log by its own account: what is named may be missing there alone");
	if (audit->broken)
		printf("%12llu MESSAGES ARE NOT ACCOUNTED FOR\n", (unsigned long long)audit->broken);
	else
		printf("Every recipient is accounted for.\n");
}

static enum result read_logs(struct audit *audit, const struct configuration *conf, char *const *paths, int count, struct why *why)
{
	enum result result = RESULT_OK;
	char ours[4096];

	audit->log.book = &audit->book;
	for (int i = 0; i < count && result == RESULT_OK; i++)
		result = audit_log_read(&audit->log, paths[i], why);
	if (count)
		return result;
	if (configuration_path(conf, "../log", ours, sizeof ours) && access(ours, F_OK) == 0)
		return audit_log_read(&audit->log, ours, why);
	return audit_log_read(&audit->log, "/var/log/dawk", why);
}

static int run(struct audit *audit, const struct configuration *conf, char *const *paths, int count)
{
	struct why why = { 0 };
	enum result result = read_logs(audit, conf, paths, count, &why);

	if (result == RESULT_OK)
		result = view_open_queue(conf, &audit->queue, &why);
	if (result == RESULT_OK) {
		result = look(audit, &why);
		view_close_queue(&audit->queue);
	}
	if (result != RESULT_OK)
		return command_fail_why("audit", result, &why);
	find_beginnings(audit);
	if (audit->is_json)
		printf("{\"named\":[");
	for (uint32_t i = 0; i < audit->book.count; i++)
		judge(audit, &audit->book.entries[i]);
	if (audit->is_json)
		print_json(audit);
	else
		print_text(audit);
	return audit->broken ? 1 : EX_OK;
}

int command_audit(struct configuration *conf, int argc, char **argv)
{
	struct audit audit = { 0 };
	int first = 1, code;

	if (first < argc && !strcmp(argv[first], "--json")) {
		audit.is_json = true;
		first++;
	}
	if (first < argc && argv[first][0] == '-' && argv[first][1])
		return command_usage(argv[0], "there is no option %s", argv[first]);
	code = run(&audit, conf, argv + first, argc - first);
	audit_log_free(&audit.log);
	book_free(&audit.book);
	return code;
}
