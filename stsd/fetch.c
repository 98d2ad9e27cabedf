#include "fetch.h"

#include "policy.h"
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECT_SECONDS = 20, HTTP_OK = 200, PORT = 443 };

/* A connection of libcurl's, watched by our loop. */
struct link { struct watch watch; };

static struct loop *loop;
static const char *authorities;
static CURLM *multi;
static struct timer timer;

/* ---- the end of a fetch ---- */

static enum tls_fact_result fail(struct fetch *fetch, enum tls_fact_result result, const char *words)
{
	size_t i;

	snprintf(fetch->words, sizeof fetch->words, "%s", words);
	for (i = 0; fetch->words[i]; i++)
		if ((unsigned char)fetch->words[i] < 0x20 || fetch->words[i] == 0x7f)
			fetch->words[i] = '?';
	return result;
}

/* RFC 8461 3.2: guards against hosts where strangers may place files. */
static bool is_plain_text(const char *type)
{
	static const char wanted[] = "text/plain";
	size_t length = strlen(wanted);

	return type && strlen(type) >= length && text_equal_folded(type, length, wanted, length) &&
	       (!type[length] || strchr("; \t", type[length]));
}

static enum tls_fact_result judge(struct fetch *fetch, CURLcode code)
{
	const char *type = NULL;
	long status = 0;
	char words[64];

	if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_ISSUER_ERROR || code == CURLE_SSL_CERTPROBLEM)
		return fail(fetch, TLS_FACT_STS_WEBPKI_INVALID, fetch->error[0] ? fetch->error : curl_easy_strerror(code));
	curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status && status != HTTP_OK) {	/* RFC 8461 3.3: redirects too */
		snprintf(words, sizeof words, "its host answers with HTTP status %ld", status);
		return fail(fetch, TLS_FACT_STS_FETCH_ERROR, words);
	}
	if (fetch->body.len > POLICY_TEXT_MAX || code == CURLE_FILESIZE_EXCEEDED)
		return fail(fetch, TLS_FACT_STS_POLICY_INVALID, "the policy is longer than 64 KiB");
	if (code != CURLE_OK)
		return fail(fetch, TLS_FACT_STS_FETCH_ERROR, fetch->error[0] ? fetch->error : curl_easy_strerror(code));
	curl_easy_getinfo(fetch->easy, CURLINFO_CONTENT_TYPE, &type);
	if (!is_plain_text(type))
		return fail(fetch, TLS_FACT_STS_POLICY_INVALID, "the policy does not come as text/plain");
	return TLS_FACT_SUCCESS;
}

static void release(struct fetch *fetch)
{
	curl_easy_cleanup(fetch->easy);
	curl_slist_free_all(fetch->addresses);
	fetch->easy = fetch->addresses = NULL;
}

static void finish_all(void)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(multi, &left))) {
		struct fetch *fetch;
		CURLcode code = message->data.result;
		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&fetch);
		fetch->result = judge(fetch, code);
		curl_multi_remove_handle(multi, fetch->easy);
		release(fetch);
		fetch->done(fetch);
	}
}

/* ---- libcurl in the loop ---- */

static void act(curl_socket_t fd, int events)
{
	int running;

	curl_multi_socket_action(multi, fd, events, &running);
	finish_all();
}

static void link_ready(struct watch *watch, uint32_t events)
{
	int what = 0;

	if (events & EPOLLIN)
		what |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		what |= CURL_CSELECT_OUT;
	if (events & (EPOLLERR | EPOLLHUP))
		what |= CURL_CSELECT_ERR;
	act(watch->fd, what);	/* WATCH may be gone now */
}

static void timer_fired(struct timer *fired)
{
	(void)fired;
	act(CURL_SOCKET_TIMEOUT, 0);
}

static int set_timer(CURLM *from, long after_ms, void *context)
{
	(void)from;
	(void)context;
	if (after_ms < 0)
		loop_unset_timer(loop, &timer);
	else if (!loop_set_timer(loop, &timer, (uint64_t)after_ms, timer_fired))
		return -1;
	return 0;
}

static int drop_link(curl_socket_t fd, struct link *link)
{
	if (link) {
		loop_unwatch(loop, &link->watch);
		free(link);
	}
	curl_multi_assign(multi, fd, NULL);
	return 0;
}

