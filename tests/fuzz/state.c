/* States: what is read of one must be written and read again as itself. */
#include "common/state.h"
#include "fuzz.h"

static void check_again(const struct state_line *line)
{
	stralloc text = { 0 };
	struct state_line again;
	const char *at;

	MUST(state_append_line(&text, line));
	MUST(memchr(text.s, '\n', text.len) == text.s + text.len - 1);
	at = text.s;
	MUST(state_next_line(&at, text.s + text.len, &again) && at == text.s + text.len);
	MUST(again.event == line->event && again.index == line->index && again.time_us == line->time_us);
	MUST(!strcmp(again.status, line->status) && !strcmp(again.id, line->id) && again.offset == line->offset);
	MUST(again.host_length == line->host_length);
	stralloc_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data, *end = at + size;
	struct state_line line;

	while (state_next_line(&at, end, &line)) {
		MUST(line.host >= (const char *)data && line.host + line.host_length <= end);
		MUST(line.words >= (const char *)data && line.words + line.words_length <= end);
		check_again(&line);
	}
	MUST(at == end);
	return 0;
}
