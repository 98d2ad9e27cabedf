/* What the files of tls.h share. No other file includes this. */
#ifndef COMMON_TLS_PRIVATE_H
#define COMMON_TLS_PRIVATE_H

#include "tls.h"
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

struct tls_set;		/* certificates in force, counted by the sessions that use them */

struct tls_session {
	gnutls_session_t gnutls;
	int fd;
	bool is_dry;			/* the last pull found the descriptor empty */
	bool is_done;			/* the handshake */
	bool is_ended;			/* our goodbye is out */
	bool is_peer_ended;		/* theirs came */
	size_t promised;		/* bytes that GnuTLS has taken but not sent: they go first */
	struct tls_set *set;		/* server */
	struct tls_client *client;
	char *resume_key;		/* client */
	enum tls_fault fault;		/* of the last tls_verify */
};

/* As why_set with the words of GnuTLS's ERROR. */
enum result tls_why(struct why *why, enum result result, const char *what, int error);
/* DATUM as a malloc'd, NUL-ended string, or NULL; what it held is wiped and freed. */
char *tls_as_string(gnutls_datum_t *datum);

/* A session on FD without credentials. FLAGS: GNUTLS_SERVER or GNUTLS_CLIENT and more. */
enum result tls_session_make(int fd, unsigned flags, gnutls_priority_t priority, struct tls_session **session, struct why *why);

void tls_set_release(struct tls_set *set);	/* tls_server.c; NULL is harmless */

/* Makes PRIVATE a key that is kept by keyd: the one of CERTIFICATE (tls_keys.c). */
enum result tls_keys_bind(gnutls_privkey_t private, gnutls_pcert_st *certificate, struct why *why);

/* The certificates of a PEM file, the first the server's own; the caller frees each (tls_certificate.c). */
enum result tls_chain_read(const char *pem, size_t length, gnutls_x509_crt_t chain[TLS_CHAIN_MAX], unsigned *count, struct why *why);
/* Calls EACH for every DNS name of CRT, lower case, "*.example" as it stands. false: EACH said so. */
bool tls_names_each(gnutls_x509_crt_t crt, bool (*each)(void *context, const char *name), void *context);

#endif
