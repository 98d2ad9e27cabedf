/* dawk attack: tries against one's own listeners what an attacker would, and says what held. */
#include "attack.h"
#include "command.h"

#include "common/network.h"
#include "common/text.h"
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is said ---- */

static void say(struct attack *attack, unsigned *count, const char *word, const char *name, const char *format, va_list arguments)
{
	char words[1500];

	++*count;
	vsnprintf(words, sizeof words, format, arguments);
	if (!attack->is_json) {
		print_shown(stdout, "%-4s  %-45s %s\n", word, name, words);
		fflush(stdout);
		return;
	}
	printf("%s{\"target\":\"%s\",\"try\":", attack->held + attack->open + attack->skipped > 1 ? "," : "", attack->text);
	json_string(stdout, name, strlen(name));
	printf(",\"outcome\":\"%s\",\"words\":", word);
	json_string(stdout, words, strlen(words));
	printf("}");
}

void attack_held(struct attack *attack, const char *name, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(attack, &attack->held, "held", name, format, arguments);
	va_end(arguments);
}

void attack_open(struct attack *attack, const char *name, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(attack, &attack->open, "OPEN", name, format, arguments);
	va_end(arguments);
}

void attack_skip(struct attack *attack, const char *name, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(attack, &attack->skipped, "skip", name, format, arguments);
	va_end(arguments);
}

/* ---- targets ---- */

struct options { const char *host, *port, *domain; bool is_slow, is_json, i_may; };

/* The configuration's listeners, and what each is. */
static const struct kind {
	size_t list;
	enum attack_kind kind;
	bool is_tls;
	uint16_t port;		/* the usual one, for a port of the command line */
} kinds[] = {
	{ offsetof(struct configuration, listen_smtp), ATTACK_SMTP, false, 25 },
	{ offsetof(struct configuration, listen_submission), ATTACK_SUBMISSION, false, 587 },
	{ offsetof(struct configuration, listen_submissions), ATTACK_SUBMISSION, true, 465 },
	{ offsetof(struct configuration, listen_pop3), ATTACK_POP3, false, 110 },
	{ offsetof(struct configuration, listen_pop3s), ATTACK_POP3, true, 995 },
};

static uint16_t port_of(const struct sockaddr_storage *address)
{
	return ntohs(address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)address)->sin6_port
	                                            : ((const struct sockaddr_in *)address)->sin_port);
}

static void set_port(struct sockaddr_storage *address, uint16_t port)
{
	if (address->ss_family == AF_INET6)
		((struct sockaddr_in6 *)address)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)address)->sin_port = htons(port);
}

static enum result find_host(const char *host, struct attack *attack, struct why *why)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
	int failure = getaddrinfo(host, NULL, &hints, &found);

	if (failure)
		return why_set(why, RESULT_NEVER, "unable to find the host %s: %s", host, gai_strerror(failure));
	memcpy(&attack->address, found->ai_addr, found->ai_addrlen);
	attack->address.ss_family = (sa_family_t)found->ai_family;
	attack->size = found->ai_addrlen;
	freeaddrinfo(found);
	return RESULT_OK;
}

static bool ip_of(const struct sockaddr *address, struct address_ip *ip)
{
	uint16_t port;

	return address && ip_from_sockaddr(address, ip, &port);	/* false for other families */
}

/* Loopback, or an address of this host. */
static bool is_ours(const struct sockaddr_storage *address)
{
	struct address_ip target = { 0 }, ip = { 0 };
	struct ifaddrs *all, *one;
	bool is_found = false;

	if (!ip_of((const struct sockaddr *)address, &target))
		return false;
	if (ip_is_loopback(&target) || getifaddrs(&all))
		return ip_is_loopback(&target);
	for (one = all; one && !is_found; one = one->ifa_next)
		is_found = ip_of(one->ifa_addr, &ip) && ip_equal(&ip, &target);
	freeifaddrs(all);
	return is_found;
}

/* What the configuration lets our own address do. Of another host's configuration nothing is known. */
static void take_exemptions(struct attack *attack)
{
	struct sockaddr_storage own;
	socklen_t size = sizeof own;
	struct address_ip ip;
	struct talk talk;

	attack->may_relay = attack->may_log_in_clearly = attack->is_exempt = false;
	if (!is_ours(&attack->address))
		return;
	if (talk_connect(attack, &talk) && getsockname(talk.fd, (struct sockaddr *)&own, &size) == 0 &&
	    ip_of((const struct sockaddr *)&own, &ip)) {
		attack->may_relay = attack->kind == ATTACK_SMTP && network_list_contains(&attack->conf->relay_networks, &ip);
		attack->may_log_in_clearly = network_list_contains(&attack->conf->clear_login, &ip);
		attack->is_exempt = ip_is_loopback(&ip) || network_list_contains(&attack->conf->relay_networks, &ip);
	}
	talk_close(&talk);
}

