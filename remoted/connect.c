/* Connecting: the addresses of a site in order, the second one beside the first when that is slow: soon where it is as good
 * (RFC 8305), late where it is a backup's (RFC 5321 5.1). */
#include "remoted/session.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void attempt_ready(struct watch *watch, uint32_t events);

static socklen_t make_sockaddr(const struct address_ip *ip, uint16_t port, struct sockaddr_storage *out)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)out;

	memset(out, 0, sizeof *out);
	if (ip->family == 4) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		memcpy(&v4->sin_addr, ip->bytes, 4);
		return sizeof *v4;
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	memcpy(&v6->sin6_addr, ip->bytes, 16);
	return sizeof *v6;
}

/* It is tried after the others for a while. */
static void mark_bad(struct site *site, const struct address_ip *ip)
{
	size_t i;

	for (i = 0; i < site->hosts.address_count; i++)
		if (ip_equal(&site->hosts.addresses[i].ip, ip))
			site->hosts.addresses[i].bad_until_ms = loop_now_ms(remoted.loop) + SITE_ADDRESS_BAD_MS;
}

void session_mark_bad(const struct session *session)
{
	if (!session->site->route.path[0])
		mark_bad(session->site, &session->order[session->place].ip);
}

static void note_trouble(struct session *session, size_t place, const char *words)
{
	struct site *site = session->site;
	const struct host_address *address = &session->order[place];
	char ip[NETWORK_TEXT_MAX], told[SESSION_WORDS_MAX + 1];

	if (site->route.path[0]) {
		snprintf(told, sizeof told, "connect to %s: %s", site->route.path, words);
	} else {
		mark_bad(site, &address->ip);
		snprintf(told, sizeof told, "connect to %s[%s]:%u: %s",
		         site->route.is_ip ? "" : site->hosts.exchanges[address->exchange].name,
		         ip_text(&address->ip, ip), site->route.port, words);
	}
	session_note_trouble(session, "4.4.1", told);
}

/* What this host lacks says nothing about the other one. */
static void note_failed_call(struct session *session, size_t place, int error)
{
	char words[SESSION_WORDS_MAX + 1];

	if (error != EMFILE && error != ENFILE && error != ENOBUFS && error != ENOMEM) {
		note_trouble(session, place, strerror(error));
		return;
	}
	snprintf(words, sizeof words, "unable to connect: %s", strerror(error));
	session_note_trouble(session, "4.3.0", words);
}

static void close_attempt(struct attempt *attempt)
{
	if (attempt->fd < 0)
		return;
	loop_unwatch(remoted.loop, &attempt->watch);
	close(attempt->fd);
	attempt->fd = -1;
}

static bool bind_source(struct route *route, int fd, uint8_t family)
{
	const struct address_ip *source = route_source(route, family);
	struct sockaddr_storage address;
	int one = 1;

	if (!source->family)
		return true;
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
	return !bind(fd, (struct sockaddr *)&address, make_sockaddr(source, 0, &address));
}

