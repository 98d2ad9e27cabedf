/* Jobs: see job.h. */
#include "job.h"
#include "common/log.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { JOB_RECIPIENTS_MAX = 1 << 20 };

static struct channel queued = { .fd = -1 };
static struct job *jobs, *current;	/* CURRENT: the one whose recipients are coming */
static size_t count;
static uint64_t last_serial;
static void (*on_recipient)(struct recipient *);
static void (*on_lost)(void);

bool jobs_are_open(void)
{
	return queued.fd >= 0;
}

size_t jobs_count(void)
{
	return count;
}

static void job_free(struct job *job)
{
	struct recipient *recipient;

	if (current == job)
		current = NULL;
	while ((recipient = job->recipients) != NULL) {
		job->recipients = recipient->next;
		outcome_free(&recipient->outcome);
		free(recipient);
	}
	for (size_t i = 0; i < job->part_count; i++)
		free(job->parts[i]);
	free(job->parts);
	close(job->fd);
	*job->link = job->next;
	if (job->next != NULL)
		job->next->link = job->link;
	free(job);
	count--;
}

static void job_free_if_done(struct job *job)
{
	if (job->expected == 0 && job->open == 0)
		job_free(job);
}

/* The jobs on their way go on, for nobody; queued starts over with them. */
static void orphan_jobs(void)
{
	struct job *next;

	current = NULL;
	for (struct job *job = jobs; job != NULL; job = next) {
		next = job->next;
		job->is_orphan = true;
		job->expected = 0;
		job_free_if_done(job);
	}
}

static void drop_queued(const char *reason)
{
	struct why why = { 0 };

	why_set(&why, RESULT_PEER, "%s", reason);
	log_failure("scheduler-channel", &why);
	channel_close(&queued);
	orphan_jobs();
	on_lost();
}

/* ---- what comes in ---- */

static void take_job(struct frame *f)
{
	struct job *job = calloc(1, sizeof(*job));

	if (job == NULL || current != NULL || f->value[LOCAL_JOB_COUNT].number > JOB_RECIPIENTS_MAX ||
	    f->value[LOCAL_JOB_COUNT].number == 0 ||
	    !frame_value_copy(f, LOCAL_JOB_ID, job->id, sizeof(job->id)) ||
	    !frame_value_copy(f, LOCAL_JOB_REVERSE_PATH, job->reverse_path, sizeof(job->reverse_path))) {
		free(job);
		close(f->descriptor);
		drop_queued("take a job: it does not fit, or memory is short");
		return;
	}
	job->serial = ++last_serial;
	job->number = f->value[LOCAL_JOB_JOB].number;
	job->arrived_us = f->value[LOCAL_JOB_ARRIVED_US].number;
	job->offset = f->value[LOCAL_JOB_OFFSET].number;
	job->length = f->value[LOCAL_JOB_LENGTH].number;
	job->expected = f->value[LOCAL_JOB_COUNT].number;
	job->fd = f->descriptor;
	job->next = jobs;
	job->link = &jobs;
	if (jobs != NULL)
		jobs->link = &job->next;
	jobs = current = job;
	count++;
}

static char *put_string(char *at, const struct wire_value *value)
{
	if (value->length > 0)
		memcpy(at, value->bytes, value->length);
	at[value->length] = '\0';
	return at + value->length + 1;
}

static struct recipient *recipient_make(const struct frame *f)
{
	const struct wire_value *address = &f->value[LOCAL_RECIPIENT_ADDRESS], *as = &f->value[LOCAL_RECIPIENT_AS],
	                        *owner = &f->value[LOCAL_RECIPIENT_OWNER];
	struct recipient *recipient = calloc(1, sizeof(*recipient) + address->length + as->length + owner->length + 3);
	char *at;

	if (recipient == NULL)
		return NULL;
	recipient->index = f->value[LOCAL_RECIPIENT_INDEX].number;
	recipient->pending = 1;
	recipient->address = at = recipient->strings;
	recipient->as = at = put_string(at, address);
	recipient->owner = at = put_string(at, as);
	put_string(at, owner);
	return recipient;
}

static void take_recipient(struct frame *f)
{
	struct recipient *recipient;
	struct outcome nothing = { 0 };

	if (current == NULL || f->value[LOCAL_RECIPIENT_JOB].number != current->number) {
		drop_queued("take a recipient: it belongs to no job");
		return;
	}
	recipient = recipient_make(f);
	if (recipient == NULL) {
		drop_queued("take a recipient: out of memory");
		return;
	}
	recipient->job = current;
	done_load(current->id, recipient->address, &recipient->done);
	recipient->next = current->recipients;
	current->recipients = recipient;
	current->open++;
	if (--current->expected == 0)
		current = NULL;
	on_recipient(recipient);
	recipient_report(recipient, &nothing);
}

