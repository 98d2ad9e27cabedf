/* Frames: every value must lie in the bytes, and what is taken must be made again as itself. */
#include "common/frame.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame f;
	struct why why = { 0 };
	size_t used;

	while (size && frame_take(data, size, &f, &used, &why) == RESULT_OK) {
		stralloc out = { 0 };
		MUST(used <= size);
		MUST(frame_append(&out, f.type, f.value, f.has_descriptor, &why) == RESULT_OK);
		MUST(out.len == used && !memcmp(out.s, data, used));
		stralloc_free(&out);
		data += used;
		size -= used;
	}
	return 0;
}
