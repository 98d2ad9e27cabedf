/* Too much, too long, too early, too many, and with --slow too slowly. */
#include "attack.h"

#include "common/text.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	LONG_LINE = 100000, ENDLESS = 4 << 20, ERRORS_MAX = 100, IDLE_MAX = 1000, RECIPIENTS_MAX = 2500, FLOOD_MAX = 300,
	SLOW_SECONDS = 600, SLOW_STEP_MS = 2000, FLOOD_WAIT_MS = 5000,
};

static bool begin(struct attack *attack, struct talk *talk, const char *name)
{
	if (talk_begin(attack, talk))
		return true;
	attack_skip(attack, name, "no session: %s", talk->line);
	return false;
}

/* ---- lines ---- */

static bool send_many(struct talk *talk, char byte, size_t length)
{
	char bytes[4096];

	memset(bytes, byte, sizeof bytes);
	for (; length > sizeof bytes; length -= sizeof bytes)
		if (!talk_send(talk, bytes, sizeof bytes))
			return false;
	return talk_send(talk, bytes, length);
}

static void try_line(struct attack *attack, const char *name, size_t length)
{
	struct talk talk;
	int code;

	if (begin(attack, &talk, name)) {
		talk_send(&talk, "NOOP ", 5);
		if (send_many(&talk, 'x', length))
			talk_send(&talk, "\r\n", 2);
		code = talk_reply(&talk, TALK_MS);
		if (code / 100 == 2)
			attack_open(attack, name, "%zu bytes were taken: %s", length, talk.line);
		else if (code < 0)
			attack_open(attack, name, "%zu bytes were taken, without an answer", length);
		else
			attack_held(attack, name, "%s", talk.line);
	}
	talk_close(&talk);
}

/* A browser that is made to talk to us sends a request, and commands as its body. */
static void try_http(struct attack *attack)
{
	static const char name[] = "limits: commands in an HTTP request";
	static const char request[] = "POST / HTTP/1.1\r\nHost: mail.example\r\nContent-Length: 60\r\n\r\nEHLO x\r\nMAIL FROM:<>\r\n";
	struct talk talk;
	int code, last = 0;

	if (attack->kind == ATTACK_POP3)
		return;
	if (talk_connect(attack, &talk) && (!attack->is_tls || talk_start_tls(&talk, "NORMAL"))) {
		talk_reply(&talk, 4 * TALK_MS);
		talk_send(&talk, request, sizeof request - 1);
		talk_say(&talk, "QUIT");
		while ((code = talk_reply(&talk, TALK_MS)) > 0 && code != 221)
			last = code;
		last == 250 ? attack_open(attack, name, "were obeyed") : attack_held(attack, name, "%s", talk.is_closed ? "hung up" : talk.line);
	} else {
		attack_skip(attack, name, "no session: %s", talk.line);
	}
	talk_close(&talk);
}

/* ---- impatience ---- */

/* RFC 5321 3.1: the greeting comes first. Who does not wait does not mean mail. */
static void try_early(struct attack *attack)
{
	static const char name[] = "limits: talking before the greeting";
	struct talk talk;
	int greeting, code = 0;

	if (attack->is_exempt || attack->is_tls || attack->kind == ATTACK_POP3) {
		attack_skip(attack, name, "%s", attack->is_exempt ? "our address is exempt" : "is of no use here");
		return;
	}
	if (talk_connect(attack, &talk)) {
		talk_say(&talk, "EHLO attack.example\r\nMAIL FROM:<attack@example.net>\r\nRCPT TO:<postmaster@%s>", attack->domain);
		greeting = talk_reply(&talk, 4 * TALK_MS);
		for (int i = 0; i < 3 && greeting / 100 == 2; i++)
			code = talk_reply(&talk, TALK_MS);
		code / 100 == 2 ? attack_open(attack, name, "was served: %s", talk.line) : attack_held(attack, name, "%s", talk.line);
	} else {
		attack_skip(attack, name, "%s", talk.line);
	}
	talk_close(&talk);
}

/* ---- many ---- */

