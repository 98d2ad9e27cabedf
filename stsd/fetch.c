#include "fetch.h"

#include "policy.h"
#include <stdio.h>
#include <string.h>

enum { HTTP_OK = 200 };

static struct loop *loop;
static struct tls_client *client;	/* trusts the authorities of the configuration */
static bool has_authorities;

static enum tls_fact_result fail(struct fetch *fetch, enum tls_fact_result result, const char *words)
{
	snprintf(fetch->words, sizeof fetch->words, "%s", words);
	return result;
}

/* RFC 8461 3.2: guards against hosts where strangers may place files. */
static bool is_plain_text(const char *type)
{
	static const char wanted[] = "text/plain";
	size_t length = strlen(wanted);

	return strlen(type) >= length && text_equal_folded(type, length, wanted, length) && (!type[length] || strchr("; \t", type[length]));
}

static enum tls_fact_result judge(struct fetch *fetch)
{
	const struct https *https = &fetch->https;
	const struct https_reply *reply = &https->reply;
	char words[64];

	if (https->result == RESULT_NEVER)
		return fail(fetch, has_authorities ? TLS_FACT_STS_WEBPKI_INVALID : TLS_FACT_STS_FETCH_ERROR, https->why.text);
	if (reply->status && reply->status != HTTP_OK) {	/* RFC 8461 3.3: redirects too */
		snprintf(words, sizeof words, "its host answers with HTTP status %u", reply->status);
		return fail(fetch, TLS_FACT_STS_FETCH_ERROR, words);
	}
	if (reply->is_too_long)
		return fail(fetch, TLS_FACT_STS_POLICY_INVALID, "the policy is longer than 64 KiB");
	if (https->result != RESULT_OK)
		return fail(fetch, TLS_FACT_STS_FETCH_ERROR, https->why.text);
	if (!is_plain_text(reply->type))
		return fail(fetch, TLS_FACT_STS_POLICY_INVALID, "the policy does not come as text/plain");
	return TLS_FACT_SUCCESS;
}

static void answered(struct https *https)
{
	struct fetch *fetch = container_of(https, struct fetch, https);

	fetch->result = judge(fetch);
	fetch->body = https->reply.body;
	https->reply.body = (stralloc){ 0 };
	https_free(https);
	fetch->done(fetch);
}

enum result fetch_make(struct loop *of, const char *authorities, struct why *why)
{
	enum result result;

	loop = of;
	if (!authorities)
		return RESULT_OK;
	result = https_trust(authorities, &client, why);
	has_authorities = result == RESULT_OK;
	if (result == RESULT_NEVER && tls_client_make(false, &client, NULL) != RESULT_OK)
		return why_set(why, RESULT_STOP, "unable to start TLS");
	return result;
}

enum result fetch_start(struct fetch *fetch, const char *domain, const struct address_ip *addresses, size_t count, struct why *why)
{
	if (snprintf(fetch->host, sizeof fetch->host, "mta-sts.%s", domain) >= (int)sizeof fetch->host)
		return why_set(why, RESULT_RETRY, "the name of its host is too long");
	fetch->https = (struct https){
		.host = fetch->host, .port = HTTPS_PORT, .path = "/.well-known/mta-sts.txt",
		.wants_body = true, .reply.body_max = POLICY_TEXT_MAX, .done = answered,
	};
	return https_start(&fetch->https, loop, client, addresses, count < FETCH_ADDRESSES_MAX ? count : FETCH_ADDRESSES_MAX, why);
}
