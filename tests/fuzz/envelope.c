/* Message files: what is read must be written again as itself. */
#include "common/queue.h"
#include "fuzz.h"

static void check_strings(const struct envelope *e)
{
	uint32_t i;

	MUST(queue_id_is_valid(e->id, strlen(e->id)) && e->from);
	for (i = 0; i < e->recipient_count; i++) {
		fuzz_touch(e->recipients[i].address, strlen(e->recipients[i].address));
		if (e->recipients[i].orcpt)
			fuzz_touch(e->recipients[i].orcpt, strlen(e->recipients[i].orcpt));
	}
}

static void write_again(const struct envelope *e)
{
	stralloc recipients = { 0 }, head = { 0 };
	struct why why = { 0 };
	struct envelope again;
	uint32_t i;
	int fd;
	char trailer[QUEUE_TRAILER_LENGTH + 1];

	for (i = 0; i < e->recipient_count; i++)
		if (envelope_append_recipient(&recipients, &e->recipients[i], &why) != RESULT_OK)
			goto done;
	if (envelope_append_head(&head, e, recipients.len, &why) != RESULT_OK)
		goto done;
	queue_trailer(trailer, 0);
	MUST((!recipients.len || text_append(&head, recipients.s, recipients.len)) && text_append(&head, trailer, QUEUE_TRAILER_LENGTH));
	fd = fuzz_file((const uint8_t *)head.s, head.len);
	MUST(envelope_read(fd, &again, &why) == RESULT_OK);
	MUST(again.recipient_count == e->recipient_count && !strcmp(again.id, e->id) && !strcmp(again.from, e->from));
	envelope_free(&again);
	close(fd);
done:
	stralloc_free(&recipients);
	stralloc_free(&head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = fuzz_file(data, size);
	struct envelope e;
	struct why why = { 0 };

	if (envelope_read(fd, &e, &why) == RESULT_OK) {
		MUST(e.content_offset + e.content_length + QUEUE_TRAILER_LENGTH == size);
		check_strings(&e);
		write_again(&e);
		envelope_free(&e);
	}
	close(fd);
	return 0;
}
