#include "tls_private.h"

#include "text.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

/* Opportunistic TLS takes what the other side has, as long as the version is sound: the alternative
 * is clear text (RFC 7435). */
#define CLIENT_PRIORITY "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

enum { CACHE_WAYS = 4, CACHE_LONGEST_MS = 6 * 3600 * 1000 };

struct kept { char *key; gnutls_datum_t data; uint64_t since_ms; bool is_once; };

struct tls_client {
	gnutls_certificate_credentials_t credentials;
	gnutls_priority_t priority;
	bool has_trust;
	struct kept kept[TLS_CACHE_SESSIONS];
};

/* ---- resumption ---- */

static void kept_drop(struct kept *kept)
{
	free(kept->key);
	gnutls_free(kept->data.data);
	*kept = (struct kept){ 0 };
}

static struct kept *kept_row(struct tls_client *client, const char *key)
{
	uint32_t hash = 2166136261U;	/* FNV-1a */

	for (; *key; key++)
		hash = (hash ^ (unsigned char)*key) * 16777619U;
	return &client->kept[hash % (TLS_CACHE_SESSIONS / CACHE_WAYS) * CACHE_WAYS];
}

static struct kept *kept_find(struct tls_client *client, const char *key)
{
	struct kept *row = kept_row(client, key);
	int i;

	for (i = 0; i < CACHE_WAYS; i++)
		if (row[i].key && !strcmp(row[i].key, key))
			return &row[i];
	return NULL;
}

/* The one of KEY, an empty one, or the oldest. */
static struct kept *kept_place(struct tls_client *client, const char *key)
{
	struct kept *row = kept_row(client, key), *place = kept_find(client, key);
	int i;

	if (!place) {
		place = row;
		for (i = 1; i < CACHE_WAYS && place->key; i++)
			if (!row[i].key || row[i].since_ms < place->since_ms)
				place = &row[i];
	}
	kept_drop(place);
	return place;
}

void tls_client_keep(struct tls_session *s)
{
	gnutls_datum_t data = { 0 };
	struct kept *kept;

	if (!s->resume_key || !s->is_done || !(gnutls_session_get_flags(s->gnutls) & GNUTLS_SFLAGS_SESSION_TICKET))
		return;
	if (gnutls_session_get_data2(s->gnutls, &data) < 0)
		return;
	kept = kept_place(s->client, s->resume_key);
	*kept = (struct kept){ strdup(s->resume_key), data, time_monotonic_ms(),
	                       gnutls_protocol_get_version(s->gnutls) == GNUTLS_TLS1_3 };
	if (!kept->key)
		kept_drop(kept);
}

/* A ticket of TLS 1.3 is used once (RFC 8446 C.4), others as long as they hold. A session that GnuTLS does not take becomes a full handshake. */
static void resume(struct tls_session *s)
{
	struct kept *kept = kept_find(s->client, s->resume_key);

	if (!kept)
		return;
	if (time_monotonic_ms() - kept->since_ms >= CACHE_LONGEST_MS) {
		kept_drop(kept);
		return;
	}
	gnutls_session_set_data(s->gnutls, kept->data.data, kept->data.size);
	if (kept->is_once)
		kept_drop(kept);
}

/* ---- sessions ---- */

static bool is_host_name(const char *name)
{
	struct in6_addr address;

	return name[0] && strlen(name) <= TLS_NAME_MAX && name[0] != '[' && inet_pton(AF_INET, name, &address) != 1 &&
	       inet_pton(AF_INET6, name, &address) != 1;
}

enum result tls_connect(struct tls_client *client, int fd, const char *name, const char *resume_key,
                        struct tls_session **session, struct why *why)
{
	enum result result = tls_session_make(fd, GNUTLS_CLIENT, client->priority, session, why);
	struct tls_session *s = *session;
	int error;

	if (result != RESULT_OK)
		return result;
	s->client = client;
	s->resume_key = resume_key ? strdup(resume_key) : NULL;
	error = gnutls_credentials_set(s->gnutls, GNUTLS_CRD_CERTIFICATE, client->credentials);
	if (error >= 0 && name && is_host_name(name))
		error = gnutls_server_name_set(s->gnutls, GNUTLS_NAME_DNS, name, strlen(name));
	if (error < 0) {
		tls_free(s);
		*session = NULL;
		return tls_why(why, RESULT_RETRY, "unable to begin TLS", error);
	}
	if (s->resume_key)
		resume(s);
	return RESULT_OK;
}

