/* link: keyd/keys.o */
/* Both sides of TLS in one process over socketpairs; the keys are in another process, as in life. */
#include "tls_pair.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

/* ---- the tests ---- */

static void a_session_works_both_ways(void)
{
	static const char *const priorities[] = { NULL, "NORMAL:-VERS-ALL:+VERS-TLS1.2" };

	for (size_t i = 0; i < 2; i++) {
		unsigned char one[TLS_BINDING_SIZE], other[TLS_BINDING_SIZE];
		struct tls_facts facts;
		struct pair p;
		char byte;
		size_t count;
		open_pair(&p, 0, "a.example", NULL);
		if (priorities[i])
			gnutls_priority_set_direct(p.client->gnutls, priorities[i], NULL);
		CHECK(shake(&p));
		CHECK(say(p.server, p.client, "220 hello") && say(p.client, p.server, "EHLO x"));
		tls_facts(p.server, &facts);
		CHECK_STRING(facts.version, i ? "TLSv1.2" : "TLSv1.3");
		CHECK_STRING(facts.name, "a.example");
		CHECK(strstr(facts.cipher, "TLS_") && !facts.is_resumed);
		CHECK(tls_binding(p.server, one, &why) == RESULT_OK && tls_binding(p.client, other, &why) == RESULT_OK);
		CHECK(!memcmp(one, other, sizeof one));	/* RFC 9266 */
		CHECK(tls_read(p.server, &byte, 1, &count, &why) == RESULT_RETRY && tls_wants(p.server) == EPOLLIN);
		CHECK(tls_bye(p.client) == RESULT_OK);
		CHECK(tls_read(p.server, &byte, 1, &count, &why) == RESULT_END);
		close_pair(&p);
	}
}

static void the_name_chooses_the_certificate(void)	/* RFC 6066 3 */
{
	static const struct { const char *name; int file; } rows[] = {
		{ "a.example", 0 }, { "b.example", 1 }, { "x.wild.example", 2 }, { "B.EXAMPLE", 1 },
		{ "wild.example", 0 }, { "x.y.wild.example", 0 }, { "elsewhere.example", 0 }, { NULL, 0 }, { "192.0.2.1", 0 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct pair p;
		open_pair(&p, 0, rows[i].name, NULL);
		CHECK(shake(&p));
		CHECK(served_file(&p) == rows[i].file);
		close_pair(&p);
	}
}

static void the_client_chooses_the_key_type(void)
{
	static const struct { const char *priority; int file; } rows[] = {
		{ "NORMAL:-VERS-ALL:+VERS-TLS1.3:-SIGN-ALL:+SIGN-RSA-PSS-RSAE-SHA256:+SIGN-RSA-SHA256", 3 },
		{ "NORMAL:-VERS-ALL:+VERS-TLS1.3:-SIGN-ALL:+SIGN-ECDSA-SECP256R1-SHA256:+SIGN-RSA-PSS-RSAE-SHA384", 0 },
		{ "NORMAL:-VERS-ALL:+VERS-TLS1.2:-ECDHE-ECDSA", 3 },
		{ "NORMAL:-VERS-ALL:+VERS-TLS1.2:-ECDHE-ECDSA:-SIGN-ALL:+SIGN-RSA-SHA384", 3 },
		{ "NORMAL:-VERS-ALL:+VERS-TLS1.2:-ECDHE-ECDSA:-SIGN-ALL:+SIGN-RSA-SHA512", 3 },
		{ "NORMAL:-VERS-ALL:+VERS-TLS1.2:-ECDHE-RSA", 0 },
		{ "NORMAL:-VERS-ALL:+VERS-TLS1.2:-SIGN-ALL:+SIGN-ECDSA-SHA512:+SIGN-ECDSA-SHA256", 0 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct pair p;
		open_pair(&p, 0, "a.example", NULL);
		CHECK(gnutls_priority_set_direct(p.client->gnutls, rows[i].priority, NULL) >= 0);
		CHECK(shake(&p));
		CHECK(served_file(&p) == rows[i].file);
		CHECK(say(p.server, p.client, "220"));
		close_pair(&p);
	}
}

static void old_versions_are_refused(void)
{
	static const char *const rows[] = { "NORMAL:-VERS-ALL:+VERS-TLS1.1", "NORMAL:-VERS-ALL:+VERS-TLS1.0",
		"NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+DHE-RSA" };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct pair p;
		open_pair(&p, 0, "a.example", NULL);
		gnutls_priority_set_direct(p.client->gnutls, rows[i], NULL);
		CHECK(!shake(&p));
		CHECK(p.server_result == RESULT_PEER);
		close_pair(&p);
	}
}

/* Moves one byte from ONE to OTHER. */
static bool move_byte(int one, int other)
{
	char byte;

	return read(one, &byte, 1) == 1 && write(other, &byte, 1) == 1;
}

static void bytes_may_come_one_at_a_time(void)
{
	struct pair p;
	int relay[2][2];
	char got[100];
	size_t count = 0;
	int i;

	open_pair(&p, 0, "b.example", NULL);
	for (i = 0; i < 2; i++)
		CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, relay[i]) == 0);
	p.server->fd = relay[0][0];
	p.client->fd = relay[1][0];
	for (i = 0; i < TURNS_MAX && (p.server_result == RESULT_RETRY || p.client_result == RESULT_RETRY); i++) {
		if (p.client_result == RESULT_RETRY)
			p.client_result = tls_handshake(p.client, &why);
		if (p.server_result == RESULT_RETRY)
			p.server_result = tls_handshake(p.server, &why);
		move_byte(relay[0][1], relay[1][1]);
		move_byte(relay[1][1], relay[0][1]);
	}
	CHECK(p.server_result == RESULT_OK && p.client_result == RESULT_OK);
	CHECK(tls_write(p.client, "DATA\r\n", 6, &count, &why) == RESULT_OK && count == 6);
	for (i = 0; i < 1000 && tls_read(p.server, got, sizeof got, &count, &why) == RESULT_RETRY; i++)
		move_byte(relay[1][1], relay[0][1]);
	CHECK(count == 6 && !memcmp(got, "DATA\r\n", 6));
	for (i = 0; i < 4; i++)
		close(relay[i / 2][i % 2]);
	close_pair(&p);
}

