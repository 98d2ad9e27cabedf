/* DKIM: what is canonicalised is the same in whatever pieces it came, and stays as it is when it is done once more; the
 * field of a signature holds no line that the header does not end. The first byte is the length of the pieces. */
#include "common/dkim.h"
#include "common/loop.h"
#include "fuzz.h"

struct gathered { struct dkim_relaxed relaxed; stralloc text; };

static void gather(struct dkim_relaxed *relaxed, const char *bytes, size_t length)
{
	MUST(length && text_append(&container_of(relaxed, struct gathered, relaxed)->text, bytes, length));
}

static stralloc relax(const char *bytes, size_t length, size_t piece)
{
	struct gathered gathered = { .relaxed.put = gather };
	size_t at;

	for (at = 0; at < length; at += piece)
		dkim_relaxed_add(&gathered.relaxed, bytes + at, length - at < piece ? length - at : piece);
	dkim_relaxed_end(&gathered.relaxed);
	return gathered.text;
}

static void must_be_equal(stralloc *a, stralloc *b)
{
	MUST(a->len == b->len && (!a->len || !memcmp(a->s, b->s, a->len)));
	stralloc_free(b);
}

static void body(const char *bytes, size_t length, size_t piece)
{
	stralloc whole = relax(bytes, length, length ? length : 1), pieces = relax(bytes, length, piece), again;

	must_be_equal(&whole, &pieces);
	again = relax(whole.s, whole.len, piece);
	must_be_equal(&whole, &again);
	MUST(!whole.len || (whole.len > 2 && !memcmp(whole.s + whole.len - 2, "\r\n", 2)));
	stralloc_free(&whole);
}

static void header(const char *bytes, size_t length)
{
	static const char *const names[] = { "From", "Subject", "X", NULL };
	const struct dkim_wish wish = { "b.example", "s", SIGN_RSA_SHA256, 1, names };
	static const unsigned char body_hash[DKIM_HASH_SIZE];
	unsigned char hash[DKIM_HASH_SIZE];
	stralloc field = { 0 }, once = { 0 }, twice = { 0 };

	MUST(dkim_append_relaxed_field(&once, bytes, length) && dkim_append_relaxed_field(&twice, once.s, once.len));
	must_be_equal(&once, &twice);
	stralloc_free(&once);
	MUST(dkim_field_start(&wish, bytes, length, body_hash, &field, hash) && dkim_field_end(&field, hash, sizeof hash));
	MUST(field.len > 2 && field.s[field.len - 1] == '\n' && text_append_nul(&field) && strlen(field.s) == field.len);
	for (const char *at = strchr(field.s, '\n'); at[1]; at = strchr(at + 1, '\n'))
		MUST(at[-1] == '\r' && at[1] == '\t');
	stralloc_free(&field);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data + 1;

	if (!size)
		return 0;
	body(bytes, size - 1, data[0] ? data[0] : 1);
	header(bytes, size - 1);
	return 0;
}
