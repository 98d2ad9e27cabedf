/* The lines that delivery puts before a message, and the loop stop that reads them. RFC 5321 4.4,
 * Delivered-To as MTAs use it (RFC 9228). Used by deliverer and programs. */
#ifndef LOCALD_TRACE_H
#define LOCALD_TRACE_H

#include "common/result.h"
#include "common/text.h"

enum { TRACE_PREFIX_MAX = 1024, TRACE_HEADER_MAX = 64 << 10 };

/* "Return-Path: <REVERSE_PATH>" and "Delivered-To: ADDRESS", LF line ends. Returns the length. */
size_t trace_prefix(char out[TRACE_PREFIX_MAX], const char *reverse_path, const char *address);

/* Collects the values of the Delivered-To fields in the header of a message, folded, each ended by
 * a newline, into VALUES. Looks at TRACE_HEADER_MAX bytes at most. RESULT_RETRY: can't be read. */
enum result trace_collect(int message, uint64_t offset, uint64_t length, stralloc *values, struct why *why);
/* Is ADDRESS among VALUES, whatever its case? Then this mailbox had the message before. */
bool trace_has(const stralloc *values, const char *address);

#endif
