/* Every message that crosses a pipe of the suite: the one table. Encoder, decoder checks and the
 * names in logs come from it (frame.h, channel.h).
 *
 * On the pipe a frame is: length of all that follows (uint32), WIRE_VERSION (uint8), type (uint8),
 * descriptors (uint8, 0 or 1), then the fields in the order of the table: NUMBER is a uint64; BYTES is a uint32 length and the
 * bytes, at most the length given here. Machine byte order: a pipe never leaves the machine.
 * A descriptor travels beside its frame (SCM_RIGHTS), where the table says NONE, ONE or MAYBE. */
#ifndef COMMON_WIRE_H
#define COMMON_WIRE_H

enum {
	WIRE_VERSION = 1,
	WIRE_ADDRESS_MAX = 320,		/* RFC 5321 4.5.3.1: 64 + 1 + 255 */
	WIRE_ORIGINAL_MAX = 1000,	/* an address as given, ORCPT */
	WIRE_PATH_LENGTH_MAX = 4096,
	WIRE_WORDS_MAX = 1000,		/* what a host or program said */
	WIRE_SASL_MAX = 9216,		/* a message of SASL: 12,288 octets of base64, RFC 4954 4 */
	WIRE_FIELDS_MAX = 12,
	WIRE_KEY_ID_MAX = 32,		/* SHA-256 of a public key */
	WIRE_STS_PATTERNS_MAX = 8000,	/* a policy with more is refused */
	FRAME_MAX = 16384,		/* bytes of one frame; no message of the table can be longer */
};

/*       type              value  name             from -> to                    descriptor */
#define WIRE_MESSAGES(M) \
	M(CHANNEL,          1, "channel",          "opener -> part",             ONE)   \
	M(RECIPIENT_ASK,    2, "recipient-ask",    "smtpd -> authd",             NONE)  \
	M(RECIPIENT_TELL,   3, "recipient-tell",   "authd -> smtpd",             NONE)  \
	M(LOGIN_ASK,        4, "login-ask",        "smtpd, pop3d -> authd",      NONE)  \
	M(LOGIN_TELL,       5, "login-tell",       "authd -> smtpd, pop3d",      MAYBE) \
	M(CHECK_ASK,        6, "check-ask",        "authd -> checker",           NONE)  \
	M(CHECK_TELL,       7, "check-tell",       "checker -> authd",           NONE)  \
	M(LOCAL_JOB,        8, "local-job",        "queued -> locald -> deliverer", ONE) \
	M(LOCAL_RECIPIENT,  9, "local-recipient",  "queued -> locald",           NONE)  \
	M(DELIVER_TO,      10, "deliver-to",       "locald -> deliverer",        NONE)  \
	M(RESULT,          11, "result",           "deliverer -> locald, locald and remoted -> queued", NONE) \
	M(FORWARD,         12, "forward",          "deliverer -> locald -> queued", NONE) \
	M(RUN,             13, "run",              "deliverer -> locald",        NONE)  \
	M(QUEUE_COMMAND,   14, "queue-command",    "dawk -> queued",             NONE)  \
	M(QUEUE_ROW,       15, "queue-row",        "queued -> dawk",             NONE)  \
	M(QUEUE_ANSWER,    16, "queue-answer",     "queued -> dawk",             NONE)  \
	M(SESSION_START,   17, "session-start",    "authd -> starter",           ONE)   \
	M(CHECKER_START,   18, "checker-start",    "authd -> starter",           ONE)   \
	M(PROGRAM_ASK,     19, "program-ask",      "authd -> starter",           ONE)   \
	M(PROGRAM_TELL,    20, "program-tell",     "program's keeper -> authd",  NONE)  \
	M(LOGIN_OFFER,     21, "login-offer",      "authd -> smtpd, pop3d",      NONE)  \
	M(DNS_ASK,         22, "dns-ask",          "smtpd, remoted -> dnsd",     NONE)  \
	M(DNS_TELL,        23, "dns-tell",         "dnsd -> smtpd, remoted",     NONE)  \
	M(SITE_ASK,        24, "site-ask",         "queued -> remoted",          NONE)  \
	M(SITE_TELL,       25, "site-tell",        "remoted -> queued",          NONE)  \
	M(REMOTE_JOB,      26, "remote-job",       "queued -> remoted",          ONE)   \
	M(REMOTE_RECIPIENT, 27, "remote-recipient", "queued -> remoted",         NONE)  \
	M(DONE,            28, "done",             "deliverer -> locald",        NONE) \
	M(KEY_OPEN,        29, "key-open",         "opener -> keyd",             ONE)   \
	M(KEY_TELL,        30, "key-tell",         "keyd -> opener",             NONE)  \
	M(SIGN_ASK,        31, "sign-ask",         "worker -> keyd",             NONE)  \
	M(SIGN_TELL,       32, "sign-tell",        "keyd -> worker",             NONE)  \
	M(CERTIFICATE,     33, "certificate",      "opener -> worker",           ONE)   \
	M(TICKET_KEY,      34, "ticket-key",       "opener -> worker",           NONE)  \
	M(STS_ASK,         35, "sts-ask",          "remoted -> stsd",           NONE)  \
	M(STS_TELL,        36, "sts-tell",         "stsd -> remoted",           NONE)  \
	M(TLS_FACT,        37, "tls-fact",         "remoted -> stsd",           NONE) \
	M(LOOKUP_START,   38, "lookup-start",     "authd -> starter",       ONE)  \
	M(LOOKUP_ASK,     39, "lookup-ask",       "authd, locald -> lookup helper", NONE) \
	M(LOOKUP_TELL,    40, "lookup-tell",      "lookup helper -> authd, locald", NONE)  \
	M(LOGIN_NEXT,      41, "login-next",       "smtpd, pop3d -> authd",      NONE)  \
	M(ROUTE_LOGINS,    42, "route-logins",     "opener -> remoted",          ONE)   \
	M(CALL_ASK,        43, "call-ask",         "smtpd -> remoted",           NONE)  \
	M(CALL_TELL,       44, "call-tell",        "remoted -> smtpd",           NONE)  \
	M(ROOM_START,      45, "room-start",       "authd -> starter",           ONE)   \
	M(ROOM_ASK,        46, "room-ask",         "authd -> quota helper",      NONE)  \
	M(ROOM_TELL,       47, "room-tell",        "quota helper -> authd",      NONE)  \
	M(FOLDER_ASK,      48, "folder-ask",       "locald -> folder helper",    NONE)  \
	M(FOLDER_TELL,     49, "folder-tell",      "folder helper -> locald",    NONE)  \
	M(PATH_APART,      50, "path-apart",       "folder, quota helper -> locald, authd", NONE)