static void partial_writes_lose_nothing(void)
{
	enum { SIZE = 3 << 20 };
	unsigned char *out = malloc(SIZE), *in = malloc(SIZE);
	size_t sent = 0, got = 0, count, retries = 0;
	int small = 4096;
	struct pair p;

	for (size_t i = 0; i < SIZE; i++)
		out[i] = (unsigned char)(i * 2654435761U >> 24);
	open_pair(&p, 0, "a.example", NULL);
	setsockopt(p.fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	CHECK(shake(&p));
	for (int i = 0; i < TURNS_MAX && got < SIZE; i++) {
		if (sent < SIZE) {
			enum result result = tls_write(p.server, out + sent, SIZE - sent, &count, &why);
			retries += result == RESULT_RETRY;
			CHECK(result == RESULT_OK || (result == RESULT_RETRY && tls_wants(p.server) == EPOLLOUT) || !printf("# %s\n", why.text));
			sent += count;
		}
		if (tls_read(p.client, in + got, SIZE - got < 1000 ? SIZE - got : 1000, &count, &why) == RESULT_OK)
			got += count;
		if (unit_failed)
			break;
	}
	CHECK(sent == SIZE && got == SIZE && !memcmp(in, out, SIZE));
	CHECK(retries > 10);
	CHECK(!tls_has_pending(p.client));
	free(out);
	free(in);
	close_pair(&p);
}

/* One session with KEY: was it resumed? */
static bool resumes_as(const char *key, int flags, const char *priority)
{
	struct pair p;
	bool is_resumed;

	open_pair(&p, flags, "a.example", key);
	if (priority)
		gnutls_priority_set_direct(p.client->gnutls, priority, NULL);
	CHECK(shake(&p));
	CHECK(say(p.server, p.client, "220 hello"));	/* the data stand behind two tickets */
	is_resumed = gnutls_session_is_resumed(p.server->gnutls) != 0;
	CHECK(is_resumed == (gnutls_session_is_resumed(p.client->gnutls) != 0));
	tls_client_keep(p.client);
	close_pair(&p);
	return is_resumed;
}

static bool resumes(int flags, const char *priority)
{
	return resumes_as("a.example 25 may", flags, priority);
}

static void tickets_resume_and_rotate(void)	/* RFC 5077, RFC 8446 2.2 */
{
	static const char *const priorities[] = { NULL, "NORMAL:-VERS-ALL:+VERS-TLS1.2" };
	unsigned char key[TLS_TICKET_KEY_SIZE];

	for (size_t i = 0; i < 2; i++) {
		memset(key, (int)i + 1, sizeof key);
		tls_server_set_ticket_key(server, key);
		CHECK(!resumes(0, priorities[i]));
		CHECK(resumes(0, priorities[i]) && resumes(0, priorities[i]));
		memset(key, (int)i + 77, sizeof key);
		tls_server_set_ticket_key(server, key);
		CHECK(!resumes(0, priorities[i]));	/* the last key's tickets are worthless: a full handshake */
		CHECK(resumes(0, priorities[i]));
		CHECK(!resumes(TLS_NO_TICKETS, priorities[i]));
		CHECK(!resumes(TLS_NO_TICKETS, priorities[i]));
	}
}

enum { WAYS = 4 };

/* Keys that share a row of the client's sessions, which holds WAYS: FNV-1a, as tls_client.c has it. */
static void keys_of_one_row(char (*keys)[16], size_t count)
{
	unsigned long number = 0;
	size_t found = 0;

	while (found < count) {
		uint32_t hash = 2166136261U;
		snprintf(keys[found], sizeof *keys, "%lu.example", number++);
		for (const char *at = keys[found]; *at; at++)
			hash = (hash ^ (unsigned char)*at) * 16777619U;
		found += hash % (TLS_CACHE_SESSIONS / WAYS) == 0;
	}
}

/* Later than all before, by the clock of the client's sessions; TLS 1.3, where each brings a new ticket. */
static bool resumes_later(const char *key)
{
	uint64_t before = time_monotonic_ms();

	while (time_monotonic_ms() == before)
		;
	return resumes_as(key, 0, NULL);
}

static void the_oldest_session_gives_way(void)
{
	char keys[WAYS + 1][16];
	size_t i;

	keys_of_one_row(keys, WAYS + 1);
	for (i = 0; i < WAYS; i++)
		CHECK(!resumes_later(keys[i]));
	CHECK(resumes_later(keys[0]) && resumes_later(keys[1]));	/* 2 is the oldest now */
	CHECK(!resumes_later(keys[WAYS]));
	CHECK(resumes_later(keys[0]) && resumes_later(keys[1]) && resumes_later(keys[3]) && resumes_later(keys[WAYS]));
	CHECK(!resumes_later(keys[2]));
}

static void a_client_that_hangs_blocks_nobody(void)
{
	struct pair p;

	open_pair(&p, 0, "a.example", NULL);
	CHECK(tls_handshake(p.server, &why) == RESULT_RETRY && tls_wants(p.server) == EPOLLIN);
	CHECK(write(p.fds[1], "\x16\x03\x01", 3) == 3);
	CHECK(tls_handshake(p.server, &why) == RESULT_RETRY);
	shutdown(p.fds[1], SHUT_RDWR);
	CHECK(tls_handshake(p.server, &why) == RESULT_PEER);
	close_pair(&p);
}

static void garbage_ends_the_session_alone(void)
{
	static const char *const rows[] = { "EHLO client.example\r\nMAIL FROM:<x@y>\r\n", "\x16\x03\x01\x00\x05\x01\xff\xff\xff\xff",
		"\x15\x03\x01\x00\x02\x02\x28", "\x80\x2e\x01\x03\x01 an old hello of version 2", "GET / HTTP/1.0\r\n\r\n" };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct pair p;
		const char *bytes = rows[i];
		size_t length = i == 1 ? 10 : i == 2 ? 7 : strlen(bytes);
		open_pair(&p, 0, "a.example", NULL);
		CHECK(write(p.fds[1], bytes, length) == (ssize_t)length);
		shutdown(p.fds[1], SHUT_WR);
		CHECK(tls_handshake(p.server, &why) == RESULT_PEER && why.text[0]);
		close_pair(&p);
	}
	for (unsigned i = 0; i < 300; i++) {
		unsigned char bytes[64] = { 0x16, 3, 3, 0, 59, 1, 0, 0, 55, 3, 3 };
		struct pair p;
		random_bytes(bytes + (i % 2 ? 5 : 11), sizeof bytes - (i % 2 ? 5 : 11));
		open_pair(&p, 0, "a.example", NULL);
		unit_check(write(p.fds[1], bytes, sizeof bytes) == sizeof bytes && !shutdown(p.fds[1], SHUT_WR) &&
		           tls_handshake(p.server, &why) == RESULT_PEER, "a random hello", __FILE__, __LINE__);
		close_pair(&p);
	}
	struct pair p;
	char byte;
	size_t count;
	open_pair(&p, 0, "a.example", NULL);
	CHECK(shake(&p));
	CHECK(write(p.fds[1], "QUIT\r\n\r\n", 8) == 8);	/* clear text behind the handshake */
	CHECK(tls_read(p.server, &byte, 1, &count, &why) == RESULT_PEER);
	close_pair(&p);
}

