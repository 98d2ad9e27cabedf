#include "transaction.h"

#include <string.h>

/* The final recipients of one RCPT command, as resolve_expand finds them: "ADDRESS\0OWNER\0" each, OWNER
 * may be empty. */
struct expansion { stralloc pairs; uint32_t count; bool is_too_long; };

static bool expansion_take(void *context, const char *address, const char *owner)
{
	struct expansion *e = context;

	if (++e->count > TRANSACTION_RECORDS_MAX) {
		e->is_too_long = true;
		return false;
	}
	return text_append(&e->pairs, address, strlen(address) + 1) &&
	       text_append(&e->pairs, owner ? owner : "", owner ? strlen(owner) + 1 : 1);
}

/* A block of the envelope, unless the address has one. */
static enum reply add_record(struct transaction *t, const struct envelope_recipient *record)
{
	char key[ADDRESS_MAX + 3];
	size_t length = strlen(record->address);

	if (length > ADDRESS_MAX)
		return SAY_LATER;
	memcpy(key, record->address, length + 1);
	if (record->is_expanded)
		memcpy(key + length, "*", 2);	/* stands beside the recipient of the same address */
	switch (critbit0_insert(&t->seen, key)) {
	case 0:	return SAY_NO_MEMORY;
	case 1:	return SAY_RECIPIENT_OK;
	}
	if (t->record_count >= TRANSACTION_RECORDS_MAX)
		return SAY_TOO_MANY_RECIPIENTS;
	struct envelope_recipient block = *record;
	if (block.as && !strcmp(block.as, block.address))
		block.as = NULL;
	if (envelope_append_recipient(&t->recipients, &block, NULL) != RESULT_OK)
		return SAY_NO_MEMORY;
	t->record_count++;
	return SAY_RECIPIENT_OK;
}

static const char *or_null(const char *text)
{
	return text && *text ? text : NULL;
}

/* RFC 3461 5.2.7.1: a single member inherits all; 5.2.7.2: several lose SUCCESS, for which the alias itself
 * gets one "expanded" report; 5.2.7.3: with an owner it is a mailing list, whose reports the sender never sees. */
static struct envelope_recipient member_record(const struct rcpt_parameters *rcpt, const char *address, const char *owner, bool is_several)
{
	struct envelope_recipient record = { .address = address, .as = rcpt->to.text, .orcpt = or_null(rcpt->orcpt), .notify = rcpt->notify };

	if (!is_several)
		return record;
	record.owner = or_null(owner);
	if (record.owner) {
		record.orcpt = NULL;
		record.notify = 0;
	} else if (record.notify & NOTIFY_SUCCESS) {
		record.notify &= ~(unsigned)NOTIFY_SUCCESS;
		if (!record.notify)
			record.notify = NOTIFY_NEVER;
	}
	return record;
}

static enum reply add_expansion(struct transaction *t, const struct rcpt_parameters *rcpt, const struct expansion *e, bool is_several)
{
	const char *at = e->pairs.s, *end = at + e->pairs.len;
	enum reply reply = t->record_count + e->count < TRANSACTION_RECORDS_MAX ? SAY_RECIPIENT_OK : SAY_TOO_MANY_RECIPIENTS;

	if (reply == SAY_RECIPIENT_OK && is_several && rcpt->notify & NOTIFY_SUCCESS) {
		struct envelope_recipient list = { .address = rcpt->to.text, .as = rcpt->to.text, .orcpt = or_null(rcpt->orcpt),
			.notify = NOTIFY_SUCCESS, .is_expanded = true };
		reply = add_record(t, &list);
	}
	while (at < end && reply == SAY_RECIPIENT_OK) {
		const char *address = at, *owner = at + strlen(at) + 1;
		struct envelope_recipient record = member_record(rcpt, address, owner, is_several);
		reply = add_record(t, &record);
		at = owner + strlen(owner) + 1;
	}
	return reply;
}

/* An expansion takes the worker a few ms for thousands of members, and a client may name the same list a thousand times: each is
 * expanded once a message, and no more than an envelope may hold. */
static enum reply add_alias(struct transaction *t, const struct rcpt_parameters *rcpt)
{
	char key[ADDRESS_MAX + 3];
	size_t length = address_fold(&rcpt->to, key);
	struct expansion e = { .count = 0 };
	uint32_t members = 0;
	struct why why;
	enum reply reply;

	memcpy(key + length, ">", 2);	/* stands beside its members */
	if (critbit0_contains(&t->seen, key))
		return SAY_RECIPIENT_OK;
	if (t->expanded_count >= TRANSACTION_RECORDS_MAX)
		return SAY_TOO_MANY_RECIPIENTS;
	switch (resolve_expand(t->worker->resolver, &rcpt->to, expansion_take, &e, &members, &why)) {
	case RESULT_OK:
		reply = add_expansion(t, rcpt, &e, members > 1 || e.count > 1);
		break;
	case RESULT_END:
		reply = SAY_NO_SUCH_RECIPIENT;
		break;
	default:
		reply = e.is_too_long ? SAY_TOO_MANY_RECIPIENTS : SAY_LATER;
	}
	stralloc_free(&e.pairs);
	t->expanded_count += e.count;
	if (reply == SAY_RECIPIENT_OK && critbit0_insert(&t->seen, key) == 0)
		return SAY_NO_MEMORY;
	return reply;
}

static enum reply add_one(struct transaction *t, const struct rcpt_parameters *rcpt)
{
	char folded[ADDRESS_MAX + 1];
	struct envelope_recipient record = { .address = rcpt->to.text, .as = rcpt->to.text,
		.orcpt = or_null(rcpt->orcpt), .notify = rcpt->notify };
	enum meaning meaning = t->worker->meaning.meaning;

	if (meaning == MEANS_MAILBOX || meaning == MEANS_UNKNOWN) {	/* unknown here: an account of the system */
		address_fold(&rcpt->to, folded);
		record.address = folded;
	}
	return add_record(t, &record);
}

enum reply transaction_add_recipient(struct transaction *t, const struct rcpt_parameters *rcpt)
{
	size_t length = t->recipients.len;
	uint32_t count = t->record_count;
	enum reply reply = t->worker->meaning.meaning == MEANS_ALIAS ? add_alias(t, rcpt) : add_one(t, rcpt);

	if (reply != SAY_RECIPIENT_OK) {
		/* what was added of it goes; addresses that are still held to be there would get no copy */
		t->recipients.len = length;
		if (t->record_count != count || reply == SAY_NO_MEMORY)
			t->refused = SAY_NO_MEMORY;
		t->record_count = count;
		return reply;
	}
	if (t->accepted_count++ == 0)
		memcpy(t->only_recipient, rcpt->to.text, rcpt->to.length + 1);
	return reply;
}
