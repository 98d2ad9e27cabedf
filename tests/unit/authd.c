/* link: authd/throttle.o authd/digest.o authd/refusal.o */
#include "unit.h"
#include "authd/digest.h"
#include "authd/refusal.h"
#include "authd/throttle.h"

static struct throttle throttle;

static struct address_ip ip_of(const char *text)
{
	struct address_ip ip = { 0 };

	CHECK(ip_parse(text, strlen(text), &ip));
	return ip;
}

/* RFC 1321 A.5, and the example of RFC 1939 7 */
static void digests(void)
{
	static const struct { const char *text, *want; } rows[] = {
		{ "", "d41d8cd98f00b204e9800998ecf8427e" },
		{ "abc", "900150983cd24fb0d6963f7d28e17f72" },
		{ "abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b" },
		{ "12345678901234567890123456789012345678901234567890123456789012345678901234567890", "57edf4a22be3c955ac49da2e2107b67a" },
		{ "1234567890123456789012345678901234567890123456789012345", "c9ccf168914a1bcfc3229f1948e67da0" },
		{ "<1896.697170952@dbc.mtview.ca.us>tanstaaf", "c4c9334bac560ecc979e58001b3e22fb" },
	};
	char hex[MD5_HEX_LENGTH + 1];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		md5_hex(rows[i].text, strlen(rows[i].text), hex);
		CHECK_STRING(hex, rows[i].want);
	}
}

/* FIPS 180-4, and lengths around the ends of blocks */
static void digests_of_names(void)
{
	static const struct { size_t length; const char *want; } rows[] = {
		{ 55, "d5e285683cd4efc02d021a5c62014694958901005d6f71e89e0989fac77e4072" },
		{ 56, "04c26261370ee7541549d16dee320c723e3fd14671e66a099afe0a377c16888e" },
		{ 64, "7ce100971f64e7001e8fe5a51973ecdfe1ced42befe7ee8d5fd6219506b5393c" },
		{ 255, "d22609da3ae3956ca4877056a8e580eed744a6f7d7cfa5b19dd88d52fcc0d435" },
	};
	char hex[SHA256_HEX_LENGTH + 1], text[255];

	sha256_hex("abc", 3, hex);
	CHECK_STRING(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	memset(text, 'x', sizeof text);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		sha256_hex(text, rows[i].length, hex);
		CHECK_STRING(hex, rows[i].want);
	}
}

static void failures_wait_longer_and_are_forgotten(void)
{
	static const uint64_t waits[] = { 1000, 2000, 4000, 8000, 15000, 15000 };
	struct address_ip a = ip_of("192.0.2.1"), b = ip_of("192.0.2.2");

	for (size_t i = 0; i < sizeof waits / sizeof *waits; i++)
		CHECK(throttle_fail(&throttle, &a, 5000) == waits[i]);
	CHECK(throttle_fail(&throttle, &b, 5000) == 1000);
	CHECK(throttle_fail(&throttle, &a, 5000 + 2 * THROTTLE_HALVE_MS) == 2000);	/* 6 became 1 */
	CHECK(throttle_fail(&throttle, &a, 5000 + 40 * (uint64_t)THROTTLE_HALVE_MS) == 1000);
}

static void an_ipv6_customer_is_one(void)
{
	struct address_ip a = ip_of("2001:db8:1:2::1"), b = ip_of("2001:db8:1:2:ffff::9"), c = ip_of("2001:db8:1:3::1");

	CHECK(throttle_fail(&throttle, &a, 1) == 1000);
	CHECK(throttle_fail(&throttle, &b, 1) == 2000);
	CHECK(throttle_fail(&throttle, &c, 1) == 1000);
}

/* Many addresses take each other's places; one that goes on failing keeps its own. */
static void the_table_is_bounded(void)
{
	struct address_ip busy = ip_of("198.51.100.7"), other = ip_of("10.0.0.0");

	for (int i = 0; i < 5; i++)
		throttle_fail(&throttle, &busy, 100);
	for (unsigned i = 0; i < 100000; i++) {
		memcpy(other.bytes, &i, 4);
		other.bytes[0] = 10;
		throttle_fail(&throttle, &other, 100);
	}
	CHECK(throttle_fail(&throttle, &busy, 100) == 15000);
}

static struct loop *loop;
static struct channel workers[2];
static size_t answered[2];

static void note_answer(struct channel *worker, uint64_t serial, enum login_verdict verdict)
{
	CHECK(serial == 7 && verdict == LOGIN_REFUSED);
	answered[worker - workers]++;
}

static void stop(struct timer *timer)
{
	(void)timer;
	loop_stop(loop);
}

/* Whoever fails without end takes a bounded place; a worker that is gone is not answered. */
static void refusals_wait_within_bounds(void)
{
	struct timer end = { 0 };

	CHECK(loop_make(&loop, NULL) == RESULT_OK);
	refusals_begin(loop, note_answer);
	refusal_wait(&workers[1], 7, LOGIN_REFUSED, 0);
	for (size_t i = 1; i < REFUSALS_MAX; i++)
		refusal_wait(&workers[0], 7, LOGIN_REFUSED, 1000000);
	CHECK(answered[0] == 0);
	refusal_wait(&workers[0], 7, LOGIN_REFUSED, 1000000);
	CHECK(answered[0] == 1);
	refusals_forget(&workers[0]);
	refusal_wait(&workers[0], 7, LOGIN_REFUSED, 1);
	CHECK(loop_set_timer(loop, &end, 2, stop));
	CHECK(loop_run(loop, NULL) == RESULT_OK);
	CHECK(answered[0] == 2 && answered[1] == 1);
	loop_free(loop);
}

int main(void)
{
	UNIT_RUN(digests);
	UNIT_RUN(digests_of_names);
	UNIT_RUN(failures_wait_longer_and_are_forgotten);
	UNIT_RUN(an_ipv6_customer_is_one);
	UNIT_RUN(the_table_is_bounded);
	UNIT_RUN(refusals_wait_within_bounds);
	return unit_end();
}
