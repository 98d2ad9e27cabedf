#include "parameters.h"

#include <string.h>

/* KEYWORD[=VALUE], RFC 5321 4.1.2 esmtp-param. VALUE is NULL when there is no '='. */
struct parameter { const char *keyword, *value; size_t keyword_length, value_length; };

struct parameter_row {
	const char *keyword;
	enum reply (*take)(void *into, const struct parameter *p);
};

static enum reply words_set(enum reply reply, struct why *words, const char *text, size_t length)
{
	why_set(words, RESULT_NEVER, "%.*s", (int)(length < 80 ? length : 80), text);
	return reply;
}

/* ---- values ---- */

static bool value_is(const struct parameter *p, const char *word)
{
	return p->value && text_equal_folded(p->value, p->value_length, word, strlen(word));
}

static enum reply mail_size(void *into, const struct parameter *p)
{
	struct mail_parameters *mail = into;

	if (!p->value || p->value_length > 20 || !text_to_number(p->value, p->value_length, &mail->size_bytes))
		return SAY_SYNTAX;
	return SAY_OK;
}

/* BINARYMIME (RFC 3030) is not offered. */
static enum reply mail_body(void *into, const struct parameter *p)
{
	struct mail_parameters *mail = into;

	mail->body = value_is(p, "8BITMIME") ? BODY_8BITMIME : BODY_7BIT;
	return mail->body == BODY_8BITMIME || value_is(p, "7BIT") ? SAY_OK : SAY_SYNTAX;
}

static enum reply mail_smtputf8(void *into, const struct parameter *p)
{
	((struct mail_parameters *)into)->smtputf8 = true;
	return p->value ? SAY_SYNTAX : SAY_OK;
}

static enum reply mail_requiretls(void *into, const struct parameter *p)
{
	((struct mail_parameters *)into)->requires_tls = true;
	return p->value ? SAY_SYNTAX : SAY_OK;
}

static enum reply mail_ret(void *into, const struct parameter *p)
{
	struct mail_parameters *mail = into;

	if (mail->return_full || mail->return_headers)
		return SAY_SYNTAX;
	mail->return_full = value_is(p, "FULL");
	mail->return_headers = value_is(p, "HDRS");
	return mail->return_full || mail->return_headers ? SAY_OK : SAY_SYNTAX;
}

static bool is_good_xtext(const char *text, size_t length)
{
	char decoded[ORCPT_MAX];
	size_t decoded_length;

	return length > 0 && length <= sizeof decoded && xtext_decode(text, length, decoded, &decoded_length) &&
	       text_is_printable(decoded, decoded_length);
}

static enum reply mail_envid(void *into, const struct parameter *p)
{
	struct mail_parameters *mail = into;

	if (!p->value || *mail->envid || p->value_length > ENVID_MAX || !is_good_xtext(p->value, p->value_length))
		return SAY_SYNTAX;
	memcpy(mail->envid, p->value, p->value_length);
	mail->envid[p->value_length] = '\0';
	return SAY_OK;
}

/* RFC 4954 5: who is said to have submitted it first. Nobody is believed here, and nobody told: only its form counts. */
static enum reply mail_auth(void *into, const struct parameter *p)
{
	(void)into;
	return value_is(p, "<>") || (p->value && is_good_xtext(p->value, p->value_length)) ? SAY_OK : SAY_SYNTAX;
}

static unsigned notify_bit(const char *word, size_t length)
{
	static const struct { const char *word; unsigned bit; } bits[] = {
		{ "NEVER", NOTIFY_NEVER }, { "SUCCESS", NOTIFY_SUCCESS }, { "FAILURE", NOTIFY_FAILURE }, { "DELAY", NOTIFY_DELAY },
	};

	for (size_t i = 0; i < sizeof bits / sizeof *bits; i++)
		if (text_equal_folded(word, length, bits[i].word, strlen(bits[i].word)))
			return bits[i].bit;
	return 0;
}

/* NEVER stands alone, the others once each at most, RFC 3461 4.1. */
static enum reply rcpt_notify(void *into, const struct parameter *p)
{
	struct rcpt_parameters *rcpt = into;

	if (rcpt->notify || !p->value)
		return SAY_SYNTAX;
	for (const char *at = p->value, *end = at + p->value_length;;) {
		const char *comma = memchr(at, ',', (size_t)(end - at)), *stop = comma ? comma : end;
		unsigned bit = notify_bit(at, (size_t)(stop - at));
		if (!bit || rcpt->notify & bit)
			return SAY_SYNTAX;
		rcpt->notify |= bit;
		if (!comma)
			break;
		at = comma + 1;
	}
	return rcpt->notify & NOTIFY_NEVER && rcpt->notify != NOTIFY_NEVER ? SAY_SYNTAX : SAY_OK;
}

/* RFC 6533 3: "utf-8" addresses may stand as they are. */
static bool is_good_utf8_orcpt(const char *type, size_t type_length, const char *text, size_t length)
{
	return text_equal_folded(type, type_length, "utf-8", 5) && length > 0 && text_is_printable(text, length);
}

