/* link: authd/scram.o authd/sasl.o */
#include "unit.h"
#include "authd/sasl.h"
#include "authd/scram.h"
#include "common/base64.h"

#include <stdlib.h>

static void base64(void)
{
	static const struct { const char *text, *code; } rows[] = {	/* RFC 4648 10 */
		{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
	};
	static const char *const bad[] = { "Z", "Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm9v ", "Zm9v\n", "Z-9v", "Zm 9", "=" };
	char code[BASE64_SIZE(16)], text[16];
	size_t length;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		CHECK(base64_encode(rows[i].text, strlen(rows[i].text), code) == strlen(rows[i].code));
		CHECK_STRING(code, rows[i].code);
		CHECK(base64_decode(code, strlen(code), text, sizeof text, &length) && length == strlen(rows[i].text) && !memcmp(text, rows[i].text, length));
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CHECK(!base64_decode(bad[i], strlen(bad[i]), text, sizeof text, &length));
	CHECK(!base64_decode("Zm9vYmFy", 8, text, 5, &length));
	CHECK(base64_decode("Zm9vYmFy", 8, text, 6, &length));
}

/* RFC 7677 3 */
static const char first[] = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
static const char server_nonce[] = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
static const char server_first[] = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
static const char final[] = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
static const char server_final[] = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

static struct scram_key key_of(const char *password)
{
	struct scram_key key = { .iterations = 4096 };

	CHECK(base64_decode("W22ZaJ0SNY7soEsUEjb6gQ==", 24, key.salt, sizeof key.salt, &key.salt_length));
	scram_key_make(password, strlen(password), &key);
	return key;
}

static void begin(struct scram *scram, const struct scram_key *key)
{
	char out[SCRAM_MESSAGE_MAX];

	CHECK(scram_take_first(scram, first, strlen(first)));
	CHECK(scram_put_first(scram, server_nonce, key, out));
	CHECK_STRING(out, server_first);
}

static void the_exchange_of_rfc_7677(void)
{
	struct scram_key key = key_of("pencil"), other = key_of("pencils");
	static struct scram scram;
	char out[SCRAM_MESSAGE_MAX];

	begin(&scram, &key);
	CHECK_STRING(scram.name, "user");
	CHECK_STRING(scram.authzid, "");
	CHECK(scram.flag == 'n');
	CHECK(scram_take_final(&scram, final, strlen(final), "", 0));
	CHECK(scram_is_proven(&scram, &key));
	CHECK(!scram_is_proven(&scram, &other));
	scram_put_final(&scram, &key, out);
	CHECK_STRING(out, server_final);
}

/* Any byte of the last message that is another one: refused, or not proven. */
static void a_changed_proof_proves_nothing(void)
{
	struct scram_key key = key_of("pencil");
	static struct scram before, scram;
	char text[sizeof final];

	begin(&before, &key);
	for (size_t i = 0; i < strlen(final); i++) {
		memcpy(text, final, sizeof text);
		text[i] = text[i] == 'A' ? 'B' : 'A';
		scram = before;
		bool is_in = scram_take_final(&scram, text, strlen(text), "", 0) && scram_is_proven(&scram, &key);
		if (is_in)
			printf("# byte %zu\n", i);
		CHECK(!is_in);
	}
	for (size_t i = 0; i < strlen(final); i++) {
		scram = before;
		CHECK(!scram_take_final(&scram, final, i, "", 0) || !scram_is_proven(&scram, &key));
	}
}

static void first_messages(void)
{
	static const struct { const char *text, *name, *authzid; char flag; } good[] = {
		{ "n,,n=a,r=x", "a", "", 'n' },
		{ "y,,n=a,r=x", "a", "", 'y' },
		{ "p=tls-exporter,,n=a,r=x", "a", "", 'p' },
		{ "n,a=b,n=a,r=x", "a", "b", 'n' },
		{ "n,,n=a=2Cb=3Dc,r=x", "a,b=c", "", 'n' },
		{ "n,,n=a@b.example,r=x,ext=1", "a@b.example", "", 'n' },
		{ "n,,n=m\xc3\xbcller,r=x", "m\xc3\xbcller", "", 'n' },
	};
	static const char *const bad[] = {
		"", "n", "n,", "n,,", "n,,n=a", "n,,n=a,", "n,,n=a,r=", "n,,n=,r=x", "n,,r=x,n=a", "x,,n=a,r=x", "nn,,n=a,r=x",
		"p,,n=a,r=x", "p=,,n=a,r=x", "p=tls-unique,,n=a,r=x", "p=tls-server-end-point,,n=a,r=x", "p=tls-exporters,,n=a,r=x",
		"n,b,n=a,r=x", "n,a=,n=a,r=x", "n,,m=1,n=a,r=x", "n,,n=a=,r=x", "n,,n=a=2,r=x", "n,,n=a=2D,r=x", "n,,n=a=3C,r=x",
		"n,,n=a=2c,r=x", "n,,n=a,r=x y", "n,,n=a,r=\x7f", "n,,n=a\x01,r=x", "n,n=a,r=x",
	};
	static struct scram scram;
	char text[SCRAM_MESSAGE_MAX + 64];

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		CHECK(scram_take_first(&scram, good[i].text, strlen(good[i].text)));
		CHECK_STRING(scram.name, good[i].name);
		CHECK_STRING(scram.authzid, good[i].authzid);
		CHECK(scram.flag == good[i].flag);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (scram_take_first(&scram, bad[i], strlen(bad[i])))
			printf("# taken: %s\n", bad[i]);
		CHECK(!scram_take_first(&scram, bad[i], strlen(bad[i])));
	}
	CHECK(!scram_take_first(&scram, "n,,n=a\0,r=x", 11));
	memset(text, 'x', sizeof text);
	memcpy(text, "n,,n=a,r=", 9);
	CHECK(!scram_take_first(&scram, text, sizeof text));
	CHECK(!scram_take_first(&scram, text, 9 + SCRAM_NONCE_MAX / 2 + 1));
	CHECK(scram_take_first(&scram, text, 9 + SCRAM_NONCE_MAX / 2));
}

