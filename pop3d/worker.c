#include "pop3d/worker.h"
#include "pop3d/session.h"
#include "common/log.h"
#include "common/sandbox.h"
#include "common/service.h"
#include "common/tls_opener.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

enum {
	ACCEPT_BATCH = 4, NO_DESCRIPTORS_MS = 500, AUTHD_PATIENCE_MS = 1000,
	RESERVED_DESCRIPTORS = CHANNEL_DESCRIPTORS_MAX + 56,	/* sessions of one read from authd, and our own */
};

struct worker worker = { .mechanisms = "PLAIN LOGIN" };	/* until authd has said */
struct opening opening;
static struct watch listeners[LISTENERS_MAX];
static struct timer listen_again, give_up;
static int exit_code;

static void listen_now(struct timer *timer);

/* Out of descriptors: those who wait stay in the backlog until some are free. */
static void stop_listening(bool is_for_good)
{
	for (size_t i = 0; i < opening.listener_count; i++)
		loop_unwatch(worker.loop, &listeners[i]);
	if (!is_for_good)
		loop_set_timer(worker.loop, &listen_again, NO_DESCRIPTORS_MS, listen_now);
}

/* The kernel has no memory to watch one of them. */
static void not_listening(const struct why *why)
{
	log_failure("not-listening", why);
	stop_listening(false);
}

/* A client and its session are a descriptor each. A session that came when none is left would cost the
 * pipe to authd, so clients beyond that wait in the backlog. */
static void count_descriptors(void)
{
	struct rlimit files = { 0 };
	rlim_t reserved;

	getrlimit(RLIMIT_NOFILE, &files);
	reserved = files.rlim_cur / 2 < RESERVED_DESCRIPTORS ? files.rlim_cur / 2 : RESERVED_DESCRIPTORS;
	worker.connection_max = (files.rlim_cur - reserved) / 2;
}

static bool is_crowded(void)
{
	struct why why = { 0 };

	if (worker.connection_count < worker.connection_max)
		return false;
	why_set(&why, RESULT_RETRY, "%zu connections are as many as there are descriptors for", worker.connection_count);
	log_failure("short-of-descriptors", &why);
	stop_listening(false);
	return true;
}

static void listener_ready(struct watch *watch, uint32_t events)
{
	struct sockaddr_storage address;
	struct why why = { 0 };
	struct address_ip ip;
	uint16_t port;

	(void)events;
	for (int i = 0; i < ACCEPT_BATCH && watch->fd >= 0 && !is_crowded(); i++) {
		socklen_t size = sizeof address;
		int fd = accept4(watch->fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0 && ip_from_sockaddr((struct sockaddr *)&address, &ip, &port)) {
			connection_open(fd, &ip, opening.listeners[watch - listeners].is_tls);
		} else if (fd >= 0) {
			close(fd);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			why_errno(&why, RESULT_RETRY, "unable to accept");
			log_failure("short-of-descriptors", &why);
			stop_listening(false);
		} else if (errno == EAGAIN) {
			break;
		}
	}
	if (loop_watch_last(worker.loop, watch, &why) != RESULT_OK)
		not_listening(&why);
}

static void listen_now(struct timer *timer)
{
	enum result result = RESULT_OK;
	struct why why = { 0 };

	(void)timer;
	for (size_t i = 0; i < opening.listener_count && result == RESULT_OK; i++)
		result = loop_watch(worker.loop, &listeners[i], opening.listeners[i].fd, EPOLLIN | EPOLLEXCLUSIVE, listener_ready, &why);
	if (result != RESULT_OK)
		not_listening(&why);
}

/* Certificates are there, or do not come. */
static void listen_first(void)
{
	listen_now(NULL);
}

static void authd_told(struct channel *channel, struct frame *f)
{
	(void)channel;
	if (f->type == FRAME_LOGIN_TELL)
		connection_told(f);
	else if (f->descriptor >= 0)
		close(f->descriptor);
	if (f->type == FRAME_LOGIN_OFFER) {
		worker.offers_apop = f->value[LOGIN_OFFER_APOP].number == 1;
		frame_value_copy(f, LOGIN_OFFER_MECHANISMS, worker.mechanisms, sizeof worker.mechanisms);
	}
}

static void start_anew(struct timer *timer)
{
	(void)timer;
	exit_code = EX_TEMPFAIL;
	loop_stop(worker.loop);
}

/* The opener ends the service when authd died. Where the pipe alone broke, only a worker that is started
 * anew gets another one; until then logins are told to come later. */
static void authd_lost(struct channel *channel, const struct why *why)
{
	(void)channel;
	if (why->text[0])
		log_failure("no-authd", why);
	loop_set_timer(worker.loop, &give_up, AUTHD_PATIENCE_MS, start_anew);
}

static void greet(const char *peer, unsigned index, int fd)
{
	struct why why = { 0 };

	(void)index;
	if (!strcmp(peer, "opener") && tls_worker_join(worker.tls, worker.loop, fd, &why) != RESULT_OK)
		service_link_failed(&why);
	else if (!strcmp(peer, "keyd") && tls_keys_join(fd, &why) != RESULT_OK)
		service_link_failed(&why);
	if (strcmp(peer, "authd"))
		return;
	channel_close(&worker.authd);
	if (channel_open(&worker.authd, worker.loop, fd, authd_told, authd_lost, &why) != RESULT_OK)
		service_link_failed(&why);
}

/* The mailboxes' sessions see the end of file, and remove nothing. */
static void ended(void)
{
	stop_listening(true);
	loop_unset_timer(worker.loop, &listen_again);
	connections_close("shutdown");
	loop_stop(worker.loop);
}

static enum result enter(struct why *why)
{
	struct identity identity;
	enum result result = sandbox_identity(ROLE_POP3_WORKER, &identity, why);

	return result == RESULT_OK ? sandbox_enter(ROLE_POP3_WORKER, &identity, NULL, 0, why) : result;
}

int worker_run(const struct configuration *conf, unsigned index)
{
	struct why why = { 0 };

	tls_opener_leave();
	worker.conf = conf;
	worker.index = index;
	worker.authd.fd = -1;
	for (size_t i = 0; i < LISTENERS_MAX; i++)
		listeners[i].fd = -1;
	if (tls_server_make(&worker.tls, &why) != RESULT_OK ||	/* GnuTLS reads files */
	    enter(&why) != RESULT_OK || loop_make(&worker.loop, &why) != RESULT_OK ||
	    service_join(worker.loop, greet, ended, &why) != RESULT_OK) {
		log_failure("unable-to-start", &why);
		return EX_OSERR;
	}
	count_descriptors();
	if (opening.has_certificates)
		tls_worker_await(worker.loop, listen_first);
	else
		listen_now(NULL);
	if (loop_run(worker.loop, &why) == RESULT_OK)
		return exit_code;
	log_failure("unable-to-go-on", &why);
	return EX_OSERR;
}
