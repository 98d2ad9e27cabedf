#include "tls_private.h"

#include <stdlib.h>
#include <string.h>

/* ECDHE alone, so that no private key ever decrypts, and on curves alone: a client that asked for the largest group of
 * ffdhe would cost a hundred times as much (CVE-2002-20001). AEAD before CBC, which is there for old hosts
 * whose only other choice were clear text. */
#define SERVER_PRIORITY \
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:" \
	"-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-CBC:+AES-256-CBC:" \
	"-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:+GROUP-SECP521R1:%SERVER_PRECEDENCE"

/* The certificates that serve one name, or several names alike. */
struct credential {
	gnutls_certificate_credentials_t gnutls;
	size_t files[TLS_SIDE_BY_SIDE_MAX], file_count;
};

struct named { char *name; size_t at; };	/* at: a file, and once the set is built a credential */

struct tls_set {
	unsigned references;
	struct credential *credentials;
	size_t credential_count, default_credential;
	struct named *names;			/* sorted */
	size_t name_count;
};

struct tls_server {
	struct tls_set *set;			/* NULL: no certificates yet */
	gnutls_priority_t priority;
	unsigned char ticket_key[TLS_TICKET_KEY_SIZE];
	bool has_ticket_key;
};

void tls_set_release(struct tls_set *set)
{
	size_t i;

	if (!set || --set->references)
		return;
	for (i = 0; i < set->credential_count; i++)
		gnutls_certificate_free_credentials(set->credentials[i].gnutls);
	for (i = 0; i < set->name_count; i++)
		free(set->names[i].name);
	free(set->credentials);
	free(set->names);
	free(set);
}

/* ---- one file into one credential ---- */

static enum result add_key(gnutls_certificate_credentials_t to, gnutls_pcert_st *chain, unsigned count, struct why *why)
{
	gnutls_privkey_t private;
	int error = gnutls_privkey_init(&private);

	if (error < 0)
		return tls_why(why, RESULT_RETRY, "no memory for a key", error);
	enum result result = tls_keys_bind(private, &chain[0], why);
	if (result == RESULT_OK) {
		error = gnutls_certificate_set_key(to, NULL, 0, chain, (int)count, private);
		if (error >= 0)
			return RESULT_OK;	/* TO owns key and chain now */
		result = tls_why(why, RESULT_NEVER, "unable to use the certificate", error);
	}
	gnutls_privkey_deinit(private);
	return result;
}

static enum result add_file(gnutls_certificate_credentials_t to, const struct tls_file *file, struct why *why)
{
	gnutls_x509_crt_t crts[TLS_CHAIN_MAX];
	gnutls_pcert_st chain[TLS_CHAIN_MAX];
	unsigned i, count = 0;
	enum result result = tls_chain_read(file->pem, file->length, crts, &count, why);

	if (result != RESULT_OK)
		return result;
	unsigned pcert_count = count;
	int error = gnutls_pcert_import_x509_list(chain, crts, &pcert_count, 0);
	for (i = 0; i < count; i++)
		gnutls_x509_crt_deinit(crts[i]);
	if (error < 0)
		return tls_why(why, RESULT_NEVER, "unable to read the chain", error);
	result = add_key(to, chain, pcert_count, why);
	for (i = 0; result != RESULT_OK && i < pcert_count; i++)
		gnutls_pcert_deinit(&chain[i]);
	return result;
}

/* ---- the set ---- */

struct building {
	struct tls_set *set;
	const struct tls_file *files;
	size_t file_count, name_size, file;	/* file: being read */
	bool *is_rsa;
};

static bool add_name(void *context, const char *name)
{
	struct building *b = context;
	struct tls_set *set = b->set;

	if (set->name_count == b->name_size) {
		struct named *grown = realloc(set->names, (b->name_size + 16) * 2 * sizeof *grown);
		if (!grown)
			return false;
		set->names = grown;
		b->name_size = (b->name_size + 16) * 2;
	}
	set->names[set->name_count] = (struct named){ strdup(name), b->file };
	return set->names[set->name_count++].name != NULL;
}

static enum result read_names(struct building *b, struct why *why)
{
	gnutls_x509_crt_t crts[TLS_CHAIN_MAX];
	unsigned i, count = 0;
	enum result result = tls_chain_read(b->files[b->file].pem, b->files[b->file].length, crts, &count, why);

