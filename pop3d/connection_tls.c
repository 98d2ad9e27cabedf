/* TLS of a client: STLS (RFC 2595 4) and from the first byte (RFC 8314 3.3). See session.h. */
#include "pop3d/session.h"
#include "common/log.h"
#include "common/tls_stream.h"

#include <stdlib.h>

bool connection_offers_tls(const struct connection *c)
{
	return !c->client.layer && tls_server_has_certificates(worker.tls);
}

static void log_failure_of(const struct connection *c, const struct why *why)
{
	char client[NETWORK_TEXT_MAX];
	struct log_line line;

	log_start(&line, "tls-failed");
	log_text(&line, "session", c->id);
	log_text(&line, "client", ip_text(&c->ip, client));
	log_why(&line, why);
	log_end(&line);
}

bool connection_begin_tls(struct connection *c)
{
	uint32_t listener = c->is_tls_listener ? LISTEN_POP3S : LISTEN_POP3;
	struct why why = { 0 };

	free(c->name);		/* what came in clear may be of anybody on the way */
	c->name = NULL;
	c->state = AT_HANDSHAKE;
	connection_wait(c);
	stream_pause(&c->client, false);
	if (tls_stream_accept(&c->client, worker.tls, worker.conf->tls_tickets & listener ? 0 : TLS_NO_TICKETS, &why) == RESULT_OK)
		return true;
	log_failure_of(c, &why);
	connection_close(c, "tls-failed");
	return false;
}

void connection_handshake_ready(struct connection *c)
{
	struct why why = { 0 };
	char *bytes;
	size_t length;
	enum result result = stream_read(&c->client, &bytes, &length, &why);

	if (result == RESULT_RETRY && c->client.is_shaking)
		return;
	if (result != RESULT_OK && result != RESULT_RETRY) {
		log_failure_of(c, &why);
		connection_close(c, "tls-failed");
		return;
	}
	c->state = AT_AUTHORIZATION;
	c->may_log_in = true;
	connection_wait(c);
	if (c->is_tls_listener && !connection_greet(c))
		return;
	if (result == RESULT_OK) {
		c->in_bytes += length;
		connection_run(c, bytes, length);
	}
}
