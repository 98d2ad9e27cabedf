/* A report by HTTPS: RFC 8460 5.4. The name of the host is looked up by dnsd, not by libcurl. */
#include "send.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

enum { POST_SECONDS = 60, POST_ADDRESSES_MAX = 8 };

struct target { char *host, *port; };

static enum result parse_url(const char *url, struct target *target, struct why *why)
{
	CURLU *parts = curl_url();
	char *user = NULL;
	bool is_fine = parts && !curl_url_set(parts, CURLUPART_URL, url, 0) && !curl_url_get(parts, CURLUPART_HOST, &target->host, 0) &&
	               !curl_url_get(parts, CURLUPART_PORT, &target->port, CURLU_DEFAULT_PORT);

	if (is_fine && !curl_url_get(parts, CURLUPART_USER, &user, 0))
		is_fine = false;	/* nobody's password goes there */
	curl_free(user);
	curl_url_cleanup(parts);
	return is_fine ? RESULT_OK : why_set(why, RESULT_NEVER, "%.100s can't be posted to", url);
}

static size_t add_addresses(struct names *names, const char *host, enum dns_type type, char *line, size_t size, size_t used, char *words)
{
	const char *at, *end, *rdata;
	char text[NETWORK_TEXT_MAX];
	stralloc records = { 0 };
	struct address_ip ip;
	size_t length, count = 0;

	if (names_find_records(names, host, type, &records, words) == DNS_ANSWER)
		for (at = records.s, end = at + records.len; count < POST_ADDRESSES_MAX && dns_next_record(&at, end, &rdata, &length);)
			if (dns_ip(rdata, length, &ip) && used + sizeof text + 4 < size) {
				used += (size_t)snprintf(line + used, size - used, ip.family == 6 ? "%s[%s]" : "%s%s",
				                         line[used - 1] == ':' ? "" : ",", ip_text(&ip, text));
				count++;
			}
	stralloc_free(&records);
	return used;
}

/* "HOST:PORT:ADDRESS,ADDRESS", for libcurl. */
static enum result find_addresses(const struct target *target, struct names *names, struct curl_slist **list, struct why *why)
{
	char line[512 + 2 * POST_ADDRESSES_MAX * (NETWORK_TEXT_MAX + 4)], words[257] = "";
	size_t head = (size_t)snprintf(line, 512, "%s:%s:", target->host, target->port), used = head;

	if (head >= 512 || *target->host == '[')
		return why_set(why, RESULT_NEVER, "%.100s is no name of a host", target->host);
	used = add_addresses(names, target->host, DNS_A, line, sizeof line, used, words);
	used = add_addresses(names, target->host, DNS_AAAA, line, sizeof line, used, words);
	if (used == head)
		return why_set(why, RESULT_RETRY, "%.100s has no address%s%.100s", target->host, *words ? ": " : "", words);
	*list = curl_slist_append(NULL, line);
	return *list ? RESULT_OK : why_set(why, RESULT_RETRY, "no memory to post a report");
}

static size_t drop_body(char *bytes, size_t one, size_t length, void *context)
{
	size_t *total = context;

	(void)bytes;
	(void)one;
	*total += length;
	return *total > 1 << 20 ? 0 : length;
}

static bool set_up(CURL *easy, const struct parcel *parcel, const char *url, struct curl_slist *addresses, struct curl_slist *headers,
                   size_t *total)
{
	return !curl_easy_setopt(easy, CURLOPT_URL, url) && !curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https") &&
	       !curl_easy_setopt(easy, CURLOPT_RESOLVE, addresses) && !curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers) &&
	       !curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)parcel->length) &&
	       !curl_easy_setopt(easy, CURLOPT_POSTFIELDS, parcel->gzip) && !curl_easy_setopt(easy, CURLOPT_PROXY, "") &&
	       !curl_easy_setopt(easy, CURLOPT_CAINFO, parcel->conf->mta_sts_authorities) && !curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) &&
	       !curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) && !curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) &&
	       !curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)POST_SECONDS) && !curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) &&
	       !curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop_body) && !curl_easy_setopt(easy, CURLOPT_WRITEDATA, total) &&
	       !curl_easy_setopt(easy, CURLOPT_USERAGENT, "dawk/" DAWK_VERSION);
}

static enum result post(const struct parcel *parcel, const char *url, struct curl_slist *addresses, struct why *why)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/tlsrpt+gzip");
	CURL *easy = curl_easy_init();
	size_t total = 0;
	long status = 0;
	CURLcode code = CURLE_OUT_OF_MEMORY;
	enum result result = RESULT_OK;

	if (easy && headers && set_up(easy, parcel, url, addresses, headers, &total))
		code = curl_easy_perform(easy);
	if (easy)
		curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	if (!status)
		result = why_set(why, RESULT_RETRY, "%.100s: %s", url, curl_easy_strerror(code));
	else if (status < 200 || status >= 300)
		result = why_set(why, RESULT_RETRY, "%.100s answers with HTTP status %ld", url, status);
	curl_easy_cleanup(easy);
	curl_slist_free_all(headers);
	return result;
}

enum result send_by_https(const struct parcel *parcel, const char *url, struct names *names, struct why *why)
{
	struct curl_slist *addresses = NULL;
	struct target target = { NULL, NULL };
	enum result result = parse_url(url, &target, why);

	if (result == RESULT_OK)
		result = find_addresses(&target, names, &addresses, why);
	if (result == RESULT_OK)
		result = post(parcel, url, addresses, why);
	curl_slist_free_all(addresses);
	curl_free(target.host);
	curl_free(target.port);
	return result;
}