/* CHANNEL: the end of a fresh socketpair to PEER ("authd", "worker"), its instance INDEX from 0. */
#define WIRE_CHANNEL(F) \
	F(CHANNEL, PEER, BYTES, 32) F(CHANNEL, INDEX, NUMBER, 0)

/* Does ADDRESS (normalised, local) exist, and is there room? For what the tables alone can't tell:
 * accounts of the system, mailboxes with a quota. VERDICT: enum recipient_verdict. */
#define WIRE_RECIPIENT_ASK(F) \
	F(RECIPIENT_ASK, SERIAL, NUMBER, 0) F(RECIPIENT_ASK, ADDRESS, BYTES, WIRE_ADDRESS_MAX)
#define WIRE_RECIPIENT_TELL(F) \
	F(RECIPIENT_TELL, SERIAL, NUMBER, 0) F(RECIPIENT_TELL, VERDICT, NUMBER, 0)

/* A login: its first message and those that follow. PURPOSE: enum login_purpose. FLAGS: enum login_flag.
 * MECHANISM: of SASL, or "USER/PASS" (a message of PLAIN) and "APOP/MD5" (name NUL digest) of POP3. CLIENT is its
 * address as text, SESSION the id in log lines. BINDING: what ties the login to this connection, the
 * tls-exporter's bytes (RFC 9266), for APOP the banner's time stamp; empty: nothing. RESPONSE: decoded, counts
 * with LOGIN_HAS_RESPONSE alone. EXCHANGE: of the challenge that is answered or cancelled. */
#define WIRE_LOGIN_ASK(F) \
	F(LOGIN_ASK, SERIAL, NUMBER, 0) F(LOGIN_ASK, PURPOSE, NUMBER, 0) F(LOGIN_ASK, FLAGS, NUMBER, 0) \
	F(LOGIN_ASK, MECHANISM, BYTES, 20) F(LOGIN_ASK, CLIENT, BYTES, 64) F(LOGIN_ASK, SESSION, BYTES, 32) \
	F(LOGIN_ASK, BINDING, BYTES, 256) F(LOGIN_ASK, RESPONSE, BYTES, WIRE_SASL_MAX)
#define WIRE_LOGIN_NEXT(F) \
	F(LOGIN_NEXT, SERIAL, NUMBER, 0) F(LOGIN_NEXT, EXCHANGE, NUMBER, 0) F(LOGIN_NEXT, FLAGS, NUMBER, 0) \
	F(LOGIN_NEXT, RESPONSE, BYTES, WIRE_SASL_MAX)
