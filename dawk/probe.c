#include "probe.h"

#include "common/text.h"
#include "common/tls.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { BANNER_PATIENCE_MS = 5000 };

struct line {
	int fd;
	struct tls_client *client;
	struct tls_session *tls;	/* NULL: in clear */
	uint64_t until_ms;
};

static const char say_nothing[] = "takes connections, but does not answer";
static const char say_gone[] = "takes connections, but hangs up at once";

/* false: the time is over. */
static bool await(const struct line *line, short events)
{
	struct pollfd wait = { .fd = line->fd, .events = events };
	uint64_t now = time_monotonic_ms();

	return now < line->until_ms && poll(&wait, 1, (int)(line->until_ms - now)) > 0;
}

static enum result shake(struct line *line, struct why *why)
{
	struct why inner = { 0 };
	enum result result = tls_client_make(false, &line->client, why);

	if (result == RESULT_OK)
		result = tls_connect(line->client, line->fd, NULL, NULL, &line->tls, why);
	if (result != RESULT_OK)
		return result;
	while ((result = tls_handshake(line->tls, &inner)) == RESULT_RETRY)
		if (!await(line, tls_wants(line->tls) == EPOLLOUT ? POLLOUT : POLLIN))
			return why_set(why, RESULT_RETRY, say_nothing);
	if (result == RESULT_OK)
		return RESULT_OK;
	return why_set(why, RESULT_RETRY, "takes connections, but %s", inner.text[0] ? inner.text : "TLS fails");
}

static enum result take_byte(struct line *line, char *byte, struct why *why)
{
	size_t count = 0;
	enum result result = RESULT_RETRY;

	while (result == RESULT_RETRY && await(line, POLLIN)) {
		if (line->tls) {
			result = tls_read(line->tls, byte, 1, &count, why);
		} else {
			ssize_t got = recv(line->fd, byte, 1, MSG_DONTWAIT);
			result = got > 0 ? RESULT_OK : got < 0 && errno == EAGAIN ? RESULT_RETRY : RESULT_END;
		}
	}
	if (result == RESULT_OK)
		return RESULT_OK;
	return why_set(why, RESULT_RETRY, result == RESULT_RETRY ? say_nothing : say_gone);
}

static void say_quit(struct line *line)
{
	size_t count;

	if (line->tls)
		tls_write(line->tls, "QUIT\r\n", 6, &count, NULL);
	else
		send(line->fd, "QUIT\r\n", 6, MSG_NOSIGNAL);
}

static enum result talk(const struct probe *probe, struct line *line, struct why *why)
{
	enum result result = probe->is_tls ? shake(line, why) : RESULT_OK;
	char first = 0;

	if (result == RESULT_OK)
		result = take_byte(line, &first, why);
	if (result != RESULT_OK)
		return result;
	if (first != probe->expected)
		return why_set(why, RESULT_RETRY, "answers, but refuses service now");
	say_quit(line);
	return RESULT_OK;
}

enum result probe_listener(const struct probe *probe, const struct sockaddr *address, socklen_t size, struct why *why)
{
	struct line line = { .fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	enum result result = RESULT_RETRY;

	if (line.fd < 0)
		return why_errno(why, RESULT_RETRY, "unable to make a socket");
	line.until_ms = time_monotonic_ms() + BANNER_PATIENCE_MS + probe->more_ms;
	if (connect(line.fd, address, size) < 0) {
		why_errno(why, RESULT_RETRY, "does not run");
	} else {
		fcntl(line.fd, F_SETFL, O_NONBLOCK);
		result = talk(probe, &line, why);
	}
	tls_free(line.tls);
	tls_client_free(line.client);
	close(line.fd);
	return result;
}
