/* link: smtpd/header.o */
/* A header that goes by: however the bytes are cut into pieces, the same is seen of it. */
#include "fuzz.h"
#include "smtpd/header.h"

struct taken { uint64_t hash, count; };

/* Pieces of one value may be cut anywhere: only what they hold together counts. */
static void take(void *context, unsigned field, const char *bytes, size_t length)
{
	struct taken *taken = context;
	size_t i;

	if (length == 0)
		taken->hash = taken->hash * 31 + field + 1;
	for (i = 0; i < length; i++)
		taken->hash = taken->hash * 131 + (unsigned char)bytes[i];
	taken->count += length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct header whole, cut;
	struct taken whole_taken = { 0 }, cut_taken = { 0 };
	size_t step, at;

	if (size < 2)
		return 0;
	step = 1 + data[0] % 7;
	data++, size--;
	header_start(&whole);
	header_start(&cut);
	whole.take = cut.take = take;
	whole.context = &whole_taken;
	cut.context = &cut_taken;
	header_feed(&whole, (const char *)data, size);
	header_close(&whole);
	for (at = 0; at < size; at += step)
		header_feed(&cut, (const char *)data + at, size - at < step ? size - at : step);
	header_close(&cut);
	MUST(whole.fields == cut.fields && whole.received_count == cut.received_count && whole.has_field == cut.has_field);
	MUST(whole.is_tls_optional == cut.is_tls_optional && whole.is_missing == cut.is_missing && whole.is_broken == cut.is_broken);
	MUST(whole_taken.hash == cut_taken.hash && whole_taken.count == cut_taken.count && whole_taken.count <= size);
	return 0;
}
