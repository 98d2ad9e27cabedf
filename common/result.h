/* What a function says of its outcome, and why: the one error channel of the tree. Used by all. */
#ifndef COMMON_RESULT_H
#define COMMON_RESULT_H

#include <stddef.h>

/* One value per decision of the caller. */
enum result {
	RESULT_OK,	/* go on */
	RESULT_END,	/* an orderly end: end of input, not there, nothing more */
	RESULT_RETRY,	/* try later: not complete yet, or the system is short of something */
	RESULT_NEVER,	/* will never work: refuse, report */
	RESULT_PEER,	/* hang up on this peer (client, pipe, file) */
	RESULT_STOP,	/* this process cannot go on */
};

enum { WHY_MAX = 256 };

/* Fixed size, so that it works when memory is gone. Zeroed means: nothing to say. */
struct why {
	int errno_value;	/* 0 where no system call failed */
	char text[WHY_MAX];	/* NUL-ended; completes "unable to ..." or states the fault; printable */
};

/* Fills WHY (which may be NULL) with formatted text, cut at WHY_MAX - 1; errno_value becomes 0.
 * Control characters in the text become '?'. Returns RESULT, so that a failure is one line:
 * return why_set(why, RESULT_RETRY, "..."). */
enum result why_set(struct why *why, enum result result, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* As why_set, and appends ": " and strerror of the errno at entry, which it keeps in errno_value. */
enum result why_errno(struct why *why, enum result result, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* RESULT_RETRY for an errno that passes by itself or once an admin mended it (ENOSPC, EDQUOT,
 * EMFILE, ENFILE, ENOMEM, EIO, EROFS, EAGAIN, EINTR, ESTALE, ENOBUFS); else RESULT_NEVER. */
enum result result_of_errno(int errno_value);

#endif
