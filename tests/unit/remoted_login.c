/* link: remoted/scram.o remoted/clear.o remoted/route.o */
/* SCRAM-SHA-256 as a client (RFC 7677 3), the memory of hosts whose TLS fails, and what routes say of TLS. */
#include "remoted/clear.h"
#include "remoted/route.h"
#include "remoted/scram.h"
#include "unit.h"

static const char server_first[] = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
static const char server_final[] = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

static struct scram scram;
static struct why why;
static char out[SCRAM_MESSAGE_MAX];

static void the_example_of_the_rfc(void)
{
	CHECK(scram_first(&scram, "user", "rOprNGfwEbeRWgbNEkqO", out));
	CHECK_STRING(out, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
	CHECK(scram_final(&scram, server_first, strlen(server_first), "pencil", out, &why) == RESULT_OK);
	CHECK_STRING(out, "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
	CHECK(scram_judge(&scram, server_final, strlen(server_final), &why) == RESULT_OK);
}

static void what_is_no_answer_is_refused(void)
{
	static const char *const firsts[] = {
		"", "x", "r=", "r=rOprNGfwEbeRWgbNEkqO,s=QSXCR+Q6sek8bf92,i=4096", "r=another,s=QSXCR+Q6sek8bf92,i=4096",
		"r=rOprNGfwEbeRWgbNEkqOx,s=???,i=4096", "r=rOprNGfwEbeRWgbNEkqOx,s=QSXCR+Q6sek8bf92,i=0", "r=rOprNGfwEbeRWgbNEkqOx,s=QSXCR+Q6sek8bf92,i=-1",
		"r=rOprNGfwEbeRWgbNEkqOx,s=QSXCR+Q6sek8bf92,i=99999999", "r=rOprNGfwEbeRWgbNEkqOx,i=4096", "m=x,r=rOprNGfwEbeRWgbNEkqOx,s=QSXCR+Q6sek8bf92,i=1",
	};
	static const char *const finals[] = { "", "v=", "v=AAAA", "e=invalid-proof", "v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", "6rriTRBi" };
	char large[4 * SCRAM_MESSAGE_MAX];
	size_t i;

	CHECK(scram_first(&scram, "user", "rOprNGfwEbeRWgbNEkqO", out));
	for (i = 0; i < sizeof firsts / sizeof *firsts; i++)
		CHECK(scram_final(&scram, firsts[i], strlen(firsts[i]), "pencil", out, &why) == RESULT_PEER);
	CHECK(scram_judge(&scram, server_final, strlen(server_final), &why) == RESULT_PEER);	/* nothing was computed yet */
	CHECK(scram_final(&scram, server_first, strlen(server_first), "pencil", out, &why) == RESULT_OK);
	for (i = 0; i < sizeof finals / sizeof *finals; i++)
		CHECK(scram_judge(&scram, finals[i], strlen(finals[i]), &why) == RESULT_PEER);
	memset(large, 'x', sizeof large);
	memcpy(large, "r=rOprNGfwEbeRWgbNEkqO", 22);
	memcpy(large + 3000, ",s=QSXCR+Q6sek8bf92,i=1", 23);
	CHECK(scram_final(&scram, large, 3023, "pencil", out, &why) == RESULT_PEER);
}

static void names_are_escaped(void)	/* RFC 5802 5.1 */
{
	char longest[SCRAM_MESSAGE_MAX];

	CHECK(scram_first(&scram, "a=b,c", "n", out));
	CHECK_STRING(out, "n,,n=a=3Db=2Cc,r=n");
	memset(longest, ',', sizeof longest - 1);
	longest[sizeof longest - 1] = 0;
	CHECK(!scram_first(&scram, longest, "n", out));
}

static struct address_ip ip_of(unsigned number)
{
	return (struct address_ip){ .family = 4, .bytes = { 10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number } };
}

static void hosts_without_tls_are_remembered_for_a_while(void)
{
	struct address_ip a = ip_of(1), b = ip_of(2);
	unsigned i, known = 0;

	CHECK(!clear_is_remembered(&a, 25, 1000));
	clear_remember(&a, 25, 1000);
	CHECK(clear_is_remembered(&a, 25, 1000) && clear_is_remembered(&a, 25, 1000 + CLEAR_KEPT_MS - 1));
	CHECK(!clear_is_remembered(&a, 25, 1000 + CLEAR_KEPT_MS));
	CHECK(!clear_is_remembered(&a, 26, 1000) && !clear_is_remembered(&b, 25, 1000));
	clear_forget(&a, 25);
	clear_forget(&b, 25);
	CHECK(!clear_is_remembered(&a, 25, 1000));
	for (i = 0; i < 3 * CLEAR_HOSTS_MAX; i++) {	/* many more than there is room for: the last ones stay */
		struct address_ip ip = ip_of(i);
		clear_remember(&ip, 25, 2000 + i);
	}
	for (i = 0; i < 3 * CLEAR_HOSTS_MAX; i++) {
		struct address_ip ip = ip_of(i);
		known += clear_is_remembered(&ip, 25, 20000);
	}
	CHECK(known <= CLEAR_HOSTS_MAX && known > CLEAR_HOSTS_MAX / 2);
	a = ip_of(3 * CLEAR_HOSTS_MAX - 1);
	CHECK(clear_is_remembered(&a, 25, 20000));
}

static void routes_say_what_tls_has_to_be(void)
{
	static const struct { const char *text; enum result result; enum tls_level tls; bool is_wrapped; uint16_t port; const char *secret, *domain; } rows[] = {
		{ "smtp:[a.example]", RESULT_OK, TLS_LEVEL_UNSET, false, 25, "", "next.example" },
		{ "smtp:mx.example tls=dane", RESULT_OK, TLS_LEVEL_DANE, false, 25, "", "mx.example" },
		{ "smtps:[a.example]", RESULT_OK, TLS_LEVEL_UNSET, true, 465, "", "next.example" },
		{ "smtps:[a.example]:4650 tls=verify", RESULT_OK, TLS_LEVEL_VERIFY, true, 4650, "", "next.example" },
		{ "smtp:[a.example]:587 secret=smart", RESULT_OK, TLS_LEVEL_VERIFY, false, 587, "smart", "next.example" },
		{ "smtp:[a.example] secret=smart tls=encrypt", RESULT_OK, TLS_LEVEL_ENCRYPT, false, 25, "smart", "next.example" },
		{ "smtp:[a.example] secret=smart tls=none", RESULT_OK, TLS_LEVEL_VERIFY, false, 25, "smart", "next.example" },
		{ "smtp:[a.example] tls=strong", RESULT_RETRY, TLS_LEVEL_UNSET, false, 25, "", NULL },
		{ "smtps:", RESULT_RETRY, TLS_LEVEL_UNSET, false, 25, "", NULL },
	};
	char domain[ROUTE_HOST_MAX + 1];
	struct route route;
	size_t i;

	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		CHECK(route_parse(rows[i].text, strlen(rows[i].text), &route, &why) == rows[i].result);
		if (rows[i].result != RESULT_OK)
			continue;
		CHECK(route.tls == rows[i].tls && route.is_wrapped == rows[i].is_wrapped && route.port == rows[i].port);
		CHECK_STRING(route.secret, rows[i].secret);
		route_domain(&route, "x@next.example", domain);
		CHECK_STRING(domain, rows[i].domain);
	}
}

int main(void)
{
	UNIT_RUN(the_example_of_the_rfc);
	UNIT_RUN(what_is_no_answer_is_refused);
	UNIT_RUN(names_are_escaped);
	UNIT_RUN(hosts_without_tls_are_remembered_for_a_while);
	UNIT_RUN(routes_say_what_tls_has_to_be);
	return unit_end();
}