/* VERDICT: enum login_verdict. LOGIN_CHALLENGE: DATA goes to the client, whose answer belongs to EXCHANGE.
 * LOGIN_OK: ADDRESS has logged in; for POP3 with a descriptor, the session's end of a socketpair, on which the
 * session itself answers first (RFC 1939). WORDS: what a POP3 client reads behind "-ERR". */
#define WIRE_LOGIN_TELL(F) \
	F(LOGIN_TELL, SERIAL, NUMBER, 0) F(LOGIN_TELL, VERDICT, NUMBER, 0) F(LOGIN_TELL, EXCHANGE, NUMBER, 0) \
	F(LOGIN_TELL, ADDRESS, BYTES, WIRE_ADDRESS_MAX) F(LOGIN_TELL, DATA, BYTES, 2048) F(LOGIN_TELL, WORDS, BYTES, 256)

/* One password against one hash, in a process that has no other right. MATCH: 1 or 0. */
#define WIRE_CHECK_ASK(F) \
	F(CHECK_ASK, SERIAL, NUMBER, 0) F(CHECK_ASK, HASH, BYTES, 512) F(CHECK_ASK, SECRET, BYTES, 1024)
#define WIRE_CHECK_TELL(F) \
	F(CHECK_TELL, SERIAL, NUMBER, 0) F(CHECK_TELL, MATCH, NUMBER, 0)

/* One message for COUNT recipients, whose frames follow at once. The descriptor is the message
 * file, read-only; its content is LENGTH bytes at OFFSET, read with pread. JOB is the sender's
 * number and comes back in every answer. REVERSE_PATH is without brackets, empty for the null one. */
#define WIRE_LOCAL_JOB(F) \
	F(LOCAL_JOB, JOB, NUMBER, 0) F(LOCAL_JOB, ID, BYTES, 32) F(LOCAL_JOB, ARRIVED_US, NUMBER, 0) \
	F(LOCAL_JOB, OFFSET, NUMBER, 0) F(LOCAL_JOB, LENGTH, NUMBER, 0) \
	F(LOCAL_JOB, REVERSE_PATH, BYTES, WIRE_ADDRESS_MAX) F(LOCAL_JOB, COUNT, NUMBER, 0)
/* INDEX: the recipient's place in the envelope. AS: the address as the client gave it. OWNER: the
 * reverse-path for this one where an owner- alias replaces it, else empty. */
#define WIRE_LOCAL_RECIPIENT(F) \
	F(LOCAL_RECIPIENT, JOB, NUMBER, 0) F(LOCAL_RECIPIENT, INDEX, NUMBER, 0) \
	F(LOCAL_RECIPIENT, ADDRESS, BYTES, WIRE_ADDRESS_MAX) F(LOCAL_RECIPIENT, AS, BYTES, WIRE_ORIGINAL_MAX) \
	F(LOCAL_RECIPIENT, OWNER, BYTES, WIRE_ADDRESS_MAX)
/* What the spawner made of a recipient. KIND: enum delivery_kind. PATH: absolute. QUOTA: as in the
 * users table, may be empty. HOME: where a ~/.forward is looked for, empty for none. EXTENSION: of
 * user+extension. DONE: keys (8 bytes each) of what an earlier attempt did of a ~/.forward. INDEX is the
 * spawner's own number, which comes back in the answers. */
#define WIRE_DELIVER_TO(F) \
	F(DELIVER_TO, JOB, NUMBER, 0) F(DELIVER_TO, INDEX, NUMBER, 0) F(DELIVER_TO, KIND, NUMBER, 0) \
	F(DELIVER_TO, PATH, BYTES, WIRE_PATH_LENGTH_MAX) F(DELIVER_TO, QUOTA, BYTES, 64) \
	F(DELIVER_TO, ADDRESS, BYTES, WIRE_ADDRESS_MAX) F(DELIVER_TO, AS, BYTES, WIRE_ORIGINAL_MAX) \
	F(DELIVER_TO, OWNER, BYTES, WIRE_ADDRESS_MAX) F(DELIVER_TO, HOME, BYTES, WIRE_PATH_LENGTH_MAX) \
	F(DELIVER_TO, EXTENSION, BYTES, 64) F(DELIVER_TO, DONE, BYTES, 128)
/* The end of one recipient of a job. VERDICT: enum delivery_verdict. STATUS: RFC 3463, "5.1.1".
 * HOST: the next hop that said WORDS, empty for here. */
#define WIRE_RESULT(F) \
	F(RESULT, JOB, NUMBER, 0) F(RESULT, INDEX, NUMBER, 0) F(RESULT, VERDICT, NUMBER, 0) \
	F(RESULT, STATUS, BYTES, 12) F(RESULT, HOST, BYTES, 300) F(RESULT, WORDS, BYTES, WIRE_WORDS_MAX)