static void run(struct attack *attack)
{
	struct talk talk;

	take_exemptions(attack);
	if (!attack->is_json)
		printf("%s%s\n", attack->text, attack->is_tls ? ", TLS from the first byte" : "");
	if (!talk_begin(attack, &talk)) {
		attack_skip(attack, "a session", "%s", talk.line);
		talk_close(&talk);
		return;
	}
	talk_close(&talk);
	if (attack->kind != ATTACK_POP3) {
		attack_relay(attack);
		attack_smuggling(attack);
	}
	attack_names(attack);
	attack_tls(attack);
	attack_limits(attack);
}

/* By the port's number, else by what its greeting says. */
static void guess_kind(struct attack *attack, uint16_t port)
{
	struct talk talk;

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (kinds[i].port == port) {
			attack->kind = kinds[i].kind;
			attack->is_tls = kinds[i].is_tls;
			return;
		}
	attack->kind = ATTACK_SMTP;
	attack->is_tls = talk_connect(attack, &talk) && talk_reply(&talk, TALK_MS) < 0 && talk_start_tls(&talk, "NORMAL") && talk_reply(&talk, TALK_MS) > 0;
	if (talk.line[0] == '+')
		attack->kind = ATTACK_POP3;
	talk_close(&talk);
}

static void run_at(struct attack *attack, uint16_t port)
{
	char host[NETWORK_TEXT_MAX];
	struct address_ip ip;

	set_port(&attack->address, port);
	if (ip_of((const struct sockaddr *)&attack->address, &ip))
		snprintf(attack->text, sizeof attack->text, ip.family == 6 ? "[%s]:%u" : "%s:%u", ip_text(&ip, host), port);
	run(attack);
}

/* The ports of all listeners that the configuration has, each once. */
static void run_all(struct attack *attack)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		const struct listener_list *list = (const void *)((const char *)attack->conf + kinds[i].list);

		for (size_t k = 0; k < list->count; k++) {
			size_t before = 0;

			while (before < k && port_of(&list->items[before].address) != port_of(&list->items[k].address))
				before++;
			attack->kind = kinds[i].kind;
			attack->is_tls = kinds[i].is_tls;
			if (before == k)
				run_at(attack, port_of(&list->items[k].address));
		}
	}
}

/* "HOST", "HOST:PORT", "[IPV6]:PORT"; an IPv6 address alone has no port. */
static bool split_host(char *text, struct options *options)
{
	char *colon = strrchr(text, ':'), *bracket = strchr(text, ']');
	uint64_t port;

	options->host = text;
	if (*text == '[' && bracket) {
		options->host = text + 1;
		*bracket = 0;
		colon = bracket[1] == ':' ? bracket + 1 : NULL;
	} else if (colon && strchr(text, ':') != colon) {
		colon = NULL;
	}
	if (!colon)
		return true;
	*colon = 0;
	options->port = colon + 1;
	return text_to_number(options->port, strlen(options->port), &port) && port && port < 65536;
}

static bool take_options(int argc, char **argv, struct options *options, int *code)
{
	int i = 1;

	for (; i < argc && !strncmp(argv[i], "--", 2); i++) {
		if (!strcmp(argv[i], "--json"))
			options->is_json = true;
		else if (!strcmp(argv[i], "--slow"))
			options->is_slow = true;
		else if (!strcmp(argv[i], "--i-may"))
			options->i_may = true;
		else if (!strcmp(argv[i], "--domain") && i + 1 < argc)
			options->domain = argv[++i];
		else
			return (*code = command_usage(argv[0], "there is no option %s", argv[i])), false;
	}
	if (i + 1 != argc)
		return (*code = command_usage(argv[0], "name one host: HOST or HOST:PORT")), false;
	if (!split_host(argv[i], options))
		return (*code = command_usage(argv[0], "%s is no port", options->port)), false;
	return true;
}

static int finish(const struct attack *attack)
{
	if (attack->is_json)
		printf("],\"held\":%u,\"open\":%u,\"skipped\":%u}\n", attack->held, attack->open, attack->skipped);
	else
		printf("%u held, %u open, %u skipped\n", attack->held, attack->open, attack->skipped);
	if (attack->open)
		return 1;
	return attack->held ? EX_OK : EX_UNAVAILABLE;
}

int command_attack(struct configuration *conf, int argc, char **argv)
{
	struct options options = { .domain = conf->domains.items[0] };
	struct attack attack = { .conf = conf };
	struct why why = { 0 };
	uint64_t port = 0;
	int code;

	if (!take_options(argc, argv, &options, &code))
		return code;
	if (find_host(options.host, &attack, &why) != RESULT_OK)
		return command_fail("attack", EX_NOHOST, "%s", why.text);
	if (!options.i_may && !is_ours(&attack.address))
		return command_fail("attack", EX_NOPERM, "%s is not this host; --i-may says that you may do this to it", options.host);
	attack.host = options.host;
	attack.domain = options.domain;
	attack.is_slow = options.is_slow;
	attack.is_json = options.is_json;
	if (attack.is_json)
		printf("{\"tries\":[");
	if (options.port) {
		text_to_number(options.port, strlen(options.port), &port);
		set_port(&attack.address, (uint16_t)port);
		guess_kind(&attack, (uint16_t)port);
		run_at(&attack, (uint16_t)port);
	} else {
		run_all(&attack);
	}
	return finish(&attack);
}
