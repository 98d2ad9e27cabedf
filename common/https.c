#include "https.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 65536 };

/* ---- the end ---- */

static void hang_up(struct https *https)
{
	int fd = https->connecting.fd;

	if (fd >= 0) {
		loop_unwatch(https->loop, &https->connecting);
		close(fd);
	}
	stream_close(&https->stream);
}

static void finish(struct https *https, enum result result)
{
	hang_up(https);
	loop_unset_timer(https->loop, &https->timer);
	https->result = result;
	https->done(https);	/* it may be gone now */
}

void https_free(struct https *https)
{
	stralloc_free(&https->head);
	https_reply_free(&https->reply);
}

/* ---- the answer ---- */

static bool is_answered(const struct https *https)
{
	const struct https_reply *reply = &https->reply;

	return reply->is_whole || (reply->has_head && (!https->wants_body || reply->status / 100 != 2));
}

/* Reads until there is nothing: the other side's goodbye may have come with its last bytes, and no event tells of it. */
static void receive(struct https *https)
{
	enum result result, taken;
	char *bytes;
	size_t length;

	while ((result = stream_read(&https->stream, &bytes, &length, &https->why)) == RESULT_OK) {
		taken = https_reply_take(&https->reply, bytes, length, &https->why);
		stream_keep(&https->stream, NULL, 0);
		if (taken != RESULT_OK || is_answered(https)) {
			finish(https, is_answered(https) ? RESULT_OK : taken);
			return;
		}
	}
	if (result == RESULT_RETRY)
		return;
	result = https_reply_end(&https->reply, tls_is_ended(tls_stream_session(&https->stream)), &https->why);
	finish(https, result);
}

/* ---- the request ---- */

static size_t next_piece(const struct https *https, const char **bytes)
{
	size_t before = https->sent < https->head.len ? 0 : https->head.len;
	size_t length = (before ? https->length : https->head.len) - (https->sent - before);

	*bytes = (before ? https->bytes : https->head.s) + (https->sent - before);
	return length < PIECE ? length : PIECE;
}

/* Who does not listen to all of it may have answered all the same (RFC 9110 9.2 leaves it to hosts when). */
static void send_more(struct https *https)
{
	enum result result = https->is_deaf ? RESULT_PEER : stream_flush(&https->stream, &https->why);
	const char *bytes;

	while (result == RESULT_OK && https->sent < https->head.len + https->length) {
		size_t length = next_piece(https, &bytes);
		stream_put(&https->stream, bytes, length);
		https->sent += length;
		result = stream_flush(&https->stream, &https->why);
	}
	https->is_deaf = result == RESULT_PEER;
}

static bool make_head(struct https *https)
{
	stralloc *head = &https->head;
	bool is_made = text_append_format(head, "%s %s HTTP/1.1\r\nHost: %s", https->type ? "POST" : "GET", https->path, https->host);

	if (is_made && https->port != HTTPS_PORT)
		is_made = text_append_format(head, ":%u", (unsigned)https->port);
	if (is_made)
		is_made = text_append_string(head, "\r\nUser-Agent: dawk/" DAWK_VERSION "\r\nAccept: */*\r\nAccept-Encoding: identity\r\nConnection: close\r\n");
	if (is_made && https->type)
		is_made = text_append_format(head, "Content-Type: %s\r\nContent-Length: %zu\r\n", https->type, https->length);
	return is_made && text_append_string(head, "\r\n");
}

/* ---- the connection ---- */

static void try_next(struct https *https);

static void time_over(struct timer *timer)
{
	struct https *https = container_of(timer, struct https, timer);

	if (loop_now_ms(https->loop) >= https->deadline_ms) {
		why_set(&https->why, RESULT_RETRY, "%s within %d seconds", https->is_asking ? "no whole answer" : "unable to connect", HTTPS_SECONDS);
		finish(https, RESULT_RETRY);
		return;
	}
	why_set(&https->why, RESULT_RETRY, "unable to connect within %d seconds", HTTPS_CONNECT_SECONDS);
	try_next(https);
}

/* SECONDS, but not beyond the time for all. */
static bool set_timer(struct https *https, unsigned seconds)
{
	uint64_t now = loop_now_ms(https->loop), left = https->deadline_ms > now ? https->deadline_ms - now : 0;

	return loop_set_timer(https->loop, &https->timer, left < seconds * 1000U ? left : seconds * 1000U, time_over);
}

static void shake(struct https *https)
{
	if (stream_flush(&https->stream, &https->why) == RESULT_PEER) {
		try_next(https);
		return;
	}
	if (https->stream.is_shaking)
		return;
	if (tls_verify(tls_stream_session(&https->stream), https->host, &https->why) != RESULT_OK) {
		finish(https, RESULT_NEVER);
		return;
	}
	https->is_asking = true;
	if (set_timer(https, HTTPS_SECONDS)) {
		send_more(https);
		return;
	}
	why_set(&https->why, RESULT_RETRY, "no memory for a request");
	finish(https, RESULT_RETRY);
}