static void try_repeats(struct attack *attack, const char *name, const char *command, unsigned most)
{
	struct talk talk;
	unsigned count = 0;
	int code;

	if (begin(attack, &talk, name)) {
		while (count < most && (code = talk_ask(&talk, "%s", command)) > 0 && code != 421)
			count++;
		count == most ? attack_open(attack, name, "%u in one session, and no end", count) : attack_held(attack, name, "cut off after %u", count);
	}
	talk_close(&talk);
}

static void try_recipients(struct attack *attack)
{
	static const char name[] = "limits: recipients";
	struct talk talk;
	unsigned count = 0;

	if (begin(attack, &talk, name)) {
		if (talk_ask(&talk, "MAIL FROM:<>") == 250)
			while (count < RECIPIENTS_MAX && talk_ask(&talk, "RCPT TO:<postmaster@%s>", attack->domain) / 100 == 2)
				count++;
		if (!count)
			attack_skip(attack, name, "none is taken: %s", talk.line);
		else
			count == RECIPIENTS_MAX ? attack_open(attack, name, "%u in one message, and no end", count)
			                        : attack_held(attack, name, "%u, then: %s", count, talk.line);
	}
	talk_close(&talk);
}

static void try_announced_size(struct attack *attack)
{
	static const char name[] = "limits: SIZE of a message";
	struct talk talk;

	if (begin(attack, &talk, name)) {
		if (!talk_offers(&talk, "SIZE"))
			attack_skip(attack, name, "SIZE is not offered");
		else
			talk_ask(&talk, "MAIL FROM:<> SIZE=999999999999") / 100 == 2 ? attack_open(attack, name, "999999999999 bytes are welcome")
			                                                        : attack_held(attack, name, "%s", talk.line);
	}
	talk_close(&talk);
}

static void try_flood(struct attack *attack)
{
	static const char name[] = "limits: connections from one address";
	struct talk *talks = attack->is_exempt ? NULL : calloc(FLOOD_MAX, sizeof *talks);
	unsigned count = 0, i;

	if (!talks) {
		attack_skip(attack, name, "%s", attack->is_exempt ? "our address is exempt" : "out of memory");
		return;
	}
	for (; count < FLOOD_MAX; count++)
		if (!talk_connect(attack, &talks[count]) || (!attack->is_tls && talk_reply(&talks[count], FLOOD_WAIT_MS) / 100 != 2))
			break;
	if (count == FLOOD_MAX)
		attack_open(attack, name, "%u at once, and no end", count);
	else
		attack_held(attack, name, "%u, then: %s", count, talks[count].line);
	for (i = 0; i <= count && i < FLOOD_MAX; i++)
		talk_close(&talks[i]);
	free(talks);
}

/* ---- slow ---- */

/* A byte now and then keeps no session alive: the time is of a command, not of a byte. */
static void try_slow(struct attack *attack)
{
	static const char name[] = "limits: a byte at a time";
	uint64_t end_ms = time_monotonic_ms() + SLOW_SECONDS * 1000, begin_ms = time_monotonic_ms();
	struct talk talk;
	bool is_open;

	if (!attack->is_slow) {
		attack_skip(attack, name, "only with --slow");
		return;
	}
	if (!begin(attack, &talk, name)) {
		talk_close(&talk);
		return;
	}
	do {
		is_open = talk_send(&talk, "x", 1) && talk_reply(&talk, SLOW_STEP_MS) < 0;
	} while (is_open && time_monotonic_ms() < end_ms);
	if (is_open)
		attack_open(attack, name, "was listened to for %d seconds", SLOW_SECONDS);
	else
		attack_held(attack, name, "cut off after %llu seconds", (unsigned long long)(time_monotonic_ms() - begin_ms) / 1000);
	talk_close(&talk);
}

void attack_limits(struct attack *attack)
{
	try_line(attack, "limits: a line of 100,000 bytes", LONG_LINE);
	try_line(attack, "limits: a line of 4 MB", ENDLESS);
	try_http(attack);
	try_early(attack);
	try_repeats(attack, "limits: errors", "XYZZY", ERRORS_MAX);
	if (attack->kind != ATTACK_POP3) {
		try_repeats(attack, "limits: commands without result", "NOOP", IDLE_MAX);
		try_recipients(attack);
		try_announced_size(attack);
	}
	try_flood(attack);
	try_slow(attack);
}
