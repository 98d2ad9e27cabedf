/* TLS 1.2 and 1.3 for servers and clients: the only door to GnuTLS. Everything is opaque, so that
 * another library could stand behind it. Used by smtpd, pop3d (servers), remoted (client), `dawk cert`.
 *
 * A process that uses it holds no private key: signatures come from keyd over a blocking pipe of its
 * own, TLS_SIGN_MS at most (DESIGN.md 7), and not again while keyd hangs. Make what is needed before sandbox_enter.
 *
 * A session works on a non-blocking descriptor that its owner watches, level-triggered. After
 * RESULT_RETRY the owner watches for tls_wants(); before it waits for input it reads until
 * RESULT_RETRY, since decrypted bytes may lie in the session where epoll does not see them. */
#ifndef COMMON_TLS_H
#define COMMON_TLS_H

#include "log.h"
#include "result.h"
#include "wire.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	TLS_SIGN_MS = 1000,		/* wait for keyd */
	TLS_TICKET_KEY_SIZE = 64,
	TLS_BINDING_SIZE = 32,		/* RFC 9266 */
	TLS_NAME_MAX = 255,
	TLS_NAMES_MAX = 1000,		/* of one certificate */
	TLS_CERTIFICATE_FILE_MAX = 262144,
	TLS_PUBLIC_KEY_MAX = 2200,	/* SPKI of RSA with 16384 bits */
	TLS_CHAIN_MAX = 16,
	TLS_SIDE_BY_SIDE_MAX = 8,	/* certificates for one name: an ECDSA and an RSA one, rarely more */
	TLS_CACHE_SESSIONS = 1024,	/* of a client, for resumption */
};

struct tls_server;	/* certificates, ticket key */
struct tls_client;	/* trust, sessions to resume */
struct tls_session;

/* ---- keys (tls_keys.c) ---- */

/* Takes over FD, this process's pipe to keyd; a fresh one replaces the last. */
enum result tls_keys_join(int fd, struct why *why);
/* May keyd be asked for a signature? false: it did not answer the last time, nor has it since; until it does, or HUNG_MS are
 * over, a handshake that needs one fails at once. Does not wait. */
bool tls_keys_answer(void);

/* ---- servers (tls_server.c) ---- */

enum result tls_server_make(struct tls_server **server, struct why *why);
void tls_server_free(struct tls_server *server);	/* its sessions may outlive it */

struct tls_file {
	const char *name;		/* for logs */
	const char *pem;		/* the certificate, then its chain; need not live on */
	size_t length;
};
/* Puts a new set of certificates in force for handshakes to come; running ones keep theirs. A name
 * may stand in several, of different key types: the client's abilities choose. The first file serves
 * clients that name no host or an unknown one. RESULT_NEVER: WHY names the file; the old set stays. */
enum result tls_server_replace(struct tls_server *server, const struct tls_file *files, size_t count, struct why *why);
bool tls_server_has_certificates(const struct tls_server *server);
/* Tickets are sealed with KEY from now on (tickets of the last key no longer resume); all workers of a service
 * get the same one. Without a key there are no tickets. */
void tls_server_set_ticket_key(struct tls_server *server, const unsigned char key[TLS_TICKET_KEY_SIZE]);

enum { TLS_NO_TICKETS = 1 };	/* flag of tls_accept: for clients that stumble over them */

/* Begins a session as the server on FD, which stays its owner's. RESULT_RETRY: memory, or no certificate. */
enum result tls_accept(struct tls_server *server, int fd, int flags, struct tls_session **session, struct why *why);

/* ---- clients (tls_client.c) ---- */

/* With WITH_TRUST the system's trust store is read (some 4 MB): needed for tls_verify. */
enum result tls_client_make(bool with_trust, struct tls_client **client, struct why *why);
void tls_client_free(struct tls_client *client);
/* Trusts the authorities of LENGTH bytes of PEM as well, or alone without WITH_TRUST. RESULT_NEVER: none there. */
enum result tls_client_trust(struct tls_client *client, const char *pem, size_t length, struct why *why);

/* Begins a session as the client. NAME goes out as SNI where it is a host name (NULL: none). With
 * RESUME_KEY (host, port and policy in one text; NULL: none) it takes up an earlier session of the
 * same text. No certificate is judged here. */
enum result tls_connect(struct tls_client *client, int fd, const char *name, const char *resume_key,
                        struct tls_session **session, struct why *why);
/* After the handshake: does the peer's certificate, valid now and from an authority of the system's
 * trust store, hold NAME (RFC 6125)? RESULT_OK, or RESULT_NEVER with WHY. */
enum result tls_verify(struct tls_session *session, const char *name, struct why *why);
/* What was wrong with it at the last tls_verify (RFC 8460 4.3 has names for these). */
enum tls_fault { TLS_FAULT_NONE, TLS_FAULT_NAME, TLS_FAULT_EXPIRED, TLS_FAULT_UNTRUSTED, TLS_FAULT_OTHER };
enum tls_fault tls_fault(const struct tls_session *session);
/* Certificate INDEX (0: the peer's own) of the chain as it was sent, DER; valid as long as the session.
 * RESULT_END: there is none. */
