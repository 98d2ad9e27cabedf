/* mbox: appending under a dot lock and an fcntl lock, mboxrd quoting (RFC 4155's family). Used by
 * deliverers. */
#ifndef LOCALD_MBOX_H
#define LOCALD_MBOX_H

#include "common/result.h"
#include <stdint.h>

/* Appends a From_ line with REVERSE_PATH, PREFIX (LF line ends), and LENGTH bytes of MESSAGE from OFFSET to the file
 * PATH, made 0600 when missing; lines that begin with any number of ">" and "From " get one more
 * ">". Durable when it returns RESULT_OK. RESULT_RETRY: locked for too long, replaced by
 * another program meanwhile, or it can't be written; the file is then as it was. Waits half a minute for a
 * lock; after a wait in vain it does not wait for that of the same file for as long. */
enum result mbox_deliver(const char *path, const char *reverse_path, const char *prefix, size_t prefix_length,
                         int message, uint64_t offset, uint64_t length, struct why *why);

#endif
