/* A client's connection: AUTHORIZATION state (RFC 1939 4), the login by authd, then bytes relayed
 * between the client and the session of its mailbox. Used by worker.c. */
#ifndef POP3D_SESSION_H
#define POP3D_SESSION_H

#include "common/stream.h"
#include "pop3d/command.h"
#include "pop3d/worker.h"

enum {
	AT_AUTHORIZATION = 1,
	AT_SASL = 2,		/* the client has a challenge to answer */
	AT_LOGIN = 16,		/* authd has the question; the client is not read */
	AT_START = 32,		/* the mailbox's session says first whether it could start */
	AT_TRANSACTION = 64,	/* relay */
	AT_STLS = 128,		/* the answer to STLS goes out */
	AT_HANDSHAKE = 256,	/* of TLS */
};
enum { SESSION_ID_LENGTH = 16 };

struct connection {
	struct stream client, server;
	struct timer timer;
	struct connection *next, **at;	/* in worker.connections */
	unsigned state;
	uint32_t errors;
	bool is_tls_listener;		/* it speaks TLS from the first byte */
	bool is_pipelined;		/* more bytes stand behind the line at hand */
	bool may_log_in;		/* there is TLS, or passwords in clear are welcome from this address */
	bool has_stamp;			/* the banner showed a time stamp: APOP works */
	bool is_skipping;		/* the rest of a line that was too long */
	bool is_quitting;		/* close once everything is sent */
	bool client_has_ended, server_has_ended;
	struct address_ip ip;
	uint64_t limit_key;		/* 0: not counted */
	uint64_t serial;		/* of the login under way */
	uint64_t exchange;		/* of the challenge that the client has to answer; 0 */
	uint64_t began_ms, in_bytes, out_bytes;
	char *name;			/* given by USER or AUTH; NULL */
	const char *end;		/* for the log */
	char id[SESSION_ID_LENGTH + 1];
};

/* Takes over FD, a client that was accepted. IS_TLS: by a listener that speaks TLS from the first byte. */
void connection_open(int fd, const struct address_ip *ip, bool is_tls);
/* authd's answer. F's descriptor is taken over. */
void connection_told(struct frame *f);
/* Every connection: the service ends. */
void connections_close(const char *end);

/* session.c for relay.c and back */
void connection_close(struct connection *c, const char *end);
/* Sends what is collected; *C is gone afterwards when this returns false. */
bool connection_flush(struct connection *c);
/* Sets the time by which something must happen. */
void connection_wait(struct connection *c);
/* Back to AUTHORIZATION state after a login that failed, goes on with what the client pipelined. */
void connection_resume(struct connection *c);

/* Lines of the client, as far as the state lets them run; the rest is kept. false: *C is gone. */
bool connection_run(struct connection *c, const char *bytes, size_t length);
/* The banner. false: *C is gone. */
bool connection_greet(struct connection *c);

/* connection_tls.c. Is STLS on offer now (RFC 2595 4)? */
bool connection_offers_tls(const struct connection *c);
/* Begins the handshake, once everything in clear is sent. false: *C is gone. */
bool connection_begin_tls(struct connection *c);
void connection_handshake_ready(struct connection *c);

/* relay.c. Takes over FD, the session's socket. */
void relay_start(struct connection *c, int fd);
void relay_client_ready(struct connection *c, uint32_t events);
/* The client took all that waited for it. */
void relay_client_drained(struct connection *c);

/* authorization.c: one line of a client in AUTHORIZATION state, or of SASL; the answer, with its
 * CRLF, valid until the next call, or NULL: authd was asked, the answer comes later. */
const char *authorization_line(struct connection *c, const char *line, size_t length);
/* The challenge will not be answered. Harmless when there is none. */
void authorization_cancel(struct connection *c);
/* An error: "-ERR ...", counted. */
const char *authorization_error(struct connection *c, const char *answer);

#endif
