/* A report by HTTPS: RFC 8460 5.4. The name of the host is looked up by dnsd. */
#include "send.h"

#include "common/address.h"
#include "common/https.h"
#include <string.h>

enum { POST_ADDRESSES_MAX = 8, POST_HOST_MAX = 253, POST_PATH_MAX = 2048 };	/* addresses: of each family */

struct target {
	char host[POST_HOST_MAX + 1];
	uint16_t port;
	char path[POST_PATH_MAX];	/* with its query */
	struct address_ip addresses[2 * POST_ADDRESSES_MAX];
	size_t count;
};

static bool parse_authority(const char *text, size_t length, struct target *target)
{
	const char *colon = memchr(text, ':', length);
	size_t host_length = colon ? (size_t)(colon - text) : length;
	uint64_t port = HTTPS_PORT;

	if (!domain_is_valid(text, host_length))	/* nor has it a user: nobody's password goes there */
		return false;
	if (colon && host_length + 1 < length && (!text_to_number(colon + 1, length - host_length - 1, &port) || port == 0 || port > 65535))
		return false;
	snprintf(target->host, sizeof target->host, "%.*s", (int)host_length, text);
	target->port = (uint16_t)port;
	return true;
}

/* RFC 3986 3: what stands behind "#" stays here. */
static bool parse_path(const char *text, struct target *target)
{
	size_t length = strcspn(text, "#"), i;

	for (i = 0; i < length; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return snprintf(target->path, sizeof target->path, "%s%.*s", *text == '/' ? "" : "/", (int)length, text) < (int)sizeof target->path;
}

static enum result parse_url(const char *url, struct target *target, struct why *why)
{
	static const char scheme[] = "https://";
	size_t head = sizeof scheme - 1, length;

	if (strlen(url) <= head || !text_equal_folded(url, head, scheme, head))
		return why_set(why, RESULT_NEVER, "%.100s can't be posted to", url);
	length = strcspn(url + head, "/?#");
	if (!parse_authority(url + head, length, target) || !parse_path(url + head + length, target))
		return why_set(why, RESULT_NEVER, "%.100s can't be posted to", url);
	return RESULT_OK;
}

static void add_addresses(struct names *names, struct target *target, enum dns_type type, char *words)
{
	const char *at, *end, *rdata;
	stralloc records = { 0 };
	size_t length, most = target->count + POST_ADDRESSES_MAX;

	if (names_find_records(names, target->host, type, &records, words) == DNS_ANSWER)
		for (at = records.s, end = at + records.len; target->count < most && dns_next_record(&at, end, &rdata, &length);)
			target->count += dns_ip(rdata, length, &target->addresses[target->count]);
	stralloc_free(&records);
}

static enum result find_addresses(struct target *target, struct names *names, struct why *why)
{
	char words[257] = "";

	add_addresses(names, target, DNS_A, words);
	add_addresses(names, target, DNS_AAAA, words);
	if (target->count)
		return RESULT_OK;
	return why_set(why, RESULT_RETRY, "%.100s has no address%s%.100s", target->host, *words ? ": " : "", words);
}

/* ---- the post ---- */

struct post {
	struct https https;
	struct loop *loop;
};

static void posted(struct https *https)
{
	loop_stop(container_of(https, struct post, https)->loop);
}

static enum result judge(const struct https *https, const char *url, struct why *why)
{
	unsigned status = https->reply.status;

	if (status >= 200 && status < 300)
		return RESULT_OK;
	if (status)
		return why_set(why, RESULT_RETRY, "%.100s answers with HTTP status %u", url, status);
	return why_set(why, RESULT_RETRY, "%.100s: %.140s", url, https->why.text);
}

/* Blocks in a loop of its own, for HTTPS_SECONDS at most. */
static enum result post(const struct parcel *parcel, const char *url, const struct target *target, struct tls_client *client, struct why *why)
{
	struct post post = { .https = {
		.host = target->host, .port = target->port, .path = target->path, .type = "application/tlsrpt+gzip",
		.bytes = parcel->gzip, .length = parcel->length, .done = posted,
	} };
	enum result result = loop_make(&post.loop, why);

	if (result != RESULT_OK)
		return why_set(why, RESULT_RETRY, "unable to post a report");
	result = https_start(&post.https, post.loop, client, target->addresses, target->count, why);
	if (result == RESULT_OK && loop_run(post.loop, why) != RESULT_OK)
		result = RESULT_RETRY;
	if (result == RESULT_OK)
		result = judge(&post.https, url, why);
	https_free(&post.https);
	loop_free(post.loop);
	return result;
}

enum result send_by_https(const struct parcel *parcel, const char *url, struct names *names, struct why *why)
{
	static struct tls_client *client;	/* as long as the program */
	struct target target = { .count = 0 };
	enum result result = parse_url(url, &target, why);

	if (result == RESULT_OK && !client)
		result = https_trust(parcel->conf->mta_sts_authorities, &client, why);
	if (result == RESULT_OK)
		result = find_addresses(&target, names, why);
	if (result == RESULT_OK)
		result = post(parcel, url, &target, client, why);
	return result;
}