/* RFC 5802 6: what the client saw of the channel stands in its last message. */
static void the_channel_is_bound(void)
{
	static const char binding[] = "0123456789abcdef0123456789abcdef", lie[] = "0123456789abcdef0123456789abcdeF";
	struct scram_key key = key_of("pencil");
	static struct scram before, scram;
	char header[] = "p=tls-exporter,,", bytes[64], code[BASE64_SIZE(64)], text[512], out[SCRAM_MESSAGE_MAX];
	int length;

	CHECK(scram_take_first(&before, "p=tls-exporter,,n=user,r=x", 26));
	CHECK(scram_put_first(&before, "y", &key, out));
	memcpy(bytes, header, strlen(header));
	memcpy(bytes + strlen(header), binding, 32);
	base64_encode(bytes, strlen(header) + 32, code);
	length = snprintf(text, sizeof text, "c=%s,r=xy,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", code);
	scram = before;
	CHECK(scram_take_final(&scram, text, (size_t)length, binding, 32));
	scram = before;
	CHECK(!scram_take_final(&scram, text, (size_t)length, lie, 32));
	scram = before;
	CHECK(!scram_take_final(&scram, text, (size_t)length, "", 0));
	base64_encode(header, strlen(header), code);
	length = snprintf(text, sizeof text, "c=%s,r=xy,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", code);
	scram = before;
	CHECK(!scram_take_final(&scram, text, (size_t)length, "", 0));	/* flag p without a binding */
	CHECK(scram_take_first(&scram, "n,,n=user,r=x", 13) && scram_put_first(&scram, "y", &key, out));
	length = snprintf(text, sizeof text, "c=eSws,r=xy,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
	CHECK(!scram_take_final(&scram, text, (size_t)length, "", 0));	/* said n,, and now y,, */
}

static void keys_as_text(void)
{
	static const char good[] = "4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
	static const char *const bad[] = {
		"", "4096", "4095,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
		"4096,,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
		"4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
		"4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=",
		"999999999,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
	};
	char text[SCRAM_TEXT_MAX], longer[SCRAM_TEXT_MAX + 20];
	struct scram_key key = key_of("pencil"), again;

	scram_key_format(&key, text);
	CHECK_STRING(text, good);
	CHECK(scram_key_parse(text, strlen(text), &again) && !memcmp(&again, &key, sizeof key));
	memcpy(key.check, "0123456789abcdef", 17);
	scram_key_format(&key, text);
	CHECK(scram_key_parse(text, strlen(text), &again) && !memcmp(&again, &key, sizeof key));
	snprintf(longer, sizeof longer, "%s,x", text);
	CHECK(!scram_key_parse(longer, strlen(longer), &again));
	snprintf(longer, sizeof longer, "%s,0123456789abcdeX", good);
	CHECK(!scram_key_parse(longer, strlen(longer), &again));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CHECK(!scram_key_parse(bad[i], strlen(bad[i]), &again));
}

#define BYTES(text) text, sizeof text - 1

static void plain(void)	/* RFC 4616 */
{
	static const struct { const char *bytes; size_t length; const char *name, *secret; } rows[] = {
		{ BYTES("\0alice\0secret"), "alice", "secret" },
		{ BYTES("alice\0alice\0secret"), "alice", "secret" },
		{ BYTES("\0a@b.example\0 s p "), "a@b.example", " s p " },
		{ BYTES("bob\0alice\0secret"), NULL, NULL },
		{ BYTES("alic\0alice\0secret"), NULL, NULL },
		{ BYTES("\0\0secret"), NULL, NULL },
		{ BYTES("\0alice\0"), NULL, NULL },
		{ BYTES("alice\0secret"), NULL, NULL },
		{ BYTES(""), NULL, NULL },
		{ BYTES("\0alice\0sec\0ret"), NULL, NULL },
		{ BYTES("\0alice\0sec\r\nret"), NULL, NULL },
	};
	struct sasl_credentials credentials;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		bool is_good = sasl_take_plain(rows[i].bytes, rows[i].length, &credentials);
		CHECK(is_good == (rows[i].name != NULL));
		if (is_good && rows[i].name) {
			CHECK_STRING(credentials.name, rows[i].name);
			CHECK_STRING(credentials.secret, rows[i].secret);
		}
	}
}

