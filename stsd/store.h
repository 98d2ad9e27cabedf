/* Small files that are replaced whole, in a folder of stsd's own. Used by stsd, tlsrpt. */
#ifndef STSD_STORE_H
#define STSD_STORE_H

#include "common/result.h"
#include <stdbool.h>

/* Writes NAME in FOLDER anew, beside and then renamed. It is not synced: after a power cut it may be the old one, or cut
 * (each file says at its end that it is whole). RESULT_RETRY: WHY; the old one stays. */
enum result store_write(int folder, const char *name, const char *text, size_t length, struct why *why);

/* Reads NAME, at most SIZE bytes, into TEXT. RESULT_OK; RESULT_END: there is none; RESULT_NEVER: it is larger or no
 * file; RESULT_RETRY: it can't be read. */
enum result store_read(int folder, const char *name, char *text, size_t size, size_t *length, struct why *why);

/* Removes the files in FOLDER whose names IS_ONE takes and that sort before NAME. */
void store_remove_before(int folder, const char *name, bool (*is_one)(const char *name));

#endif
