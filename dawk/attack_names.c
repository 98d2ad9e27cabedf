/* Who has a mailbox here? By words: VRFY, EXPN, RCPT, and what a failed login says; by time: how long it takes. */
#include "attack.h"

#include "common/text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 5, GUESSES_MAX = 100, SLOW_MS = 3000 };

static const char nobody[] = "no-such-user-5eed1e55";

/* ---- SMTP ---- */

static void try_verify(struct attack *attack)
{
	struct talk talk;
	int known, unknown;

	if (!talk_begin(attack, &talk)) {
		attack_skip(attack, "names: VRFY", "no session: %s", talk.line);
		talk_close(&talk);
		return;
	}
	known = talk_ask(&talk, "VRFY postmaster@%s", attack->domain);
	unknown = talk_ask(&talk, "VRFY %s@%s", nobody, attack->domain);
	if (known == unknown)
		attack_held(attack, "names: VRFY", "says the same of both: %s", talk.line);
	else
		attack_open(attack, "names: VRFY", "tells who exists: %d and %d", known, unknown);
	if (talk_ask(&talk, "EXPN postmaster") == 250)
		attack_open(attack, "names: EXPN", "is answered: %s", talk.line);
	else
		attack_held(attack, "names: EXPN", "%s", talk.line);
	talk_close(&talk);
}

/* A host that takes mail has to say who is unknown; nobody needs to ask it a hundred times a session. */
static void try_guesses(struct attack *attack)
{
	static const char name[] = "names: RCPT guesses";
	struct talk talk;
	unsigned count = 0;
	int code = 0;

	if (attack->takes_any || !talk_begin(attack, &talk) || talk_ask(&talk, "MAIL FROM:<>") != 250) {
		attack_skip(attack, name, "%s", attack->takes_any ? "any name is taken" : talk.line);
		talk_close(&talk);
		return;
	}
	while (count < GUESSES_MAX && (code = talk_ask(&talk, "RCPT TO:<%s-%u@%s>", nobody, count, attack->domain)) > 0 && code != 421)
		count++;
	if (count == GUESSES_MAX)
		attack_open(attack, name, "%u unknown recipients in one session, and no end", count);
	else
		attack_held(attack, name, "cut off after %u", count);
	talk_close(&talk);
}

/* ---- logins ---- */

/* RFC 4648, of short texts. */
static void encode(const char *bytes, size_t length, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < length; i += 3) {
		unsigned bits = 0;

		for (size_t k = 0; k < 3; k++)
			bits = bits << 8 | (i + k < length ? (unsigned char)bytes[i + k] : 0);
		for (size_t k = 0; k < 4; k++)
			*out++ = i + k <= length ? digits[bits >> (18 - 6 * k) & 63] : '=';
	}
	*out = 0;
}

/* TLS where there is some; without it a login may be taken in clear. */
static bool protect(const struct attack *attack, struct talk *talk)
{
	if (attack->is_tls || attack->may_log_in_clearly)
		return true;
	if (attack->kind == ATTACK_POP3)
		return talk_ask(talk, "STLS") != 200 || talk_start_tls(talk, "NORMAL");
	if (!talk_offers(talk, "STARTTLS"))
		return true;
	return talk_ask(talk, "STARTTLS") == 220 && talk_start_tls(talk, "NORMAL") && talk_ask(talk, "EHLO attack.example") == 250;
}