	if (result != RESULT_OK)
		return result;
	b->is_rsa[b->file] = gnutls_x509_crt_get_pk_algorithm(crts[0], NULL) == GNUTLS_PK_RSA;
	if (!tls_names_each(crts[0], add_name, b))
		result = why_set(why, RESULT_RETRY, "no memory for its names");
	for (i = 0; i < count; i++)
		gnutls_x509_crt_deinit(crts[i]);
	return result;
}

static int compare_named(const void *a, const void *b)
{
	const struct named *one = a, *other = b;
	int order = strcmp(one->name, other->name);

	return order ? order : (one->at > other->at) - (one->at < other->at);
}

/* The credential of just these files; makes it where it is not there yet. */
static enum result find_credential(struct building *b, const struct credential *wanted, size_t *at, struct why *why)
{
	struct tls_set *set = b->set;
	struct credential *credential;
	enum result result = RESULT_OK;
	size_t i;

	for (*at = 0; *at < set->credential_count; ++*at)
		if (set->credentials[*at].file_count == wanted->file_count &&
		    !memcmp(set->credentials[*at].files, wanted->files, wanted->file_count * sizeof *wanted->files))
			return RESULT_OK;
	credential = realloc(set->credentials, (set->credential_count + 1) * sizeof *credential);
	if (!credential)
		return why_errno(why, RESULT_RETRY, "no memory for certificates");
	set->credentials = credential;
	credential += set->credential_count;
	*credential = *wanted;
	if (gnutls_certificate_allocate_credentials(&credential->gnutls) < 0)
		return why_set(why, RESULT_RETRY, "no memory for certificates");
	set->credential_count++;
	/* The opener compared key and certificate; a test signature here would wait for keyd. */
	gnutls_certificate_set_flags(credential->gnutls, GNUTLS_CERTIFICATE_SKIP_KEY_CERT_MATCH);
	for (i = 0; i < wanted->file_count && result == RESULT_OK; i++) {
		b->file = wanted->files[i];
		result = add_file(credential->gnutls, &b->files[b->file], why);
	}
	return result;
}

/* Those with cheap signatures first: GnuTLS takes the first that the client can check. */
static void add_to(struct credential *wanted, const struct building *b, size_t file)
{
	size_t at = wanted->file_count;

	if (at == TLS_SIDE_BY_SIDE_MAX || (at && wanted->files[at - 1] == file))
		return;
	for (wanted->file_count++; at > 0 && b->is_rsa[wanted->files[at - 1]] && !b->is_rsa[file]; at--)
		wanted->files[at] = wanted->files[at - 1];
	wanted->files[at] = file;
}

/* Each name once, with the credential of all files that hold it. */
static enum result join_names(struct building *b, struct why *why)
{
	struct named *names = b->set->names;
	size_t i, next, kept = 0, count = b->set->name_count;
	enum result result = RESULT_OK;

	for (i = 0; i < count; i = next) {
		struct credential wanted = { .gnutls = NULL };
		struct named named = names[i];
		for (next = i; next < count && !strcmp(names[next].name, named.name); next++)
			add_to(&wanted, b, names[next].at);
		if (result == RESULT_OK)
			result = find_credential(b, &wanted, &named.at, why);
		for (size_t j = i + 1; j < next; j++)
			free(names[j].name);
		names[kept++] = named;
	}
	b->set->name_count = kept;
	return result;
}

/* Where the client names nobody that is known here: the first file and what stands beside it. */
static enum result choose_default(struct building *b, struct why *why)
{
	struct credential alone = { .file_count = 1 };
	size_t i, j;

	for (i = 0; i < b->set->credential_count; i++)
		for (j = 0; j < b->set->credentials[i].file_count; j++)
			if (b->set->credentials[i].files[j] == 0) {
				b->set->default_credential = i;
				return RESULT_OK;
			}
	return find_credential(b, &alone, &b->set->default_credential, why);
}

static enum result build(struct building *b, struct why *why)
{
	enum result result = RESULT_OK;

	for (b->file = 0; b->file < b->file_count && result == RESULT_OK; b->file++)
		if ((result = read_names(b, why)) != RESULT_OK)
			return result;
	if (b->set->name_count)
		qsort(b->set->names, b->set->name_count, sizeof *b->set->names, compare_named);
	result = join_names(b, why);
	return result == RESULT_OK ? choose_default(b, why) : result;
}

enum result tls_server_replace(struct tls_server *server, const struct tls_file *files, size_t count, struct why *why)
{
	struct building b = { .files = files, .file_count = count };
	struct why inner = { 0 };
	enum result result = RESULT_RETRY;