static enum reply rcpt_orcpt(void *into, const struct parameter *p)
{
	struct rcpt_parameters *rcpt = into;
	const char *semicolon = p->value ? memchr(p->value, ';', p->value_length) : NULL;

	if (!semicolon || semicolon == p->value || *rcpt->orcpt || p->value_length > ORCPT_MAX)
		return SAY_SYNTAX;
	size_t type_length = (size_t)(semicolon - p->value), length = p->value_length - type_length - 1;
	if (!domain_is_valid(p->value, type_length))	/* an atom */
		return SAY_SYNTAX;
	if (!is_good_xtext(semicolon + 1, length) && !is_good_utf8_orcpt(p->value, type_length, semicolon + 1, length))
		return SAY_SYNTAX;
	memcpy(rcpt->orcpt, p->value, p->value_length);
	rcpt->orcpt[p->value_length] = '\0';
	return SAY_OK;
}

static const struct parameter_row mail_rows[] = {
	{ "SIZE", mail_size }, { "BODY", mail_body }, { "SMTPUTF8", mail_smtputf8 }, { "REQUIRETLS", mail_requiretls },
	{ "RET", mail_ret }, { "ENVID", mail_envid }, { "AUTH", mail_auth }, { NULL, NULL },
};
static const struct parameter_row rcpt_rows[] = {
	{ "NOTIFY", rcpt_notify }, { "ORCPT", rcpt_orcpt }, { NULL, NULL },
};

/* ---- the line ---- */

static const char *skip_blanks(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	return at;
}

static enum reply take_parameter(const struct parameter_row *row, void *into, const char *word, size_t length, struct why *words)
{
	const char *equals = memchr(word, '=', length);
	struct parameter p = { .keyword = word, .keyword_length = equals ? (size_t)(equals - word) : length };

	if (equals) {
		p.value = equals + 1;
		p.value_length = length - p.keyword_length - 1;
	}
	for (; row->keyword; row++)
		if (text_equal_folded(p.keyword, p.keyword_length, row->keyword, strlen(row->keyword)))
			return words_set(row->take(into, &p), words, word, length);
	return words_set(SAY_PARAMETER_UNKNOWN, words, p.keyword, p.keyword_length);
}

static bool is_ascii(const char *text)
{
	while ((unsigned char)*text >= 1 && (unsigned char)*text < 0x80)
		text++;
	return !*text;
}

/* The rest of the line behind the path. */
static enum reply take_parameters(const struct parameter_row *rows, void *into, const char *at, const char *end, struct why *words)
{
	const char *word;
	size_t length;

	if (at < end && *at != ' ' && *at != '\t')
		return words_set(SAY_SYNTAX, words, at, (size_t)(end - at));
	while (text_next_word(&at, end, &word, &length)) {
		enum reply reply = take_parameter(rows, into, word, length, words);
		if (reply != SAY_OK)
			return reply;
	}
	return SAY_OK;
}

/* "FROM:" or "TO:", blanks allowed around the colon. NULL: something else stands there. */
static const char *skip_preposition(const char *at, const char *end, const char *word)
{
	size_t length = strlen(word);

	at = skip_blanks(at, end);
	if ((size_t)(end - at) < length || !text_equal_folded(at, length, word, length))
		return NULL;
	at = skip_blanks(at + length, end);
	if (at == end || *at != ':')
		return NULL;
	return skip_blanks(at + 1, end);
}

enum reply parameters_of_mail(const char *text, size_t length, struct mail_parameters *mail, struct why *words)
{
	const char *end = text + length, *at = skip_preposition(text, end, "FROM");
	size_t used;

	*mail = (struct mail_parameters){ .body = BODY_7BIT };
	if (!at)
		return words_set(SAY_SYNTAX, words, "MAIL FROM:<address>", 19);
	if (address_parse_path(at, (size_t)(end - at), &mail->from, &used, words) != RESULT_OK)
		return SAY_BAD_SENDER;
	enum reply reply = take_parameters(mail_rows, mail, at + used, end, words);
	if (reply == SAY_OK && mail->from.needs_smtputf8 && !mail->smtputf8)
		return SAY_NEEDS_SMTPUTF8;	/* RFC 6531 3.5 */
	return reply;
}

enum reply parameters_of_rcpt(const char *text, size_t length, bool is_utf8, struct rcpt_parameters *rcpt, struct why *words)
{
	const char *end = text + length, *at = skip_preposition(text, end, "TO");
	size_t used;

	*rcpt = (struct rcpt_parameters){ .notify = 0 };
	if (!at)
		return words_set(SAY_SYNTAX, words, "RCPT TO:<address>", 17);
	if (address_parse_path(at, (size_t)(end - at), &rcpt->to, &used, words) != RESULT_OK)
		return SAY_BAD_RECIPIENT;
	if (rcpt->to.length == 0)
		return words_set(SAY_BAD_RECIPIENT, words, "empty", 5);
	enum reply reply = take_parameters(rcpt_rows, rcpt, at + used, end, words);
	if (reply == SAY_OK && !is_utf8 && (rcpt->to.needs_smtputf8 || !is_ascii(rcpt->orcpt)))
		return SAY_NEEDS_SMTPUTF8;
	return reply;
}
