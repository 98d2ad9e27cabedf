/* memchr(3) that counts, for drivers that show how often bytes are looked at. */
#ifndef TESTS_UNIT_SEARCHED_H
#define TESTS_UNIT_SEARCHED_H

#include <stddef.h>
#include <stdint.h>

void *memchr(const void *bytes, int wanted, size_t length);

static size_t searched;		/* bytes */

void *memchr(const void *bytes, int wanted, size_t length)
{
	const unsigned char *at = bytes;

	for (; length > 0; length--, at++) {
		searched++;
		if (*at == (unsigned char)wanted)
			return (void *)(uintptr_t)at;
	}
	return NULL;
}

#endif