static void stream_ready(struct watch *watch, uint32_t events)
{
	struct stream *stream = container_of(watch, struct stream, watch);
	struct https *https = container_of(stream, struct https, stream);

	(void)events;
	if (!https->is_asking) {
		shake(https);
		return;
	}
	send_more(https);
	receive(https);
}

static void connected(struct watch *watch, uint32_t events)
{
	struct https *https = container_of(watch, struct https, connecting);
	int fd = watch->fd, error = 0;
	socklen_t size = sizeof error;
	char text[NETWORK_TEXT_MAX];

	(void)events;
	loop_unwatch(https->loop, watch);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) || error) {
		close(fd);
		errno = error;
		why_errno(&https->why, RESULT_RETRY, "unable to connect to %s", ip_text(&https->addresses[https->address_next - 1], text));
		try_next(https);
	} else if (stream_open(&https->stream, https->loop, fd, stream_ready, &https->why) != RESULT_OK ||
	           tls_stream_connect(&https->stream, https->client, https->host, NULL, &https->why) != RESULT_OK) {
		try_next(https);
	} else {
		shake(https);
	}
}

static socklen_t make_address(const struct address_ip *ip, uint16_t port, struct sockaddr_storage *address)
{
	if (ip->family == 6) {
		struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
		memcpy(&in6.sin6_addr, ip->bytes, 16);
		memcpy(address, &in6, sizeof in6);
		return sizeof in6;
	}
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	memcpy(&in.sin_addr, ip->bytes, 4);
	memcpy(address, &in, sizeof in);
	return sizeof in;
}

static bool try_address(struct https *https, const struct address_ip *ip)
{
	struct sockaddr_storage address;
	socklen_t size = make_address(ip, https->port, &address);
	int fd = socket(ip->family == 6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	char text[NETWORK_TEXT_MAX];

	if (fd < 0 || (connect(fd, (struct sockaddr *)&address, size) && errno != EINPROGRESS))
		why_errno(&https->why, RESULT_RETRY, "unable to connect to %s", ip_text(ip, text));
	else if (!set_timer(https, HTTPS_CONNECT_SECONDS))
		why_set(&https->why, RESULT_RETRY, "no memory for a request");
	else if (loop_watch(https->loop, &https->connecting, fd, EPOLLOUT, connected, &https->why) == RESULT_OK)
		return true;
	if (fd >= 0)
		close(fd);
	return false;
}

static void try_next(struct https *https)
{
	hang_up(https);
	while (https->address_next < https->address_count)
		if (try_address(https, &https->addresses[https->address_next++]))
			return;
	finish(https, RESULT_RETRY);
}

static void begin(struct timer *timer)
{
	struct https *https = container_of(timer, struct https, timer);

	why_set(&https->why, RESULT_RETRY, "there is no address to connect to");
	try_next(https);
}

enum result https_start(struct https *https, struct loop *loop, struct tls_client *client,
                        const struct address_ip *addresses, size_t count, struct why *why)
{
	https->loop = loop;
	https->client = client;
	https->stream.fd = https->stream.watch.fd = https->connecting.fd = -1;
	https->address_count = count < HTTPS_ADDRESSES_MAX ? count : HTTPS_ADDRESSES_MAX;
	memcpy(https->addresses, addresses, https->address_count * sizeof *addresses);
	https->deadline_ms = loop_now_ms(loop) + HTTPS_SECONDS * 1000U;
	if (make_head(https) && loop_set_timer(loop, &https->timer, 0, begin))	/* done is called from the loop alone */
		return RESULT_OK;
	https_free(https);
	return why_set(why, RESULT_RETRY, "no memory for a request");
}

/* ---- authorities ---- */

static enum result read_file(const char *path, char **bytes, size_t *length, struct why *why)
{
	FILE *file = fopen(path, "re");
	enum result result = RESULT_OK;

	*bytes = file ? malloc(HTTPS_AUTHORITIES_MAX) : NULL;
	if (file && !*bytes) {
		result = why_errno(why, RESULT_RETRY, "no memory for %s", path);
	} else if (!file || ((*length = fread(*bytes, 1, HTTPS_AUTHORITIES_MAX, file)) == 0 && ferror(file))) {
		result = why_errno(why, RESULT_NEVER, "unable to read %s", path);
	} else if (*length == HTTPS_AUTHORITIES_MAX) {
		result = why_set(why, RESULT_NEVER, "%s is longer than 4 MiB", path);
	}
	if (file)
		fclose(file);
	return result;
}

enum result https_trust(const char *path, struct tls_client **client, struct why *why)
{
	struct why cause = { 0 };
	char *pem;
	size_t length = 0;
	enum result result = read_file(path, &pem, &length, why);

	*client = NULL;
	if (result == RESULT_OK)
		result = tls_client_make(false, client, why);
	if (result == RESULT_OK && (result = tls_client_trust(*client, pem, length, &cause)) != RESULT_OK) {
		why_set(why, result, "%s: %s", path, cause.text);
		tls_client_free(*client);
		*client = NULL;
	}
	free(pem);
	return result;
}
