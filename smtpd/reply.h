/* What smtpd says: one table of every reply, its code, enhanced code (RFC 3463, RFC 2034) and words.
 * A handler returns a row's name; the session alone writes, counts and logs. */
#ifndef SMTPD_REPLY_H
#define SMTPD_REPLY_H

#include "common/stream.h"
#include <stdbool.h>

/*       name             code enhanced  after     words ("%" stands for the words of the handler) */
#define REPLIES(R) \
	R(GREETING,           220, "",       GO_ON,    "%") \
	R(HELO,               250, "",       GO_ON,    "%") \
	R(OK,                 250, "2.0.0",  GO_ON,    "ok") \
	R(BYE,                221, "2.0.0",  HANG_UP,  "bye") \
	R(SENDER_OK,          250, "2.1.0",  GO_ON,    "sender ok") \
	R(RECIPIENT_OK,       250, "2.1.5",  GO_ON,    "recipient ok") \
	R(START_TLS,          220, "2.0.0",  GO_ON,    "go ahead") \
	R(GO_AHEAD,           354, "",       GO_ON,    "go ahead, end with a line that holds a dot alone") \
	R(CHUNK_OK,           250, "2.0.0",  GO_ON,    "% bytes taken") \
	R(QUEUED,             250, "2.0.0",  GO_ON,    "queued as %") \
	R(HELP,               214, "2.0.0",  GO_ON,    "%") \
	R(VERB,               250, "2.0.0",  GO_ON,    "as verbose as ever") \
	R(NO_VRFY,            252, "2.5.2",  GO_ON,    "send a message and see") \
	R(VERIFIED,           250, "2.1.5",  GO_ON,    "%") \
	R(VRFY_IN_UTF8,       252, "2.6.8",  GO_ON,    "the name is in UTF-8: say SMTPUTF8 behind it") \
	R(EXPN_IN_UTF8,       550, "5.6.8",  GO_ON,    "members are in UTF-8: say SMTPUTF8 behind the name") \
	R(NO_EXPN,            502, "5.7.0",  GO_ON,    "lists are not shown to you") \
	R(UNKNOWN_COMMAND,    500, "5.5.1",  GO_ON,    "command not known") \
	R(LINE_TOO_LONG,      500, "5.5.2",  GO_ON,    "line too long") \
	R(BARE_NEWLINE_LINE,  500, "5.5.2",  GO_ON,    "a line must end in CR LF") \
	R(CONTROL_CHARACTER,  500, "5.5.2",  GO_ON,    "control character in a command") \
	R(SYNTAX,             501, "5.5.4",  GO_ON,    "syntax error: %") \
	R(HELO_NEEDS_NAME,    501, "5.5.4",  GO_ON,    "say your name, like HELO host.example") \
	R(BAD_SENDER,         501, "5.1.7",  GO_ON,    "bad reverse-path: %") \
	R(BAD_RECIPIENT,      501, "5.1.3",  GO_ON,    "bad recipient: %") \
	R(SENDER_UNKNOWN,     550, "5.1.8",  GO_ON,    "the sender's domain % does not exist: nobody could answer") \
	R(SENDER_TAKES_NO_MAIL, 550, "5.7.27", GO_ON,  "the sender's domain % takes no mail (null MX): nobody could answer") \
	R(SENDER_LATER,       451, "4.4.3",  GO_ON,    "the sender's domain % can't be looked up now, try again later") \
	R(NOT_YOUR_ADDRESS,   553, "5.7.1",  GO_ON,    "%") \
	R(SENDER_NEEDS_DOMAIN, 553, "5.1.7", GO_ON,    "the reverse-path needs a domain") \
	R(RECIPIENT_NEEDS_DOMAIN, 553, "5.1.3", GO_ON, "the recipient needs a domain") \
	R(NOT_NOW,            503, "5.5.1",  GO_ON,    "%") \
	R(NO_VALID_RECIPIENT, 554, "5.5.1",  GO_ON,    "no valid recipient") \
	R(PARAMETER_UNKNOWN,  555, "5.5.4",  GO_ON,    "parameter not known: %") \
	R(NEEDS_SMTPUTF8,     553, "5.6.7",  GO_ON,    "an address in UTF-8 needs MAIL with SMTPUTF8") \
	R(NEEDS_LOGIN,        530, "5.7.0",  GO_ON,    "authentication required") \
	R(CHALLENGE,          334, "",       GO_ON,    "%") \
	R(LOGGED_IN,          235, "2.7.0",  GO_ON,    "welcome") \
	R(AUTH_REFUSED,       535, "5.7.8",  GO_ON,    "authentication failed") \
	R(AUTH_LATER,         454, "4.7.0",  GO_ON,    "unable to check a login now, try again later") \
	R(AUTH_BLOCKED,       454, "4.7.0",  GO_ON,    "too many logins failed, try again later") \
	R(AUTH_MALFORMED,     501, "5.5.2",  GO_ON,    "this is no message of that mechanism") \
	R(AUTH_NO_BASE64,     501, "5.5.2",  GO_ON,    "this is not base64") \
	R(AUTH_SYNTAX,        501, "5.5.4",  GO_ON,    "syntax error: AUTH MECHANISM [RESPONSE]") \
	R(AUTH_CANCELLED,     501, "5.7.0",  GO_ON,    "login cancelled") \
	R(AUTH_LINE_TOO_LONG, 500, "5.5.6",  GO_ON,    "line too long in a login") \
	R(AUTH_UNKNOWN,       504, "5.5.4",  GO_ON,    "this mechanism is not offered") \
	R(AUTH_NOT_HERE,      502, "5.5.1",  GO_ON,    "nobody logs in here") \
	R(AUTH_NEEDS_TLS,     538, "5.7.11", GO_ON,    "logins need TLS: say STARTTLS first") \
	R(NO_RELAY,           550, "5.7.1",  GO_ON,    "relaying is not for you") \
	R(NO_SUCH_RECIPIENT,  550, "5.1.1",  GO_ON,    "no such recipient here") \
	R(INNER_REFUSES,      550, "5.1.1",  GO_ON,    "the host of this domain refuses the recipient: %") \
	R(INNER_LATER,        450, "4.2.0",  GO_ON,    "the host of this domain does not take the recipient now: %") \
	R(INNER_AWAY,         451, "4.4.1",  GO_ON,    "the host of this domain can't be asked now, try again later (%)") \
	R(MAILBOX_FULL_LATER, 452, "4.2.2",  GO_ON,    "mailbox full") \
	R(MAILBOX_FULL,       552, "5.2.2",  GO_ON,    "mailbox full") \
	R(TOO_MANY_RECIPIENTS, 452, "4.5.3", GO_ON,    "too many recipients") \
	R(TOO_MANY_MESSAGES,  421, "4.5.3",  HANG_UP,  "too many messages in a session, come again") \
	R(NO_TLS,             454, "4.7.0",  GO_ON,    "TLS is not available now") \
	R(TLS_TOO_EARLY,      554, "5.5.1",  HANG_UP,  "wait for the answer to STARTTLS") \
	R(REJECTED,           550, "5.7.1",  GO_ON,    "%") \
	R(DEFERRED,           450, "4.7.1",  GO_ON,    "%") \
	R(TOO_BIG,            552, "5.3.4",  GO_ON,    "message too big") \
	R(TEXT_LINE_TOO_LONG, 500, "5.6.0",  GO_ON,    "line too long in the message") \
	R(BAD_HEADER,         554, "5.6.0",  GO_ON,    "%") \
	R(BARE_NEWLINE,       550, "5.6.11", HANG_UP,  "bare CR or LF in the message, lines end in CR LF") \
	R(LOOP,               554, "5.4.6",  GO_ON,    "too many hops, this message goes in circles") \
	R(NO_SPACE,           452, "4.3.1",  GO_ON,    "no space for the message now") \
	R(LATER,              451, "4.3.0",  GO_ON,    "trouble here, try again later") \
	R(NO_MEMORY,          451, "4.3.0",  GO_ON,    "short of memory, try again later") \
	R(SHUTTING_DOWN,      421, "4.3.2",  HANG_UP,  "@ closes now, come again") \
	R(TIMEOUT,            421, "4.4.2",  HANG_UP,  "@ waited too long") \
	R(TOO_MANY_ERRORS,    421, "4.7.0",  HANG_UP,  "@ saw too many errors") \
	R(TOO_MANY_CONNECTIONS, 421, "4.7.0", HANG_UP, "@ has too many connections from you") \
	R(TOO_BUSY,           421, "4.3.2",  HANG_UP,  "@ is too busy now, come again") \
	R(CLIENT_REJECTED,    554, "5.7.1",  HANG_UP,  "%") \
	R(CLIENT_DEFERRED,    421, "4.7.1",  HANG_UP,  "%") \
	R(EARLY_TALKER,       554, "5.5.1",  HANG_UP,  "you spoke before the greeting") \
	R(NOT_HTTP,           521, "5.5.1",  HANG_UP,  "this is no web server")

#define REPLY_ENUM(name, code, enhanced, after, words) SAY_##name,
enum reply {
	SAY_NOTHING,	/* the answer comes later, or there is none */
	REPLIES(REPLY_ENUM)
	SAY_END
};
#undef REPLY_ENUM

enum { REPLY_WORDS_MAX = 8192 };	/* of a handler's words; EXPN is the longest */

int reply_code(enum reply reply);
bool reply_hangs_up(enum reply reply);
/* "5.1.1", or "" for none. */
const char *reply_enhanced(enum reply reply);

/* Puts REPLY on STREAM, not flushed: a line per line of its words (separated by '\n'), each with code
 * and enhanced code (RFC 5321 4.2.1, RFC 2034 4). '%' in the row stands for WORDS (NUL-ended, may be
 * NULL), '@' for HOST; control characters in them go out as '?'. Results as stream_put. */
enum result reply_put(struct stream *stream, enum reply reply, const char *words, const char *host);

/* The same into OUT (SIZE bytes, enough for REPLY_WORDS_MAX and a frame around each line); returns
 * its length. Pure; for reply_put and tests. */
size_t reply_format(char *out, size_t size, enum reply reply, const char *words, const char *host);

#endif
