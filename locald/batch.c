/* Batches: see batch.h. */
#include "batch.h"
#include "mbox.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	ITEMS_A_DELIVERY = BATCH_ITEMS_MAX - BATCH_DELIVERIES_MAX,
	SWEEP_ONE_IN = 256,	/* deliveries also sweeps tmp/ */
};

bool batch_is_full(const struct batch *batch)
{
	return batch->delivery_count == BATCH_DELIVERIES_MAX || batch->item_count + ITEMS_A_DELIVERY > BATCH_ITEMS_MAX ||
	       batch->bytes >= BATCH_BYTES_MAX;
}

struct delivery *batch_add(struct batch *batch, uint64_t index)
{
	struct delivery *delivery = &batch->deliveries[batch->delivery_count++];

	*delivery = (struct delivery){ .job = batch->message.job, .index = index };
	return delivery;
}

static void take_trouble(struct delivery *delivery, const struct why *why)
{
	struct outcome outcome = { 0 };

	outcome_of_trouble(&outcome, why);
	outcome_merge(&delivery->outcome, &outcome);
}

/* The Maildir++ folder of user+extension, where the user has made one; else the mailbox itself. */
static void choose_folder(const struct target *target, char *path, size_t size)
{
	struct stat st;
	int length;

	if (target->extension[0] != '\0' && target->extension[0] != '.' && strchr(target->extension, '/') == NULL) {
		length = snprintf(path, size, "%s/.%s", target->path, target->extension);
		if (length > 0 && (size_t)length < size && lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
			return;
	}
	snprintf(path, size, "%s", target->path);
}

static void tell_done(struct batch *batch, const struct delivery *delivery, uint64_t key)
{
	struct wire_value values[DONE_FIELDS] = {
		[DONE_JOB] = WIRE_NUMBER(delivery->job), [DONE_INDEX] = WIRE_NUMBER(delivery->index), [DONE_KEY] = WIRE_NUMBER(key),
	};
	struct why why;

	if (key != 0)
		(void)channel_send(batch->channel, FRAME_DONE, values, -1, &why);
}

static void finish_item(struct batch *batch, struct maildir_item *item, struct batch_item *owner)
{
	struct outcome outcome = { 0 };

	if (item->result == RESULT_OK)
		outcome_set(&outcome, DELIVERY_DELIVERED, "2.0.0", "delivered to maildir");
	else
		outcome_of_trouble(&outcome, &item->why);
	outcome_merge(&owner->delivery->outcome, &outcome);
	if (item->result == RESULT_OK)
		tell_done(batch, owner->delivery, owner->key);
	if (item->result == RESULT_OK && owner->quota_path != NULL)
		quota_add(owner->quota_path, &owner->quota, (int64_t)item->bytes, 1);
	free(owner->quota_path);
	owner->quota_path = NULL;
}

/* Makes what is written durable; the deliveries know, and are answered later. */
static void commit_items(struct batch *batch)
{
	maildir_commit(batch->items, batch->item_count);
	for (size_t i = 0; i < batch->item_count; i++)
		finish_item(batch, &batch->items[i], &batch->owners[i]);
	batch->item_count = 0;
	batch->bytes = 0;
}

/* The bytes of the batch that are on their way into the mailbox PATH: they count already. */
static uint64_t pending_bytes(const struct batch *batch, const char *path)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < batch->item_count; i++)
		if (batch->owners[i].quota_path != NULL && strcmp(batch->owners[i].quota_path, path) == 0)
			bytes += batch->items[i].bytes;
	return bytes;
}

/* false: over quota, DELIVERY knows. */
static bool has_room(struct batch *batch, struct delivery *delivery, const struct target *target, const struct quota *quota)
{
	struct outcome outcome = { 0 };
	struct why why = { 0 };
	uint64_t pending = pending_bytes(batch, target->path);
	enum result result;

	if (pending > 0 && quota->messages > 0) {	/* messages are counted once they have arrived */
		commit_items(batch);
		pending = 0;
	}
	result = quota_check(target->path, quota, batch->message.length + target->prefix_length + pending, &why);
	if (result == RESULT_OK)
		return true;
	if (result == RESULT_RETRY)
		outcome_of_trouble(&outcome, &why);
	else if (batch->conf->quota_policy == QUOTA_REJECT)
		outcome_set(&outcome, DELIVERY_FAILED, "5.2.2", "%s", why.text);
	else
		outcome_set(&outcome, DELIVERY_DEFERRED, "4.2.2", "%s", why.text);
	outcome_merge(&delivery->outcome, &outcome);
	return false;
}