static void a_connection_that_breaks_off_is_an_end(void)
{
	struct pair p;
	char byte;
	size_t count;

	open_pair(&p, 0, "a.example", NULL);
	CHECK(shake(&p));
	shutdown(p.fds[1], SHUT_RDWR);
	CHECK(tls_read(p.server, &byte, 1, &count, &why) == RESULT_END);
	CHECK(tls_write(p.server, "x", 1, &count, &why) == RESULT_PEER);
	close_pair(&p);
}

static void certificates_are_replaced_under_load(void)
{
	static const char bad[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
	const struct tls_file files[] = { { "good.pem", made[0].pem, strlen(made[0].pem) }, { "bad.pem", bad, strlen(bad) } };
	struct pair old, begun, new;

	open_pair(&old, 0, "a.example", NULL);
	CHECK(shake(&old));
	open_pair(&begun, 0, "a.example", NULL);
	CHECK(tls_handshake(begun.client, &why) == RESULT_RETRY);
	CHECK(tls_server_replace(server, files, 2, &why) == RESULT_NEVER);
	CHECK(!strncmp(why.text, "bad.pem: ", 9));
	CHECK(tls_server_replace(server, files, 0, &why) == RESULT_NEVER);
	load(4, 1);
	CHECK(say(old.server, old.client, "still here"));
	CHECK(shake(&begun));
	CHECK(served_file(&begun) == 0);
	open_pair(&new, 0, "a.example", NULL);
	CHECK(shake(&new));
	CHECK(served_file(&new) == 4);
	close_pair(&old);
	close_pair(&begun);
	close_pair(&new);
	load(0, 4);
}

static void a_client_judges_certificates(void)	/* RFC 6125 6 */
{
	struct tls_client *trusting;
	struct pair p;

	open_pair(&p, 0, "a.example", NULL);
	CHECK(shake(&p));
	CHECK(tls_verify(p.client, "a.example", &why) == RESULT_NEVER);	/* nobody is trusted */
	close_pair(&p);
	CHECK(tls_client_make(false, &trusting, &why) == RESULT_OK);
	CHECK(tls_client_trust(trusting, "nothing", 7, &why) == RESULT_NEVER);
	CHECK(tls_client_trust(trusting, made[0].pem, strlen(made[0].pem), &why) == RESULT_OK);
	for (int i = 0; i < 2; i++) {
		CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p.fds) == 0);
		p.server_result = p.client_result = RESULT_RETRY;
		CHECK(tls_accept(server, p.fds[0], 0, &p.server, &why) == RESULT_OK);
		CHECK(tls_connect(trusting, p.fds[1], i ? "b.example" : "a.example", NULL, &p.client, &why) == RESULT_OK);
		CHECK(shake(&p));
		CHECK(tls_verify(p.client, i ? "b.example" : "a.example", &why) == (i ? RESULT_NEVER : RESULT_OK));
		CHECK(tls_verify(p.client, "other.example", &why) == RESULT_NEVER && strstr(why.text, "other.example: "));
		close_pair(&p);
	}
	tls_client_free(trusting);
}

