/* What a listener does without TLS that it should do with it, whether anything of the clear part gets into the encrypted one, and
 * what old TLS it still speaks. */
#include "attack.h"

#include <stdio.h>
#include <string.h>

static const char *starttls_of(const struct attack *attack)
{
	return attack->kind == ATTACK_POP3 ? "STLS" : "STARTTLS";
}

/* What is offered, in ALL. */
static bool ask_what_is_offered(const struct attack *attack, struct talk *talk)
{
	if (attack->kind != ATTACK_POP3)
		return true;	/* the reply to EHLO */
	return talk_ask(talk, "CAPA") == 200 && talk_lines(talk);
}

/* ---- passwords in clear ---- */

static void try_clear_smtp(struct attack *attack, struct talk *talk)
{
	int code;

	if (talk_offers(talk, "AUTH"))
		attack_open(attack, "clear: AUTH offered", "without TLS");
	else
		attack_held(attack, "clear: AUTH offered", "not without TLS");
	code = talk_ask(talk, "AUTH PLAIN AGEAYg==");
	if (code == 334 || code == 235 || code == 535)
		attack_open(attack, "clear: AUTH PLAIN", "a password was taken without TLS: %s", talk->line);
	else
		attack_held(attack, "clear: AUTH PLAIN", "%s", talk->line);
	code = talk_ask(talk, "AUTH LOGIN");
	code == 334 ? attack_open(attack, "clear: AUTH LOGIN", "begun without TLS: %s", talk->line)
	            : attack_held(attack, "clear: AUTH LOGIN", "%s", talk->line);
}

static void try_clear_pop3(struct attack *attack, struct talk *talk)
{
	if (talk_offers(talk, "USER") || talk_offers(talk, "SASL"))
		attack_open(attack, "clear: login offered", "without TLS");
	else
		attack_held(attack, "clear: login offered", "not without TLS");
	talk_ask(talk, "USER nobody@%s", attack->domain) == 200 ? attack_open(attack, "clear: USER", "taken without TLS: %s", talk->line)
	                                                       : attack_held(attack, "clear: USER", "%s", talk->line);
	talk_ask(talk, "AUTH PLAIN") == 334 ? attack_open(attack, "clear: AUTH PLAIN", "begun without TLS")
	                                    : attack_held(attack, "clear: AUTH PLAIN", "%s", talk->line);
}

static void try_clear(struct attack *attack)
{
	struct talk talk;

	if (attack->may_log_in_clearly && attack->kind == ATTACK_POP3) {
		attack_skip(attack, "clear", "our address is in clear-login and may; try from another one");
		return;
	}
	if (!talk_begin(attack, &talk) || !ask_what_is_offered(attack, &talk))
		attack_skip(attack, "clear", "no session: %s", talk.line);
	else
		attack->kind == ATTACK_POP3 ? try_clear_pop3(attack, &talk) : try_clear_smtp(attack, &talk);
	talk_close(&talk);
}

/* ---- injection: what came in clear behind STARTTLS must not be obeyed inside TLS (CVE-2011-0411) ---- */

static void judge_injection(struct attack *attack, struct talk *talk, const char *name)
{
	int code;

	talk_say(talk, "NOOP");
	code = talk_reply(talk, TALK_MS);
	if (code <= 0) {
		attack_held(attack, name, "hung up");
		return;
	}
	/* a second answer is that to ours, the first was to what was injected */
	talk_say(talk, "QUIT");
	code = talk_reply(talk, TALK_MS);
	if (code > 0 && talk_reply(talk, TALK_MS) > 0)
		attack_open(attack, name, "a command from before TLS was obeyed inside it");
	else
		attack_held(attack, name, "thrown away");
}

