#include "common/queue.h"
#include "unit.h"
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static const char content[] = "Subject: hi\r\n\r\nhello\r\n";

static const struct envelope_recipient alice = {
	.address = "alice@local.example", .as = "Alice@Local.Example", .orcpt = "rfc822;alice+40x", .owner = "owner-list@local.example",
	.notify = NOTIFY_SUCCESS | NOTIFY_DELAY,
};
static const struct envelope_recipient bob = { .address = "bob@local.example", .is_expanded = true };

static void make_file(stralloc *file, const char *id)
{
	struct envelope e = {
		.id = id, .arrived_us = 1795300000123456, .from = "", .protocol = "ESMTP", .client = "192.0.2.7",
		.helo = "client.example", .session = "s1", .is_local = true, .uid = 1000, .body = BODY_8BITMIME,
		.needs_smtputf8 = true, .requires_tls = true, .tls_is_optional = true, .return_headers = true, .envid = "QQ+2B", .recipient_count = 2,
	};
	char trailer[QUEUE_TRAILER_LENGTH + 1];
	stralloc recipients = { 0 };
	struct why why = { 0 };

	CHECK(envelope_append_recipient(&recipients, &alice, &why) == RESULT_OK);
	CHECK(envelope_append_recipient(&recipients, &bob, &why) == RESULT_OK);
	CHECK(envelope_append_head(file, &e, recipients.len, &why) == RESULT_OK);
	text_append(file, recipients.s, recipients.len);
	text_append_string(file, content);
	queue_trailer(trailer, strlen(content));
	CHECK(strlen(trailer) == QUEUE_TRAILER_LENGTH);
	text_append_string(file, trailer);
	stralloc_free(&recipients);
}

static enum result read_bytes(const stralloc *file, size_t length, struct envelope *e, struct why *why)
{
	char name[] = "/tmp/dawk-unit-XXXXXX";
	int fd = mkstemp(name);
	enum result result;

	unlink(name);
	if (fd < 0 || write(fd, file->s, length) != (ssize_t)length)
		return RESULT_STOP;
	result = envelope_read(fd, e, why);
	close(fd);
	return result;
}

static void an_envelope_comes_back_whole(void)
{
	char id[QUEUE_ID_LENGTH + 1];
	struct why why = { 0 };
	stralloc file = { 0 };
	struct envelope e;

	queue_id_make(id);
	make_file(&file, id);
	CHECK(read_bytes(&file, file.len, &e, &why) == RESULT_OK);
	CHECK_STRING(e.id, id);
	CHECK_STRING(e.from, "");
	CHECK_STRING(e.client, "192.0.2.7");
	CHECK_STRING(e.envid, "QQ+2B");
	CHECK(e.arrived_us == 1795300000123456 && e.is_local && e.uid == 1000 && e.needs_smtputf8 && e.requires_tls && e.tls_is_optional);
	CHECK(e.body == BODY_8BITMIME && e.return_headers && !e.return_full && !e.is_report && !e.authenticated);
	CHECK(e.recipient_count == 2 && e.content_length == strlen(content));
	CHECK(!memcmp(file.s + e.content_offset, content, strlen(content)));
	CHECK_STRING(e.recipients[0].address, alice.address);
	CHECK_STRING(e.recipients[0].as, alice.as);
	CHECK_STRING(e.recipients[0].orcpt, alice.orcpt);
	CHECK_STRING(e.recipients[0].owner, alice.owner);
	CHECK(e.recipients[0].notify == alice.notify && !e.recipients[0].is_expanded);
	CHECK(!e.recipients[1].as && e.recipients[1].is_expanded && !e.recipients[1].notify);
	envelope_free(&e);
	stralloc_free(&file);
}

static void a_file_that_was_cut_is_no_message(void)
{
	char id[QUEUE_ID_LENGTH + 1];
	struct why why = { 0 };
	stralloc file = { 0 };
	struct envelope e;
	size_t length, taken = 0;

	queue_id_make(id);
	make_file(&file, id);
	for (length = 0; length < file.len; length++)
		taken += read_bytes(&file, length, &e, &why) != RESULT_PEER;
	CHECK(taken == 0);
	stralloc_free(&file);
}

static void any_changed_byte_is_refused_or_harmless(void)
{
	char id[QUEUE_ID_LENGTH + 1];
	struct why why = { 0 };
	stralloc file = { 0 };
	struct envelope e;
	size_t i;

	queue_id_make(id);
	make_file(&file, id);
	for (i = 0; i < file.len; i++) {
		char was = file.s[i];
		file.s[i] = (char)(i % 3 ? 0 : 0xff);
		if (read_bytes(&file, file.len, &e, &why) == RESULT_OK)
			envelope_free(&e);
		file.s[i] = was;
	}
	CHECK(read_bytes(&file, file.len, &e, &why) == RESULT_OK);
	envelope_free(&e);
	stralloc_free(&file);
}

static void a_control_character_never_gets_into_an_envelope(void)
{
	struct envelope_recipient bad = { .address = "a@b\nrecipient x@y" };
	struct why why = { 0 };
	stralloc recipients = { 0 };

	CHECK(envelope_append_recipient(&recipients, &bad, &why) == RESULT_NEVER);
	CHECK(recipients.len == 0);
	stralloc_free(&recipients);
}

static void ids_sort_by_time_and_never_repeat(void)
{
	char a[QUEUE_ID_LENGTH + 1], b[QUEUE_ID_LENGTH + 1];
	uint64_t before = time_real_us();
	int i, wrong = 0;

	queue_id_make(a);
	for (i = 0; i < 10000; i++) {
		queue_id_make(b);
		wrong += strcmp(a, b) >= 0 || !queue_id_is_valid(b, strlen(b));
		memcpy(a, b, sizeof a);
	}
	CHECK(wrong == 0);
	CHECK(queue_id_time_us(a) >= before && queue_id_time_us(a) < before + 60000000);
	CHECK(!queue_id_is_valid("../../../etc/passwd0", 20) && !queue_id_is_valid("short", 5));
	for (i = 0; i < 256; i++) {
		a[7] = (char)i;
		wrong += queue_id_is_valid(a, QUEUE_ID_LENGTH) != (i && strchr("0123456789abcdefghjkmnpqrstvwxyz", i) != NULL);
	}
	CHECK(wrong == 0);
	CHECK(queue_id_time_us("0000000000a000000000") == 10 && queue_id_time_us("1000000000z000000000") == (1ull << 50) + 31);
}

int main(void)
{
	UNIT_RUN(an_envelope_comes_back_whole);
	UNIT_RUN(a_file_that_was_cut_is_no_message);
	UNIT_RUN(any_changed_byte_is_refused_or_harmless);
	UNIT_RUN(a_control_character_never_gets_into_an_envelope);
	UNIT_RUN(ids_sort_by_time_and_never_repeat);
	return unit_end();
}
