/* One HTTPS request in an event loop, to addresses that the caller knows: no name is looked up, no redirect followed, no
 * connection kept. RFC 9110, RFC 9112. A program that uses it links GnuTLS. Used by stsd and tlsrpt. */
#ifndef COMMON_HTTPS_H
#define COMMON_HTTPS_H

#include "https_reply.h"
#include "network.h"
#include "tls_stream.h"

enum {
	HTTPS_SECONDS = 60,		/* for all of it */
	HTTPS_CONNECT_SECONDS = 20,	/* for an address, with the TLS handshake */
	HTTPS_ADDRESSES_MAX = 16,
	HTTPS_AUTHORITIES_MAX = 4194304,	/* bytes of a file of authorities */
	HTTPS_PORT = 443,
};

struct https {
	/* what is asked, zeroed otherwise; what is pointed to stays until done */
	const char *host;		/* a valid name: for SNI, the certificate and Host */
	uint16_t port;
	const char *path;		/* begins with "/", printable, without a blank; may have a query */
	const char *type;		/* of what is posted; NULL: a GET */
	const char *bytes;
	size_t length;
	bool wants_body;		/* false: an answer is whole with its headers */
	void (*done)(struct https *https);	/* called once from the loop; the owner may free it then */
	/* RESULT_OK: reply.status and, if it is 2xx, the body. RESULT_NEVER: the certificate is not valid for the host.
	 * RESULT_PEER: the answer breaks the rules or a limit. RESULT_RETRY: no connection, time is over, no memory. */
	enum result result;
	struct https_reply reply;	/* body_max is the caller's */
	struct why why;
	/* https.c's own */
	struct tls_client *client;
	struct loop *loop;
	struct address_ip addresses[HTTPS_ADDRESSES_MAX];
	size_t address_count, address_next;
	uint64_t deadline_ms;
	struct timer timer;
	struct watch connecting;
	struct stream stream;
	stralloc head;
	size_t sent;
	bool is_asking, is_deaf;
};

/* A client that trusts the authorities of the PEM file PATH and no others; once, before sandbox_enter. RESULT_NEVER: the
 * file can't be read or holds none; RESULT_RETRY: memory. */
enum result https_trust(const char *path, struct tls_client **client, struct why *why);

/* Begins; one of COUNT ADDRESSES (further than HTTPS_ADDRESSES_MAX are left out) after the other is tried until TLS
 * stands. RESULT_RETRY: no memory, done is not called. */
enum result https_start(struct https *https, struct loop *loop, struct tls_client *client,
                        const struct address_ip *addresses, size_t count, struct why *why);
/* After done: frees what the request and the reply hold. */
void https_free(struct https *https);

#endif
