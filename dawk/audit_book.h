/* The ledger of `dawk audit`: what the log lines and the queue say about each message, some 100 bytes a message and
 * one a recipient beyond eight. Lines may come in any order but those about one recipient, or
 * about removals of one message. Used by audit.c and audit_log.c. */
#ifndef DAWK_AUDIT_BOOK_H
#define DAWK_AUDIT_BOOK_H

#include "common/queue.h"

enum { AUDIT_RECIPIENTS_MAX = 1 << 24 };	/* beyond that a number in a line is not believed */

/* What became of a recipient. */
enum fate {
	FATE_OPEN,
	FATE_DELIVERED,
	FATE_RELAYED,		/* another host has it */
	FATE_FORWARDED,		/* became a message of its own, or several */
	FATE_FAILED,		/* a report is owed */
	FATE_UNWANTED,		/* failed, and the sender wanted no report */
	FATES
};
/* Why a message is here, and how it went. */
enum {
	BOOK_ACCEPTED = 1,	/* smtpd said so */
	BOOK_MADE = 2,		/* queued made it */
	BOOK_TOLD = 4,		/* queued spoke of it */
	BOOK_DONE = 8, BOOK_REMOVED = 16,
	BOOK_QUEUED = 32,	/* it lies in the queue */
	BOOK_SETTLED = 64,	/* done or removed before the queue was looked at */
};

struct entry {
	char id[QUEUE_ID_LENGTH];
	uint8_t flags, place;	/* PLACE: enum queue_place, with BOOK_QUEUED */
	uint16_t disagreements;	/* numbers of recipients that do not agree */
	uint32_t recipients;	/* 0: not known */
	uint32_t copies;	/* of them, final from the start: only an "expanded" report is owed for them */
	uint32_t size;		/* places of fates */
	uint32_t links;		/* the first one, plus 1 */
	uint32_t next;		/* in its bucket, plus 1 */
	union { uint8_t few[8]; uint8_t *many; } fates;
};

/* Messages made from a recipient of this one, and reports owed for one. INDEX: the recipient, or the first one of those
 * whose reports go to one address. */
enum link_kind { LINK_FORWARD, LINK_REPORT, LINK_OWED };
struct link { uint32_t index, next; enum link_kind kind; };

struct book {
	struct entry *entries;
	uint32_t count, size, *buckets, bucket_count;
	struct link *links;
	uint32_t link_count, link_size;
	uint64_t repeats;	/* recipients that got it again */
	bool is_short;		/* of memory: nothing holds any more */
};

void book_free(struct book *book);
/* The entry of ID, made when it is new; valid until the next call. NULL: no memory (is_short). */
struct entry *book_entry(struct book *book, const char *id);
void book_set_recipients(struct entry *entry, uint64_t count);
/* A result: FATE_OPEN is a deferral, which takes a failure back. GROUP: of FATE_FAILED, whose report. */
void book_set_fate(struct book *book, struct entry *entry, uint64_t index, enum fate fate, uint64_t group);
void book_add_link(struct book *book, struct entry *entry, enum link_kind kind, uint64_t index);
enum fate book_fate(const struct entry *entry, uint32_t index);
bool book_has_link(const struct book *book, const struct entry *entry, enum link_kind kind, uint32_t index);
/* Is the report of every group that is owed one made? Else *INDEX is the group's. */
bool book_is_reported(const struct book *book, const struct entry *entry, uint32_t *index);

#endif
