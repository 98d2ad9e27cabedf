/* TLS on a stream (stream.h): what smtpd, pop3d and remoted call. A program that does links GnuTLS. */
#ifndef COMMON_TLS_STREAM_H
#define COMMON_TLS_STREAM_H

#include "stream.h"
#include "tls.h"

/* As the server, for implicit TLS right after stream_open, for STARTTLS once the reply is flushed.
 * RESULT_RETRY: no certificate or memory; the stream is as before. */
enum result tls_stream_accept(struct stream *stream, struct tls_server *server, int flags, struct why *why);
/* As the client, see tls_connect. */
enum result tls_stream_connect(struct stream *stream, struct tls_client *client, const char *name, const char *resume_key, struct why *why);
/* The session, for tls_facts, tls_log, tls_verify, tls_client_keep; NULL: no TLS. */
struct tls_session *tls_stream_session(const struct stream *stream);

#endif
