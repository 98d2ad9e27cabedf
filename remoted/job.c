#include "remoted/job.h"

#include "common/log.h"
#include "remoted/call.h"
#include "remoted/reply.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool copy_texts(struct job *job, const struct frame *f)
{
	return frame_value_copy(f, REMOTE_JOB_ID, job->id, sizeof job->id) &&
	       frame_value_copy(f, REMOTE_JOB_REVERSE_PATH, job->reverse_path, sizeof job->reverse_path) &&
	       frame_value_copy(f, REMOTE_JOB_NEXT_HOP, job->next_hop, sizeof job->next_hop) &&
	       frame_value_copy(f, REMOTE_JOB_SITE, job->site, sizeof job->site) &&
	       frame_value_copy(f, REMOTE_JOB_ENVID, job->envid, sizeof job->envid);
}

/* With room for COUNT recipients. NULL: that can't be, or there is no memory. */
static struct job *make_empty(uint64_t count)
{
	struct job *job;

	if (!count || count > JOB_RECIPIENTS_MAX)
		return NULL;
	job = calloc(1, sizeof *job);
	if (!job)
		return NULL;
	job->recipients = calloc(count, sizeof *job->recipients);
	if (!job->recipients) {
		free(job);
		return NULL;
	}
	return job;
}

struct job *job_make(struct channel *queued, struct frame *f, struct why *why)
{
	uint64_t count = f->value[REMOTE_JOB_COUNT].number;
	struct job *job = make_empty(count);

	if (!job || !copy_texts(job, f)) {
		close(f->descriptor);
		if (job)
			free(job->recipients);
		free(job);
		why_set(why, RESULT_PEER, "a job with fields that do not fit, or no memory for it");
		return NULL;
	}
	job->queued = queued;
	job->number = f->value[REMOTE_JOB_JOB].number;
	job->message = f->descriptor;
	job->offset = f->value[REMOTE_JOB_OFFSET].number;
	job->length = f->value[REMOTE_JOB_LENGTH].number;
	job->body = (enum body_type)f->value[REMOTE_JOB_BODY].number;
	job->flags = (unsigned)f->value[REMOTE_JOB_FLAGS].number;
	job->wanted = count;
	return job;
}

static bool is_international(const char *address)
{
	for (; *address; address++)
		if ((unsigned char)*address > 0x7f)
			return true;
	return false;
}

struct job *job_make_call(struct call *call, const char *next_hop, const char *address)
{
	size_t length = strlen(address);
	char *block = calloc(1, length + 2);
	struct job *job = block ? make_empty(1) : NULL;

	if (!job) {
		free(block);
		return NULL;
	}
	memcpy(block, address, length);
	*job->recipients = (struct job_recipient){ .address = block, .orcpt = block + length + 1 };
	snprintf(job->next_hop, sizeof job->next_hop, "%s", next_hop);
	job->message = -1;
	job->call = call;
	job->wanted = job->count = 1;
	job->flags = is_international(address) ? REMOTE_SMTPUTF8 : 0;
	return job;
}

/* Address and ORCPT in one block. */
enum result job_add_recipient(struct job *job, const struct frame *f, struct why *why)
{
	size_t address_length = f->value[REMOTE_RECIPIENT_ADDRESS].length, orcpt_length = f->value[REMOTE_RECIPIENT_ORCPT].length;
	struct job_recipient *recipient;
	char *block;

	if (job_is_complete(job))
		return why_set(why, RESULT_PEER, "more recipients than the job told");
	block = malloc(address_length + orcpt_length + 2);
	if (!block)
		return why_set(why, RESULT_PEER, "no memory for a recipient");
	recipient = &job->recipients[job->count++];
	recipient->index = f->value[REMOTE_RECIPIENT_INDEX].number;
	recipient->notify = (unsigned)f->value[REMOTE_RECIPIENT_NOTIFY].number;
	recipient->address = block;
	recipient->orcpt = block + address_length + 1;
	if (frame_value_copy(f, REMOTE_RECIPIENT_ADDRESS, recipient->address, address_length + 1) &&
	    frame_value_copy(f, REMOTE_RECIPIENT_ORCPT, recipient->orcpt, orcpt_length + 1))
		return RESULT_OK;
	return why_set(why, RESULT_PEER, "a recipient with a NUL");
}

bool job_is_complete(const struct job *job)
{
	return job->count == job->wanted;
}

void job_tell(struct job *job, struct job_recipient *recipient, enum delivery_verdict verdict,
              const char *status, const char *host, const char *words)
{
	struct wire_value values[RESULT_FIELDS] = {
		[RESULT_JOB] = WIRE_NUMBER(job->number),
		[RESULT_INDEX] = WIRE_NUMBER(recipient->index),
		[RESULT_VERDICT] = WIRE_NUMBER(verdict),
		[RESULT_STATUS] = WIRE_STRING(status),
		[RESULT_HOST] = WIRE_STRING(host),
		[RESULT_WORDS] = WIRE_BYTES(words, strnlen(words, WIRE_WORDS_MAX)),
	};
	struct why why = { 0 };

	if (recipient->is_told)
		return;
	recipient->is_told = true;
	if (job->call) {
		call_told(job->call, job->is_call_answered, verdict, words);
		return;
	}
	if (channel_send(job->queued, FRAME_RESULT, values, -1, &why) != RESULT_OK)
		log_failure("result-dropped", &why);	/* queued is gone: it tries again */
}

void job_tell_rest(struct job *job, enum delivery_verdict verdict, const char *status, const char *host, const char *words)
{
	size_t i;

	if (verdict == DELIVERY_DEFERRED && !strncmp(status, "4.4.", 4) && !reply_is_text(words))
		verdict = DELIVERY_UNREACHED;
	for (i = 0; i < job->count; i++)
		job_tell(job, &job->recipients[i], verdict, status, host, words);
}

bool job_drop_told(struct job *job)
{
	size_t i, kept = 0;

	for (i = 0; i < job->count; i++)
		if (job->recipients[i].is_told)
			free(job->recipients[i].address);
		else
			job->recipients[kept++] = job->recipients[i];
	job->wanted = job->count = kept;
	return kept > 0;
}

void job_free(struct job *job)
{
	size_t i;

	for (i = 0; i < job->count; i++)
		free(job->recipients[i].address);
	free(job->recipients);
	if (job->message >= 0)
		close(job->message);
	free(job);
}
