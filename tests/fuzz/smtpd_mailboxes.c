/* link: smtpd/mailboxes.o smtpd/author.o smtpd/header.o */
/* From fields: whatever comes out is an address that reads the same once more, and a header that goes by in two
 * pieces says what it says in one. */
#include "common/text.h"
#include "fuzz.h"
#include "smtpd/author.h"
#include "smtpd/mailboxes.h"

static bool check_address(void *context, const struct address *address)
{
	struct address again;

	++*(size_t *)context;
	MUST(address->length == strlen(address->text) && address->length > 0 && text_is_printable(address->text, address->length));
	MUST(address_parse(address->text, address->length, &again, NULL) == RESULT_OK);
	MUST(!strcmp(again.text, address->text));
	return true;
}

static void read_header(struct author *author, struct header *header, const char *bytes, size_t size, size_t cut)
{
	header_start(header);
	author_watch(author, header);
	header_feed(header, bytes, cut);
	header_feed(header, bytes + cut, size - cut);
	header_close(header);
	MUST(author->from.len <= AUTHOR_FIELD_MAX && author->sender.len <= AUTHOR_FIELD_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct author one = { .field = 0 }, two = { .field = 0 };
	struct header header, other;
	struct why why = { 0 };
	size_t count = 0, found = 0;

	if (mailboxes_read(text, size, check_address, &found, &count, &why) == RESULT_OK)
		MUST(count == found && count <= MAILBOXES_MAX);
	else
		MUST(*why.text);
	read_header(&one, &header, text, size, size);
	read_header(&two, &other, text, size, size / 2);
	MUST(one.from_count == two.from_count && one.sender_count == two.sender_count && one.signed_fields == two.signed_fields);
	MUST(one.from.len == two.from.len && header.fields == other.fields && header.is_broken == other.is_broken);
	MUST(one.from.len == 0 || !memcmp(one.from.s, two.from.s, one.from.len));
	author_free(&one);
	author_free(&two);
	return 0;
}