static int watch_link(CURL *easy, curl_socket_t fd, int what, void *context, void *given)
{
	uint32_t events = (what & CURL_POLL_IN ? EPOLLIN : 0U) | (what & CURL_POLL_OUT ? EPOLLOUT : 0U);
	struct link *link = given;
	struct why why;

	(void)easy;
	(void)context;
	if (what == CURL_POLL_REMOVE)
		return drop_link(fd, link);
	if (link) {
		loop_rewatch(loop, &link->watch, events);
		return 0;
	}
	link = calloc(1, sizeof *link);
	if (!link)
		return -1;
	if (loop_watch(loop, &link->watch, fd, events, link_ready, &why) != RESULT_OK) {
		free(link);
		return -1;
	}
	curl_multi_assign(multi, fd, link);
	return 0;
}

enum result fetch_make(struct loop *of, const char *file, struct why *why)
{
	loop = of;
	authorities = file;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) || !(multi = curl_multi_init()))
		return why_set(why, RESULT_STOP, "unable to start libcurl");
	if (curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, watch_link) || curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, set_timer) ||
	    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, 1L))
		return why_set(why, RESULT_STOP, "unable to set up libcurl");
	return RESULT_OK;
}

/* ---- the beginning of a fetch ---- */

static size_t take_body(char *bytes, size_t one, size_t length, void *context)
{
	struct fetch *fetch = context;

	(void)one;
	if (!text_append(&fetch->body, bytes, length))
		return 0;
	return fetch->body.len > POLICY_TEXT_MAX ? 0 : length;	/* less than all: libcurl ends it */
}

/* "+HOST:443:ADDRESS,ADDRESS": these, and no look-up; forgotten when it is over. */
static bool set_addresses(struct fetch *fetch, const char *host, const struct address_ip *addresses, size_t count)
{
	char line[512 + FETCH_ADDRESSES_MAX * (NETWORK_TEXT_MAX + 3)], ip[NETWORK_TEXT_MAX];
	size_t length = (size_t)snprintf(line, sizeof line, "+%s:%d:", host, PORT), i;

	for (i = 0; i < count && i < FETCH_ADDRESSES_MAX; i++)
		length += (size_t)snprintf(line + length, sizeof line - length, addresses[i].family == 6 ? "%s[%s]" : "%s%s",
		                           i ? "," : "", ip_text(&addresses[i], ip));
	fetch->addresses = curl_slist_append(NULL, line);
	return fetch->addresses && !curl_easy_setopt(fetch->easy, CURLOPT_RESOLVE, fetch->addresses);
}

static bool set_limits(CURL *easy)
{
	static const struct { CURLoption option; long value; } options[] = {
		{ CURLOPT_NOSIGNAL, 1 }, { CURLOPT_FOLLOWLOCATION, 0 }, { CURLOPT_TIMEOUT, FETCH_SECONDS },
		{ CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS }, { CURLOPT_SSL_VERIFYPEER, 1 }, { CURLOPT_SSL_VERIFYHOST, 2 },
		{ CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2 }, { CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1 },
		{ CURLOPT_MAXFILESIZE, POLICY_TEXT_MAX }, { CURLOPT_FORBID_REUSE, 1 }, { CURLOPT_FRESH_CONNECT, 1 },
		{ CURLOPT_SSL_SESSIONID_CACHE, 0 },
	};
	size_t i;

	for (i = 0; i < sizeof options / sizeof *options; i++)
		if (curl_easy_setopt(easy, options[i].option, options[i].value))
			return false;
	return !curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https") && !curl_easy_setopt(easy, CURLOPT_PROXY, "") &&
	       !curl_easy_setopt(easy, CURLOPT_CAINFO, authorities) && !curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) &&
	       !curl_easy_setopt(easy, CURLOPT_USERAGENT, "dawk/" DAWK_VERSION);
}

static bool set_up(struct fetch *fetch, const char *domain, const struct address_ip *addresses, size_t count)
{
	char host[300], url[400];
	CURL *easy = fetch->easy = curl_easy_init();

	snprintf(host, sizeof host, "mta-sts.%s", domain);
	snprintf(url, sizeof url, "https://%s/.well-known/mta-sts.txt", host);
	return easy && set_limits(easy) && set_addresses(fetch, host, addresses, count) &&
	       !curl_easy_setopt(easy, CURLOPT_URL, url) && !curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, fetch->error) &&
	       !curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body) && !curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch) &&
	       !curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch);
}

enum result fetch_start(struct fetch *fetch, const char *domain, const struct address_ip *addresses, size_t count, struct why *why)
{
	if (set_up(fetch, domain, addresses, count) && !curl_multi_add_handle(multi, fetch->easy))
		return RESULT_OK;
	release(fetch);
	return why_set(why, RESULT_RETRY, "no memory to fetch a policy");
}
