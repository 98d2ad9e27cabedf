/* The queue on disk: IDs, message files, their envelope, directories. dawk-queue(5) documents the
 * bytes. Written by smtpd (and queued for reports), read by queued and dawk.
 *
 * A message file, text-readable and immutable once it stands in new/:
 *
 *   dawk 1 0000000312 0000002\n          version, bytes of the envelope after this line, recipients
 *   id 1ezn3v0c4hk7x2m9q0ab\n            then "key value" lines, values as below
 *   arrived 1795300000123456\n
 *   from bob@client.example\n
 *   ...
 *   recipient alice@example.org\n        one block a recipient; the lines after it belong to it
 *   as <Alice@Example.ORG>\n
 *   (end of envelope)
 *   CONTENT: as received, CRLF line ends, dots unstuffed, the trace header in front
 *   \nlength 00000000000000005213\nend dawk\n      the trailer: bytes of content, end mark
 *
 * A file without its trailer, or whose numbers disagree, is never delivered. */
#ifndef COMMON_QUEUE_H
#define COMMON_QUEUE_H

#include "result.h"
#include "text.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	QUEUE_ID_LENGTH = 20,		/* 11 of microseconds since 1970, 9 random (45 bits), base 32, sorts by time */
	QUEUE_HEAD_LENGTH = 26,		/* the first line, with its newline */
	QUEUE_TRAILER_LENGTH = 38,
	QUEUE_TRIGGER_LENGTH = QUEUE_ID_LENGTH + 1,	/* ID and newline in the FIFO */
	QUEUE_ENVELOPE_MAX = 64 << 20,
};
/* IDs, a line each, that `dawk queue remove` took away while no scheduler ran, which logs them at its next start. */
#define QUEUE_REMOVED "removed"

void queue_id_make(char id[QUEUE_ID_LENGTH + 1]);	/* strictly later than the last one of this process */
bool queue_id_is_valid(const char *id, size_t length);
uint64_t queue_id_time_us(const char *id);

/* RFC 3461 4.1 NOTIFY; 0: not given (failure and delay, as by default). */
enum { NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4, NOTIFY_DELAY = 8 };
enum body_type { BODY_7BIT, BODY_8BITMIME, BODY_BINARYMIME };

struct envelope_recipient {
	const char *address;	/* final: a mailbox here, an alias with programs, a long list, or remote */
	const char *as;		/* as the client gave it, without brackets; NULL: the same as address */
	const char *orcpt;	/* "rfc822;addr" as given, still xtext; NULL */
	const char *owner;	/* reports for this one go here instead of to from; NULL */
	unsigned notify;
	bool is_expanded;	/* not to be delivered: its members stand beside it; only its "expanded" report is owed (RFC 3461 5.2.7.3) */
};

struct envelope {
	const char *id;			/* NUL-ended strings; NULL or 0 where the line is absent */
	uint64_t arrived_us;
	const char *from;		/* reverse-path without brackets, "" for the null one; never NULL */
	const char *protocol;		/* the "with" of the trace header */
	const char *client;		/* address as text, or "local" */
	const char *client_name;	/* confirmed host name */
	const char *helo;
	const char *session;
	const char *authenticated;
	const char *parent;		/* ID of the message this one was made from (report, list part, forward) */
	bool is_report;			/* made by queued: a DSN; never reported upon */
	bool is_local;			/* came by the local socket; uid is set */
	uint32_t uid;
	enum body_type body;
	bool needs_smtputf8;
	bool requires_tls;		/* REQUIRETLS, RFC 8689 */
	bool tls_is_optional;		/* "TLS-Required: No" in the header */
	bool return_headers;		/* RET=HDRS */
	bool return_full;		/* RET=FULL; neither: not given */
	const char *envid;		/* as given, still xtext */
	uint32_t recipient_count;
	struct envelope_recipient *recipients;	/* reader: malloc'd; writer: not used by envelope_append_head */
	char *bytes;			/* reader: what the strings point into; malloc'd */
	uint64_t content_offset, content_length;	/* reader, of the file */
};

/* Writer. The envelope is complete before the content: first recipients are appended to a text of
 * their own as they are accepted, then head + recipients + content + trailer make the file.
 * RESULT_NEVER: a value holds a control character (its caller should have refused it); RESULT_RETRY: no memory. */
enum result envelope_append_recipient(stralloc *recipients, const struct envelope_recipient *recipient, struct why *why);
/* The first line and all of ENVELOPE but the recipients; RECIPIENTS_LENGTH bytes and
 * envelope->recipient_count of them follow it in the file. Replaces OUT. */
enum result envelope_append_head(stralloc *out, const struct envelope *envelope, size_t recipients_length, struct why *why);
void queue_trailer(char out[QUEUE_TRAILER_LENGTH + 1], uint64_t content_length);

/* Reader. FD: a message file; checks head, envelope and trailer. RESULT_OK: ENVELOPE is filled,
 * envelope_free it; RESULT_RETRY: no memory, I/O error; RESULT_PEER: not a whole message of ours
 * (goes to corrupt/), WHY says what. Small messages cost one pread. */
enum result envelope_read(int fd, struct envelope *envelope, struct why *why);
void envelope_free(struct envelope *envelope);	/* accepts a zeroed one */

/* The descriptors of the queue's directories; each opener opens those its parts may have. */
enum queue_place { QUEUE_TMP, QUEUE_NEW, QUEUE_CUR, QUEUE_STATE, QUEUE_HOLD, QUEUE_CORRUPT, QUEUE_PLACES };
extern const char *const queue_place_names[QUEUE_PLACES];
struct queue_directories { int root, place[QUEUE_PLACES]; int trigger; };	/* -1 where not opened */
/* Opens the places of the bit set PLACES (1 << QUEUE_TMP ...) below PATH for openat and fsync.
 * RESULT_NEVER: WHY names the path and says what makes it (`dawk init`, `make setup`). */
enum result queue_open(const char *path, unsigned places, struct queue_directories *queue, struct why *why);
/* Opens file ID of DIRECTORY, a place, for reading; follows no link, waits for no FIFO. -1: errno says why. Looking leaves
 * no trace: the time of a state lies ahead of that of its last access, so that relatime would have each look write an inode. */
int queue_open_file(int directory, const char *id);
/* The FIFO. Writer: non-blocking, write end only, works without a reader. Reader: both ends. */
enum result queue_open_trigger(const char *path, bool is_reader, struct queue_directories *queue, struct why *why);
/* Makes a queue with its directories, owners and modes (DESIGN.md 3); existing parts are mended.
 * OWNER and WRITER: accounts dawkq and dawks; -1: leave. Used by dawk init. */
enum result queue_make(const char *path, uid_t owner, gid_t writer, struct why *why);

#endif
