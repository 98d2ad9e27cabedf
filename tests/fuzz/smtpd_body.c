/* link: smtpd/body.o */
/* The content of DATA: whole, in two pieces and byte by byte it must come out the same, and nothing that comes
 * out may be read as its end by anybody (RFC 5321 4.1.1.4, 2.3.8). The first byte says where it is cut. */
#include "fuzz.h"
#include "smtpd/body.h"

struct out { char *bytes; size_t length, room; };

static void take(void *context, const char *bytes, size_t length)
{
	struct out *out = context;

	MUST(length <= out->room - out->length);
	memcpy(out->bytes + out->length, bytes, length);
	out->length += length;
}

static enum result feed(struct body *body, const char *in, size_t size, size_t first, size_t step, struct out *out, size_t *end)
{
	size_t at = 0, used;

	out->length = 0;
	body_start(body);
	while (at < size) {
		size_t piece = at == 0 && first ? first : step;
		if (piece > size - at)
			piece = size - at;
		enum result result = body_feed(body, in + at, piece, &used, take, out);
		MUST(used <= piece && (result == RESULT_END || (result == RESULT_RETRY && used == piece)));
		at += used;
		if (result == RESULT_END) {
			*end = at;
			return result;
		}
	}
	*end = at;
	return RESULT_RETRY;
}

static void check_lines(const struct out *out)
{
	size_t i;

	for (i = 0; i < out->length; i++) {
		MUST(out->bytes[i] != '\n' || (i && out->bytes[i - 1] == '\r'));
		MUST(out->bytes[i] != '\r' || i + 1 == out->length || out->bytes[i + 1] == '\n');
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *in = (const char *)data + 1;
	struct body whole, pieces;
	struct out a, b;
	size_t end, other;

	if (size < 2)
		return 0;
	size--;
	a = (struct out){ malloc(2 * size + 2), 0, 2 * size + 2 };
	b = (struct out){ malloc(2 * size + 2), 0, 2 * size + 2 };
	enum result result = feed(&whole, in, size, 0, size, &a, &end);
	MUST(feed(&pieces, in, size, data[0], size, &b, &other) == result && end == other);
	MUST(a.length == b.length && !memcmp(a.bytes, b.bytes, a.length) && whole.has_bare_newline == pieces.has_bare_newline);
	MUST(whole.has_long_line == pieces.has_long_line);
	MUST(feed(&pieces, in, size, 1, 1, &b, &other) == result && end == other);
	MUST(a.length == b.length && !memcmp(a.bytes, b.bytes, a.length) && whole.has_bare_newline == pieces.has_bare_newline);
	check_lines(&a);
	a.length = b.length = 0;
	body_start(&whole);
	body_feed_chunk(&whole, in, size, true, take, &a);
	body_start(&pieces);
	body_feed_chunk(&pieces, in, size < data[0] ? size : data[0], false, take, &b);
	body_feed_chunk(&pieces, in + (size < data[0] ? size : data[0]), size - (size < data[0] ? size : data[0]), true, take, &b);
	MUST(a.length == b.length && !memcmp(a.bytes, b.bytes, a.length) && whole.has_bare_newline == pieces.has_bare_newline);
	MUST(whole.has_bare_newline || (a.length == size && !memcmp(a.bytes, in, size)));
	check_lines(&a);
	free(a.bytes);
	free(b.bytes);
	return 0;
}