/* The mailbox wants its mail sent on to ADDRESS; several may come before the recipient's RESULT,
 * whose verdict is then DELIVERY_FORWARDED: queued makes one message of them before it records it. */
#define WIRE_FORWARD(F) \
	F(FORWARD, JOB, NUMBER, 0) F(FORWARD, INDEX, NUMBER, 0) F(FORWARD, ADDRESS, BYTES, WIRE_ADDRESS_MAX)
/* A ~/.forward names a program: the spawner runs it under the deliverer's own uid. */
#define WIRE_RUN(F) \
	F(RUN, JOB, NUMBER, 0) F(RUN, INDEX, NUMBER, 0) F(RUN, COMMAND, BYTES, WIRE_PATH_LENGTH_MAX)

/* One entry of a ~/.forward is done; the next attempt, if another one is deferred, leaves it out. */
#define WIRE_DONE(F) \
	F(DONE, JOB, NUMBER, 0) F(DONE, INDEX, NUMBER, 0) F(DONE, KEY, NUMBER, 0)

/* The admin's commands to a running queued: VERB is hold, release, retry, remove, flush, status or
 * sites; ARGUMENT an ID or a domain or empty. Any number of rows (a line of key=value each; an empty one tells that it is still
 * at work), then one answer: CODE as in sysexits(3). */
#define WIRE_QUEUE_COMMAND(F) \
	F(QUEUE_COMMAND, VERB, BYTES, 16) F(QUEUE_COMMAND, ARGUMENT, BYTES, WIRE_ADDRESS_MAX)
#define WIRE_QUEUE_ROW(F) \
	F(QUEUE_ROW, WORDS, BYTES, 4096)
#define WIRE_QUEUE_ANSWER(F) \
	F(QUEUE_ANSWER, CODE, NUMBER, 0) F(QUEUE_ANSWER, WORDS, BYTES, WIRE_WORDS_MAX)

/* To the process of authd that forks for it and holds no secret: a session on MAILDIR that talks
 * on the descriptor; a checker that reads CHECK_ASK there; one run of a program, enum login_program in KIND,
 * whose keeper answers PROGRAM_TELL there (VERDICT: enum login_verdict; UID, GID, HOME by checkpassword, USER,
 * which may be empty, by the judge of tokens; STATUS: its exit code, 256: it had to be killed). */
#define WIRE_SESSION_START(F) \
	F(SESSION_START, UID, NUMBER, 0) F(SESSION_START, GID, NUMBER, 0) \
	F(SESSION_START, MAILDIR, BYTES, WIRE_PATH_LENGTH_MAX) F(SESSION_START, QUOTA, BYTES, 64) \
	F(SESSION_START, USER, BYTES, WIRE_ADDRESS_MAX) F(SESSION_START, SESSION, BYTES, 32) \
	F(SESSION_START, CLIENT, BYTES, 64)
#define WIRE_CHECKER_START(F) \
	F(CHECKER_START, INDEX, NUMBER, 0)
#define WIRE_PROGRAM_ASK(F) \
	F(PROGRAM_ASK, KIND, NUMBER, 0) F(PROGRAM_ASK, USER, BYTES, WIRE_ADDRESS_MAX) \
	F(PROGRAM_ASK, SECRET, BYTES, WIRE_SASL_MAX)
#define WIRE_PROGRAM_TELL(F) \
	F(PROGRAM_TELL, VERDICT, NUMBER, 0) F(PROGRAM_TELL, UID, NUMBER, 0) F(PROGRAM_TELL, GID, NUMBER, 0) \
	F(PROGRAM_TELL, HOME, BYTES, WIRE_PATH_LENGTH_MAX) F(PROGRAM_TELL, USER, BYTES, WIRE_ADDRESS_MAX) \
	F(PROGRAM_TELL, STATUS, NUMBER, 0)
/* What logins are worth offering: APOP is 1 while a secret for it is stored, MECHANISMS are names separated by
 * blanks; those that end in -PLUS need a BINDING. Sent when a worker joins and whenever it changes. */
#define WIRE_LOGIN_OFFER(F) \
	F(LOGIN_OFFER, APOP, NUMBER, 0) F(LOGIN_OFFER, MECHANISMS, BYTES, 200)

/* A look-up. TYPE: RFC 1035 3.2.2 (dns.h). VERDICT: enum dns_verdict. RECORDS: of each a uint16 length
 * (machine order) and the RDATA, uncompressed; those beyond the limit are left out. IS_SECURE: validated
 * by DNSSEC. CANONICAL: the end of the CNAME chain, when there was one. WORDS: why, for a person. */
