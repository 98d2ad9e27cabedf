/* link: remoted/hosts.o remoted/route.o remoted/tlsa.o */
/* The hosts of a next hop, from what a resolver says that this driver plays. */
#include "remoted/hosts.h"
#include "unit.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <unistd.h>

/* One answer: NAME's records of TYPE. VERDICT DNS_ANSWER with MX: "10 a.example", A: "192.0.2.1", several parted by ','. */
struct row { int type; const char *name; enum dns_verdict verdict; const char *records; };

static struct loop *loop;
static struct dns_client dns;
static struct channel resolver;
static const struct row *rows;
static struct hosts hosts;
static struct route route;
static bool is_done;
static size_t late_by;		/* the first A comes after the answers to so many further questions */

static size_t put_name(char *out, const char *name)
{
	size_t length = 0;

	while (*name) {
		size_t label = strcspn(name, ".");
		out[length++] = (char)label;
		memcpy(out + length, name, label);
		length += label;
		name += label + (name[label] == '.');
	}
	out[length++] = 0;
	return length;
}

static size_t put_record(char *out, int type, const char *record)
{
	char *rest;
	uint16_t size;
	long preference;

	if (type == DNS_MX) {
		preference = strtol(record, &rest, 10);
		out[2] = (char)(preference >> 8);
		out[3] = (char)preference;
		size = (uint16_t)(2 + put_name(out + 4, rest + strspn(rest, " ")));
	} else {
		size = type == DNS_A ? 4 : 16;
		CHECK(inet_pton(type == DNS_A ? AF_INET : AF_INET6, record, out + 2) == 1);
	}
	memcpy(out, &size, sizeof size);
	return size + sizeof size;
}

static void answer(struct channel *channel, uint64_t serial, const struct row *row)
{
	char packed[8192], texts[4096] = "", *at = texts, *record;
	size_t length = 0;

	if (row->name && row->records)
		snprintf(texts, sizeof texts, "%s", row->records);
	while ((record = strsep(&at, ",")) && *record)
		length += put_record(packed + length, row->type, record);
	struct wire_value values[DNS_TELL_FIELDS] = {
		[DNS_TELL_SERIAL] = WIRE_NUMBER(serial),
		[DNS_TELL_VERDICT] = WIRE_NUMBER(row->name ? row->verdict : DNS_NO_DATA),
		[DNS_TELL_TTL_SECONDS] = WIRE_NUMBER(300),
		[DNS_TELL_RECORDS] = WIRE_BYTES(packed, length),
	};
	struct why why = { 0 };
	CHECK(channel_send(channel, FRAME_DNS_TELL, values, -1, &why) == RESULT_OK);
}

static void asked(struct channel *channel, struct frame *f)
{
	static const struct row *late;
	static uint64_t late_serial;
	const struct row *row = rows;

	while (row->name && (row->type != (int)f->value[DNS_ASK_TYPE].number || !frame_value_is(f, DNS_ASK_NAME, row->name)))
		row++;
	if (row->type == DNS_A && late_by && !late) {
		late = row;
		late_serial = f->value[DNS_ASK_SERIAL].number;
		return;
	}
	answer(channel, f->value[DNS_ASK_SERIAL].number, row);
	if (!late || --late_by)
		return;
	answer(channel, late_serial, late);
	late = NULL;
}

static void lost(struct channel *channel, const struct why *why) { (void)channel, (void)why; }

static void over(struct hosts *of)
{
	(void)of;
	is_done = true;
	loop_stop(loop);
}

static void addresses_next(struct hosts *of)
{
	if (of->verdict == DELIVERY_DELIVERED)
		hosts_find_addresses(of, over);
	else
		over(of);
}

static void find(const char *text, const struct row *with)
{
	struct why why = { 0 };

	rows = with;
	hosts_free(&hosts);
	CHECK(route_parse(text, strlen(text), &route, &why) == RESULT_OK);
	hosts = (struct hosts){ .dns = &dns, .route = &route };
	is_done = false;
	hosts_find_exchanges(&hosts, addresses_next);
	if (!is_done)
		CHECK(loop_run(loop, &why) == RESULT_OK);
}

