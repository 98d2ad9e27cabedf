/* A service that speaks TLS from the first byte and sends back what it is told: opener, worker and
 * keyd as in the suite's own services, for tests of them with stock clients. Run as `tls_server -c FILE`
 * with keyd beside it; it listens where listen-submissions says. Greets with "220 ready", answers
 * "BYE" by closing. */
#include "common/log.h"
#include "common/network.h"
#include "common/sandbox.h"
#include "common/service.h"
#include "common/tls_opener.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

enum { BUFFER_SIZE = 65536 };

struct connection {
	struct watch watch;
	struct tls_session *tls;
	int fd;
	bool is_open;			/* the handshake is done */
	bool is_ending;			/* BYE has come */
	bool is_lingering;		/* all is said; closing before the client does could lose it the rest */
	size_t length;
	char bytes[BUFFER_SIZE];	/* to be sent back */
};

static int listener = -1;
static struct loop *loop;
static struct watch accepting;
static struct tls_server *server;

static void log_end_of(const char *event, const struct why *why)
{
	struct log_line line;

	log_start(&line, event);
	log_why(&line, why);
	log_end(&line);
}

static void close_connection(struct connection *c)
{
	tls_free(c->tls);
	loop_unwatch(loop, &c->watch);
	close(c->fd);
	free(c);
}

static enum result shake(struct connection *c, struct why *why)
{
	struct log_line line;
	enum result result = tls_handshake(c->tls, why);

	if (result != RESULT_OK)
		return result;
	c->is_open = true;
	log_start(&line, "session");
	tls_log(c->tls, &line);
	log_end(&line);
	memcpy(c->bytes, "220 ready\r\n", 11);
	c->length = 11;
	return RESULT_OK;
}

static enum result flush(struct connection *c, struct why *why)
{
	while (c->length) {
		size_t count;
		enum result result = tls_write(c->tls, c->bytes, c->length, &count, why);
		if (result != RESULT_OK)
			return result;
		c->length -= count;
		memmove(c->bytes, c->bytes + count, c->length);
	}
	return RESULT_OK;
}

/* Goes on until something has to be waited for. */
static enum result go_on(struct connection *c, struct why *why)
{
	enum result result = c->is_open ? RESULT_OK : shake(c, why);

	while (result == RESULT_OK) {
		result = flush(c, why);
		if (result == RESULT_OK && c->is_ending)
			return RESULT_END;
		if (result == RESULT_OK)
			result = tls_read(c->tls, c->bytes, sizeof c->bytes, &c->length, why);
		c->is_ending = result == RESULT_OK && memmem(c->bytes, c->length, "BYE", 3);
	}
	return result;
}

static void ready(struct watch *watch, uint32_t events)
{
	struct connection *c = container_of(watch, struct connection, watch);
	struct why why = { 0 };
	enum result result;

	(void)events;
	if (c->is_lingering) {
		if (recv(c->fd, c->bytes, sizeof c->bytes, 0) <= 0)
			close_connection(c);
		return;
	}
	result = go_on(c, &why);
	if (result == RESULT_RETRY) {
		loop_rewatch(loop, &c->watch, tls_wants(c->tls));
		return;
	}
	log_end_of(result == RESULT_END ? "closed" : "broken", &why);
	tls_bye(c->tls);
	c->is_lingering = !shutdown(c->fd, SHUT_WR);
	loop_rewatch(loop, &c->watch, EPOLLIN);
	if (!c->is_lingering)
		close_connection(c);
}

static void accept_one(struct watch *watch, uint32_t events)
{
	struct connection *c = calloc(1, sizeof *c);
	struct why why = { 0 };

	(void)events;
	if (!c)
		return;
	c->fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (c->fd >= 0 && tls_accept(server, c->fd, 0, &c->tls, &why) == RESULT_OK &&
	    loop_watch(loop, &c->watch, c->fd, EPOLLIN, ready, &why) == RESULT_OK)
		return;
	log_failure("not-accepted", &why);
	tls_free(c->tls);
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}

static void greet(const char *peer, unsigned index, int fd)
{
	struct why why = { 0 };
	enum result result = RESULT_NEVER;

	(void)index;
	if (!strcmp(peer, "opener"))
		result = tls_worker_join(server, loop, fd, &why);
	else if (!strcmp(peer, "keyd"))
		result = tls_keys_join(fd, &why);
	else
		close(fd);
	if (result != RESULT_OK)
		log_failure("link-failed", &why);
}

static void ended(void)
{
	loop_stop(loop);
}

static int worker_run(const struct configuration *conf, unsigned index)
{
	struct identity identity;
	struct why why = { 0 };
	enum result result;

	(void)conf;
	(void)index;
	tls_opener_leave();
	result = loop_make(&loop, &why);
	if (result == RESULT_OK)
		result = tls_server_make(&server, &why);
	if (result == RESULT_OK)
		result = service_join(loop, greet, ended, &why);
	if (result == RESULT_OK)
		result = sandbox_identity(ROLE_SMTPD_WORKER, &identity, &why);
	if (result == RESULT_OK)
		result = sandbox_enter(ROLE_SMTPD_WORKER, &identity, NULL, 0, &why);
	if (result == RESULT_OK)
		result = loop_watch(loop, &accepting, listener, EPOLLIN, accept_one, &why);
	if (result == RESULT_OK)
		result = loop_run(loop, &why);
	if (result == RESULT_OK)
		return EX_OK;
	log_failure("unable-to-run", &why);
	return EX_OSERR;
}

int main(int argc, char **argv)
{
	struct configuration *conf;
	struct why why = { 0 };
	enum result result;
	int exit_code;

	if (service_start(argc, argv, "tls_server", "usage: tls_server [-c FILE]\n", &conf, &exit_code) != RESULT_OK)
		return exit_code;
	result = tls_opener_find(conf, &why);
	if (result == RESULT_OK && !conf->listen_submissions.count)
		result = why_set(&why, RESULT_NEVER, "listen-submissions is not set");
	if (result == RESULT_OK)
		result = listener_open(&conf->listen_submissions.items[0].address, conf->listen_submissions.items[0].size, &listener, &why);
	if (result != RESULT_OK) {
		log_failure("unable-to-start", &why);
		return EX_CONFIG;
	}
	const struct service_part parts[] = {
		{ .name = "worker", .run = worker_run, .instances = conf->smtpd_workers, .started = tls_opener_worker },
		{ .name = "keyd", .program = "keyd", .instances = tls_opener_has_files(), .is_essential = true, .started = tls_opener_keyd },
	};
	const struct service_link links[] = { { "worker", "keyd" } };
	const struct service service = { "tls_server", conf, parts, sizeof parts / sizeof *parts, links, 1 };
	return service_run(&service);
}