#define WIRE_DNS_ASK(F) \
	F(DNS_ASK, SERIAL, NUMBER, 0) F(DNS_ASK, TYPE, NUMBER, 0) F(DNS_ASK, NAME, BYTES, 255)
#define WIRE_DNS_TELL(F) \
	F(DNS_TELL, SERIAL, NUMBER, 0) F(DNS_TELL, VERDICT, NUMBER, 0) F(DNS_TELL, IS_SECURE, NUMBER, 0) \
	F(DNS_TELL, TTL_SECONDS, NUMBER, 0) F(DNS_TELL, CANONICAL, BYTES, 255) \
	F(DNS_TELL, RECORDS, BYTES, 14000) F(DNS_TELL, WORDS, BYTES, 256)

/* Where does mail for NEXT_HOP (a domain, or an address that routes name) go? SITE is a text that is
 * the same for all next hops served by the same hosts. VERDICT: DELIVERY_DELIVERED: SITE is set, and
 * holds for TTL_SECONDS; DELIVERY_DEFERRED, DELIVERY_FAILED: STATUS and WORDS say why. */
#define WIRE_SITE_ASK(F) \
	F(SITE_ASK, SERIAL, NUMBER, 0) F(SITE_ASK, NEXT_HOP, BYTES, WIRE_ADDRESS_MAX)
#define WIRE_SITE_TELL(F) \
	F(SITE_TELL, SERIAL, NUMBER, 0) F(SITE_TELL, VERDICT, NUMBER, 0) F(SITE_TELL, SITE, BYTES, 1000) \
	F(SITE_TELL, TTL_SECONDS, NUMBER, 0) F(SITE_TELL, STATUS, BYTES, 12) F(SITE_TELL, WORDS, BYTES, WIRE_WORDS_MAX)

/* One message for COUNT recipients of one SITE, whose frames follow at once; all of one next hop or of
 * next hops with the same site. As LOCAL_JOB; BODY: enum body_type. FLAGS: enum remote_flag. Answered by a
 * RESULT a recipient. */
#define WIRE_REMOTE_JOB(F) \
	F(REMOTE_JOB, JOB, NUMBER, 0) F(REMOTE_JOB, ID, BYTES, 32) F(REMOTE_JOB, SITE, BYTES, 1000) \
	F(REMOTE_JOB, NEXT_HOP, BYTES, WIRE_ADDRESS_MAX) F(REMOTE_JOB, OFFSET, NUMBER, 0) F(REMOTE_JOB, LENGTH, NUMBER, 0) \
	F(REMOTE_JOB, REVERSE_PATH, BYTES, WIRE_ADDRESS_MAX) F(REMOTE_JOB, BODY, NUMBER, 0) F(REMOTE_JOB, FLAGS, NUMBER, 0) \
	F(REMOTE_JOB, ENVID, BYTES, 128) F(REMOTE_JOB, COUNT, NUMBER, 0)
/* NOTIFY: the bits of queue.h. */
#define WIRE_REMOTE_RECIPIENT(F) \
	F(REMOTE_RECIPIENT, JOB, NUMBER, 0) F(REMOTE_RECIPIENT, INDEX, NUMBER, 0) \
	F(REMOTE_RECIPIENT, ADDRESS, BYTES, WIRE_ADDRESS_MAX) F(REMOTE_RECIPIENT, ORCPT, BYTES, WIRE_ORIGINAL_MAX) \
	F(REMOTE_RECIPIENT, NOTIFY, NUMBER, 0)

/* A private key, PEM in the descriptor's file, of the opener's set GENERATION; keyd drops every key
 * that is neither of it nor of the set KEEP. PURPOSE: enum key_purpose. NAME: the file, for the log; empty: the
 * opener says itself what came of it.
 * Told: VERDICT: enum sign_verdict, KEY: what it is asked by, the SHA-256 of its public key (SPKI). TYPE: enum key_type. */
#define WIRE_KEY_OPEN(F) \
	F(KEY_OPEN, GENERATION, NUMBER, 0) F(KEY_OPEN, KEEP, NUMBER, 0) F(KEY_OPEN, PURPOSE, NUMBER, 0) \
	F(KEY_OPEN, INDEX, NUMBER, 0) F(KEY_OPEN, NAME, BYTES, WIRE_PATH_LENGTH_MAX)
#define WIRE_KEY_TELL(F) \
	F(KEY_TELL, GENERATION, NUMBER, 0) F(KEY_TELL, INDEX, NUMBER, 0) F(KEY_TELL, VERDICT, NUMBER, 0) \
	F(KEY_TELL, KEY, BYTES, WIRE_KEY_ID_MAX) F(KEY_TELL, TYPE, NUMBER, 0) F(KEY_TELL, WORDS, BYTES, 256)
