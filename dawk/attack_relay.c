/* Open relay, in all its spellings: recipients and senders under names that RFC 2606 keeps for examples. Nothing goes further
 * than RCPT. */
#include "attack.h"

#include "common/network.h"
#include <stdio.h>
#include <string.h>

/* \1 stands for a domain of the target's own, \2 for its address in brackets. LOCAL: a host that takes any local name may take it. */
static const struct { const char *name, *path; bool is_local, is_utf8; } spellings[] = {
	{ "plainly", "<victim@example.org>", false, false },
	{ "without brackets", "victim@example.org", false, false },
	{ "in capitals", "<VICTIM@EXAMPLE.ORG>", false, false },
	{ "with a dot at the end", "<victim@example.org.>", false, false },
	{ "percent hack", "<victim%example.org@\1>", true, false },
	{ "percent hack without a domain", "<victim%example.org>", true, false },
	{ "percent hack twice", "<victim%example.org%\1@\1>", true, false },
	{ "percent hack to the address", "<victim%example.org@\2>", true, false },
	{ "percent hack in quotes", "<\"victim%example.org\"@\1>", true, false },
	{ "quoted address", "<\"victim@example.org\">", true, false },
	{ "quoted address at ours", "<\"victim@example.org\"@\1>", true, false },
	{ "quoted local part", "<\"victim\"@example.org>", false, false },
	{ "escaped at", "<victim\\@example.org@\1>", true, false },
	{ "two ats", "<victim@example.org@\1>", true, false },
	{ "two ats, ours inside", "<victim@\1@example.org>", false, false },
	{ "bang path", "<example.org!victim>", true, false },
	{ "bang path at ours", "<example.org!victim@\1>", true, false },
	{ "bang path through ours", "<\1!example.org!victim>", true, false },
	{ "bang and percent", "<example.org!victim%example.net@\1>", true, false },
	{ "source route", "<@\1:victim@example.org>", false, false },
	{ "source route of the address", "<@\2:victim@example.org>", false, false },
	{ "source route of two", "<@\1,@example.net:victim@example.org>", false, false },
	{ "source route to a percent hack", "<@\1:victim%example.org@\1>", true, false },
	{ "colon", "<victim:example.org@\1>", true, false },
	{ "an address literal", "<victim@[192.0.2.1]>", false, false },
	{ "an IPv6 literal", "<victim@[IPv6:2001:db8::1]>", false, false },
	{ "a bare address", "<victim@192.0.2.1>", false, false },
	{ "a tab behind", "<victim@example.org\t>", false, false },
	{ "a blank inside", "<victim @example.org>", false, false },
	{ "ours in a comment", "<victim@example.org(\1)>", false, false },
	{ "ours behind a slash", "<victim@example.org/\1>", false, false },
	{ "ours as a label", "<victim@\1.example.org>", false, false },
	{ "UTF-8 local part", "<v\xc3\xafktim@example.org>", false, true },
	{ "UTF-8 domain", "<victim@ex\xc3\xa4mple.org>", false, true },
	{ "fullwidth at", "<victim\xef\xbc\xa0" "example.org>", true, true },
	{ "ideographic full stop", "<victim@example\xe3\x80\x82org>", false, true },
	{ "with parameters of DSN", "<victim@example.org> NOTIFY=NEVER ORCPT=rfc822;victim@\1", false, false },
};
static const struct { const char *name, *path; } senders[] = {
	{ "a stranger", "<attack@example.net>" }, { "nobody", "<>" }, { "our postmaster", "<postmaster@\1>" },
	{ "a stranger at our address", "<attack@\2>" }, { "a local name", "<postmaster>" },
};

/* PATH of the tables above. */
static void fill(const struct attack *attack, const char *path, char *out, size_t size)
{
	char literal[NETWORK_TEXT_MAX + 10] = "[127.0.0.1]";
	struct address_ip ip;
	uint16_t port;
	size_t length = 0;

	if (ip_from_sockaddr((const struct sockaddr *)&attack->address, &ip, &port))
		ip_literal(&ip, literal);
	for (; *path && length + 1 < size; path++) {
		int added = *path == '\1' ? snprintf(out + length, size - length, "%s", attack->domain) :
		            *path == '\2' ? snprintf(out + length, size - length, "%s", literal) :
		                            snprintf(out + length, size - length, "%c", *path);
		length += (size_t)added;
	}
	out[length < size ? length : size - 1] = 0;
}

/* Is a recipient taken that nobody can be? */
static bool takes_any(struct attack *attack)
{
	struct talk talk;
	bool is_taken = talk_begin(attack, &talk) && talk_ask(&talk, "MAIL FROM:<attack@example.net>") == 250 &&
	                talk_ask(&talk, "RCPT TO:<no-such-user-%08x@%s>", 0x5eed1e55u, attack->domain) / 100 == 2;

	talk_close(&talk);
	return is_taken;
}

/* 0: the sender was refused. */
static int offer(struct talk *talk, const char *sender, const char *recipient, bool is_utf8)
{
	if (talk_ask(talk, "MAIL FROM:%s%s", sender, is_utf8 && talk_offers(talk, "SMTPUTF8") ? " SMTPUTF8" : "") != 250)
		return 0;
	return talk_ask(talk, "RCPT TO:%s", recipient);
}

/* Each on a connection of its own, so that errors do not add up. */
static void try_spelling(struct attack *attack, const char *group, const char *name, const char *sender, const char *path, bool is_local, bool is_utf8)
{
	char try[120], from[300], to[700];
	struct talk talk;
	int code;

	snprintf(try, sizeof try, "%s: %s", group, name);
	fill(attack, sender, from, sizeof from);
	fill(attack, path, to, sizeof to);
	if (!talk_begin(attack, &talk)) {
		attack_skip(attack, try, "no session: %s", talk.line);
		talk_close(&talk);
		return;
	}
	code = offer(&talk, from, to, is_utf8);
	if (code / 100 != 2)
		attack_held(attack, try, "%s", talk.line);
	else if (is_local && attack->takes_any)
		attack_skip(attack, try, "taken, as is any name at %s", attack->domain);
	else
		attack_open(attack, try, "RCPT TO:%s was taken: %s", to, talk.line);
	talk_close(&talk);
}

void attack_relay(struct attack *attack)
{
	if (attack->may_relay) {
		attack_skip(attack, "relay", "our address is in relay-networks and may relay; try from another one");
		return;
	}
	attack->takes_any = takes_any(attack);
	for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++)
		try_spelling(attack, "relay", spellings[i].name, "<attack@example.net>", spellings[i].path, spellings[i].is_local, spellings[i].is_utf8);
	for (size_t i = 1; i < sizeof senders / sizeof *senders; i++)
		try_spelling(attack, "relay from", senders[i].name, senders[i].path, "<victim@example.org>", false, false);
}
