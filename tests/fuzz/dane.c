/* link: common/tls_dane.o */
/* TLSA records from the DNS, and what a host shows as its certificate: RFC 7672. The first two bytes say how much of the
 * input is records. */
#include "common/tls_dane.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t length = size < 2 ? 0 : (size_t)(data[0] << 8 | data[1]), usable, count = 0;
	const char *records = (const char *)data + 2, *at = records, *const names[] = { "mx.example", "x.example" };
	char matched[DANE_MATCHED_MAX] = "", text[80];
	struct why why = { 0 };

	if (size < 2)
		return 0;
	if (length > size - 2)
		length = size - 2;
	usable = dane_count_usable(records, length);
	while (dane_next_text(&at, records + length, text, sizeof text)) {
		MUST(strlen(text) < sizeof text);
		count++;
	}
	MUST(usable <= count);
	const struct dane_bytes chain[] = { { records + length, size - 2 - length }, { records, length } };
	if (dane_verify(records, length, chain, 2, names, 2, matched, &why) == RESULT_OK)
		MUST(usable > 0 && strlen(matched) == 5);
	else
		MUST(why.text[0]);
	return 0;
}