/* One signature. ALGORITHM: enum sign_algorithm; DATA: the hash, of just its length, or for Ed25519
 * what is signed. */
#define WIRE_SIGN_ASK(F) \
	F(SIGN_ASK, SERIAL, NUMBER, 0) F(SIGN_ASK, PURPOSE, NUMBER, 0) F(SIGN_ASK, ALGORITHM, NUMBER, 0) \
	F(SIGN_ASK, KEY, BYTES, WIRE_KEY_ID_MAX) F(SIGN_ASK, DATA, BYTES, 1024)
#define WIRE_SIGN_TELL(F) \
	F(SIGN_TELL, SERIAL, NUMBER, 0) F(SIGN_TELL, VERDICT, NUMBER, 0) F(SIGN_TELL, SIGNATURE, BYTES, 2048)

/* One of the COUNT certificates of set GENERATION, in order of INDEX from 0; the last one puts the set
 * in force. The descriptor is a sealed copy of the PEM file NAME, which holds no private key. */
#define WIRE_CERTIFICATE(F) \
	F(CERTIFICATE, GENERATION, NUMBER, 0) F(CERTIFICATE, INDEX, NUMBER, 0) F(CERTIFICATE, COUNT, NUMBER, 0) \
	F(CERTIFICATE, NAME, BYTES, WIRE_PATH_LENGTH_MAX)
/* What session tickets are sealed with from now on, by all workers of the service (RFC 5077). */
#define WIRE_TICKET_KEY(F) \
	F(TICKET_KEY, SECRET, BYTES, 64)

/* Which MTA-STS policy has DOMAIN (an A-label in lower case)? RFC 8461. VERDICT: enum sts_verdict. MX_PATTERNS: of its
 * "mx" lines, separated by a blank each; POLICY_ID, and both, are empty where there is no policy. It holds for
 * TTL_SECONDS, then ask again. WORDS: why, for a person. */
#define WIRE_STS_ASK(F) \
	F(STS_ASK, SERIAL, NUMBER, 0) F(STS_ASK, DOMAIN, BYTES, 255)
#define WIRE_STS_TELL(F) \
	F(STS_TELL, SERIAL, NUMBER, 0) F(STS_TELL, VERDICT, NUMBER, 0) F(STS_TELL, MX_PATTERNS, BYTES, WIRE_STS_PATTERNS_MAX) \
	F(STS_TELL, TTL_SECONDS, NUMBER, 0) F(STS_TELL, POLICY_ID, BYTES, 32) F(STS_TELL, WORDS, BYTES, 256)
/* How one session's TLS went, for the daily reports (RFC 8460). DOMAIN: the policy's. POLICY_TYPE: enum tls_fact_policy.
 * POLICY: its lines, an LF between two: for TLSA the records ("3 1 1 abcd.."); empty for MTA-STS (stsd knows it)
 * and for none. MX: the host. RESULT: enum tls_fact_result. The IPs are texts, either may be empty. REASON: a code or words. */
#define WIRE_TLS_FACT(F) \
	F(TLS_FACT, DOMAIN, BYTES, 255) F(TLS_FACT, POLICY_TYPE, NUMBER, 0) F(TLS_FACT, POLICY, BYTES, 1000) \
	F(TLS_FACT, MX, BYTES, 255) F(TLS_FACT, RESULT, NUMBER, 0) F(TLS_FACT, SENDING_IP, BYTES, 64) \
	F(TLS_FACT, RECEIVING_IP, BYTES, 64) F(TLS_FACT, REASON, BYTES, 256)

/* Accounts of the system (lookup.h). A helper for them reads LOOKUP_ASK on the descriptor. */
#define WIRE_LOOKUP_START(F) \
	F(LOOKUP_START, INDEX, NUMBER, 0)
/* NAME: folded. WANTS_HASH: 1 for the password hash too. VERDICT: enum lookup_verdict; HASH is empty for who may
 * not log in; WORDS: why it can't be known now. */
#define WIRE_LOOKUP_ASK(F) \
	F(LOOKUP_ASK, SERIAL, NUMBER, 0) F(LOOKUP_ASK, NAME, BYTES, 64) F(LOOKUP_ASK, WANTS_HASH, NUMBER, 0)
#define WIRE_LOOKUP_TELL(F) \
	F(LOOKUP_TELL, SERIAL, NUMBER, 0) F(LOOKUP_TELL, VERDICT, NUMBER, 0) F(LOOKUP_TELL, UID, NUMBER, 0) \
	F(LOOKUP_TELL, GID, NUMBER, 0) F(LOOKUP_TELL, HOME, BYTES, 1024) F(LOOKUP_TELL, HASH, BYTES, 512) \
	F(LOOKUP_TELL, WORDS, BYTES, 256)

