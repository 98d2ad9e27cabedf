#include "dns.h"

#include <stdio.h>
#include <string.h>

enum { SLOTS = sizeof((struct dns_client *)0)->waiting / sizeof(struct dns_query *) };

/* ---- queries ---- */

static void take_out(struct dns_query *query)
{
	struct dns_client *client = query->client;
	struct dns_query **at = &client->waiting[query->serial % SLOTS];

	while (*at && *at != query)
		at = &(*at)->next;
	if (*at) {
		*at = query->next;
		client->count--;
	}
	loop_unset_timer(client->loop, &query->patience);
	query->serial = 0;
}

static void answer_later(struct dns_query *query, const char *words)
{
	struct dns_answer answer = { .verdict = DNS_LATER };

	snprintf(answer.words, sizeof answer.words, "%s", words);
	take_out(query);
	query->done(query, &answer);
}

static void patience_over(struct timer *timer)
{
	struct dns_query *query = container_of(timer, struct dns_query, patience);

	answer_later(query, query->client->channel.fd < 0 ? "the resolver is not running" : "the resolver did not answer in time");
}

void dns_cancel(struct dns_query *query)
{
	if (query->serial)
		take_out(query);
}

void dns_ask(struct dns_client *client, struct dns_query *query, const char *name, enum dns_type type,
             void (*done)(struct dns_query *, const struct dns_answer *))
{
	struct wire_value values[DNS_ASK_FIELDS] = {
		[DNS_ASK_TYPE] = WIRE_NUMBER(type),
		[DNS_ASK_NAME] = WIRE_STRING(name),
	};
	struct why why = { 0 };
	bool is_asked = false;

	query->client = client;
	query->done = done;
	query->serial = ++client->last_serial;
	query->next = client->waiting[query->serial % SLOTS];
	client->waiting[query->serial % SLOTS] = query;
	client->count++;
	values[DNS_ASK_SERIAL].number = query->serial;
	if (client->channel.fd >= 0 && client->count <= DNS_QUERIES_MAX)
		is_asked = channel_send(&client->channel, FRAME_DNS_ASK, values, -1, &why) == RESULT_OK;
	/* The answer never comes from within this call, so that its owner is in order when it does. */
	loop_set_timer(client->loop, &query->patience, is_asked ? DNS_PATIENCE_MS : 0, patience_over);
}

/* ---- the pipe ---- */

static struct dns_query *find(struct dns_client *client, uint64_t serial)
{
	struct dns_query *query = client->waiting[serial % SLOTS];

	while (query && query->serial != serial)
		query = query->next;
	return query;
}

static void take_answer(struct channel *channel, struct frame *f)
{
	struct dns_client *client = container_of(channel, struct dns_client, channel);
	struct dns_answer answer = { .verdict = DNS_LATER };
	struct dns_query *query;

	if (f->type != FRAME_DNS_TELL)
		return;
	query = find(client, f->value[DNS_TELL_SERIAL].number);
	if (!query)
		return;	/* cancelled, or too late */
	if (f->value[DNS_TELL_VERDICT].number >= DNS_ANSWER && f->value[DNS_TELL_VERDICT].number <= DNS_LATER)
		answer.verdict = (enum dns_verdict)f->value[DNS_TELL_VERDICT].number;
	answer.is_secure = f->value[DNS_TELL_IS_SECURE].number == 1;
	answer.ttl_seconds = (uint32_t)f->value[DNS_TELL_TTL_SECONDS].number;
	answer.records = f->value[DNS_TELL_RECORDS].bytes;
	answer.records_length = f->value[DNS_TELL_RECORDS].length;
	frame_value_copy(f, DNS_TELL_CANONICAL, answer.canonical, sizeof answer.canonical);
	frame_value_copy(f, DNS_TELL_WORDS, answer.words, sizeof answer.words);
	take_out(query);
	query->done(query, &answer);
}

/* dnsd is gone: whoever waits hears of it now. */
static void give_up_all(struct dns_client *client)
{
	uint64_t last = client->last_serial;
	size_t i;

	for (i = 0; i < SLOTS; i++) {
		struct dns_query *query = client->waiting[i];
		while (query) {
			if (query->serial > last) {	/* asked anew by one that was just answered */
				query = query->next;
				continue;
			}
			answer_later(query, "the resolver went away");
			query = client->waiting[i];	/* the list may have changed */
		}
	}
}

static void lost_resolver(struct channel *channel, const struct why *why)
{
	(void)why;
	give_up_all(container_of(channel, struct dns_client, channel));
}

void dns_client_init(struct dns_client *client, struct loop *loop)
{
	memset(client, 0, sizeof *client);
	client->loop = loop;
	client->channel.fd = -1;
}

enum result dns_client_join(struct dns_client *client, int fd, struct why *why)
{
	if (client->channel.fd >= 0) {
		channel_close(&client->channel);
		give_up_all(client);
	}
	return channel_open(&client->channel, client->loop, fd, take_answer, lost_resolver, why);
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
