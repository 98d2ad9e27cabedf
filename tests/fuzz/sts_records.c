/* link: stsd/record.o */
/* TXT records as dnsd packs them: ids and addresses for reports are bounded and plain. */
#include "fuzz.h"
#include "common/text.h"
#include "stsd/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct report_uris uris;
	char id[STS_ID_MAX + 1];
	struct why why = { 0 };
	size_t i;

	if (record_find_policy_id((const char *)data, size, id, &why) == RESULT_OK)
		MUST(strlen(id) > 0 && strlen(id) <= STS_ID_MAX && text_is_printable(id, strlen(id)));
	if (record_find_report_uris((const char *)data, size, &uris, &why) != RESULT_OK)
		return 0;
	MUST(uris.count > 0 && uris.count <= REPORT_URIS_MAX);
	for (i = 0; i < uris.count; i++)
		MUST(strlen(uris.items[i]) <= REPORT_URI_MAX && text_is_printable(uris.items[i], strlen(uris.items[i])));
	return 0;
}