static int open_unix(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS) {
		int error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

static int open_tcp(struct site *site, const struct address_ip *ip)
{
	struct sockaddr_storage address;
	socklen_t size = make_sockaddr(ip, site->route.port, &address);
	int one = 1, error, fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (bind_source(&site->route, fd, ip->family) &&
	    (!connect(fd, (struct sockaddr *)&address, size) || errno == EINPROGRESS))
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* One attempt at the next address into a free slot. false: none is left, or it failed at once. */
static bool try_next(struct session *session)
{
	struct attempt *attempt = session->attempts[0].fd < 0 ? &session->attempts[0] : &session->attempts[1];
	bool is_local = session->site->route.path[0] != 0;
	struct why why = { 0 };
	size_t place;
	int fd;

	place = session->order_next++;
	fd = is_local ? open_unix(session->site->route.path) : open_tcp(session->site, &session->order[place].ip);
	if (fd < 0) {
		note_failed_call(session, place, errno);
		return false;
	}
	attempt->place = place;
	if (loop_watch(remoted.loop, &attempt->watch, fd, EPOLLOUT, attempt_ready, &why) != RESULT_OK) {
		session_note_trouble(session, "4.3.0", why.text);
		close(fd);
		return false;
	}
	attempt->fd = fd;
	return true;
}

static void race_over(struct timer *timer);
static void connect_time_over(struct timer *timer);

static bool is_trying(const struct session *session)
{
	return session->attempts[0].fd >= 0 || session->attempts[1].fd >= 0;
}

/* Is the next address of another preference than the one before? */
static bool is_backup_next(const struct session *session)
{
	const struct exchange *exchanges = session->site->hosts.exchanges;
	const struct host_address *next = &session->order[session->order_next];

	return exchanges[next->exchange].preference != exchanges[next[-1].exchange].preference;
}

void session_next_address(struct session *session)
{
	session->state = SESSION_CONNECTING;
	while (!is_trying(session)) {
		if (session->order_next == session->order_count) {
			session_fail(session, session->trouble_status, session->trouble);
			return;
		}
		try_next(session);
	}
	loop_set_timer(remoted.loop, &session->timer, remoted.conf->connect_timeout_seconds * 1000ull, connect_time_over);
	if (session->order_next < session->order_count)
		loop_set_timer(remoted.loop, &session->race, is_backup_next(session) ? SESSION_BACKUP_MS : SESSION_RACE_MS, race_over);
}

static void race_over(struct timer *timer)
{
	struct session *session = container_of(timer, struct session, race);
	const struct attempt *attempts = session->attempts;
	size_t i;

	if (session->order_next < session->order_count && (attempts[0].fd < 0 || attempts[1].fd < 0)) {
		for (i = 0; i < 2 && is_backup_next(session); i++)	/* so late that others need not wait for it as long */
			if (attempts[i].fd >= 0)
				mark_bad(session->site, &session->order[attempts[i].place].ip);
		try_next(session);
	}
	if (!is_trying(session))
		session_next_address(session);
}

static void connect_time_over(struct timer *timer)
{
	struct session *session = container_of(timer, struct session, timer);
	size_t i;

	for (i = 0; i < 2; i++)
		if (session->attempts[i].fd >= 0) {
			note_trouble(session, session->attempts[i].place, "timed out");
			close_attempt(&session->attempts[i]);
		}
	session_next_address(session);
}

void session_stop_connecting(struct session *session)
{
	close_attempt(&session->attempts[0]);
	close_attempt(&session->attempts[1]);
	loop_unset_timer(remoted.loop, &session->race);
}

/* The first to connect wins. The other one is closed, and nothing is known against it: its address is the next one again.
 * Both are the last two that were begun. */
static void end_race(struct session *session, struct attempt *winner)
{
	struct attempt *loser = winner == &session->attempts[0] ? &session->attempts[1] : &session->attempts[0];
	struct host_address swap = session->order[winner->place];

	if (loser->fd >= 0) {
		session->order_next--;
		if (loser->place < winner->place) {
			session->order[winner->place] = session->order[loser->place];
			session->order[loser->place] = swap;
			winner->place = loser->place;
		}
	}
	session_stop_connecting(session);
}

static void attempt_ready(struct watch *watch, uint32_t events)
{
	struct attempt *attempt = container_of(watch, struct attempt, watch);
	struct session *session = attempt->session;
	socklen_t size = sizeof(int);
	int error = 0, fd = attempt->fd;

	(void)events;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size))
		error = errno;
	if (error) {
		note_trouble(session, attempt->place, strerror(error));
		close_attempt(attempt);
		if (!is_trying(session))
			session_next_address(session);
		return;
	}
	loop_unwatch(remoted.loop, &attempt->watch);
	attempt->fd = -1;
	end_race(session, attempt);
	site_note_family(session->site, session->order[attempt->place].ip.family);
	session_connected(session, fd, &session->order[attempt->place]);
}
