/* Addresses, networks, listeners. */
#include "common/network.h"
#include "unit.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void addresses_are_parsed_and_written(void)
{
	static const struct { const char *in, *out, *literal; } rows[] = {
		{ "192.0.2.1", "192.0.2.1", "[192.0.2.1]" },
		{ "2001:DB8:0::1", "2001:db8::1", "[IPv6:2001:db8::1]" },
		{ "::1", "::1", "[IPv6:::1]" },
		{ "::ffff:192.0.2.1", "192.0.2.1", "[192.0.2.1]" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		  "[IPv6:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct address_ip ip;
		char out[NETWORK_TEXT_MAX];
		CHECK(ip_parse(rows[i].in, strlen(rows[i].in), &ip));
		CHECK_STRING(ip_text(&ip, out), rows[i].out);
		CHECK_STRING(ip_literal(&ip, out), rows[i].literal);
	}
}

static void what_is_no_address_is_refused(void)
{
	static const char *const rows[] = { "", "192.0.2", "192.0.2.256", "192.0.2.1 ", "[::1]", "::g", "1", "::1%lo", "0x7f.1" };
	struct address_ip ip;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		CHECK(!ip_parse(rows[i], strlen(rows[i]), &ip));
	CHECK(!ip_parse("192.0.2.1\0x", 11, &ip));
}

static void networks_contain_what_they_should(void)
{
	static const struct { const char *network, *ip; bool contains; } rows[] = {
		{ "192.0.2.0/24", "192.0.2.255", true },
		{ "192.0.2.0/24", "192.0.3.0", false },
		{ "192.0.2.0/23", "192.0.3.9", true },
		{ "192.0.2.1", "192.0.2.1", true },
		{ "192.0.2.1", "192.0.2.2", false },
		{ "0.0.0.0/0", "255.1.2.3", true },
		{ "0.0.0.0/0", "::1", false },
		{ "::/0", "2001:db8::1", true },
		{ "::/0", "::ffff:192.0.2.1", false },
		{ "2001:db8::/33", "2001:db8:7fff::1", true },
		{ "2001:db8::/33", "2001:db8:8000::1", false },
		{ "::ffff:192.0.2.0/120", "192.0.2.77", true },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct network network;
		struct address_ip ip;
		CHECK(network_parse(rows[i].network, strlen(rows[i].network), &network));
		CHECK(ip_parse(rows[i].ip, strlen(rows[i].ip), &ip));
		CHECK(network_contains(&network, &ip) == rows[i].contains);
	}
}

static void networks_with_host_bits_are_refused(void)
{
	static const char *const rows[] = { "192.0.2.1/24", "192.0.2.0/33", "192.0.2.0/", "2001:db8::1/64", "::/129", "/8", "10/8",
	                                    "192.0.2.0/-1", "::ffff:192.0.2.0/24" };
	struct network network;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		CHECK(!network_parse(rows[i], strlen(rows[i]), &network));
}

static void a_local_socket_is_in_no_list(void)
{
	struct network_list any = { .is_any = true };
	struct address_ip none = { 0 }, some;
	char out[NETWORK_TEXT_MAX];

	CHECK(!network_list_contains(&any, &none));
	ip_parse("192.0.2.1", 9, &some);
	CHECK(network_list_contains(&any, &some));
	CHECK_STRING(ip_text(&none, out), "local");
}

static void loopback_is_known(void)
{
	static const struct { const char *ip; bool is_loopback; } rows[] = {
		{ "127.0.0.1", true }, { "127.9.9.9", true }, { "::1", true }, { "::ffff:127.0.0.1", true },
		{ "128.0.0.1", false }, { "::", false }, { "::2", false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct address_ip ip;
		ip_parse(rows[i].ip, strlen(rows[i].ip), &ip);
		CHECK(ip_is_loopback(&ip) == rows[i].is_loopback);
	}
}

static void listeners_are_parsed(void)
{
	static const struct { const char *text; bool is_right; int family; } rows[] = {
		{ "127.0.0.1:25", true, AF_INET }, { "[::]:25", true, AF_INET6 }, { "[::1]:65535", true, AF_INET6 },
		{ "127.0.0.1", false, 0 }, { "127.0.0.1:", false, 0 }, { "127.0.0.1:0", false, 0 }, { "127.0.0.1:65536", false, 0 },
		{ "::1:25", false, 0 }, { "[::1]25", false, 0 }, { "[127.0.0.1]:25", false, 0 }, { "mail.example:25", false, 0 },
		{ "", false, 0 }, { "[", false, 0 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct sockaddr_storage address;
		socklen_t size;
		bool is_right = listener_parse(rows[i].text, strlen(rows[i].text), &address, &size);
		CHECK(is_right == rows[i].is_right);
		if (is_right)
			CHECK(address.ss_family == rows[i].family);
	}
}

/* A free port of the loopback address, by asking the kernel for one. */
static struct sockaddr_storage free_port(socklen_t *size)
{
	struct sockaddr_storage address = { 0 };
	struct sockaddr_in in = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	memcpy(&address, &in, sizeof in);
	*size = sizeof in;
	if (bind(fd, (struct sockaddr *)&address, *size) == 0)
		getsockname(fd, (struct sockaddr *)&address, size);
	close(fd);
	return address;
}

static void a_port_in_use_is_told(void)
{
	socklen_t size;
	struct sockaddr_storage address = free_port(&size);
	struct why why = { 0 };
	int first, second;

	CHECK(listener_open(&address, size, &first, &why) == RESULT_OK);
	CHECK(listener_open(&address, size, &second, &why) == RESULT_NEVER);
	CHECK(second == -1);
	CHECK(strstr(why.text, "in use") && strstr(why.text, "127.0.0.1"));
	close(first);
}

static void a_reply_waits_for_no_acknowledgement(void)
{
	socklen_t size, option_size = sizeof(int);
	struct sockaddr_storage address = free_port(&size);
	int listener, client = socket(AF_INET, SOCK_STREAM, 0), connection, is_on = 0;
	struct why why;

	CHECK(listener_open(&address, size, &listener, &why) == RESULT_OK);
	CHECK(connect(client, (struct sockaddr *)&address, size) == 0);
	connection = accept(listener, NULL, NULL);
	CHECK(getsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &is_on, &option_size) == 0 && is_on);
	close(connection);
	close(client);
	close(listener);
}

static void a_local_socket_replaces_one_that_nobody_serves(void)
{
	char folder[] = "/tmp/unit-network-XXXXXX", path[64];
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct stat st;
	struct why why;
	int first, second, client;

	CHECK(mkdtemp(folder) != NULL);
	snprintf(path, sizeof path, "%s/submit", folder);
	snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
	CHECK(listener_open_local(path, 0666, &first, &why) == RESULT_OK);
	CHECK(listener_open_local(path, 0666, &second, &why) == RESULT_NEVER && second == -1);
	CHECK(strstr(why.text, path) && strstr(why.text, "already"));
	CHECK(accept(first, NULL, NULL) >= 0);	/* it was asked, and is still there */
	close(first);
	CHECK(listener_open_local(path, 0666, &second, &why) == RESULT_OK);
	CHECK(stat(path, &st) == 0 && S_ISSOCK(st.st_mode) && (st.st_mode & 0777) == 0666);
	client = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(connect(client, (struct sockaddr *)&un, sizeof un) == 0);
	CHECK(accept(second, NULL, NULL) >= 0);
	unlink(path);
	CHECK(rmdir(folder) == 0);	/* nothing else was left there */
}

int main(void)
{
	UNIT_RUN(addresses_are_parsed_and_written);
	UNIT_RUN(what_is_no_address_is_refused);
	UNIT_RUN(networks_contain_what_they_should);
	UNIT_RUN(networks_with_host_bits_are_refused);
	UNIT_RUN(a_local_socket_is_in_no_list);
	UNIT_RUN(loopback_is_known);
	UNIT_RUN(listeners_are_parsed);
	UNIT_RUN(a_port_in_use_is_told);
	UNIT_RUN(a_reply_waits_for_no_acknowledgement);
	UNIT_RUN(a_local_socket_replaces_one_that_nobody_serves);
	return unit_end();
}
