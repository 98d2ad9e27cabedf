/* link: dawk/sendmail_header.o */
/* A header that sendmail reads: recipients are addresses, and no Bcc goes out. */
#include "dawk/submit.h"
#include "fuzz.h"

static void check_recipients(const struct recipients *found)
{
	struct address address;
	struct why why = { 0 };
	size_t at, count = 0;

	for (at = 0; at < found->text.len; at += strlen(found->text.s + at) + 1, count++)
		MUST(address_parse(found->text.s + at, strlen(found->text.s + at), &address, &why) == RESULT_OK);
	MUST(count == found->count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *head = (const char *)data;
	struct header header = { 0 };
	struct recipients found = { .domain = "here.example" }, list = { .domain = "here.example" };
	stralloc text = { 0 };
	struct why why = { 0 };

	header_scan(&header, head, size);
	MUST(header.length <= size && header.skip <= size);
	if (header_recipients(&header, head, &found, &why) == RESULT_OK)
		check_recipients(&found);
	MUST(header_write(&header, head, true, &text, &why) == RESULT_OK && text.len <= size + 2);
	if (recipients_add_list(&list, head, size, &why) == RESULT_OK)
		check_recipients(&list);
	stralloc_free(&found.text);
	stralloc_free(&list.text);
	stralloc_free(&text);
	return 0;
}
