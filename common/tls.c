#include "tls_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	RECORD_MAX = 16384,		/* plain bytes of one record, RFC 8446 5.1 */
	TRIES_MAX = 8,			/* records in a row that bring nothing: alerts, tickets, pieces of a hello */
};

enum result tls_why(struct why *why, enum result result, const char *what, int error)
{
	return why_set(why, result, "%s: %s", what, gnutls_strerror(error));
}

/* ---- transport ---- */

/* Remembers that the descriptor is empty: GnuTLS says "again" also for records that hold no data of
 * the application, behind which more may wait. */
static ssize_t pull(gnutls_transport_ptr_t pointer, void *bytes, size_t size)
{
	struct tls_session *s = pointer;
	ssize_t n = recv(s->fd, bytes, size, MSG_DONTWAIT);

	if (n < 0) {
		s->is_dry = errno == EAGAIN;
		gnutls_transport_set_errno(s->gnutls, errno);
	}
	return n;
}

static ssize_t push(gnutls_transport_ptr_t pointer, const giovec_t *pieces, int count)
{
	struct tls_session *s = pointer;
	struct iovec iov[8];
	struct msghdr message = { .msg_iov = iov };
	ssize_t n;

	for (message.msg_iovlen = 0; message.msg_iovlen < (size_t)count && message.msg_iovlen < 8; message.msg_iovlen++)
		iov[message.msg_iovlen] = (struct iovec){ pieces[message.msg_iovlen].iov_base, pieces[message.msg_iovlen].iov_len };
	n = sendmsg(s->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		gnutls_transport_set_errno(s->gnutls, errno);
	return n;
}

static int pull_timeout(gnutls_transport_ptr_t pointer, unsigned ms)
{
	(void)pointer;
	(void)ms;
	return 1;	/* never wait: the pull itself says whether there is something */
}

enum result tls_session_make(int fd, unsigned flags, gnutls_priority_t priority, struct tls_session **session, struct why *why)
{
	struct tls_session *s = calloc(1, sizeof *s);
	int error;

	*session = NULL;
	if (!s)
		return why_errno(why, RESULT_RETRY, "no memory for a TLS session");
	s->fd = fd;
	error = gnutls_init(&s->gnutls, flags | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);
	if (error < 0) {
		free(s);
		return tls_why(why, RESULT_RETRY, "unable to begin TLS", error);
	}
	error = gnutls_priority_set(s->gnutls, priority);
	if (error < 0) {
		tls_free(s);
		return tls_why(why, RESULT_RETRY, "unable to begin TLS", error);
	}
	gnutls_session_set_ptr(s->gnutls, s);
	gnutls_transport_set_ptr(s->gnutls, s);
	gnutls_transport_set_pull_function(s->gnutls, pull);
	gnutls_transport_set_pull_timeout_function(s->gnutls, pull_timeout);
	gnutls_transport_set_vec_push_function(s->gnutls, push);
	gnutls_handshake_set_timeout(s->gnutls, GNUTLS_INDEFINITE_TIMEOUT);	/* the owner has a timer */
	*session = s;
	return RESULT_OK;
}

void tls_free(struct tls_session *s)
{
	if (!s)
		return;
	gnutls_deinit(s->gnutls);
	tls_set_release(s->set);
	free(s->resume_key);
	free(s);
}

/* ---- what GnuTLS answers ---- */

static bool is_again(int error)
{
	return error == GNUTLS_E_AGAIN || error == GNUTLS_E_INTERRUPTED;
}

/* One more try makes sense after an alert, and where the last one took something off the descriptor. */
static bool goes_on(const struct tls_session *s, ssize_t error)
{
	return error == GNUTLS_E_INTERRUPTED || error == GNUTLS_E_WARNING_ALERT_RECEIVED ||
	       (error == GNUTLS_E_AGAIN && !s->is_dry && gnutls_record_get_direction(s->gnutls) == 0);
}

static enum result fail(struct tls_session *s, const char *what, int error, struct why *why)
{
	if (error == GNUTLS_E_FATAL_ALERT_RECEIVED || error == GNUTLS_E_WARNING_ALERT_RECEIVED)
		return why_set(why, RESULT_PEER, "%s: the other side says: %s", what,
		               gnutls_alert_get_name(gnutls_alert_get(s->gnutls)));
	return tls_why(why, RESULT_PEER, what, error);
}

/* ---- handshake ---- */

enum result tls_handshake(struct tls_session *s, struct why *why)
{
	int i, error = GNUTLS_E_AGAIN;

	for (i = 0; i < TRIES_MAX; i++) {
		s->is_dry = false;
		error = gnutls_handshake(s->gnutls);
		if (!goes_on(s, error))
			break;
	}
	if (error == GNUTLS_E_SUCCESS) {
		s->is_done = true;
		return RESULT_OK;
	}
	if (is_again(error))
		return RESULT_RETRY;
	if (error != GNUTLS_E_PREMATURE_TERMINATION && error != GNUTLS_E_FATAL_ALERT_RECEIVED)
		gnutls_alert_send_appropriate(s->gnutls, error);
	return fail(s, "the TLS handshake failed", error, why);
}

/* ---- records ---- */

enum result tls_read(struct tls_session *s, void *bytes, size_t size, size_t *count, struct why *why)
{
	ssize_t n = GNUTLS_E_AGAIN;
	int i;

	*count = 0;
	for (i = 0; i < TRIES_MAX; i++) {
		s->is_dry = false;
		n = gnutls_record_recv(s->gnutls, bytes, size);
		if (!goes_on(s, n))
			break;
	}
	if (n > 0) {
		*count = (size_t)n;
		return RESULT_OK;
	}
	s->is_peer_ended |= n == 0;
	if (n == 0 || n == GNUTLS_E_PREMATURE_TERMINATION)
		return RESULT_END;
	if (is_again((int)n))
		return RESULT_RETRY;	/* level-triggered: what is there still comes with the next event */
	if (n == GNUTLS_E_REHANDSHAKE)
		return why_set(why, RESULT_PEER, "the other side wants to renegotiate, which is not done");
	return fail(s, "TLS", (int)n, why);
}

enum result tls_write(struct tls_session *s, const void *bytes, size_t length, size_t *count, struct why *why)
{
	ssize_t n;

	*count = 0;
	while (*count < length) {
		size_t piece = length - *count < RECORD_MAX ? length - *count : RECORD_MAX;
		if (s->promised)	/* encrypted already: GnuTLS sends its copy, whatever is given */
			n = gnutls_record_send(s->gnutls, NULL, 0);
		else
			n = gnutls_record_send(s->gnutls, (const char *)bytes + *count, piece);
		if (n == GNUTLS_E_INTERRUPTED || n == GNUTLS_E_AGAIN) {
			s->promised = s->promised ? s->promised : piece;
			return *count ? RESULT_OK : RESULT_RETRY;
		}
		if (n < 0)
			return fail(s, "TLS", (int)n, why);
		*count += (size_t)n;
		s->promised = 0;
	}
	return RESULT_OK;
}

enum result tls_bye(struct tls_session *s)
{
	int error;

	if (!s->is_done || s->is_ended)
		return RESULT_OK;
	error = gnutls_bye(s->gnutls, GNUTLS_SHUT_WR);
	s->is_ended = !is_again(error);
	if (error == GNUTLS_E_SUCCESS)
		return RESULT_OK;
	return is_again(error) ? RESULT_RETRY : RESULT_PEER;
}

bool tls_is_ended(const struct tls_session *s)
{
	return s->is_peer_ended;
}

uint32_t tls_wants(const struct tls_session *s)
{
	return gnutls_record_get_direction(s->gnutls) ? EPOLLOUT : EPOLLIN;
}

bool tls_has_pending(const struct tls_session *s)
{
	return gnutls_record_check_pending(s->gnutls) > 0;
}

/* ---- what it is ---- */

/* SNI of a server's client, or what this client asked for. A name with odd bytes is nobody's name. */
static void find_name(const struct tls_session *s, char *name)
{
	size_t i, size = TLS_NAME_MAX + 1;
	unsigned type;

	name[0] = 0;
	if (gnutls_server_name_get(s->gnutls, name, &size, &type, 0) < 0 || type != GNUTLS_NAME_DNS)
		name[0] = 0;
	for (i = 0; i < size && name[i]; i++)
		if (name[i] <= ' ' || name[i] > '~')
			name[0] = 0;
}

void tls_facts(const struct tls_session *s, struct tls_facts *facts)
{
	gnutls_protocol_t version = gnutls_protocol_get_version(s->gnutls);
	const char *cipher = gnutls_ciphersuite_get(s->gnutls);

	*facts = (struct tls_facts){ .is_resumed = gnutls_session_is_resumed(s->gnutls) != 0 };
	snprintf(facts->version, sizeof facts->version, "%s", version == GNUTLS_TLS1_3 ? "TLSv1.3" : "TLSv1.2");
	snprintf(facts->cipher, sizeof facts->cipher, "%s", cipher ? cipher : "unknown");
	find_name(s, facts->name);
}

void tls_log(const struct tls_session *s, struct log_line *line)
{
	struct tls_facts facts;

	tls_facts(s, &facts);
	log_text(line, "tls", facts.version);
	log_text(line, "cipher", facts.cipher);
	log_text(line, "sni", facts.name[0] ? facts.name : NULL);
	log_text(line, "resumed", facts.is_resumed ? "yes" : NULL);
}

/* RFC 9266 4: with TLS 1.2 the exporter is unique only with the extended master secret. */
enum result tls_binding(const struct tls_session *s, unsigned char binding[TLS_BINDING_SIZE], struct why *why)
{
	gnutls_datum_t made = { 0 };
	enum result result = RESULT_OK;
	int error = 0;

	if (gnutls_protocol_get_version(s->gnutls) != GNUTLS_TLS1_3 &&
	    !(gnutls_session_get_flags(s->gnutls) & GNUTLS_SFLAGS_EXT_MASTER_SECRET))
		return why_set(why, RESULT_NEVER, "no channel binding without the extended master secret");
	error = gnutls_session_channel_binding(s->gnutls, GNUTLS_CB_TLS_EXPORTER, &made);
	if (error < 0 || made.size != TLS_BINDING_SIZE)
		result = tls_why(why, RESULT_NEVER, "no channel binding", error);
	else
		memcpy(binding, made.data, TLS_BINDING_SIZE);
	gnutls_free(made.data);
	return result;
}