/* Is there room in the maildir MAILDIR by QUOTA? A helper under UID and GID that may read below BASE reads ROOM_ASK on the
 * descriptor. IS_FULL: 1 or 0. */
#define WIRE_ROOM_START(F) \
	F(ROOM_START, UID, NUMBER, 0) F(ROOM_START, GID, NUMBER, 0) F(ROOM_START, BASE, BYTES, WIRE_PATH_LENGTH_MAX)
#define WIRE_ROOM_ASK(F) \
	F(ROOM_ASK, SERIAL, NUMBER, 0) F(ROOM_ASK, MAILDIR, BYTES, WIRE_PATH_LENGTH_MAX) F(ROOM_ASK, QUOTA, BYTES, 64)
#define WIRE_ROOM_TELL(F) \
	F(ROOM_TELL, SERIAL, NUMBER, 0) F(ROOM_TELL, IS_FULL, NUMBER, 0)

/* Root's part of the mailbox PATH is to be seen to, for UID and GID. IS_READY: 1, or 0 with WORDS and the ERRNO behind them. */
#define WIRE_FOLDER_ASK(F) \
	F(FOLDER_ASK, SERIAL, NUMBER, 0) F(FOLDER_ASK, PATH, BYTES, WIRE_PATH_LENGTH_MAX) F(FOLDER_ASK, IS_MBOX, NUMBER, 0) \
	F(FOLDER_ASK, UID, NUMBER, 0) F(FOLDER_ASK, GID, NUMBER, 0)
#define WIRE_FOLDER_TELL(F) \
	F(FOLDER_TELL, SERIAL, NUMBER, 0) F(FOLDER_TELL, IS_READY, NUMBER, 0) F(FOLDER_TELL, ERRNO, NUMBER, 0) \
	F(FOLDER_TELL, WORDS, BYTES, 256)

/* Before the answer to the question SERIAL: the path goes over a link, and what is behind it may lie on another mount. */
#define WIRE_PATH_APART(F) \
	F(PATH_APART, SERIAL, NUMBER, 0)

/* The compiled table of logins at next hops, secret/routes.cdb, in place of the last one: GENERATION counts them. */
#define WIRE_ROUTE_LOGINS(F) \
	F(ROUTE_LOGINS, GENERATION, NUMBER, 0)

/* Does the inner host of a relay domain take ADDRESS, as the client gave it? RECIPIENT: folded. VERDICT: enum recipient_verdict;
 * WORDS: what the inner host said, or why it can't be asked. */
#define WIRE_CALL_ASK(F) \
	F(CALL_ASK, SERIAL, NUMBER, 0) F(CALL_ASK, RECIPIENT, BYTES, WIRE_ADDRESS_MAX) F(CALL_ASK, ADDRESS, BYTES, WIRE_ADDRESS_MAX)
#define WIRE_CALL_TELL(F) \
	F(CALL_TELL, SERIAL, NUMBER, 0) F(CALL_TELL, VERDICT, NUMBER, 0) F(CALL_TELL, WORDS, BYTES, 256)

/* FRAME_CHANNEL, FRAME_LOCAL_JOB, ... */
#define WIRE_ENUM_TYPE(type, value, name, way, descriptor) FRAME_##type = value,
enum wire_type { WIRE_MESSAGES(WIRE_ENUM_TYPE) WIRE_TYPES_END };
#undef WIRE_ENUM_TYPE

/* CHANNEL_PEER, CHANNEL_INDEX, ...: the place of each field in struct frame's values */
#define WIRE_ENUM_FIELD(type, field, kind, limit) type##_##field,
#define WIRE_ENUM_FIELDS(type, value, name, way, descriptor) enum { WIRE_##type(WIRE_ENUM_FIELD) type##_FIELDS };
WIRE_MESSAGES(WIRE_ENUM_FIELDS)
#undef WIRE_ENUM_FIELDS
#undef WIRE_ENUM_FIELD

