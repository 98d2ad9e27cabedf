/* See address.h. */
#include "address.h"
#include "network.h"
#include "text.h"

#include <idn2.h>
#include <string.h>

enum { LABEL_MAX = 63, NAME_MAX_BYTES = 253 };

struct cursor { const char *at, *end; };

static bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

static bool is_digit_or_letter(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* RFC 5322 3.2.3 atext, and RFC 6531 3.3: any byte of UTF-8. */
static bool is_atext(char c)
{
	return is_digit_or_letter(c) || (unsigned char)c >= 0x80 || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool has_high_byte(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] >= 0x80)
			return true;
	return false;
}

/* Dot-string of RFC 5321 4.1.2: what may stand without quotes. */
static bool is_dot_string(const char *text, size_t length)
{
	bool after_dot = true;

	for (size_t i = 0; i < length; i++) {
		if (text[i] == '.' ? after_dot : !is_atext(text[i]))
			return false;
		after_dot = text[i] == '.';
	}
	return !after_dot;
}

bool domain_is_valid(const char *text, size_t length)
{
	size_t label = 0;

	if (length == 0 || length > NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < length; i++) {
		char c = text[i];
		if (c == '.') {
			if (label == 0 || text[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		if (!is_digit_or_letter(c) && c != '_' && (c != '-' || label == 0))
			return false;
		if (++label > LABEL_MAX)
			return false;
	}
	return label > 0 && text[length - 1] != '-';
}

/* libidn2 maps or drops what it does not like; so bad ASCII is refused before, the result checked
 * after, and plain names never get there. */
enum result domain_to_ascii(const char *text, size_t length, char *out, struct why *why)
{
	char copy[ADDRESS_DOMAIN_MAX + 1], *ascii = NULL;
	size_t ascii_length;

	if (length == 0 || length > ADDRESS_DOMAIN_MAX)
		return why_set(why, RESULT_NEVER, "a domain has 1 to %d characters", NAME_MAX_BYTES);
	memcpy(copy, text, length);
	copy[length] = '\0';
	if (!has_high_byte(text, length)) {
		if (!domain_is_valid(text, length))
			return why_set(why, RESULT_NEVER, "%s is no valid domain", copy);
		text_lower(copy, length);
		memcpy(out, copy, length + 1);
		return RESULT_OK;
	}
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < 0x80 && !is_digit_or_letter(text[i]) && text[i] != '-' && text[i] != '.')
			return why_set(why, RESULT_NEVER, "a domain may not hold such characters");
	if (!text_is_utf8(text, length) ||
	    idn2_lookup_u8((const uint8_t *)copy, (uint8_t **)&ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
		return why_set(why, RESULT_NEVER, "no valid international domain");
	ascii_length = strlen(ascii);
	if (!domain_is_valid(ascii, ascii_length)) {
		idn2_free(ascii);
		return why_set(why, RESULT_NEVER, "no valid international domain");
	}
	memcpy(out, ascii, ascii_length + 1);
	text_lower(out, ascii_length);
	idn2_free(ascii);
	return RESULT_OK;
}

bool domain_is(const char *text, size_t length, const char *name)
{
	char ascii[ADDRESS_DOMAIN_MAX + 1];

	return text_equal_folded(text, length, name, strlen(name)) ||
	       (has_high_byte(text, length) && domain_to_ascii(text, length, ascii, NULL) == RESULT_OK && strcmp(ascii, name) == 0);
}

bool address_to_ascii(const char *text, char *out)
{
	const char *at = strrchr(text, '@'), *domain = at ? at + 1 : text;
	size_t length = (size_t)(domain - text);

	if (!has_high_byte(domain, strlen(domain)) || length > ADDRESS_LOCAL_MAX + 1 ||
	    domain_to_ascii(domain, strlen(domain), out + length, NULL) != RESULT_OK)
		return false;
	memcpy(out, text, length);
	return true;
}

/* The content of a local part, unescaped, into RAW (ADDRESS_LOCAL_MAX + 1 bytes). */
static enum result take_quoted(struct cursor *in, char *raw, size_t *length, struct why *why)
{
	in->at++;
	for (*length = 0; in->at < in->end && *in->at != '"'; in->at++) {
		if (*in->at == '\\' && ++in->at == in->end)
			break;
		if (is_control(*in->at))
			return why_set(why, RESULT_NEVER, "control character in an address");
		if (*length == ADDRESS_LOCAL_MAX)
			return why_set(why, RESULT_NEVER, "local part over %d characters", ADDRESS_LOCAL_MAX);
		raw[(*length)++] = *in->at;
	}
	if (in->at == in->end)
		return why_set(why, RESULT_NEVER, "a quote is not closed");
	in->at++;
	return RESULT_OK;
}

/* Dots in odd places ("a..b@") are taken here, and quoted by put_local. */
static enum result take_plain(struct cursor *in, char *raw, size_t *length, struct why *why)
{
	for (*length = 0; in->at < in->end && (is_atext(*in->at) || *in->at == '.'); in->at++) {
		if (*length == ADDRESS_LOCAL_MAX)
			return why_set(why, RESULT_NEVER, "local part over %d characters", ADDRESS_LOCAL_MAX);
		raw[(*length)++] = *in->at;
	}
	if (*length == 0)
		return why_set(why, RESULT_NEVER, "no local part before the '@'");
	return RESULT_OK;
}

/* Writes the local part RAW in its one valid form, RFC 5321 4.1.2: quoted only where needed. */
static bool put_local(struct address *address, const char *raw, size_t length)
{
	char *out = address->text;
	bool quoted = !is_dot_string(raw, length);

	if (quoted)
		*out++ = '"';
	for (size_t i = 0; i < length; i++) {
		if (raw[i] == '"' || raw[i] == '\\')
			*out++ = '\\';
		*out++ = raw[i];
	}
	if (quoted)
		*out++ = '"';
	*out = '\0';
	address->local_length = address->length = (size_t)(out - address->text);
	return address->local_length <= ADDRESS_LOCAL_MAX;
}

static enum result take_local(struct cursor *in, struct address *address, struct why *why)
{
	char raw[ADDRESS_LOCAL_MAX + 1];
	size_t length;
	enum result result;

	if (in->at < in->end && *in->at == '"')
		result = take_quoted(in, raw, &length, why);
	else
		result = take_plain(in, raw, &length, why);
	if (result != RESULT_OK)
		return result;
	if (!text_is_utf8(raw, length))
		return why_set(why, RESULT_NEVER, "address is not UTF-8");
	if (!text_is_shown(raw, length))
		return why_set(why, RESULT_NEVER, "control character in an address");
	if (!put_local(address, raw, length))
		return why_set(why, RESULT_NEVER, "local part over %d characters", ADDRESS_LOCAL_MAX);
	return RESULT_OK;
}

/* RFC 5321 4.1.3: [192.0.2.1], [IPv6:2001:db8::1]; no other kind is registered. */
static enum result take_literal(struct cursor *in, char *out, size_t *length, struct why *why)
{
	const char *start = in->at + 1, *close = memchr(in->at, ']', (size_t)(in->end - in->at));
	struct address_ip ip;
	bool is_ipv6;

	if (!close)
		return why_set(why, RESULT_NEVER, "an address literal without its ']'");
	is_ipv6 = close - start > 5 && text_equal_folded(start, 5, "IPv6:", 5);
	if (is_ipv6)
		start += 5;
	if (!ip_parse(start, (size_t)(close - start), &ip) || is_ipv6 != (memchr(start, ':', (size_t)(close - start)) != NULL))
		return why_set(why, RESULT_NEVER, "not an address literal: [192.0.2.1] or [IPv6:2001:db8::1]");
	*length = strlen(ip_literal(&ip, out));
	in->at = close + 1;
	return RESULT_OK;
}

static enum result take_name(struct cursor *in, char *out, size_t *length, struct why *why)
{
	const char *start = in->at;
	char ascii[ADDRESS_DOMAIN_MAX + 1];
	enum result result;

	while (in->at < in->end && (is_digit_or_letter(*in->at) || (unsigned char)*in->at >= 0x80 ||
	       *in->at == '.' || *in->at == '-' || *in->at == '_'))
		in->at++;
	*length = (size_t)(in->at - start);
	result = domain_to_ascii(start, *length, ascii, why);
	if (result != RESULT_OK)
		return result;
	memcpy(out, start, *length);
	text_lower(out, *length);
	return RESULT_OK;
}

static enum result take_domain(struct cursor *in, struct address *address, struct why *why)
{
	char *out = address->text + address->local_length;
	size_t length;
	enum result result;

	*out++ = '@';
	address->domain = out;
	address->is_literal = in->at < in->end && *in->at == '[';
	if (address->is_literal)
		result = take_literal(in, out, &length, why);
	else
		result = take_name(in, out, &length, why);
	if (result != RESULT_OK)
		return result;
	out[length] = '\0';
	address->length = address->local_length + 1 + length;
	return RESULT_OK;
}

/* Mailbox of RFC 5321 4.1.2; the domain may be missing. */
static enum result take_mailbox(struct cursor *in, struct address *address, struct why *why)
{
	enum result result = take_local(in, address, why);

	if (result != RESULT_OK)
		return result;
	address->domain = address->text + address->length;
	if (in->at < in->end && *in->at == '@') {
		in->at++;
		result = take_domain(in, address, why);
	}
	address->needs_smtputf8 = has_high_byte(address->text, address->length);
	return result;
}

/* RFC 5321 C: "@relay.example,@other.example:" is accepted and has no effect. */
static enum result skip_source_route(struct cursor *in, struct why *why)
{
	const char *colon;

	if (in->at == in->end || *in->at != '@')
		return RESULT_OK;
	colon = memchr(in->at, ':', (size_t)(in->end - in->at));
	if (!colon)
		return why_set(why, RESULT_NEVER, "a source route without its ':'");
	while (in->at < colon) {
		const char *start = ++in->at;
		while (in->at < colon && *in->at != ',')
			in->at++;
		if (start[-1] != '@' || !domain_is_valid(start, (size_t)(in->at - start)))
			return why_set(why, RESULT_NEVER, "malformed source route");
		if (in->at < colon && ++in->at == colon)
			return why_set(why, RESULT_NEVER, "malformed source route");
	}
	in->at = colon + 1;
	return RESULT_OK;
}

static void address_clear(struct address *address)
{
	memset(address, 0, sizeof *address);
	address->domain = address->text;
}

static enum result take_bracketed(struct cursor *in, struct address *address, struct why *why)
{
	enum result result;

	in->at++;
	if (in->at < in->end && *in->at == '>') {
		in->at++;
		return RESULT_OK;
	}
	result = skip_source_route(in, why);
	if (result == RESULT_OK)
		result = take_mailbox(in, address, why);
	if (result != RESULT_OK)
		return result;
	if (in->at == in->end || *in->at != '>')
		return why_set(why, RESULT_NEVER, "a '>' is missing or comes after a character that needs quotes");
	in->at++;
	return RESULT_OK;
}

static enum result take_bare(struct cursor *in, struct address *address, struct why *why)
{
	enum result result = skip_source_route(in, why);

	if (result == RESULT_OK)
		result = take_mailbox(in, address, why);
	if (result != RESULT_OK)
		return result;
	if (in->at < in->end && *in->at != ' ' && *in->at != '\t')
		return why_set(why, RESULT_NEVER, "a character in the address that needs quotes");
	return RESULT_OK;
}

enum result address_parse_path(const char *text, size_t length, struct address *address, size_t *used, struct why *why)
{
	struct cursor in = { text, text + length };
	enum result result;

	address_clear(address);
	*used = 0;
	if (length == 0)
		return why_set(why, RESULT_NEVER, "no address");
	result = *text == '<' ? take_bracketed(&in, address, why) : take_bare(&in, address, why);
	if (result == RESULT_OK)
		*used = (size_t)(in.at - text);
	else
		address_clear(address);
	return result;
}

enum result address_parse(const char *text, size_t length, struct address *address, struct why *why)
{
	size_t used;
	enum result result;

	address_clear(address);
	if (length == 0 || *text == '<' || *text == '@')
		return why_set(why, RESULT_NEVER, "not an address: user@domain");
	result = address_parse_path(text, length, address, &used, why);
	if (result != RESULT_OK || used == length)
		return result;
	address_clear(address);
	return why_set(why, RESULT_NEVER, "not an address: something follows it");
}

size_t address_fold(const struct address *address, char *out)
{
	size_t length = address->local_length;

	memcpy(out, address->text, length);
	text_lower(out, length);
	if (*address->domain == '\0') {
		out[length] = '\0';
		return length;
	}
	out[length++] = '@';
	/* Parsing went through domain_to_ascii already: it can't fail here. */
	if (address->is_literal || domain_to_ascii(address->domain, strlen(address->domain), out + length, NULL) != RESULT_OK)
		memcpy(out + length, address->domain, strlen(address->domain) + 1);
	return length + strlen(out + length);
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 3461 4. What is decoded goes into reports: no control characters. */
bool xtext_decode(const char *text, size_t length, char *out, size_t *out_length)
{
	*out_length = 0;
	for (size_t i = 0; i < length; i++) {
		char c = text[i];
		if (c == '+') {
			if (length - i < 3 || hex_value(text[i + 1]) < 0 || hex_value(text[i + 2]) < 0)
				return false;
			c = (char)(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
			i += 2;
		} else if (c < '!' || c > '~' || c == '=') {
			return false;
		}
		if (is_control(c))
			return false;
		out[(*out_length)++] = c;
	}
	return true;
}