	if (!count)
		return why_set(why, RESULT_NEVER, "there is no certificate");
	b.set = calloc(1, sizeof *b.set);
	b.is_rsa = calloc(count, sizeof *b.is_rsa);
	if (b.set)
		b.set->references = 1;
	if (b.set && b.is_rsa)
		result = build(&b, &inner);
	free(b.is_rsa);
	if (result != RESULT_OK) {
		tls_set_release(b.set);
		return why_set(why, result, "%s: %s", b.file < count ? files[b.file].name : "certificates",
		               inner.text[0] ? inner.text : "no memory");
	}
	tls_set_release(server->set);
	server->set = b.set;
	return RESULT_OK;
}

/* ---- sessions ---- */

static const struct named *find_name(const struct tls_set *set, const char *name)
{
	struct named wanted = { (char *)(uintptr_t)name, 0 };
	size_t low = 0, high = set->name_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(set->names[middle].name, wanted.name);
		if (order == 0)
			return &set->names[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static size_t credential_of(const struct tls_set *set, char *name)
{
	const struct named *found;
	char *dot;

	for (char *c = name; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c + ('a' - 'A'));
	found = find_name(set, name);
	dot = strchr(name, '.');
	if (!found && dot && dot > name) {	/* one label, RFC 6125 6.4.3 */
		dot[-1] = '*';
		found = find_name(set, dot - 1);
	}
	return found ? found->at : set->default_credential;
}

/* The client hello is read, nothing is chosen yet (RFC 6066 3). An unknown name is no error. */
static int choose(gnutls_session_t gnutls)
{
	struct tls_session *s = gnutls_session_get_ptr(gnutls);
	char name[TLS_NAME_MAX + 1];
	size_t size = sizeof name;
	unsigned type;

	if (gnutls_server_name_get(gnutls, name, &size, &type, 0) < 0 || type != GNUTLS_NAME_DNS)
		return 0;
	return gnutls_credentials_set(gnutls, GNUTLS_CRD_CERTIFICATE, s->set->credentials[credential_of(s->set, name)].gnutls);
}

enum result tls_accept(struct tls_server *server, int fd, int flags, struct tls_session **session, struct why *why)
{
	gnutls_datum_t key = { server->ticket_key, sizeof server->ticket_key };
	bool has_tickets = server->has_ticket_key && !(flags & TLS_NO_TICKETS);
	struct tls_set *set = server->set;
	enum result result;
	int error;

	*session = NULL;
	if (!set)
		return why_set(why, RESULT_RETRY, "there is no certificate");
	result = tls_session_make(fd, GNUTLS_SERVER | (has_tickets ? 0U : GNUTLS_NO_TICKETS), server->priority, session, why);
	if (result != RESULT_OK)
		return result;
	set->references++;
	(*session)->set = set;
	gnutls_certificate_server_set_request((*session)->gnutls, GNUTLS_CERT_IGNORE);
	gnutls_handshake_set_post_client_hello_function((*session)->gnutls, choose);
	error = gnutls_credentials_set((*session)->gnutls, GNUTLS_CRD_CERTIFICATE, set->credentials[set->default_credential].gnutls);
	if (error >= 0 && has_tickets)
		error = gnutls_session_ticket_enable_server((*session)->gnutls, &key);
	if (error >= 0)
		return RESULT_OK;
	tls_free(*session);
	*session = NULL;
	return tls_why(why, RESULT_RETRY, "unable to begin TLS", error);
}

/* ---- making ---- */

enum result tls_server_make(struct tls_server **server, struct why *why)
{
	int error = gnutls_global_init();

	*server = calloc(1, sizeof **server);
	if (!*server)
		return why_errno(why, RESULT_RETRY, "no memory for TLS");
	if (error >= 0)
		error = gnutls_priority_init(&(*server)->priority, SERVER_PRIORITY, NULL);
	if (error >= 0)
		return RESULT_OK;
	free(*server);
	*server = NULL;
	return tls_why(why, RESULT_STOP, "unable to start GnuTLS", error);
}

void tls_server_free(struct tls_server *server)
{
	if (!server)
		return;
	tls_set_release(server->set);
	gnutls_priority_deinit(server->priority);
	explicit_bzero(server->ticket_key, sizeof server->ticket_key);
	free(server);
}

bool tls_server_has_certificates(const struct tls_server *server)
{
	return server->set != NULL;
}

void tls_server_set_ticket_key(struct tls_server *server, const unsigned char key[TLS_TICKET_KEY_SIZE])
{
	memcpy(server->ticket_key, key, TLS_TICKET_KEY_SIZE);
	server->has_ticket_key = true;
}