static enum tls_fault fault_of(unsigned status)
{
	if (!status)
		return TLS_FAULT_NONE;
	if (status & GNUTLS_CERT_UNEXPECTED_OWNER)
		return TLS_FAULT_NAME;
	if (status & (GNUTLS_CERT_EXPIRED | GNUTLS_CERT_NOT_ACTIVATED))
		return TLS_FAULT_EXPIRED;
	return status & (GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNER_NOT_CA) ? TLS_FAULT_UNTRUSTED : TLS_FAULT_OTHER;
}

enum tls_fault tls_fault(const struct tls_session *s)
{
	return s->fault;
}

enum result tls_verify(struct tls_session *s, const char *name, struct why *why)
{
	gnutls_typed_vdata_st wanted[] = {
		{ GNUTLS_DT_DNS_HOSTNAME, (unsigned char *)(uintptr_t)name, 0 },
		{ GNUTLS_DT_KEY_PURPOSE_OID, (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_SERVER, 0 },
	};
	gnutls_datum_t words = { 0 };
	unsigned status = 0;
	int error;

	s->fault = TLS_FAULT_OTHER;
	if (!s->client || !s->client->has_trust)
		return why_set(why, RESULT_NEVER, "no trust store is loaded");
	error = gnutls_certificate_verify_peers(s->gnutls, wanted, 2, &status);
	if (error < 0)
		return tls_why(why, RESULT_NEVER, "the certificate can't be judged", error);
	s->fault = fault_of(status);
	if (!status)
		return RESULT_OK;
	gnutls_certificate_verification_status_print(status, gnutls_certificate_type_get(s->gnutls), &words, 0);
	why_set(why, RESULT_NEVER, "%s: %s", name, words.data ? (const char *)words.data : "the certificate is not trusted");
	gnutls_free(words.data);
	return RESULT_NEVER;
}

enum result tls_peer_certificate(const struct tls_session *s, size_t index, const void **der, size_t *length)
{
	unsigned count = 0;
	const gnutls_datum_t *chain = gnutls_certificate_get_peers(s->gnutls, &count);

	if (!chain || index >= count)
		return RESULT_END;
	*der = chain[index].data;
	*length = chain[index].size;
	return RESULT_OK;
}

/* ---- making ---- */

static enum result load_trust(struct tls_client *client, struct why *why)
{
	int count = gnutls_certificate_set_x509_system_trust(client->credentials);

	if (count <= 0)
		return why_set(why, RESULT_NEVER, "the system has no trust store: install ca-certificates (%s)",
		               count < 0 ? gnutls_strerror(count) : "it is empty");
	client->has_trust = true;
	return RESULT_OK;
}

enum result tls_client_trust(struct tls_client *client, const char *pem, size_t length, struct why *why)
{
	gnutls_datum_t bytes = { (unsigned char *)(uintptr_t)pem, (unsigned)length };
	int count = gnutls_certificate_set_x509_trust_mem(client->credentials, &bytes, GNUTLS_X509_FMT_PEM);

	if (count <= 0)
		return why_set(why, RESULT_NEVER, "no authority's certificate (PEM)");
	client->has_trust = true;
	return RESULT_OK;
}

enum result tls_client_make(bool with_trust, struct tls_client **client, struct why *why)
{
	enum result result = RESULT_OK;
	int error = gnutls_global_init();

	*client = calloc(1, sizeof **client);
	if (!*client)
		return why_errno(why, RESULT_RETRY, "no memory for TLS");
	if (error >= 0)
		error = gnutls_certificate_allocate_credentials(&(*client)->credentials);
	if (error >= 0)
		error = gnutls_priority_init(&(*client)->priority, CLIENT_PRIORITY, NULL);
	if (error < 0)
		result = tls_why(why, RESULT_STOP, "unable to start GnuTLS", error);
	else if (with_trust)
		result = load_trust(*client, why);
	if (result != RESULT_OK) {
		tls_client_free(*client);
		*client = NULL;
	}
	return result;
}

void tls_client_free(struct tls_client *client)
{
	size_t i;

	if (!client)
		return;
	for (i = 0; i < TLS_CACHE_SESSIONS; i++)
		kept_drop(&client->kept[i]);
	if (client->credentials)
		gnutls_certificate_free_credentials(client->credentials);
	if (client->priority)
		gnutls_priority_deinit(client->priority);
	free(client);
}
