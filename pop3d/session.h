/* A client's connection: AUTHORIZATION state (RFC 1939 4), the login by authd, then bytes relayed
 * between the client and the session of its mailbox. Used by worker.c. */
#ifndef POP3D_SESSION_H
#define POP3D_SESSION_H

#include "common/stream.h"
#include "pop3d/command.h"
#include "pop3d/worker.h"

enum {
	AT_AUTHORIZATION = 1,
	AT_SASL_PLAIN = 2,	/* waits for a response of the client */
	AT_SASL_NAME = 4,
	AT_SASL_PASSWORD = 8,
	AT_LOGIN = 16,		/* authd has the question; the client is not read */
	AT_START = 32,		/* the mailbox's session says first whether it could start */
	AT_TRANSACTION = 64,	/* relay */
};
enum { SESSION_ID_LENGTH = 16 };

struct connection {
	struct stream client, server;
	struct timer timer;
	struct connection *next, **at;	/* in worker.connections */
	unsigned state;
	uint32_t errors;
	bool may_log_in;		/* passwords in clear are welcome from this address */
	bool has_stamp;			/* the banner showed a time stamp: APOP works */
	bool is_skipping;		/* the rest of a line that was too long */
	bool is_quitting;		/* close once everything is sent */
	bool client_has_ended, server_has_ended;
	struct address_ip ip;
	uint64_t limit_key;		/* 0: not counted */
	uint64_t serial;		/* of the login under way */
	uint64_t began_ms, in_bytes, out_bytes;
	char *name;			/* given by USER or AUTH; NULL */
	const char *end;		/* for the log */
	char id[SESSION_ID_LENGTH + 1];
};

/* Takes over FD, a client that was accepted. */
void connection_open(int fd, const struct address_ip *ip);
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

/* relay.c. Takes over FD, the session's socket. */
void relay_start(struct connection *c, int fd);
void relay_client_ready(struct connection *c, uint32_t events);
/* The client took all that waited for it. */
void relay_client_drained(struct connection *c);

/* authorization.c: one line of a client in AUTHORIZATION state, or of SASL; the answer, with its
 * CRLF, valid until the next call, or NULL: authd was asked, the answer comes later. */
const char *authorization_line(struct connection *c, const char *line, size_t length);
/* An error: "-ERR ...", counted. */
const char *authorization_error(struct connection *c, const char *answer);

#endif