/* A process that lives for a few deliveries has its turn too: where the count starts differs. */
static void sweep_sometimes(struct maildir_folder *folder)
{
	static unsigned count;

	if (count == 0)
		count = (unsigned)getpid() % SWEEP_ONE_IN;
	if (++count % SWEEP_ONE_IN == 0)
		maildir_sweep(folder);
}

static void deliver_maildir(struct batch *batch, struct delivery *delivery, const struct target *target)
{
	char path[WIRE_PATH_LENGTH_MAX + 80];
	struct message *message = &batch->message;
	struct maildir_folder *folder;
	struct quota quota;
	struct why why = { 0 };
	enum result result;

	if (!quota_parse(target->quota, &quota))
		quota = (struct quota){ 0 };
	if (!has_room(batch, delivery, target, &quota))
		return;
	choose_folder(target, path, sizeof(path));
	result = maildir_open(path, &folder, &why);
	if (result == RESULT_OK)
		result = maildir_write(folder, batch->conf->hostname, target->prefix, target->prefix_length,
		                       message->fd, message->offset, message->length, &batch->items[batch->item_count], &why);
	if (result != RESULT_OK) {
		take_trouble(delivery, &why);
		return;
	}
	batch->bytes += batch->items[batch->item_count].bytes;
	batch->owners[batch->item_count++] = (struct batch_item){
		.delivery = delivery,
		.key = target->key,
		.quota = quota,
		.quota_path = quota.bytes > 0 || quota.messages > 0 ? strdup(target->path) : NULL,
	};
	sweep_sometimes(folder);
}

static void deliver_mbox(struct batch *batch, struct delivery *delivery, const struct target *target)
{
	struct message *message = &batch->message;
	struct outcome outcome = { 0 };
	struct why why = { 0 };

	if (mbox_deliver(target->path, target->reverse_path, target->prefix, target->prefix_length,
	                 message->fd, message->offset, message->length, &why) != RESULT_OK) {
		take_trouble(delivery, &why);
		return;
	}
	tell_done(batch, delivery, target->key);
	outcome_set(&outcome, DELIVERY_DELIVERED, "2.0.0", "delivered to mbox");
	outcome_merge(&delivery->outcome, &outcome);
}

void batch_deliver(struct batch *batch, struct delivery *delivery, const struct target *target)
{
	if (target->kind == DELIVER_MBOX) {
		deliver_mbox(batch, delivery, target);
		return;
	}
	if (batch->item_count == BATCH_ITEMS_MAX)	/* of a ~/.forward with many */
		commit_items(batch);
	deliver_maildir(batch, delivery, target);
}

/* A send that fails is a channel that fails: the next wait tells. */
static void answer(struct batch *batch, struct delivery *delivery)
{
	struct outcome *outcome = &delivery->outcome;
	const char *words = outcome->words != NULL ? outcome->words : "";
	struct wire_value values[RESULT_FIELDS] = {
		[RESULT_JOB] = WIRE_NUMBER(delivery->job),
		[RESULT_INDEX] = WIRE_NUMBER(delivery->index),
		[RESULT_VERDICT] = WIRE_NUMBER(outcome->verdict),
		[RESULT_STATUS] = WIRE_STRING(outcome->status),
		[RESULT_WORDS] = WIRE_STRING(words),
	};
	struct why why;

	batch->has_deferred |= outcome->verdict == DELIVERY_DEFERRED;
	(void)channel_send(batch->channel, FRAME_RESULT, values, -1, &why);
	outcome_free(outcome);
}

void batch_commit(struct batch *batch)
{
	commit_items(batch);
	for (size_t i = 0; i < batch->delivery_count; i++)
		answer(batch, &batch->deliveries[i]);
	batch->delivery_count = 0;
}