static void take_frame(struct channel *channel, struct frame *f)
{
	(void)channel;
	if (f->type == FRAME_LOCAL_JOB) {
		take_job(f);
	} else if (f->type == FRAME_LOCAL_RECIPIENT) {
		take_recipient(f);
	} else {
		if (f->descriptor >= 0)
			close(f->descriptor);
		drop_queued("take a frame: it is not for this program");
	}
}

static void channel_lost(struct channel *channel, const struct why *why)
{
	(void)channel;
	if (why->text[0] != '\0')
		log_failure("scheduler-channel", why);
	orphan_jobs();
	on_lost();
}

enum result jobs_open(struct loop *loop, int fd, void (*routed)(struct recipient *), void (*lost)(void), struct why *why)
{
	on_recipient = routed;
	on_lost = lost;
	if (queued.fd >= 0) {	/* a fresh queued: the old one's jobs are nobody's */
		channel_close(&queued);
		orphan_jobs();
	}
	return channel_open(&queued, loop, fd, take_frame, channel_lost, why);
}

/* ---- parts and results ---- */

static char *add_string(char *at, const char *string, const char **field)
{
	size_t length = strlen(string) + 1;

	memcpy(at, string, length);
	*field = at;
	return at + length;
}

static bool job_add_part(struct job *job, struct part *part)
{
	if (job->part_count == job->part_size) {
		size_t size = job->part_size > 0 ? 2 * job->part_size : 4;
		struct part **parts = realloc(job->parts, size * sizeof(*parts));

		if (parts == NULL)
			return false;
		job->parts = parts;
		job->part_size = size;
	}
	part->place = job->part_count;
	job->parts[job->part_count++] = part;
	return true;
}

struct part *part_make(struct recipient *recipient, uint64_t key, enum delivery_kind kind, const char *path, const char *quota,
                       const char *home, const char *extension)
{
	struct part *part = calloc(1, sizeof(*part) + strlen(path) + strlen(quota) + strlen(home) + strlen(extension) + 4);
	char *at;

	if (part == NULL || !job_add_part(recipient->job, part)) {
		free(part);
		return NULL;
	}
	part->recipient = recipient;
	part->key = key;
	part->kind = kind;
	at = add_string(part->strings, path, &part->path);
	at = add_string(at, quota, &part->quota);
	at = add_string(at, home, &part->home);
	add_string(at, extension, &part->extension);
	recipient->pending++;
	return part;
}

static void send_result(const struct recipient *recipient)
{
	const struct outcome *outcome = &recipient->outcome;
	const char *words = outcome->words != NULL ? outcome->words : "";
	struct wire_value values[RESULT_FIELDS] = {
		[RESULT_JOB] = WIRE_NUMBER(recipient->job->number),
		[RESULT_INDEX] = WIRE_NUMBER(recipient->index),
		[RESULT_VERDICT] = WIRE_NUMBER(outcome->verdict),
		[RESULT_STATUS] = WIRE_STRING(outcome->status),
		[RESULT_WORDS] = WIRE_STRING(words),
	};
	struct why why = { 0 };

	/* without the result queued would wait for ever: without the channel it tries again */
	if (channel_send(&queued, FRAME_RESULT, values, -1, &why) != RESULT_OK && queued.fd >= 0)
		drop_queued(why.text);
}

void recipient_report(struct recipient *recipient, struct outcome *outcome)
{
	struct job *job = recipient->job;

	outcome_merge(&recipient->outcome, outcome);
	if (--recipient->pending > 0)
		return;
	if (recipient->outcome.verdict == 0)
		outcome_set(&recipient->outcome, DELIVERY_DEFERRED, "4.3.5", "nothing says what to do for this recipient");
	if (recipient->outcome.verdict == DELIVERY_DEFERRED)
		done_store(job->id, recipient->address, &recipient->done);
	if (!job->is_orphan && queued.fd >= 0)
		send_result(recipient);
	job->open--;
	job_free_if_done(job);
}

bool recipient_forward(struct recipient *recipient, const char *address, size_t length)
{
	struct wire_value values[FORWARD_FIELDS] = {
		[FORWARD_JOB] = WIRE_NUMBER(recipient->job->number),
		[FORWARD_INDEX] = WIRE_NUMBER(recipient->index),
		[FORWARD_ADDRESS] = WIRE_BYTES(address, length),
	};
	struct why why;

	return recipient->job->is_orphan || channel_send(&queued, FRAME_FORWARD, values, -1, &why) == RESULT_OK;
}
