/* The deliverer process: see deliverer.h. */
#include "deliverer.h"
#include "batch.h"
#include "common/log.h"
#include "dotforward.h"
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { ANSWER_WITHIN_MS = 5000 };	/* a slow mbox must not make the spawner think that all is stuck */

static struct channel channel;
static struct batch batch;
static uint64_t batch_started_ms;

static void message_close(struct message *message)
{
	if (message->fd >= 0)
		close(message->fd);
	message->fd = -1;
}

static enum result take_job(struct frame *f, struct why *why)
{
	struct message *message = &batch.message;

	message_close(message);
	message->fd = f->descriptor;
	message->job = f->value[LOCAL_JOB_JOB].number;
	message->offset = f->value[LOCAL_JOB_OFFSET].number;
	message->length = f->value[LOCAL_JOB_LENGTH].number;
	message->recipients_left = f->value[LOCAL_JOB_COUNT].number;
	message->is_scanned = false;
	if (!frame_value_copy(f, LOCAL_JOB_ID, message->id, sizeof(message->id)) ||
	    !frame_value_copy(f, LOCAL_JOB_REVERSE_PATH, message->reverse_path, sizeof(message->reverse_path)))
		return why_set(why, RESULT_PEER, "a job with a bad value");
	return RESULT_OK;
}

static bool take_target(const struct frame *f, struct target *target)
{
	static char owner[WIRE_ADDRESS_MAX + 1];

	const struct wire_value *done = &f->value[DELIVER_TO_DONE];

	target->key = 0;
	target->done.count = done->length / sizeof(target->done.keys[0]);
	if (done->length > 0)
		memcpy(target->done.keys, done->bytes, target->done.count * sizeof(target->done.keys[0]));
	target->kind = (enum delivery_kind)f->value[DELIVER_TO_KIND].number;
	if (!frame_value_copy(f, DELIVER_TO_PATH, target->path, sizeof(target->path)) ||
	    !frame_value_copy(f, DELIVER_TO_QUOTA, target->quota, sizeof(target->quota)) ||
	    !frame_value_copy(f, DELIVER_TO_HOME, target->home, sizeof(target->home)) ||
	    !frame_value_copy(f, DELIVER_TO_ADDRESS, target->address, sizeof(target->address)) ||
	    !frame_value_copy(f, DELIVER_TO_OWNER, owner, sizeof(owner)) ||
	    !frame_value_copy(f, DELIVER_TO_EXTENSION, target->extension, sizeof(target->extension)))
		return false;
	target->reverse_path = owner[0] != '\0' ? owner : batch.message.reverse_path;
	target->prefix_length = trace_prefix(target->prefix, target->reverse_path, target->address);
	return true;
}

/* Did this mailbox have the message before (RFC 9228, RFC 5321 6.3)? false: go on. */
static bool stop_loop(struct delivery *delivery, const struct target *target)
{
	struct message *message = &batch.message;
	struct why why = { 0 };

	if (!message->is_scanned &&
	    trace_collect(message->fd, message->offset, message->length, &message->delivered_to, &why) != RESULT_OK) {
		outcome_set(&delivery->outcome, DELIVERY_DEFERRED, "4.3.0", "unable to %s", why.text);
		return true;
	}
	message->is_scanned = true;
	if (!trace_has(&message->delivered_to, target->address))
		return false;
	outcome_set(&delivery->outcome, DELIVERY_FAILED, "5.4.6", "mail forwarding loop for %s", target->address);
	return true;
}

static enum result take_recipient(const struct frame *f, struct why *why)
{
	static struct target target;
	struct message *message = &batch.message;
	struct delivery *delivery;

	if (message->fd < 0 || message->recipients_left == 0 || f->value[DELIVER_TO_JOB].number != message->job ||
	    !take_target(f, &target))
		return why_set(why, RESULT_PEER, "a recipient without its job");
	if (batch.delivery_count == 0)
		batch_started_ms = time_monotonic_ms();
	delivery = batch_add(&batch, f->value[DELIVER_TO_INDEX].number);
	if (stop_loop(delivery, &target))
		;	/* it knows */
	else if (target.home[0] != '\0')
		dotforward_deliver(&batch, delivery, &target);
	else
		batch_deliver(&batch, delivery, &target);
	if (--message->recipients_left == 0)
		message_close(message);
	return RESULT_OK;
}

static enum result take_frame(struct frame *f, struct why *why)
{
	if (f->type == FRAME_LOCAL_JOB)
		return take_job(f, why);
	if (f->type == FRAME_DELIVER_TO)
		return take_recipient(f, why);
	if (f->descriptor >= 0)
		close(f->descriptor);
	return why_set(why, RESULT_PEER, "a %s frame, which is not for a deliverer", frame_name(f->type));
}

static bool is_time_to_commit(void)
{
	return batch_is_full(&batch) || (batch.delivery_count > 0 && time_monotonic_ms() - batch_started_ms > ANSWER_WITHIN_MS);
}

/* Its walls stand around what had the name BASE when it began: a folder that was moved away since, a file system that was
 * mounted anew. */
static bool is_shut_out(const char *base, const struct stat *walls, struct why *why)
{
	struct stat st;

	if (!batch.has_deferred)
		return false;
	batch.has_deferred = false;
	if (stat(base, &st) == 0 && st.st_dev == walls->st_dev && st.st_ino == walls->st_ino)
		return false;
	why_set(why, RESULT_STOP, "%s was replaced: another process may reach what is there now", base);
	return true;
}

int deliverer_run(const struct configuration *conf, const char *base, const struct stat *walls, int fd)
{
	struct why why = { 0 };
	struct frame f;
	enum result result = channel_open(&channel, NULL, fd, NULL, NULL, &why);

	batch.conf = conf;
	batch.channel = &channel;
	batch.message.fd = -1;
	while (result == RESULT_OK) {
		/* what has arrived is one batch */
		result = channel_wait(&channel, &f, batch.delivery_count > 0 ? 0 : -1, &why);
		if (result == RESULT_OK)
			result = take_frame(&f, &why);
		if (result == RESULT_RETRY || is_time_to_commit()) {
			batch_commit(&batch);
			result = result == RESULT_RETRY ? RESULT_OK : result;
			if (result == RESULT_OK && is_shut_out(base, walls, &why))
				result = RESULT_STOP;
		}
	}
	batch_commit(&batch);
	(void)channel_flush(&channel, &(struct why){ 0 });
	channel_close(&channel);
	if (result == RESULT_END)
		return EX_OK;
	log_failure("deliverer-ends", &why);
	log_flush();
	return result == RESULT_STOP ? EX_OK : EX_PROTOCOL;
}
