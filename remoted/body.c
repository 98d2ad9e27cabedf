#include "remoted/body.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static size_t put_line_end(struct body *body, char *out)
{
	out[0] = '\r';
	out[1] = '\n';
	body->at_line_start = true;
	return 2;
}

/* The bytes up to the next CR or LF; both are searched by memchr, the second in what the first left. *LF is the next one, or END:
 * it is searched once, however many CRs stand before it. */
static size_t span(const char *in, const char *end, const char **lf)
{
	const char *cr;

	if (!*lf || *lf < in) {
		*lf = memchr(in, '\n', (size_t)(end - in));
		if (!*lf)
			*lf = end;
	}
	cr = memchr(in, '\r', (size_t)(*lf - in));
	return (size_t)((cr ? cr : *lf) - in);
}

size_t body_convert(struct body *body, const char *in, size_t length, char *out)
{
	const char *end = in + length, *lf = NULL;
	size_t put = 0, plain;

	while (in < end) {
		if (body->after_cr) {	/* CRLF, or a CR alone: a line end either way */
			body->after_cr = false;
			put += put_line_end(body, out + put);
			in += *in == '\n';
			continue;
		}
		if (*in == '\r') {
			body->after_cr = true;
			in++;
			continue;
		}
		if (*in == '\n') {
			put += put_line_end(body, out + put);
			in++;
			continue;
		}
		if (body->at_line_start && *in == '.' && !body->is_chunked)
			out[put++] = '.';
		plain = span(in, end, &lf);
		memcpy(out + put, in, plain);
		put += plain;
		in += plain;
		body->at_line_start = false;
	}
	return put;
}

size_t body_end(struct body *body, char *out)
{
	size_t put = 0;

	if (body->after_cr || !body->at_line_start)
		put = put_line_end(body, out);
	if (body->is_chunked)
		return put;
	memcpy(out + put, ".\r\n", 3);
	return put + 3;
}

enum result body_read(int message, uint64_t at, uint64_t left, char *out, size_t *got, struct why *why)
{
	ssize_t n;

	do
		n = pread(message, out, left < BODY_PIECE ? left : BODY_PIECE, (off_t)at);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return why_errno(why, RESULT_RETRY, "unable to read the message");
	if (n == 0)
		return why_set(why, RESULT_RETRY, "the message ended early");
	*got = (size_t)n;
	return RESULT_OK;
}

enum result body_scan(int message, uint64_t offset, uint64_t length, struct why *why)
{
	char piece[BODY_PIECE];
	size_t got, i;

	while (length) {
		unsigned char all = 0;
		if (body_read(message, offset, length, piece, &got, why) != RESULT_OK)
			return RESULT_RETRY;
		for (i = 0; i < got; i++)
			all |= (unsigned char)piece[i];
		if (all & 0x80)
			return RESULT_END;
		offset += got;
		length -= got;
	}
	return RESULT_OK;
}
