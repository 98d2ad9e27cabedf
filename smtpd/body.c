#include "body.h"

#include <string.h>

enum class { IS_CR, IS_LF, IS_DOT, IS_OTHER, CLASSES };

/* PUT takes the byte; HOLD keeps a CR until its meaning is known; EOL puts the held CR and this LF;
 * DROP leaves the byte out. A bare newline becomes CRLF: LONE is this LF, BARE the CR held before
 * (this byte is taken after it), AGAIN the CR held before while this CR is held now. */
enum act { PUT, HOLD, EOL, DROP, LONE, BARE, AGAIN, END };

static const struct { uint8_t next, act; } body_step[BODY_STATES][CLASSES] = {
	/*                CR                       LF                    dot                   any other */
	[BODY_TEXT]   = { { BODY_CR,     HOLD  }, { BODY_TEXT, LONE }, { BODY_TEXT, PUT  }, { BODY_TEXT, PUT  } },
	[BODY_CR]     = { { BODY_CR,     AGAIN }, { BODY_LINE, EOL  }, { BODY_TEXT, BARE }, { BODY_TEXT, BARE } },
	[BODY_LINE]   = { { BODY_CR,     HOLD  }, { BODY_TEXT, LONE }, { BODY_DOT,  DROP }, { BODY_TEXT, PUT  } },
	[BODY_DOT]    = { { BODY_DOT_CR, HOLD  }, { BODY_TEXT, LONE }, { BODY_TEXT, PUT  }, { BODY_TEXT, PUT  } },
	[BODY_DOT_CR] = { { BODY_CR,     AGAIN }, { BODY_LINE, END  }, { BODY_TEXT, BARE }, { BODY_TEXT, BARE } },
};

struct feed {
	struct body *body;
	void (*take)(void *, const char *, size_t);
	void *context;
	const char *span, *end;		/* content that was seen and not handed on yet */
	bool is_chunk;			/* of BDAT: dots are text */
	const char *lf;			/* the next LF, or the end: searched once, however many CRs stand before it */
};

void body_start(struct body *body)
{
	*body = (struct body){ .state = BODY_LINE };
}

static void body_hand_on(struct feed *f)
{
	if (f->end > f->span)
		f->take(f->context, f->span, (size_t)(f->end - f->span));
}

/* Adds LENGTH bytes that stand in the input at BYTES to the span. */
static void body_extend(struct feed *f, const char *bytes, size_t length)
{
	if (f->end != bytes) {
		body_hand_on(f);
		f->span = bytes;
	}
	f->end = bytes + length;
}

static void body_add_newline(struct feed *f)
{
	body_hand_on(f);
	f->span = f->end = NULL;
	f->take(f->context, "\r\n", 2);
	f->body->line_length = 0;
}

static void body_count(struct body *body, size_t length)
{
	if (length > BODY_LINE_MAX - body->line_length)
		body->has_long_line = true;
	else
		body->line_length += (uint32_t)length;
}

/* The CR of this CRLF: mostly it stands right before and the span goes on; else it came with the
 * bytes before these. */
static void body_end_line(struct feed *f, const char *start, const char *lf)
{
	if (lf > start)
		body_extend(f, lf - 1, 2);
	else
		body_add_newline(f);
	f->body->line_length = 0;
}

static void body_act(struct feed *f, enum act act, const char *start, const char *at)
{
	switch (act) {
	case BARE:
		f->body->has_bare_newline = true;
		body_add_newline(f);	/* and the byte itself: */
		/* fall through */
	case PUT:
		body_extend(f, at, 1);
		body_count(f->body, 1);
		break;
	case EOL:
		body_end_line(f, start, at);
		break;
	case LONE:
	case AGAIN:
		f->body->has_bare_newline = true;
		body_add_newline(f);
		break;
	case HOLD:
	case DROP:
	case END:
		break;
	}
}

static const char *next_lf(struct feed *f, const char *at, const char *end)
{
	if (!f->lf || f->lf < at) {
		f->lf = memchr(at, '\n', (size_t)(end - at));
		if (!f->lf)
			f->lf = end;
	}
	return f->lf < end ? f->lf : NULL;
}

/* Most content is plain text: whole runs of lines are found by memchr. Takes from AT, inside or at the
 * start of a line, up to the first byte that needs the table; returns it. */
static const char *body_run(struct feed *f, const char *at, const char *end)
{
	while (at < end && (f->body->state == BODY_TEXT || f->is_chunk || *at != '.')) {
		size_t left = (size_t)(end - at);
		const char *lf = next_lf(f, at, end);
		size_t text = lf ? (size_t)(lf - at) : left;
		const char *cr = memchr(at, '\r', text);
		if (cr)
			text = (size_t)(cr - at);
		if (text > 0) {
			body_extend(f, at, text);
			body_count(f->body, text);
			f->body->state = BODY_TEXT;
		}
		if (!cr || cr + 1 != lf)
			return at + text;
		body_extend(f, cr, 2);
		f->body->line_length = 0;
		f->body->state = BODY_LINE;
		at = lf + 1;
	}
	return at;
}

static enum class body_class(const struct feed *f, char c)
{
	return c == '\r' ? IS_CR : c == '\n' ? IS_LF : c == '.' && !f->is_chunk ? IS_DOT : IS_OTHER;
}

static enum result feed(struct feed *f, const char *bytes, size_t length, size_t *used)
{
	struct body *body = f->body;
	const char *at = bytes, *end = bytes + length;

	while (at < end) {
		if (body->state == BODY_TEXT || body->state == BODY_LINE)
			at = body_run(f, at, end);
		if (at == end)
			break;
		enum class class = body_class(f, *at);
		uint8_t act = body_step[body->state][class].act;
		body_act(f, act, bytes, at++);
		body->state = body_step[body->state][class].next;
		if (act == END) {
			body_hand_on(f);
			*used = (size_t)(at - bytes);
			return RESULT_END;
		}
	}
	body_hand_on(f);
	*used = length;
	return RESULT_RETRY;
}

enum result body_feed(struct body *body, const char *bytes, size_t length, size_t *used,
                      void (*take)(void *, const char *, size_t), void *context)
{
	struct feed f = { .body = body, .take = take, .context = context };

	return feed(&f, bytes, length, used);
}

void body_feed_chunk(struct body *body, const char *bytes, size_t length, bool is_last,
                     void (*take)(void *, const char *, size_t), void *context)
{
	struct feed f = { .body = body, .take = take, .context = context, .is_chunk = true };
	size_t used;

	feed(&f, bytes, length, &used);
	if (!is_last || body->state != BODY_CR)
		return;
	body->has_bare_newline = true;
	body->state = BODY_LINE;
	take(context, "\r\n", 2);
}
