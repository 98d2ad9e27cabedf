/* What fuzz targets share. A target takes bytes, calls one parser, and checks with MUST what has to be true of
 * whatever it answers. The bytes come in a block of just their length, so that reading beyond is seen. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MUST(condition) do { if (!(condition)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An unnamed file with these bytes. */
static inline int fuzz_file(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	MUST(fd >= 0 && (size == 0 || write(fd, data, size) == (ssize_t)size));
	return fd;
}

/* Touches every byte, so that a pointer beside the input is seen. */
static inline unsigned fuzz_touch(const char *bytes, size_t length)
{
	unsigned sum = 0;
	size_t i;

	for (i = 0; i < length; i++)
		sum += (unsigned char)bytes[i];
	return sum;
}

#endif
