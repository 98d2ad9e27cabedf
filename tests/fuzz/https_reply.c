/* Answers over HTTPS from anybody's host: bounded, printable, and the same whole as in pieces of any size. The first byte
 * is the size of the pieces, its highest bit how the connection ends. */
#include "common/https_reply.h"
#include "fuzz.h"

enum { BODY_MAX = 512 };

static enum result feed(struct https_reply *reply, const uint8_t *data, size_t size, size_t step, bool is_orderly)
{
	enum result result = RESULT_OK;
	struct why why = { 0 };
	size_t at;

	for (at = 0; at < size && result == RESULT_OK; at += step)
		result = https_reply_take(reply, (const char *)data + at, size - at < step ? size - at : step, &why);
	if (result == RESULT_OK)
		result = https_reply_end(reply, is_orderly, &why);
	MUST((result == RESULT_OK) == reply->is_whole && (result == RESULT_OK) != (why.text[0] != 0));
	MUST(reply->body.len <= BODY_MAX && reply->head_length <= HTTPS_HEAD_MAX && reply->line.len <= HTTPS_HEAD_MAX);
	MUST(strlen(reply->type) < HTTPS_TYPE_MAX && (!reply->has_head || (reply->status >= 200 && reply->status <= 599)));
	MUST(!reply->is_whole || reply->has_head);
	fuzz_touch(reply->body.s, reply->body.len);
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct https_reply whole = { .body_max = BODY_MAX }, pieces = { .body_max = BODY_MAX };
	bool is_orderly = size && data[0] & 0x80;
	size_t step = size && data[0] & 0x7f ? data[0] & 0x7f : 1;

	if (size == 0)
		return 0;
	MUST(feed(&whole, data + 1, size - 1, size, is_orderly) == feed(&pieces, data + 1, size - 1, step, is_orderly));
	MUST(whole.status == pieces.status && !strcmp(whole.type, pieces.type) && whole.is_too_long == pieces.is_too_long);
	if (whole.is_whole)
		MUST(whole.body.len == pieces.body.len && (!whole.body.len || !memcmp(whole.body.s, pieces.body.s, whole.body.len)));
	https_reply_free(&whole);
	https_reply_free(&pieces);
	return 0;
}
