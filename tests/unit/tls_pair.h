/* What the TLS driver needs: certificates of several kinds, a process that holds their keys as keyd does,
 * and both sides of a session over a socketpair. */
#ifndef TESTS_TLS_PAIR_H
#define TESTS_TLS_PAIR_H

#include "common/channel.h"
#include "common/tls_private.h"
#include "keyd/keys.h"
#include "unit.h"
#include <gnutls/crypto.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FILES = 5, TURNS_MAX = 200000 };

static struct why why;
static struct tls_server *server;
static struct tls_client *client;
static pid_t keyd_pid;

static struct made {
	const char *name;		/* of the certificate */
	gnutls_pk_algorithm_t type;
	char *pem, *key;
	struct tls_certificate facts;
} made[FILES] = {
	{ "a.example", GNUTLS_PK_ECDSA, NULL, NULL, { .not_after = 0 } },
	{ "b.example", GNUTLS_PK_EDDSA_ED25519, NULL, NULL, { .not_after = 0 } },
	{ "*.wild.example", GNUTLS_PK_ECDSA, NULL, NULL, { .not_after = 0 } },
	{ "a.example", GNUTLS_PK_RSA, NULL, NULL, { .not_after = 0 } },
	{ "later.example", GNUTLS_PK_ECDSA, NULL, NULL, { .not_after = 0 } },
};

/* ---- certificates, and a process that holds their keys ---- */

static void make_with(struct made *m)
{
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
	gnutls_datum_t pem;

	gnutls_x509_privkey_init(&key);
	gnutls_x509_crt_init(&crt);
	CHECK(gnutls_x509_privkey_generate(key, m->type, m->type == GNUTLS_PK_RSA ? 2048 : 256, 0) >= 0);
	gnutls_x509_crt_set_version(crt, 3);
	gnutls_x509_crt_set_serial(crt, "\1", 1);
	gnutls_x509_crt_set_activation_time(crt, time(NULL) - 60);
	gnutls_x509_crt_set_expiration_time(crt, time(NULL) + 3600);
	gnutls_x509_crt_set_key(crt, key);
	/* no alternative name: the common name counts */
	gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, m->name, (unsigned)strlen(m->name));
	CHECK(gnutls_x509_crt_sign2(crt, crt, key, m->type == GNUTLS_PK_RSA ? GNUTLS_DIG_SHA256 : GNUTLS_DIG_SHA512, 0) >= 0);
	gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem);
	m->pem = strndup((char *)pem.data, pem.size);
	gnutls_free(pem.data);
	gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &pem);
	m->key = strndup((char *)pem.data, pem.size);
	gnutls_free(pem.data);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
}

static void make_all(void)
{
	for (int i = 0; i < FILES; i++) {
		if (made[i].type == GNUTLS_PK_ECDSA)
			CHECK(tls_certificate_make(made[i].name, 30, &made[i].pem, &made[i].key, &why) == RESULT_OK);
		else
			make_with(&made[i]);
		CHECK(tls_certificate_read(made[i].pem, strlen(made[i].pem), &made[i].facts, &why) == RESULT_OK);
		CHECK_STRING(made[i].facts.names, made[i].name);
	}
}

static void answer(struct channel *channel, const struct frame *f)
{
	struct key_signature signature = { .length = 0 };
	uint64_t verdict = keys_sign(f->value[SIGN_ASK_KEY].bytes, f->value[SIGN_ASK_KEY].length,
	                             (enum key_purpose)f->value[SIGN_ASK_PURPOSE].number, f->value[SIGN_ASK_ALGORITHM].number,
	                             f->value[SIGN_ASK_DATA].bytes, f->value[SIGN_ASK_DATA].length, &signature, &why);
	struct wire_value values[SIGN_TELL_FIELDS] = {
		[SIGN_TELL_SERIAL] = WIRE_NUMBER(f->value[SIGN_ASK_SERIAL].number),
		[SIGN_TELL_VERDICT] = WIRE_NUMBER(verdict),
		[SIGN_TELL_SIGNATURE] = WIRE_BYTES((const char *)signature.bytes, signature.length),
	};

	channel_send(channel, FRAME_SIGN_TELL, values, -1, &why);
}

