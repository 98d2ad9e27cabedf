/* link: remoted/site.o remoted/hosts.o remoted/tlsa.o remoted/route.o remoted/rules.o */
/* The order in which the addresses of a site are tried, a new one for each session. */
#include "remoted/security.h"
#include "remoted/session.h"
#include "unit.h"

enum { ORDERS = 200, A = 0, B = 1, BACKUP = 2 };

struct remoted remoted;

/* Nothing of this is called here. */
void session_start(struct site *site, struct job *job) { (void)site, (void)job; }
bool session_take(struct session *session, struct job *job) { (void)session, (void)job; return false; }
void job_tell_rest(struct job *job, enum delivery_verdict verdict, const char *status, const char *host, const char *words)
{
	(void)job, (void)verdict, (void)status, (void)host, (void)words;
}
void job_free(struct job *job) { (void)job; }
bool security_wants_sts(const struct route *route) { (void)route; return false; }
void security_find(struct site_ask *ask, const char *domain, const struct sts_answer *answer, char manner[SECURITY_MANNER_MAX])
{
	(void)ask, (void)domain, (void)answer, (void)manner;
}

static struct site site;
static struct host_address order[ADDRESSES_MAX];

static void add(uint8_t exchange, const char *ip)
{
	struct host_address *address = &site.hosts.addresses[site.hosts.address_count++];

	*address = (struct host_address){ .exchange = exchange };
	CHECK(ip_parse(ip, strlen(ip), &address->ip));
}

/* Two equals and a backup, each with an address of both families; in the order of hosts_find_addresses. */
static void make_site(void)
{
	static char names[3][12] = { "a.example", "b.example", "c.example" };
	size_t i;

	site = (struct site){ .hosts.exchange_count = 3 };
	for (i = 0; i < 3; i++)
		site.hosts.exchanges[i] = (struct exchange){ .name = names[i], .preference = i == BACKUP ? 20 : 10 };
	add(A, "2001:db8::a");
	add(A, "192.0.2.1");
	add(B, "2001:db8::b");
	add(B, "192.0.2.2");
	add(BACKUP, "2001:db8::c");
	add(BACKUP, "192.0.2.3");
}

/* Are the FAMILIES ("64" is IPv6, then IPv4) those of the addresses from PLACE on, all of one exchange? */
static bool is_host_at(size_t place, const char *families)
{
	size_t i;

	for (i = 0; families[i]; i++)
		if (order[place + i].exchange != order[place].exchange || order[place + i].ip.family != families[i] - '0')
			return false;
	return true;
}

static void equal_exchanges_share_the_sessions(void)
{
	size_t i, first[3] = { 0 }, good = 0;

	make_site();
	for (i = 0; i < ORDERS; i++) {
		CHECK(site_order_addresses(&site, order, ADDRESSES_MAX) == 6);
		first[order[0].exchange]++;
		good += is_host_at(0, "64") && is_host_at(2, "64") && is_host_at(4, "64") && order[4].exchange == BACKUP &&
		        order[0].exchange != order[2].exchange;
	}
	CHECK(first[A] && first[B] && !first[BACKUP]);
	CHECK(good == ORDERS);
}

static void what_is_known_of_addresses_goes_before_chance(void)
{
	size_t i, good = 0;

	make_site();
	site_note_family(&site, 4);
	site.hosts.addresses[1].bad_until_ms = loop_now_ms(remoted.loop) + 3600000;
	for (i = 0; i < ORDERS; i++) {
		CHECK(site_order_addresses(&site, order, ADDRESSES_MAX) == 6);
		good += order[0].exchange == B && order[0].ip.family == 4 && order[1].ip.family == 6 && order[2].ip.family == 6 &&
		        is_host_at(3, "46") && order[3].exchange == BACKUP && order[5].exchange == A && order[5].ip.family == 4;
	}
	CHECK(good == ORDERS);
}

int main(void)
{
	struct why why = { 0 };

	CHECK(loop_make(&remoted.loop, &why) == RESULT_OK);
	UNIT_RUN(equal_exchanges_share_the_sessions);
	UNIT_RUN(what_is_known_of_addresses_goes_before_chance);
	return unit_end();
}
