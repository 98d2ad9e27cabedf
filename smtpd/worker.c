#include "worker.h"

#include "ask.h"
#include "common/log.h"
#include "common/sandbox.h"
#include "common/service.h"
#include "common/tls_opener.h"
#include "session.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum {
	ACCEPTS_PER_WAKE = 4,		/* more are left to the other workers */
	ACCEPT_PAUSE_MS = 1000,		/* when descriptors have run out */
	ENDING_MS = 8000,		/* the opener kills after ten seconds */
};

struct opening opening;

static struct worker worker;
static struct watched { struct watch watch; enum listener_kind kind; } watched[OPENING_LISTENERS_MAX];
static struct timer accept_timer, ending_timer;

void worker_note_gone(struct worker *w)
{
	if (w->is_ending && w->session_count == 0 && w->orphan_count == 0)
		loop_stop(w->loop);
}

bool worker_wants_names(const struct configuration *conf, const struct address_ip *ip)
{
	struct address_ip listener;

	if (conf->resolver.count > 0)
		return true;
	if (ip)
		return !ip_is_loopback(ip);
	for (size_t i = 0; i < conf->listen_smtp.count; i++)
		if (!ip_from_sockaddr((struct sockaddr *)&conf->listen_smtp.items[i].address, &listener, NULL) || !ip_is_loopback(&listener))
			return true;
	return false;
}

/* ---- listening ---- */

static void listener_ready(struct watch *watch, uint32_t events);
static void listeners_resume(struct timer *timer);

static void listeners_unwatch(void)
{
	for (size_t i = 0; i < opening.listener_count; i++)
		loop_unwatch(worker.loop, &watched[i].watch);
}

/* Out of descriptors or memory: a moment's rest, or the loop would spin. */
static void listeners_rest(const struct why *why)
{
	struct log_line line;

	log_start(&line, "unable-to-accept");
	log_number(&line, "sessions", worker.session_count);
	log_why(&line, why);
	log_end(&line);
	listeners_unwatch();
	loop_set_timer(worker.loop, &accept_timer, ACCEPT_PAUSE_MS, listeners_resume);
}

static void listeners_watch(void)
{
	enum result result = RESULT_OK;
	struct why why;

	for (size_t i = 0; i < opening.listener_count && result == RESULT_OK; i++) {
		watched[i].kind = opening.listeners[i].kind;
		result = loop_watch(worker.loop, &watched[i].watch, opening.listeners[i].fd, EPOLLIN | EPOLLEXCLUSIVE, listener_ready, &why);
	}
	if (result != RESULT_OK)
		listeners_rest(&why);
}

static void listeners_resume(struct timer *timer)
{
	(void)timer;
	if (!worker.is_ending)
		listeners_watch();
}

/* Certificates are there, or do not come. */
static void listeners_begin(void)
{
	if (!worker.is_ending)
		listeners_watch();
}

/* false: nobody is waiting, or nobody can be taken now. */
static bool listener_accept(const struct watched *w)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof address;
	struct address_ip ip = { .family = 0 };
	struct ucred peer = { .uid = (uid_t)-1 };
	struct why why;
	int fd = accept4(w->watch.fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		why_errno(&why, RESULT_RETRY, "accept");
		if (why.errno_value == EMFILE || why.errno_value == ENFILE || why.errno_value == ENOMEM || why.errno_value == ENOBUFS)
			listeners_rest(&why);
		return why.errno_value == ECONNABORTED || why.errno_value == EINTR;
	}
	size = sizeof peer;
	if (w->kind != LISTENER_LOCAL)
		ip_from_sockaddr((struct sockaddr *)&address, &ip, NULL);
	else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
		peer.uid = (uid_t)-1;
	session_start(&worker, fd, w->kind, &ip, (uint32_t)peer.uid);
	return true;
}

static void listener_ready(struct watch *watch, uint32_t events)
{
	struct why why;

	(void)events;
	for (int i = 0; i < ACCEPTS_PER_WAKE && watch->fd >= 0; i++)
		if (!listener_accept(container_of(watch, struct watched, watch)))
			break;
	if (loop_watch_last(worker.loop, watch, &why) != RESULT_OK)
		listeners_rest(&why);
}

/* ---- start and end ---- */

