/* Small acts on open files that several programs need. */
#ifndef COMMON_FILE_H
#define COMMON_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* write(2) until all LENGTH bytes are taken; for files and for descriptors that may block. false: errno tells why, and
 * a part may have been written. */
bool file_write(int fd, const void *bytes, size_t length);

#endif