static void rsa_has_one_purpose(void)
{
	struct key_facts facts;
	int file = memfd_create("key", MFD_CLOEXEC);
	char *rsa = NULL;

	CHECK(tls_rsa_key_make(2048, &rsa, &why) == RESULT_OK && write(file, rsa, strlen(rsa)) > 0);
	CHECK(keys_load(file, KEY_DKIM, 1, &facts, &why) == RESULT_OK && facts.bits == 2048);
	CHECK(keys_load(file, KEY_TLS, 1, &facts, &why) == RESULT_NEVER && strstr(why.text, "make one for each"));
	free(rsa);
	close(file);
}

static void keys_have_one_purpose_and_known_algorithms(void)
{
	static const struct { uint64_t purpose, algorithm; size_t length, verdict; } rows[] = {
		{ KEY_TLS, SIGN_ECDSA_P256, 32, SIGN_OK }, { KEY_TLS, SIGN_ECDSA_SHA512, 64, SIGN_OK },
		{ KEY_TLS, SIGN_ECDSA_P256, 31, SIGN_REFUSED }, { KEY_TLS, SIGN_ECDSA_P256, 0, SIGN_REFUSED },
		{ KEY_DKIM, SIGN_ECDSA_P256, 32, SIGN_REFUSED }, { KEY_TLS, SIGN_RSA_SHA256, 32, SIGN_REFUSED },
		{ KEY_TLS, SIGN_ED25519, 40, SIGN_REFUSED }, { KEY_TLS, 0, 32, SIGN_REFUSED },
		{ KEY_TLS, SIGN_ALGORITHMS_END, 32, SIGN_REFUSED }, { KEY_TLS, UINT64_MAX, 32, SIGN_REFUSED },
	};
	struct key_signature signature;
	struct key_facts facts, other;
	char data[64] = "some hash";
	int file = memfd_create("key", MFD_CLOEXEC);

	CHECK(write(file, made[0].key, strlen(made[0].key)) > 0);
	CHECK(keys_load(file, KEY_TLS, 1, &facts, &why) == RESULT_OK && facts.bits == 256);
	CHECK(keys_load(file, KEY_DKIM, 1, &other, &why) == RESULT_NEVER);	/* RFC 6376 knows no ECDSA */
	rsa_has_one_purpose();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		CHECK(keys_sign(facts.id, sizeof facts.id, (enum key_purpose)rows[i].purpose, rows[i].algorithm, data, rows[i].length,
		                &signature, &why) == rows[i].verdict);
	CHECK(keys_sign(facts.id, 5, KEY_TLS, SIGN_ECDSA_P256, data, 32, &signature, &why) == SIGN_UNKNOWN);
	CHECK(keys_sign(NULL, 0, KEY_TLS, SIGN_ECDSA_P256, data, 32, &signature, &why) == SIGN_UNKNOWN);
	keys_keep(2, 1);
	CHECK(keys_sign(facts.id, sizeof facts.id, KEY_TLS, SIGN_ECDSA_P256, data, 32, &signature, &why) == SIGN_OK);
	keys_keep(3, 2);
	CHECK(keys_sign(facts.id, sizeof facts.id, KEY_TLS, SIGN_ECDSA_P256, data, 32, &signature, &why) == SIGN_UNKNOWN);
	close(file);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	CHECK(tls_server_make(&server, &why) == RESULT_OK);
	CHECK(tls_client_make(false, &client, &why) == RESULT_OK);
	CHECK(!tls_server_has_certificates(server));
	make_all();
	start_keyd();
	load(0, 4);
	UNIT_RUN(a_session_works_both_ways);
	UNIT_RUN(the_name_chooses_the_certificate);
	UNIT_RUN(the_client_chooses_the_key_type);
	UNIT_RUN(old_versions_are_refused);
	UNIT_RUN(bytes_may_come_one_at_a_time);
	UNIT_RUN(partial_writes_lose_nothing);
	UNIT_RUN(tickets_resume_and_rotate);
	UNIT_RUN(the_oldest_session_gives_way);
	UNIT_RUN(a_client_that_hangs_blocks_nobody);
	UNIT_RUN(garbage_ends_the_session_alone);
	UNIT_RUN(a_connection_that_breaks_off_is_an_end);
	UNIT_RUN(certificates_are_replaced_under_load);
	UNIT_RUN(a_client_judges_certificates);
	UNIT_RUN(keys_have_one_purpose_and_known_algorithms);
	kill(keyd_pid, SIGTERM);
	waitpid(keyd_pid, NULL, 0);
	tls_server_free(server);
	tls_client_free(client);
	for (int i = 0; i < FILES; i++) {
		free(made[i].pem);
		free(made[i].key);
	}
	return unit_end();
}