static void this_host_is_no_next_hop_for_itself(void)
{
	static const struct { const char *status; int verdict; size_t addresses; struct row with[4]; } cases[] = {
		{ "2.0.0", DELIVERY_DELIVERED, 1, { { DNS_MX, "x.example", DNS_ANSWER, "10 a.example,20 us.example" }, { DNS_A, "a.example", DNS_ANSWER, "192.0.2.1" } } },
		{ "5.4.6", DELIVERY_FAILED, 0, { { DNS_MX, "x.example", DNS_ANSWER, "10 us.example,20 a.example" }, { DNS_A, "a.example", DNS_ANSWER, "192.0.2.1" } } },
		/* known by its address alone, and the better host's name servers are down: it may take the mail later */
		{ "4.4.3", DELIVERY_DEFERRED, 0, { { DNS_MX, "x.example", DNS_ANSWER, "10 a.example,20 b.example" }, { DNS_A, "a.example", DNS_LATER, NULL }, { DNS_A, "b.example", DNS_ANSWER, "192.0.2.9" } } },
		{ "5.4.6", DELIVERY_FAILED, 0, { { DNS_MX, "x.example", DNS_ANSWER, "10 b.example" }, { DNS_A, "b.example", DNS_ANSWER, "192.0.2.9" } } },
		/* the same in disguise, and the unspecified address, by which a connection comes to this host as well */
		{ "5.4.6", DELIVERY_FAILED, 0, { { DNS_MX, "x.example", DNS_ANSWER, "10 b.example" }, { DNS_AAAA, "b.example", DNS_ANSWER, "::ffff:192.0.2.9" } } },
		{ "5.4.6", DELIVERY_FAILED, 0, { { DNS_MX, "x.example", DNS_ANSWER, "10 b.example" }, { DNS_A, "b.example", DNS_ANSWER, "0.0.0.0" } } },
		{ "5.4.6", DELIVERY_FAILED, 0, { { DNS_MX, "x.example", DNS_ANSWER, "10 b.example" }, { DNS_AAAA, "b.example", DNS_ANSWER, "::" } } },
		{ "5.4.6", DELIVERY_FAILED, 0, { { DNS_MX, "x.example", DNS_ANSWER, "10 b.example" }, { DNS_AAAA, "b.example", DNS_ANSWER, "::ffff:0.0.0.0" } } },
		{ "2.0.0", DELIVERY_DELIVERED, 1, { { DNS_MX, "x.example", DNS_ANSWER, "10 a.example,20 b.example" }, { DNS_A, "a.example", DNS_ANSWER, "192.0.2.1" }, { DNS_A, "b.example", DNS_ANSWER, "0.0.0.0" } } },
		{ "5.1.10", DELIVERY_FAILED, 0, { { DNS_MX, "x.example", DNS_ANSWER, "0 " } } },
		{ "5.4.4", DELIVERY_FAILED, 0, { { DNS_MX, "x.example", DNS_ANSWER, "10 a.example" } } },
	};
	size_t i;

	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct row with[5] = { { 0 } };
		memcpy(with, cases[i].with, sizeof cases[i].with);
		find("smtp:x.example", with);
		CHECK_STRING(hosts.status, cases[i].status);
		CHECK(hosts.verdict == cases[i].verdict);
		CHECK(hosts.verdict != DELIVERY_DELIVERED || hosts.address_count == cases[i].addresses);
	}
}

/* The answer about mx1 comes after those about mx2: it is mx1 all the same that policies and certificates are to name. */
static void an_address_of_two_hosts_is_the_better_ones(void)
{
	static const struct row with[] = {
		{ DNS_MX, "x.example", DNS_ANSWER, "10 mx1.example,20 mx2.example" },
		{ DNS_A, "mx1.example", DNS_ANSWER, "192.0.2.1" },
		{ DNS_A, "mx2.example", DNS_ANSWER, "192.0.2.2,192.0.2.1" },
		{ 0 },
	};

	late_by = 3;
	find("smtp:x.example", with);
	CHECK(hosts.address_count == 2);
	CHECK(hosts.addresses[0].ip.bytes[3] == 1);
	CHECK_STRING(hosts.exchanges[hosts.addresses[0].exchange].name, "mx1.example");
	CHECK_STRING(hosts.exchanges[hosts.addresses[1].exchange].name, "mx2.example");
}

/* Names of many addresses, whose answers come first, leave room for a better host's, and for this host's own. */
static void of_too_many_addresses_the_best_are_kept(void)
{
	static const char *const mx[] = { "10 mx1.example,20 pool.example", "10 us-too.example,20 pool.example" };
	char pool[1024] = "", one[32];
	size_t i;

	for (i = 1; i <= ADDRESSES_MAX + 5; i++) {
		snprintf(one, sizeof one, "%s198.51.100.%zu", i > 1 ? "," : "", i);
		strncat(pool, one, sizeof pool - strlen(pool) - 1);
	}
	for (i = 0; i < 2; i++) {
		const struct row with[] = {
			{ DNS_MX, "x.example", DNS_ANSWER, mx[i] },
			{ DNS_A, "mx1.example", DNS_ANSWER, "192.0.2.1" }, { DNS_A, "us-too.example", DNS_ANSWER, "192.0.2.9" },
			{ DNS_A, "pool.example", DNS_ANSWER, pool }, { 0 },
		};
		late_by = 3;
		find("smtp:x.example", with);
		CHECK(hosts.address_count == (i ? 0 : ADDRESSES_MAX));
		CHECK(i || hosts.addresses[0].ip.bytes[0] == 192);
		CHECK_STRING(hosts.status, i ? "5.4.6" : "2.0.0");
	}
}

static void key_of(const char *text, const char *mx, char *key)
{
	struct row with[] = { { DNS_MX, "x.example", DNS_ANSWER, mx }, { DNS_MX, "y.example", DNS_ANSWER, mx }, { 0 } };

	find(text, with);
	hosts_site_key(&hosts, key, 1001);
}

