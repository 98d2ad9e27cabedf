/* One client's connection. Its states, its counters, and what commands may do with it; session.c alone
 * reads, writes, counts and logs. Small: thousands of them are idle at a time. */
#ifndef SMTPD_SESSION_H
#define SMTPD_SESSION_H

#include "common/stream.h"
#include "transaction.h"
#include "worker.h"

/* Where a session is; commands.c names the states in which a command may come. */
enum session_state {
	AT_GREETING = 1,	/* the banner waits: greet-delay, the client's host name */
	AT_START = 2,		/* before HELO */
	AT_HELLO = 4,		/* no transaction */
	AT_MAIL = 8,		/* no recipient yet */
	AT_RCPT = 16,
	AT_CHUNK = 32,		/* between chunks, RFC 3030 */
	IN_DATA = 64,
	IN_CHUNK = 128,
	WAITS_RECIPIENT = 256,	/* for authd */
	WAITS_COMMIT = 512,
	IS_CLOSING = 1024,	/* the last reply goes out */
	IS_LINGERING = 2048,	/* it is out; what the client still sends is dropped, so that it can read it */
	WAITS_SENDER = 4096,	/* for dnsd, about the sender's domain */
	STARTS_TLS = 8192,	/* the 220 of STARTTLS goes out */
	IN_HANDSHAKE = 16384,	/* of TLS; nothing is said */
	WAITS_AUTH = 1 << 15,	/* for authd, about a login */
	AT_AUTH = 1 << 16,	/* the client has a challenge to answer, RFC 4954 */
	WAITS_ELSEWHERE = WAITS_RECIPIENT | WAITS_COMMIT | WAITS_SENDER | WAITS_AUTH,
};

enum { SESSION_ID_LENGTH = 10, SESSION_MESSAGES_MAX = 10000, SESSION_REFUSALS_LOGGED = 20, SESSION_IDLE_COMMANDS_MAX = 100 };

enum session_ending { ENDED_BY_CLIENT, ENDED_BY_QUIT, ENDED_BY_US, ENDED_BY_TIMEOUT, ENDED_BY_ERROR };

struct session {
	struct stream stream;
	struct timer timer;
	struct worker *worker;
	struct session *next, **link;	/* in worker->sessions */
	struct transaction *transaction;	/* NULL: none */
	char *helo;			/* malloc'd */
	char *user;			/* the address that logged in (is_authenticated), folded, malloc'd; NULL: none */
	char *client_name;		/* confirmed host name, malloc'd; NULL: none, or not known yet */
	struct hostname *lookup;	/* of it, while under way */
	struct sender *sender;		/* the question about the sender's domain, while under way */
	uint64_t limits_key;
	uint64_t started_ms;
	uint64_t chunk_left;		/* bytes of this chunk to come */
	uint64_t bytes;			/* of content */
	uint32_t ticket;		/* of the question to authd */
	uint32_t exchange;		/* of authd's challenge that the client has to answer; 0 */
	uint32_t uid;			/* local socket */
	uint32_t commands, messages, recipients;
	uint32_t state, state_after;	/* after a chunk or an answer from elsewhere */
	uint16_t errors, idle_commands, refusals;
	struct address_ip ip;
	uint8_t listener;		/* enum listener_kind */
	uint8_t chunk_refusal;		/* enum reply: what a chunk is answered that nobody wants */
	bool chunk_is_last;
	bool is_extended;		/* EHLO */
	bool is_trusted;		/* relay-networks, or local */
	bool may_relay;			/* trusted, or by the access table */
	bool is_counted;		/* in the limits */
	bool is_authenticated;
	bool has_tried_auth;		/* what is no command may be a password */
	bool is_discarding;		/* inside a line that was too long */
	bool is_pipelined;		/* more bytes stand behind the command at hand */
	bool must_close;		/* after the reply at hand */
	bool has_moved;			/* a command or content came: its time starts anew */
	bool is_lost;			/* to be freed */
	uint8_t ending;			/* enum session_ending, for the log line */
	char id[SESSION_ID_LENGTH + 1];
};

/* Takes over FD, a fresh connection. UID counts for LISTENER_LOCAL. Greets, or refuses and hangs up. */
void session_start(struct worker *worker, int fd, enum listener_kind listener, const struct address_ip *ip, uint32_t uid);
/* The worker ends: 421 and away, unless an answer is owed for a commit. */
void session_shut_down(struct session *s);

/* Answers from elsewhere: go on with the session. */
void session_recipient_told(struct session *s, enum recipient_verdict verdict);
void session_committed(struct session *s, enum reply reply);
/* F: LOGIN_TELL; NULL: authd can't tell. */
void session_login_told(struct session *s, const struct frame *f);
/* The sender's domain of s->transaction is looked up; MAIL is answered when it is known. SAY_NOTHING, or why
 * not, and the transaction is gone. */
enum reply session_ask_sender(struct session *s);

/* TLS, session_tls.c. Is STARTTLS on offer now (RFC 3207)? Is all that comes and goes encrypted? */
bool session_offers_tls(const struct session *s);
bool session_has_tls(const struct session *s);
/* Begins the handshake: right away on an implicit listener, else once the 220 is out. */
void session_begin_tls(struct session *s);
/* It is done: the greeting, or EHLO anew. */
void session_secured(struct session *s);
void session_log_tls_failure(const struct session *s, const struct why *why);

/* For handlers. */
bool session_is_submission(const struct session *s);	/* on a port for submission, RFC 6409, RFC 8314 */
void session_reset(struct session *s);			/* RSET: no transaction */
bool session_set_helo(struct session *s, const char *helo, size_t length);
struct transaction_client session_client(const struct session *s);
const char *session_words(struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Between session.c, which reads and writes, session_start.c, which greets, and session_input.c, which takes what was
 * read apart. session_ready: the stream's. session_settle: every entry from outside ends with it; S may be gone
 * afterwards. session_resume: runs what was kept, then settles. session_lose: S goes when it is settled. */
void session_ready(struct watch *watch, uint32_t events);
void session_settle(struct session *s);
void session_resume(struct session *s);
void session_lose(struct session *s, enum session_ending ending);
/* The banner, now or when what it waits for is there. session_greet: when nothing is left to wait for. */
void session_await_greeting(struct session *s);
void session_greet(struct session *s);
uint64_t session_greet_delay_ms(const struct session *s);	/* our own clients do not wait to be greeted */
uint64_t session_greeting_wait_ms(const struct session *s);
/* session_consume: runs what is whole in BYTES; returns how much of it. session_say: the reply goes out, is
 * counted and logged; LINE is the command, NULL for none. */
size_t session_consume(struct session *s, const char *bytes, size_t length);
void session_say(struct session *s, enum reply reply, const char *line, size_t length);
void session_log_refusal(struct session *s, enum reply reply, const char *line, size_t length);
void session_log_end(const struct session *s);

#endif
