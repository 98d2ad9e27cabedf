/* A connection of `dawk attack`: see attack.h. */
#include "attack.h"

#include "common/text.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PAUSE_MS = 20 };

void talk_pause(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = PAUSE_MS * 1000000L }, NULL);
}

static bool fail(struct talk *talk, const char *what, const char *why)
{
	snprintf(talk->line, sizeof talk->line, "%s: %s", what, why);
	return false;
}

static bool wait_for(const struct talk *talk, short events, int wait_ms)
{
	struct pollfd waiting = { .fd = talk->fd, .events = events };

	return poll(&waiting, 1, wait_ms) > 0;
}

bool talk_connect(const struct attack *attack, struct talk *talk)
{
	int error = 0;
	socklen_t size = sizeof error;

	memset(talk, 0, sizeof *talk);
	talk->fd = socket(attack->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (talk->fd < 0)
		return fail(talk, "unable to connect", strerror(errno));
	if (connect(talk->fd, (const struct sockaddr *)&attack->address, attack->size) == 0)
		return true;
	if (errno != EINPROGRESS)
		return fail(talk, "unable to connect", strerror(errno));
	if (!wait_for(talk, POLLOUT, TALK_MS))
		return fail(talk, "unable to connect", "no answer in time");
	if (getsockopt(talk->fd, SOL_SOCKET, SO_ERROR, &error, &size) || error)
		return fail(talk, "unable to connect", strerror(error));
	return true;
}

void talk_close(struct talk *talk)
{
	if (talk->tls)
		gnutls_deinit(talk->tls);
	if (talk->credentials)
		gnutls_certificate_free_credentials(talk->credentials);
	if (talk->anonymous)
		gnutls_anon_free_client_credentials(talk->anonymous);
	if (talk->fd >= 0)
		close(talk->fd);
	talk->fd = -1;
	talk->tls = NULL;
	talk->credentials = NULL;
	talk->anonymous = NULL;
	talk_pause();
}

static bool prepare_tls(struct talk *talk, const char *priority)
{
	const char *at;

	if (gnutls_init(&talk->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0 ||
	    gnutls_certificate_allocate_credentials(&talk->credentials) < 0 ||
	    gnutls_anon_allocate_client_credentials(&talk->anonymous) < 0)
		return fail(talk, "TLS", "out of memory");
	if (gnutls_priority_set_direct(talk->tls, priority, &at) < 0)
		return fail(talk, "TLS", "the library has none of this");
	gnutls_credentials_set(talk->tls, GNUTLS_CRD_CERTIFICATE, talk->credentials);
	gnutls_credentials_set(talk->tls, GNUTLS_CRD_ANON, talk->anonymous);
	gnutls_transport_set_int(talk->tls, talk->fd);
	return true;
}

bool talk_start_tls(struct talk *talk, const char *priority)
{
	uint64_t end_ms = time_monotonic_ms() + TALK_MS;
	int code;

	if (!prepare_tls(talk, priority))
		return false;
	while ((code = gnutls_handshake(talk->tls)) < 0 && !gnutls_error_is_fatal(code)) {
		uint64_t now = time_monotonic_ms();

		if (now >= end_ms || !wait_for(talk, gnutls_record_get_direction(talk->tls) ? POLLOUT : POLLIN, (int)(end_ms - now)))
			return fail(talk, "TLS", "no answer in time");
	}
	if (code < 0)
		return fail(talk, "TLS", gnutls_strerror(code));
	return true;
}

/* Without SIGPIPE. 0: try again when it is ready; below: over. */
static ssize_t put_some(struct talk *talk, const char *bytes, size_t length)
{
	ssize_t put = talk->tls ? gnutls_record_send(talk->tls, bytes, length) : send(talk->fd, bytes, length, MSG_NOSIGNAL);

	if (put > 0)
		return put;
	if (talk->tls)
		return put == GNUTLS_E_AGAIN || put == GNUTLS_E_INTERRUPTED ? 0 : -1;
	return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

bool talk_send(struct talk *talk, const char *bytes, size_t length)
{
	uint64_t end_ms = time_monotonic_ms() + TALK_MS;

	while (length) {
		ssize_t put = put_some(talk, bytes, length);
		uint64_t now = time_monotonic_ms();

		if (put < 0)
			return false;
		bytes += put;
		length -= (size_t)put;
		if (!put && (now >= end_ms || !wait_for(talk, POLLOUT, (int)(end_ms - now))))
			return false;
	}
	return true;
}

bool talk_say(struct talk *talk, const char *format, ...)
{
	char line[4096];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof line - 2, format, arguments);
	va_end(arguments);
	if (length < 0 || length >= (int)sizeof line - 2)
		return false;
	memcpy(line + length, "\r\n", 2);
	return talk_send(talk, line, (size_t)length + 2);
}

/* More bytes behind those that are there. false: hung up (is_closed), or nothing in time. */
static bool read_more(struct talk *talk, uint64_t end_ms)
{
	for (;;) {
		uint64_t now = time_monotonic_ms();
		ssize_t got = talk->tls ? gnutls_record_recv(talk->tls, talk->in + talk->length, sizeof talk->in - talk->length)
		                        : recv(talk->fd, talk->in + talk->length, sizeof talk->in - talk->length, 0);
		bool is_waiting = talk->tls ? got == GNUTLS_E_AGAIN || got == GNUTLS_E_INTERRUPTED : got < 0 && (errno == EAGAIN || errno == EINTR);

		if (got > 0) {
			talk->length += (size_t)got;
			return true;
		}
		if (!is_waiting) {
			talk->is_closed = true;
			return false;
		}
		if (now >= end_ms || !wait_for(talk, POLLIN, (int)(end_ms - now)))
			return false;
	}
}

/* The next line, without its end, into LINE. */
static bool take_line(struct talk *talk, uint64_t end_ms)
{
	char *newline;
	size_t length;

	while (!(newline = memchr(talk->in, '\n', talk->length)))
		if (talk->length == sizeof talk->in || !read_more(talk, end_ms))
			return false;
	length = (size_t)(newline - talk->in);
	if (length && talk->in[length - 1] == '\r')
		length--;
	snprintf(talk->line, sizeof talk->line, "%.*s", (int)length, talk->in);
	for (char *c = talk->line; *c; c++)
		if ((unsigned char)*c < ' ')
			*c = '?';
	talk->length -= (size_t)(newline + 1 - talk->in);
	memmove(talk->in, newline + 1, talk->length);
	return true;
}

static void keep_line(struct talk *talk)
{
	size_t length = strlen(talk->all);

	snprintf(talk->all + length, sizeof talk->all - length, "%s\n", talk->line);
}

static int code_of(const char *line)
{
	if (!strncmp(line, "+OK", 3))
		return 200;
	if (!strncmp(line, "-ERR", 4))
		return 500;
	if (line[0] == '+')
		return 334;	/* a challenge of POP3 */
	return line[0] >= '2' && line[0] <= '5' && line[1] && line[2] ? (line[0] - '0') * 100 + (line[1] - '0') * 10 + line[2] - '0' : 999;
}

int talk_reply(struct talk *talk, int wait_ms)
{
	uint64_t end_ms = time_monotonic_ms() + (uint64_t)wait_ms;

	talk->all[0] = 0;
	for (;;) {
		if (!take_line(talk, end_ms)) {
			snprintf(talk->line, sizeof talk->line, "%s", talk->is_closed ? "(hung up)" : "(no answer)");
			return talk->is_closed ? 0 : -1;
		}
		keep_line(talk);
		if (talk->line[0] == '+' || talk->line[0] == '-' || strlen(talk->line) < 4 || talk->line[3] != '-')
			return code_of(talk->line);
	}
}

int talk_ask(struct talk *talk, const char *format, ...)
{
	char line[4096];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	talk_say(talk, "%s", line);	/* a side that hung up may have said why */
	return talk_reply(talk, TALK_MS);
}

bool talk_lines(struct talk *talk)
{
	uint64_t end_ms = time_monotonic_ms() + TALK_MS;

	talk->all[0] = 0;
	while (take_line(talk, end_ms)) {
		if (!strcmp(talk->line, "."))
			return true;
		keep_line(talk);
	}
	return false;
}

bool talk_begin(const struct attack *attack, struct talk *talk)
{
	if (!talk_connect(attack, talk))
		return false;
	if (attack->is_tls && !talk_start_tls(talk, "NORMAL"))
		return false;
	if (talk_reply(talk, 4 * TALK_MS) / 100 != 2)
		return false;
	return attack->kind == ATTACK_POP3 || talk_ask(talk, "EHLO attack.example") == 250;
}

bool talk_offers(const struct talk *talk, const char *word)
{
	size_t length = strlen(word);

	for (const char *line = talk->all; *line; line = strchr(line, '\n') + 1) {
		const char *at = code_of(line) == 250 ? line + 4 : line;
		if (text_equal_folded(at, strnlen(at, length), word, length) && strchr(" =\n", at[length]))
			return true;
		if (!strchr(line, '\n'))
			break;
	}
	return false;
}
