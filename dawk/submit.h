/* What sendmail does with a message: take it in, read its header, hand it to smtpd's local socket.
 * Used by sendmail.c alone. */
#ifndef DAWK_SUBMIT_H
#define DAWK_SUBMIT_H

#include "common/address.h"
#include "common/text.h"

enum { HEADER_MAX = 256 << 10, SUBMIT_LINE_MAX = 1024 };

/* A message as it comes in, with CRLF line ends; what goes over HEADER_MAX lies in an unnamed file. */
struct message {
	stralloc head;		/* its first bytes, HEADER_MAX at most */
	int rest;		/* the file with the others; -1: none */
	uint64_t length;	/* of both */
};
/* Reads all of FD: a program may take hours over its message, and smtpd would not wait. LF, CRLF and
 * a lone CR become CRLF; the last line gets its end. A line of a dot alone ends it when DOT_ENDS.
 * RESULT_RETRY: no memory, no space for the file. */
enum result message_read(struct message *message, int fd, bool dot_ends, struct why *why);
void message_free(struct message *message);

/* Final recipients, each NUL-ended: "address\0address\0". */
struct recipients {
	stralloc text;
	size_t count;
	bool needs_smtputf8;
	const char *domain;	/* of addresses that have none */
};
/* Adds the addresses of a list (RFC 5322 3.4: names, comments, groups, routes) to RECIPIENTS.
 * RESULT_NEVER: WHY names the one that is none. */
enum result recipients_add_list(struct recipients *recipients, const char *list, size_t length, struct why *why);

/* The header in the first bytes of a message. */
struct header {
	size_t length;		/* bytes of HEAD that are header, without the empty line */
	size_t skip;		/* of an mbox "From " line in front */
	bool has_from;
	bool is_resent;		/* Resent- fields name the recipients (RFC 5322 3.6.6) */
	bool is_followed;	/* the empty line comes next */
};
void header_scan(struct header *header, const char *head, size_t length);
/* The recipients of To, Cc and Bcc, or of their Resent- kin. */
enum result header_recipients(const struct header *header, const char *head, struct recipients *recipients, struct why *why);
/* Appends the header to OUT, without Bcc when DROP_BCC. */
enum result header_write(const struct header *header, const char *head, bool drop_bcc, stralloc *out, struct why *why);
/* Appends "From: NAME <ADDRESS>"; the name quoted or encoded (RFC 2047) as it needs. */
enum result header_write_from(stralloc *out, const char *name, const char *address, struct why *why);

/* The session with smtpd. Every function: RESULT_OK; RESULT_RETRY: smtpd is away or said 4xx;
 * RESULT_NEVER: it said 5xx; WORDS has what it said. */
struct submission {
	int fd;
	bool is_verbose;	/* show the dialog on standard output */
	bool has_size, has_8bitmime, has_smtputf8, has_dsn;
	char in[4096];
	size_t in_length, in_used;
	char words[SUBMIT_LINE_MAX];	/* the last reply's lines, joined */
};
enum result submission_open(struct submission *s, const char *path, const char *hostname, bool is_verbose, struct why *why);
void submission_close(struct submission *s);
/* A line, CRLF is added; then its reply. */
enum result submission_command(struct submission *s, struct why *why, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The content after DATA: HEADER, then MESSAGE from byte SKIP on, dots stuffed; then the reply to the final dot. */
enum result submission_content(struct submission *s, const stralloc *header, const struct message *message, size_t skip, struct why *why);
/* A connected socket, for -bs. */
enum result submission_connect(const char *path, int *fd, struct why *why);

#endif