/* One failing login; its words in TALK, its time. false: none could be tried. */
static bool fail_login(struct attack *attack, struct talk *talk, const char *user, uint64_t *took_ms)
{
	char plain[400], encoded[600];
	int length = snprintf(plain, sizeof plain, "%c%s@%s%c%s", 0, user, attack->domain, 0, "wrong-5eed1e55");
	uint64_t begin_ms;
	int code;

	if (!talk_begin(attack, talk) || !protect(attack, talk))
		return false;
	if (attack->kind == ATTACK_POP3 && talk_ask(talk, "USER %s@%s", user, attack->domain) != 200)
		return false;
	if (attack->kind != ATTACK_POP3 && !talk_offers(talk, "AUTH")) {
		snprintf(talk->line, sizeof talk->line, "AUTH is not offered");
		return false;
	}
	encode(plain, (size_t)length, encoded);
	begin_ms = time_monotonic_ms();
	talk_say(talk, attack->kind == ATTACK_POP3 ? "PASS %s" : "AUTH PLAIN %s", attack->kind == ATTACK_POP3 ? "wrong-5eed1e55" : encoded);
	code = talk_reply(talk, 6 * TALK_MS);
	*took_ms = time_monotonic_ms() - begin_ms;
	return code > 0;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Do the times tell the two apart? All of one lie before all of the other, by a tenth and by what no network hides. */
static bool are_apart(uint64_t *a, uint64_t *b, unsigned count)
{
	const uint64_t *fast = a, *slow = b;

	qsort(a, count, sizeof *a, compare);
	qsort(b, count, sizeof *b, compare);
	if (a[count / 2] > b[count / 2]) {
		fast = b;
		slow = a;
	}
	return count > 2 && fast[count - 1] < slow[0] && slow[count / 2] - fast[count / 2] > 20 && slow[count / 2] * 10 > fast[count / 2] * 11;
}

static void judge_logins(struct attack *attack, const char *known, const char *unknown, uint64_t *a, uint64_t *b, unsigned count)
{
	if (strcmp(known, unknown))
		attack_open(attack, "names: words of a failed login", "\"%s\" for a known name, \"%s\" for another", known, unknown);
	else
		attack_held(attack, "names: words of a failed login", "the same for both: %s", known);
	if (count <= 2)
		attack_skip(attack, "names: time of a failed login", "slowed down too much to be measured, which is good");
	else if (are_apart(a, b, count))
		attack_open(attack, "names: time of a failed login", "%llu ms for a known name, %llu ms for another, each time",
		            (unsigned long long)a[count / 2], (unsigned long long)b[count / 2]);
	else
		attack_held(attack, "names: time of a failed login", "%llu and %llu ms", (unsigned long long)a[count / 2], (unsigned long long)b[count / 2]);
}

/* By turns, who is first too, so that what slows failures down slows both. */
static void try_logins(struct attack *attack)
{
	char words[2][TALK_LINE_MAX] = { "", "" };
	uint64_t took_ms[2][ROUNDS] = { { 0 } };
	unsigned count = 0;
	bool is_good = true;

	for (unsigned round = 0; round < ROUNDS && is_good; round++) {
		for (unsigned i = 0; i < 2 && is_good; i++) {
			unsigned who = (i + round) % 2;
			struct talk talk;

			is_good = fail_login(attack, &talk, who ? nobody : "postmaster", &took_ms[who][round]);
			snprintf(words[who], sizeof words[who], "%s", talk.line);
			talk_close(&talk);
		}
		count += is_good;
		is_good = is_good && took_ms[0][round] < SLOW_MS && took_ms[1][round] < SLOW_MS;
	}
	if (!count)
		attack_skip(attack, "names: a failed login", "none could be tried: %s", words[0][0] ? words[0] : words[1]);
	else
		judge_logins(attack, words[0], words[1], took_ms[0], took_ms[1], count);
}

/* USER of POP3 must not tell. */
static void try_user(struct attack *attack)
{
	struct talk talk;
	char first[TALK_LINE_MAX];

	if (!talk_begin(attack, &talk) || talk_ask(&talk, "USER postmaster@%s", attack->domain) <= 0) {
		attack_skip(attack, "names: USER", "no session: %s", talk.line);
		talk_close(&talk);
		return;
	}
	snprintf(first, sizeof first, "%.*s", 4, talk.line);
	talk_close(&talk);
	if (!talk_begin(attack, &talk) || talk_ask(&talk, "USER %s@%s", nobody, attack->domain) <= 0)
		attack_skip(attack, "names: USER", "no session: %s", talk.line);
	else if (strncmp(first, talk.line, 4))
		attack_open(attack, "names: USER", "tells who exists: %s for a known name, %s", first, talk.line);
	else
		attack_held(attack, "names: USER", "says the same of both");
	talk_close(&talk);
}

void attack_names(struct attack *attack)
{
	if (attack->kind == ATTACK_POP3) {
		try_user(attack);
	} else {
		try_verify(attack);
		try_guesses(attack);
	}
	try_logins(attack);
}