static void bearer_tokens(void)	/* RFC 7628 3.1, 4.1 */
{
	static const struct { const char *bytes; size_t length; const char *name, *token; bool is_old; } rows[] = {
		{ BYTES("n,a=user@example.com,\1host=server.example.com\1port=143\1auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\1\1"),
		  "user@example.com", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==", false },
		{ BYTES("n,,\1auth=Bearer abc\1\1"), "", "abc", false },
		{ BYTES("y,a=a=2Cb,\1auth=bearer abc\1\1"), "a,b", "abc", false },
		{ BYTES("p=tls-exporter,,\1auth=Bearer abc\1\1"), NULL, NULL, false },
		{ BYTES("n,a=u,\1auth=Bearer abc\1"), NULL, NULL, false },
		{ BYTES("n,a=u,\1auth=Bearer abc\1\1x"), NULL, NULL, false },
		{ BYTES("n,a=u,\1auth=Bearer \1\1"), NULL, NULL, false },
		{ BYTES("n,a=u,\1auth=Bearer a b\1\1"), NULL, NULL, false },
		{ BYTES("n,a=u,\1auth=Basic abc\1\1"), NULL, NULL, false },
		{ BYTES("n,a=u,\1auth=Bearer a\1auth=Bearer b\1\1"), NULL, NULL, false },
		{ BYTES("n,a=u,\1host=x\1\1"), NULL, NULL, false },
		{ BYTES("n,a=,\1auth=Bearer abc\1\1"), NULL, NULL, false },
		{ BYTES("n,a=u\1auth=Bearer abc\1\1"), NULL, NULL, false },
		{ BYTES("n,a=u,\1\1"), NULL, NULL, false },
		{ BYTES("n,a=u,\1"), NULL, NULL, false },
		{ BYTES("n,"), NULL, NULL, false },
		{ BYTES(""), NULL, NULL, false },
		{ BYTES("\1"), NULL, NULL, false },
		{ BYTES("user=someuser@example.com\1auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\1\1"),
		  "someuser@example.com", "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg", true },
		{ BYTES("auth=Bearer abc\1\1"), NULL, NULL, true },
		{ BYTES("user=a\1\1"), NULL, NULL, true },
		{ BYTES("user=\1auth=Bearer abc\1\1"), NULL, NULL, true },
	};
	struct sasl_bearer bearer;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		bool is_good = rows[i].is_old ? sasl_take_xoauth2(rows[i].bytes, rows[i].length, &bearer)
		                              : sasl_take_oauthbearer(rows[i].bytes, rows[i].length, &bearer);
		if (is_good != (rows[i].name != NULL))
			printf("# row %zu\n", i);
		CHECK(is_good == (rows[i].name != NULL));
		if (is_good && rows[i].name) {
			CHECK_STRING(bearer.name, rows[i].name);
			CHECK(bearer.token_length == strlen(rows[i].token) && !memcmp(bearer.token, rows[i].token, bearer.token_length));
		}
	}
}

int main(void)
{
	UNIT_RUN(base64);
	UNIT_RUN(the_exchange_of_rfc_7677);
	UNIT_RUN(a_changed_proof_proves_nothing);
	UNIT_RUN(first_messages);
	UNIT_RUN(the_channel_is_bound);
	UNIT_RUN(keys_as_text);
	UNIT_RUN(plain);
	UNIT_RUN(bearer_tokens);
	return unit_end();
}