static void hold_keys(int fd)
{
	struct channel channel;
	struct key_facts facts;
	struct frame f;

	for (int i = 0; i < FILES; i++) {
		int file = memfd_create("key", MFD_CLOEXEC);
		if (write(file, made[i].key, strlen(made[i].key)) < 0 ||
		    keys_load(file, KEY_TLS, 1, &facts, &why) != RESULT_OK || memcmp(facts.id, made[i].facts.key_id, sizeof facts.id))
			_exit(1);
	}
	channel_open(&channel, NULL, fd, NULL, NULL, &why);
	while (channel_wait(&channel, &f, -1, &why) == RESULT_OK)
		answer(&channel, &f);
	_exit(0);
}

static void start_keyd(void)
{
	int ends[2];

	CHECK(channel_pair(ends, &why) == RESULT_OK);
	keyd_pid = fork();
	if (keyd_pid == 0) {
		close(ends[0]);
		hold_keys(ends[1]);
	}
	close(ends[1]);
	CHECK(tls_keys_join(ends[0], &why) == RESULT_OK);
}

static void load(size_t first, size_t count)
{
	struct tls_file files[FILES];

	for (size_t i = 0; i < count; i++)
		files[i] = (struct tls_file){ made[first + i].name, made[first + i].pem, strlen(made[first + i].pem) };
	CHECK(tls_server_replace(server, files, count, &why) == RESULT_OK);
}

/* ---- a pair of sessions ---- */

struct pair {
	int fds[2];
	struct tls_session *server, *client;
	enum result server_result, client_result;
};

static inline void open_pair(struct pair *p, int flags, const char *name, const char *resume_key)
{
	*p = (struct pair){ .server_result = RESULT_RETRY, .client_result = RESULT_RETRY };
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, p->fds) == 0);
	CHECK(tls_accept(server, p->fds[0], flags, &p->server, &why) == RESULT_OK);
	CHECK(tls_connect(client, p->fds[1], name, resume_key, &p->client, &why) == RESULT_OK);
}

static inline void close_pair(struct pair *p)
{
	tls_free(p->server);
	tls_free(p->client);
	close(p->fds[0]);
	close(p->fds[1]);
}

static inline bool shake(struct pair *p)
{
	for (int i = 0; i < 100 && (p->server_result == RESULT_RETRY || p->client_result == RESULT_RETRY); i++) {
		if (p->client_result == RESULT_RETRY)
			p->client_result = tls_handshake(p->client, &why);
		if (p->server_result == RESULT_RETRY)
			p->server_result = tls_handshake(p->server, &why);
		if (p->server_result == RESULT_PEER && p->client_result == RESULT_RETRY && i > 4)
			break;
	}
	return p->server_result == RESULT_OK && p->client_result == RESULT_OK;
}

static inline bool say(struct tls_session *from, struct tls_session *to, const char *text)
{
	char got[100];
	size_t count, sent;

	return tls_write(from, text, strlen(text), &sent, &why) == RESULT_OK && sent == strlen(text) &&
	       tls_read(to, got, sizeof got, &count, &why) == RESULT_OK && count == sent && !memcmp(got, text, count);
}

static inline int served_file(const struct pair *p)
{
	unsigned char hash[32];
	const void *der;
	size_t length;

	if (tls_peer_certificate(p->client, 0, &der, &length) != RESULT_OK)
		return -1;
	gnutls_hash_fast(GNUTLS_DIG_SHA256, der, length, hash);
	for (int i = 0; i < FILES; i++)
		if (!memcmp(hash, made[i].facts.fingerprint, sizeof hash))
			return i;
	return -1;
}

#endif
