/* link: remoted/reply.o */
/* Replies of other hosts: the words that are kept are bounded and printable, the status is one. */
#include "common/text.h"
#include "fuzz.h"
#include "remoted/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data, *end = at + size;
	struct reply reply = { 0 };
	struct why why = { 0 };
	char status[12];

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at)), *stop = newline ? newline : end, *words;
		size_t length;
		if (reply.is_whole)
			reply = (struct reply){ 0 };
		words = reply_line_words(at, (size_t)(stop - at), &length);
		MUST(words + length == stop || length == 0);
		if (reply_take_line(&reply, at, (size_t)(stop - at), &why) != RESULT_OK)
			return 0;
		MUST(reply.code >= 200 && reply.code <= 599 && reply.length <= REPLY_TEXT_MAX);
		MUST(strlen(reply.text) == reply.length && text_is_printable(reply.text, reply.length));
		reply_status(&reply, "5.0.0", status);
		MUST(status[0] == '0' + reply.code / 100 && status[1] == '.' && strlen(status) < 12);
		at = newline ? newline + 1 : end;
	}
	return 0;
}