enum recipient_verdict {
	RECIPIENT_EXISTS = 1, RECIPIENT_UNKNOWN, RECIPIENT_FULL, RECIPIENT_LATER,
	RECIPIENT_REFUSED, RECIPIENT_PUT_OFF, RECIPIENT_AWAY,	/* by the inner host, with words; it can't be asked now */
};
enum lookup_verdict { LOOKUP_FOUND = 1, LOOKUP_UNKNOWN, LOOKUP_LATER };
enum login_purpose { LOGIN_FOR_SUBMISSION = 1, LOGIN_FOR_POP3 };
enum login_flag { LOGIN_HAS_RESPONSE = 1, LOGIN_IS_TLS = 2, LOGIN_IS_CANCELLED = 4 };
enum login_verdict {
	LOGIN_OK = 1, LOGIN_REFUSED, LOGIN_LATER, LOGIN_CHALLENGE,
	LOGIN_MALFORMED,	/* no message of this mechanism */
	LOGIN_NOT_OFFERED,	/* this mechanism */
	LOGIN_BLOCKED,		/* too many failed */
};
enum login_program { PROGRAM_CHECKPASSWORD = 1, PROGRAM_OAUTH };
enum delivery_kind { DELIVER_MAILDIR = 1, DELIVER_MBOX };
enum delivery_verdict {
	DELIVERY_DELIVERED = 1, DELIVERY_DEFERRED, DELIVERY_FAILED,
	DELIVERY_FORWARDED,	/* turned into a message of its own */
	DELIVERY_RELAYED,	/* handed to a next hop that does not do DSN (RFC 3461 5.2.3) */
	DELIVERY_PASSED,	/* handed to a next hop that does: what is owed to the sender went along */
	DELIVERY_UNREACHED,	/* deferred, since no host was reached or the connection was lost: by remoted's own word, no host's */
};

enum key_purpose { KEY_TLS = 1, KEY_DKIM };	/* a key has one, for ever: a signature made for one can't serve the other */
enum key_type { KEY_RSA = 1, KEY_ECDSA, KEY_ED25519 };
enum sign_verdict { SIGN_OK = 1, SIGN_UNKNOWN /* key */, SIGN_REFUSED /* algorithm, length, purpose */, SIGN_FAILED };
enum sign_algorithm {
	SIGN_ECDSA_SHA256 = 1, SIGN_ECDSA_SHA384, SIGN_ECDSA_SHA512,	/* any curve, TLS 1.2 */
	SIGN_ECDSA_P256, SIGN_ECDSA_P384, SIGN_ECDSA_P521,		/* with SHA-256, 384, 512, TLS 1.3 */
	SIGN_ED25519,
	SIGN_RSA_SHA256, SIGN_RSA_SHA384, SIGN_RSA_SHA512,		/* PKCS #1 1.5 */
	SIGN_PSS_SHA256, SIGN_PSS_SHA384, SIGN_PSS_SHA512,		/* rsa_pss_rsae */
	SIGN_ALGORITHMS_END
};

/* DNS_ANSWER: RECORDS holds at least one. DNS_NO_DATA: the name exists, not with this type.
 * DNS_NO_NAME: NXDOMAIN. DNS_LATER: time-out, SERVFAIL, or DNSSEC that does not fit. */
enum dns_verdict { DNS_ANSWER = 1, DNS_NO_DATA, DNS_NO_NAME, DNS_LATER };
/* REMOTE_REQUIRETLS, REMOTE_TLS_OPTIONAL: RFC 8689, the MAIL parameter, and "TLS-Required: No" in the header. */
enum remote_flag {
	REMOTE_SMTPUTF8 = 1, REMOTE_RETURN_FULL = 2, REMOTE_RETURN_HEADERS = 4, REMOTE_REQUIRETLS = 8, REMOTE_TLS_OPTIONAL = 16,
};

/* STS_LATER: nobody knows now (stsd is away, or has too much to do); a policy that can't be fetched and is not in the
 * cache is STS_NONE, RFC 8461 3.3. */
enum sts_verdict { STS_NONE = 1, STS_TESTING, STS_ENFORCE, STS_LATER };
enum tls_fact_policy { TLS_FACT_POLICY_NONE = 1, TLS_FACT_POLICY_STS, TLS_FACT_POLICY_TLSA, TLS_FACT_POLICIES_END };	/* RFC 8460 4.2 */
enum tls_fact_result {		/* RFC 8460 4.3 */
	TLS_FACT_SUCCESS = 1,
	TLS_FACT_STARTTLS_NOT_SUPPORTED, TLS_FACT_CERTIFICATE_HOST_MISMATCH, TLS_FACT_CERTIFICATE_EXPIRED,
	TLS_FACT_CERTIFICATE_NOT_TRUSTED, TLS_FACT_VALIDATION_FAILURE,
	TLS_FACT_TLSA_INVALID, TLS_FACT_DNSSEC_INVALID, TLS_FACT_DANE_REQUIRED,
	TLS_FACT_STS_FETCH_ERROR, TLS_FACT_STS_POLICY_INVALID, TLS_FACT_STS_WEBPKI_INVALID,
	TLS_FACT_RESULTS_END
};

#endif
