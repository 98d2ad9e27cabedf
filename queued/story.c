/* The lines that tell a message's story. `dawk audit` reads them: what has left the queue is accounted for by its lines,
 * so that they are written out before what they tell is made durable (turn_ended in scheduler.c). */
#include "queued/scheduler.h"

#include "common/log.h"
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void scheduler_log(const char *event, const char *id, const struct why *why)
{
	struct log_line line;

	log_start(&line, event);
	log_text(&line, "id", id);
	if (why)
		log_why(&line, why);
	log_end(&line);
}

void story_made(const char *id, const char *parent, enum state_event kind, uint32_t index, uint32_t recipients)
{
	struct log_line line;

	log_start(&line, "message-made");
	log_text(&line, "id", id);
	log_text(&line, "parent", parent);
	log_text(&line, "kind", state_event_names[kind]);
	log_number(&line, "index", index);
	if (recipients)
		log_number(&line, "recipients", recipients);
	log_end(&line);
}

/* What becomes of a failure: the place of the first recipient whose reports go to the same address, or why none is made. */
static void log_report(struct log_line *line, const struct scheduler *s, const struct message *m, uint32_t index)
{
	if (!message_wants_report(m, index, STATE_FAILED))
		log_text(line, "report", "unwanted");
	else if (child_postmaster(s, m, index))
		log_text(line, "report", "held");
	else
		log_number(line, "report", child_report_group(m, index));
}

void story_result(const struct scheduler *s, const struct message *m, uint32_t index, enum state_event event, const struct result_words *words)
{
	struct log_line line;
	uint64_t now = time_real_us();

	log_start(&line, state_event_names[event]);
	log_text(&line, "id", m->id);
	log_number(&line, "index", index);
	if (event == STATE_FAILED)
		log_report(&line, s, m, index);
	log_text(&line, "to", m->envelope.recipients[index].address);
	log_text(&line, "status", words->status);
	if (words->host_length)
		log_bytes(&line, "host", words->host, words->host_length);
	log_bytes(&line, "words", words->words, words->words_length);
	log_seconds(&line, "delay", now > m->envelope.arrived_us ? (now - m->envelope.arrived_us) / 1000 : 0);
	log_end(&line);
}

void story_done(const struct message *m)
{
	uint64_t now = time_real_us();
	uint32_t copies = 0, i;
	struct log_line line;

	for (i = 0; i < m->envelope.recipient_count; i++)
		copies += m->envelope.recipients[i].is_expanded;
	log_start(&line, "message-done");
	log_text(&line, "id", m->id);
	log_text(&line, "from", m->envelope.from);
	log_number(&line, "size", m->envelope.content_length);
	log_number(&line, "recipients", m->envelope.recipient_count);
	if (copies)
		log_number(&line, "copies", copies);
	log_seconds(&line, "delay", now > m->envelope.arrived_us ? (now - m->envelope.arrived_us) / 1000 : 0);
	log_end(&line);
}

/* Told again when a crash comes before the cut, which does no harm. One that is still there could not be removed. */
void story_tell_removed(struct scheduler *s)
{
	char lines[1024 * (QUEUE_ID_LENGTH + 1)], id[QUEUE_ID_LENGTH + 1] = { 0 };
	int fd = openat(s->queue.root, QUEUE_REMOVED, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t got;

	if (fd < 0)
		return;
	while ((got = read(fd, lines, sizeof lines)) > 0)
		for (ssize_t at = 0; at + QUEUE_ID_LENGTH < got; at += QUEUE_ID_LENGTH + 1) {
			memcpy(id, lines + at, QUEUE_ID_LENGTH);
			if (queue_id_is_valid(id, QUEUE_ID_LENGTH) && load_place_of(s, id) == QUEUE_PLACES)
				scheduler_log("message-removed", id, NULL);
		}
	log_flush();
	if (ftruncate(fd, 0) < 0)
		scheduler_log("unable-to-record", "", &(struct why){ .text = "unable to empty queue/" QUEUE_REMOVED });
	close(fd);
}
