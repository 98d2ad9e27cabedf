#include "dns.h"

#include <stdio.h>
#include <string.h>

static void told(struct question *question, const struct frame *f, const char *words)
{
	struct dns_query *query = container_of(question, struct dns_query, question);
	struct dns_answer answer = { .verdict = DNS_LATER };

	if (!f) {
		snprintf(answer.words, sizeof answer.words, "%s", words);
	} else {
		if (f->value[DNS_TELL_VERDICT].number >= DNS_ANSWER && f->value[DNS_TELL_VERDICT].number <= DNS_LATER)
			answer.verdict = (enum dns_verdict)f->value[DNS_TELL_VERDICT].number;
		answer.is_secure = f->value[DNS_TELL_IS_SECURE].number == 1;
		answer.ttl_seconds = (uint32_t)f->value[DNS_TELL_TTL_SECONDS].number;
		answer.records = f->value[DNS_TELL_RECORDS].bytes;
		answer.records_length = f->value[DNS_TELL_RECORDS].length;
		frame_value_copy(f, DNS_TELL_CANONICAL, answer.canonical, sizeof answer.canonical);
		frame_value_copy(f, DNS_TELL_WORDS, answer.words, sizeof answer.words);
	}
	query->done(query, &answer);
}

static const struct questions_kind kind = {
	.ask = FRAME_DNS_ASK, .tell = FRAME_DNS_TELL, .most = DNS_QUERIES_MAX, .patience_ms = DNS_PATIENCE_MS,
	.helper = "the resolver", .told = told,
};

void dns_client_init(struct dns_client *client, struct loop *loop)
{
	questions_init(&client->questions, &kind, loop);
}

enum result dns_client_join(struct dns_client *client, int fd, struct why *why)
{
	return questions_join(&client->questions, fd, why);
}

void dns_ask(struct dns_client *client, struct dns_query *query, const char *name, enum dns_type type,
             void (*done)(struct dns_query *, const struct dns_answer *))
{
	struct wire_value values[DNS_ASK_FIELDS] = {
		[DNS_ASK_TYPE] = WIRE_NUMBER(type),
		[DNS_ASK_NAME] = WIRE_STRING(name),
	};

	query->done = done;
	questions_ask(&client->questions, &query->question, values);
}

void dns_cancel(struct dns_query *query)
{
	question_cancel(&query->question);
}

/* ---- records ---- */

bool dns_next_record(const char **at, const char *end, const char **rdata, size_t *length)
{
	uint16_t size;

	if (end - *at < (ptrdiff_t)sizeof size)
		return false;
	memcpy(&size, *at, sizeof size);
	if ((size_t)(end - *at) - sizeof size < size)
		return false;
	*rdata = *at + sizeof size;
	*length = size;
	*at = *rdata + size;
	return true;
}

static bool is_host_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool dns_name_text(const char *rdata, size_t length, char *out)
{
	size_t at = 0, put = 0, i;

	while (at < length) {
		size_t label = (unsigned char)rdata[at++];
		if (!label) {
			out[put ? put - 1 : 0] = 0;
			return true;
		}
		if (label > 63 || label > length - at || put + label + 1 > DNS_NAME_MAX)
			return false;
		for (i = 0; i < label; i++) {
			char c = rdata[at + i];
			out[put] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
			if (!is_host_byte(out[put++]))
				return false;
		}
		out[put++] = '.';
		at += label;
	}
	return false;
}

bool dns_mx(const char *rdata, size_t length, uint16_t *preference, char *host)
{
	if (length < 3)
		return false;
	*preference = (uint16_t)((unsigned char)rdata[0] << 8 | (unsigned char)rdata[1]);
	return dns_name_text(rdata + 2, length - 2, host);
}

bool dns_ip(const char *rdata, size_t length, struct address_ip *ip)
{
	*ip = (struct address_ip){ .family = length == 4 ? 4 : 6 };
	if (length != 4 && length != 16)
		return false;
	memcpy(ip->bytes, rdata, length);
	ip_unmap(ip);
	return true;
}

void dns_reverse_name(const struct address_ip *ip, char *out)
{
	size_t length = 0;
	int i;

	if (ip->family == 4) {
		snprintf(out, DNS_NAME_MAX + 1, "%u.%u.%u.%u.in-addr.arpa", ip->bytes[3], ip->bytes[2], ip->bytes[1], ip->bytes[0]);
		return;
	}
	for (i = 15; i >= 0; i--)
		length += (size_t)snprintf(out + length, DNS_NAME_MAX + 1 - length, "%x.%x.", ip->bytes[i] & 15, ip->bytes[i] >> 4);
	snprintf(out + length, DNS_NAME_MAX + 1 - length, "ip6.arpa");
}