enum result tls_peer_certificate(const struct tls_session *session, size_t index, const void **der, size_t *length);
/* Keeps the session for the next one of its RESUME_KEY. Call at its end, after something was read:
 * a ticket of TLS 1.3 comes behind the handshake. */
void tls_client_keep(struct tls_session *session);

/* ---- sessions (tls.c) ---- */

/* RESULT_OK: done. RESULT_RETRY: see tls_wants. RESULT_PEER: hang up; the alert is sent already. */
enum result tls_handshake(struct tls_session *session, struct why *why);
/* Reads up to SIZE bytes. RESULT_OK: *COUNT > 0. RESULT_RETRY: nothing now. RESULT_END: the peer
 * closed, in order or not. RESULT_PEER: hang up. */
enum result tls_read(struct tls_session *session, void *bytes, size_t size, size_t *count, struct why *why);
/* Sends from LENGTH > 0 bytes; *COUNT: how many went. RESULT_RETRY: none; the next call begins with at
 * least the same bytes (as a buffer that waits for EPOLLOUT does by itself). RESULT_PEER: gone. */
enum result tls_write(struct tls_session *session, const void *bytes, size_t length, size_t *count, struct why *why);
/* Says that no more will be written; only once, and not before the handshake is done. RESULT_OK;
 * RESULT_RETRY; RESULT_PEER. Never waits for the answer. */
enum result tls_bye(struct tls_session *session);
void tls_free(struct tls_session *session);	/* NULL is harmless; FD stays open */

/* Did the peer say itself that nothing more comes? Else its end may be a cut by somebody between (RFC 8446 6.1). */
bool tls_is_ended(const struct tls_session *session);

/* EPOLLIN or EPOLLOUT: what the call that said RESULT_RETRY waits for. */
uint32_t tls_wants(const struct tls_session *session);
/* Are there bytes for tls_read that no event will announce? */
bool tls_has_pending(const struct tls_session *session);

struct tls_facts {			/* NUL-ended */
	char version[16];		/* "TLSv1.3" */
	char cipher[64];		/* the IANA name */
	char name[TLS_NAME_MAX + 1];	/* SNI, empty for none; printable */
	bool is_resumed;
};
void tls_facts(const struct tls_session *session, struct tls_facts *facts);
/* Adds tls=, cipher=, sni=, resumed= to a log line. */
void tls_log(const struct tls_session *session, struct log_line *line);
/* The tls-exporter channel binding (RFC 9266). RESULT_NEVER: none (TLS 1.2 without extended master secret). */
enum result tls_binding(const struct tls_session *session, unsigned char binding[TLS_BINDING_SIZE], struct why *why);

/* ---- certificates and keys (tls_certificate.c, tls_key.c) ---- */

struct tls_certificate {
	unsigned char key_id[WIRE_KEY_ID_MAX];		/* SHA-256 of the public key: what keyd calls it */
	unsigned char fingerprint[32];			/* SHA-256 of the certificate */
	char key_type[32];				/* "ECDSA 256" */
	char issuer[256];
	int64_t not_before, not_after;			/* seconds since 1970 */
	bool is_self_signed;
	char names[2048];				/* separated by blanks, cut between names; "" for none */
};
/* Facts of the first certificate of a PEM file. RESULT_NEVER: it holds none. */
enum result tls_certificate_read(const char *pem, size_t length, struct tls_certificate *certificate, struct why *why);
/* The key_id of a private key, for the admin's command. RESULT_NEVER: no key without a passphrase. */
enum result tls_private_key_id(const char *pem, size_t length, unsigned char key_id[WIRE_KEY_ID_MAX], struct why *why);
/* The public half of a private key, as a DKIM key record holds it: of RSA its SPKI (DER, RFC 6376 3.6.1), of Ed25519 the bare
 * 32 bytes (RFC 8463 4.2), of others nothing. RESULT_NEVER: no key without a passphrase. */
struct tls_public_key { enum key_type type; unsigned bits; size_t length; unsigned char bytes[TLS_PUBLIC_KEY_MAX]; };
enum result tls_public_key(const char *pem, size_t length, struct tls_public_key *key, struct why *why);
/* A new RSA key of BITS, as PEM in a malloc'd, NUL-ended string that the caller wipes and frees. */
enum result tls_rsa_key_make(unsigned bits, char **key, struct why *why);
/* A new ECDSA P-256 key and a certificate for HOSTNAME signed by itself, as PEM in malloc'd, NUL-ended
 * strings that the caller frees (and wipes, the key). */
enum result tls_certificate_make(const char *hostname, unsigned days, char **certificate, char **key, struct why *why);

#endif