static void worker_greet(const char *peer, unsigned index, int fd)
{
	struct why why = { .errno_value = 0 };

	(void)index;
	if (!strcmp(peer, "authd"))
		asks_connect(worker.asks, fd);
	else if (!strcmp(peer, "remoted"))
		asks_connect_inner(worker.asks, fd);
	else if (!strcmp(peer, "dnsd") && dns_client_join(&worker.dns, fd, &why) != RESULT_OK)
		service_link_failed(&why);
	else if (!strcmp(peer, "opener") && tls_worker_join(worker.tls, worker.loop, fd, &why) != RESULT_OK)
		service_link_failed(&why);
	else if (!strcmp(peer, "keyd") && tls_keys_join(fd, &why) != RESULT_OK)
		service_link_failed(&why);
}

static void worker_give_up(struct timer *timer)
{
	(void)timer;
	loop_stop(worker.loop);
}

/* Idle clients get 421; those whose message is being committed get their answer first. */
static void worker_ended(void)
{
	struct session *next;

	worker.is_ending = true;
	listeners_unwatch();
	loop_set_timer(worker.loop, &ending_timer, ENDING_MS, worker_give_up);
	for (struct session *s = worker.sessions; s; s = next) {
		next = s->next;
		session_shut_down(s);
	}
	worker_note_gone(&worker);
}

/* The opener starts another, which gets fresh pipes. */
static void worker_start_anew(void)
{
	if (!worker.is_ending)
		worker_ended();
}

static enum result worker_drop_rights(const struct configuration *conf, struct why *why)
{
	struct identity identity;
	char tmp[4096], new[4096], held[4096], tables[4096];

	snprintf(tmp, sizeof tmp, "%s/tmp", conf->queue);
	snprintf(new, sizeof new, "%s/new", conf->queue);
	snprintf(held, sizeof held, "%s/held", conf->queue);
	if (!configuration_path(conf, "tables", tables, sizeof tables))
		return why_set(why, RESULT_STOP, "the path of the tables is too long");
	struct sandbox_path paths[] = {
		{ tmp, ALLOW_WRITE | ALLOW_MAKE | ALLOW_REMOVE | ALLOW_REFER },
		{ new, ALLOW_MAKE | ALLOW_REFER },
		{ held, ALLOW_WRITE | ALLOW_MAKE },
		{ tables, ALLOW_READ },
	};
	if (sandbox_identity(ROLE_SMTPD_WORKER, &identity, why) != RESULT_OK)
		return RESULT_STOP;
	return sandbox_enter(ROLE_SMTPD_WORKER, &identity, paths, sizeof paths / sizeof *paths, why);
}

static enum result worker_start(const struct configuration *conf, unsigned index, struct why *why)
{
	enum result result;

	tls_opener_leave();
	result = tls_server_make(&worker.tls, why);	/* GnuTLS reads files */
	if (result == RESULT_OK)
		result = worker_drop_rights(conf, why);
	worker.conf = conf;
	worker.opening = &opening;
	worker.index = index;
	random_bytes(&worker.session_seed, sizeof worker.session_seed);
	if (result == RESULT_OK)
		result = loop_make(&worker.loop, why);
	if (result == RESULT_OK)
		result = table_open(opening.tables, "access", &worker.access, why);
	if (result == RESULT_OK)
		result = resolver_make(conf, opening.tables, &worker.resolver, why);
	if (result == RESULT_OK)
		result = senders_make(conf, opening.tables, worker.resolver, &worker.senders, why);
	if (result == RESULT_OK)
		dns_client_init(&worker.dns, worker.loop);
	if (result == RESULT_OK)
		result = asks_make(worker.loop, session_recipient_told, session_login_told, worker_start_anew, &worker.asks);
	if (result == RESULT_OK)
		result = service_join(worker.loop, worker_greet, worker_ended, why);
	if (result == RESULT_OK)
		result = committer_start(worker.loop, opening.queue.place[QUEUE_TMP], opening.queue.place[QUEUE_NEW],
		                         opening.queue.trigger, &worker.committer, why);
	return result;
}

int worker_run(const struct configuration *conf, unsigned index)
{
	struct why why = { .errno_value = 0 };

	if (worker_start(conf, index, &why) != RESULT_OK) {
		log_failure("unable-to-start", &why);
		return EX_TEMPFAIL;
	}
	for (size_t i = 0; i < opening.listener_count; i++)
		watched[i].watch.fd = -1;
	if (opening.has_certificates)
		tls_worker_await(worker.loop, listeners_begin);
	else
		listeners_watch();
	if (loop_run(worker.loop, &why) != RESULT_OK) {
		log_failure("unable-to-go-on", &why);
		return EX_OSERR;
	}
	committer_stop(worker.committer);
	log_flush();
	return EX_OK;
}