/* What shares a site goes to the same hosts in the same order, from the same address. */
static void sites_are_shared_by_equals_alone(void)
{
	static const struct { const char *text, *mx, *key; } cases[] = {
		{ "smtp:x.example", "10 b.example,10 a.example", "smtp:a.example,b.example:25" },
		{ "smtp:x.example", "10 b.example,20 a.example", "smtp:b.example;a.example:25" },
		{ "smtp:x.example", "5 a.example,7 b.example", "smtp:a.example;b.example:25" },
		{ "smtp:x.example:26 source=192.0.2.7", "5 a.example", "smtp:a.example:26 from 192.0.2.7" },
		{ "smtp:[x.example]", "", "smtp:[x.example]:25" },
		{ "smtp:x.example", "5 a.example", "smtp:a.example:25" },
		{ "smtp:[a.example]", "", "smtp:[a.example]:25" },	/* no MX record vouches for it, none has to */
		{ "smtp:[192.0.2.1]", "", "smtp:[192.0.2.1]:25" },
		{ "lmtp:unix:/run/l", "", "lmtp:unix:/run/l" },
	};
	char key[1001], other[1001], mx[4096] = "", one[128];
	size_t i;

	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		key_of(cases[i].text, cases[i].mx, key);
		CHECK_STRING(key, cases[i].key);
	}
	for (i = 0; i < 19; i++) {
		snprintf(one, sizeof one, "%s10 a%02zu.a-long-name-of-a-host-that-has-many-brothers-and-sisters.example", i ? "," : "", i);
		strncat(mx, one, sizeof mx - strlen(mx) - 1);
	}
	key_of("smtp:x.example", mx, key);
	key_of("smtp:y.example", mx, other);
	CHECK_STRING(key, "smtp:@x.example:25");
	CHECK(strcmp(key, other) != 0);
}

static void of_too_many_hosts_the_best_are_kept(void)
{
	struct row with[] = { { DNS_MX, "x.example", DNS_ANSWER, NULL }, { 0 } };
	char mx[4096] = "", one[64];
	size_t i;

	for (i = 0; i < 30; i++) {
		snprintf(one, sizeof one, "%s%zu h%zu.example", i ? "," : "", 100 - i, i);
		strncat(mx, one, sizeof mx - strlen(mx) - 1);
	}
	with[0].records = mx;
	find("smtp:x.example", with);
	CHECK(hosts.exchange_count == HOSTS_MAX);
	CHECK_STRING(hosts.exchanges[0].name, "h29.example");
	CHECK_STRING(hosts.exchanges[HOSTS_MAX - 1].name, "h10.example");
}

static void an_address_literal_is_the_address(void)
{
	static const struct { const char *domain, *host; } cases[] = {
		{ "[192.0.2.1]", "192.0.2.1" }, { "[IPv6:2001:db8::1]", "2001:db8::1" },
		{ "[ipv6:2001:db8::1]", "2001:db8::1" },
	};
	struct table_directory *directory = NULL;
	struct table *routes = NULL;
	struct why why = { 0 };
	char path[] = "/tmp/dawk-unit.XXXXXX";
	size_t i;

	CHECK(mkdtemp(path) != NULL);
	CHECK(table_directory_open(path, &directory, &why) == RESULT_OK && table_open(directory, "routes", &routes, &why) == RESULT_OK);
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		CHECK(route_find(routes, cases[i].domain, &route, &why) == RESULT_OK);
		CHECK(route.is_ip && route.is_exact);
		CHECK_STRING(route.host, cases[i].host);
	}
	table_close(routes);
	table_directory_close(directory);
	rmdir(path);
}

int main(void)
{
	struct configuration *loaded;
	struct why why = { 0 };
	char file[] = "/tmp/dawk-unit.XXXXXX";
	static const char text[] = "hostname = us.example\ndomains = us.example\nlisten-smtp = 192.0.2.9:25\n";
	int ends[2], fd = mkstemp(file);

	CHECK(fd >= 0 && write(fd, text, sizeof text - 1) == sizeof text - 1);
	CHECK(configuration_load(file, &loaded, &why) == RESULT_OK && hosts_know_self(loaded, &why) == RESULT_OK);
	unlink(file);
	CHECK(loop_make(&loop, &why) == RESULT_OK && channel_pair(ends, &why) == RESULT_OK);
	dns_client_init(&dns, loop);
	CHECK(dns_client_join(&dns, ends[0], &why) == RESULT_OK);
	CHECK(channel_open(&resolver, loop, ends[1], asked, lost, &why) == RESULT_OK);
	UNIT_RUN(this_host_is_no_next_hop_for_itself);
	UNIT_RUN(an_address_of_two_hosts_is_the_better_ones);
	UNIT_RUN(of_too_many_addresses_the_best_are_kept);
	UNIT_RUN(sites_are_shared_by_equals_alone);
	UNIT_RUN(of_too_many_hosts_the_best_are_kept);
	UNIT_RUN(an_address_literal_is_the_address);
	hosts_free(&hosts);
	configuration_free(loaded);
	return unit_end();
}