static void try_injection(struct attack *attack)
{
	char name[80], both[80];
	struct talk talk;

	snprintf(name, sizeof name, "injection: a command behind %s", starttls_of(attack));
	snprintf(both, sizeof both, "%s\r\n%s\r\n", starttls_of(attack), attack->kind == ATTACK_POP3 ? "USER injected" : "RSET");
	if (!talk_begin(attack, &talk) || !ask_what_is_offered(attack, &talk) || !talk_offers(&talk, starttls_of(attack))) {
		attack_skip(attack, name, "%s is not offered", starttls_of(attack));
		talk_close(&talk);
		return;
	}
	talk_send(&talk, both, strlen(both));
	int code = talk_reply(&talk, TALK_MS);
	talk.length = 0;
	if (code / 100 != 2)
		attack_held(attack, name, "%s", talk.line);
	else if (!talk_start_tls(&talk, "NORMAL"))
		attack_held(attack, name, "no TLS after it: %s", talk.line);
	else
		judge_injection(attack, &talk, name);
	talk_close(&talk);
}

/* A session in clear must not go on as what it was: HELO, sender and login of before are forgotten (RFC 3207 4.2). */
static void try_memory(struct attack *attack)
{
	static const char name[] = "injection: a sender from before STARTTLS";
	struct talk talk;
	int code;

	if (attack->kind == ATTACK_POP3)
		return;
	if (!talk_begin(attack, &talk) || !talk_offers(&talk, "STARTTLS") || talk_ask(&talk, "MAIL FROM:<>") != 250) {
		attack_skip(attack, name, "no STARTTLS, or no sender without it: %s", talk.line);
		talk_close(&talk);
		return;
	}
	if (talk_ask(&talk, "STARTTLS") != 220 || !talk_start_tls(&talk, "NORMAL")) {
		attack_held(attack, name, "%s", talk.line);
	} else {
		code = talk_ask(&talk, "RCPT TO:<postmaster@%s>", attack->domain);
		code / 100 == 2 ? attack_open(attack, name, "is still in force inside it: %s", talk.line) : attack_held(attack, name, "%s", talk.line);
	}
	talk_close(&talk);
}

/* ---- old TLS ---- */

static const struct { const char *name, *priority; } weak[] = {
	{ "SSL 3.0", "NORMAL:-VERS-ALL:+VERS-SSL3.0:%COMPAT" },
	{ "TLS 1.0", "NORMAL:-VERS-ALL:+VERS-TLS1.0:%COMPAT" },
	{ "TLS 1.1", "NORMAL:-VERS-ALL:+VERS-TLS1.1:%COMPAT" },
	{ "3DES", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+3DES-CBC" },
	{ "RC4", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+ARCFOUR-128" },
	{ "no encryption", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+NULL:-MAC-ALL:+SHA1:+SHA256" },
	{ "no certificate", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ANON-ECDH:+ANON-DH" },
	{ "MD5", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-MAC-ALL:+MD5" },
};

/* A session that is about to begin TLS. */
static bool begin_tls(const struct attack *attack, struct talk *talk)
{
	if (attack->is_tls)
		return talk_connect(attack, talk);
	return talk_begin(attack, talk) && ask_what_is_offered(attack, talk) && talk_offers(talk, starttls_of(attack)) &&
	       talk_ask(talk, "%s", starttls_of(attack)) / 100 == 2;
}

static void try_weak(struct attack *attack, size_t row)
{
	char name[80];
	struct talk talk;

	snprintf(name, sizeof name, "old TLS: %s", weak[row].name);
	if (!begin_tls(attack, &talk))
		attack_skip(attack, name, "TLS could not be begun: %s", talk.line);
	else if (talk_start_tls(&talk, weak[row].priority))
		attack_open(attack, name, "is spoken");
	else if (strstr(talk.line, "the library has none"))
		attack_skip(attack, name, "our own library has none of it");
	else
		attack_held(attack, name, "%s", talk.line);
	talk_close(&talk);
}

static bool has_tls(struct attack *attack)
{
	struct talk talk;
	bool is_good = begin_tls(attack, &talk) && talk_start_tls(&talk, "NORMAL");

	if (!is_good)
		attack_skip(attack, "old TLS", "no TLS here: %s", talk.line);
	talk_close(&talk);
	return is_good;
}

void attack_tls(struct attack *attack)
{
	if (!attack->is_tls) {
		try_clear(attack);
		try_injection(attack);
		try_memory(attack);
	}
	for (size_t i = 0, has = has_tls(attack); has && i < sizeof weak / sizeof *weak; i++)
		try_weak(attack, i);
}
