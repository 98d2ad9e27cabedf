/* The one door to libowfat: strings, numbers, addresses, sets. Debian's build declares functions
 * that write through pointers as pure; without the guard the compiler drops or reorders the calls.
 * `make lint` refuses <libowfat/...> elsewhere, and the functions that are broken in the library:
 * use text.h for numbers. */
#ifndef COMMON_OWFAT_H
#define COMMON_OWFAT_H

#define pure
#include <libowfat/byte.h>
#include <libowfat/case.h>
#include <libowfat/critbit.h>
#include <libowfat/fmt.h>
#include <libowfat/ip6.h>
#include <libowfat/scan.h>
#include <libowfat/str.h>
#include <libowfat/stralloc.h>
#undef pure

#endif
