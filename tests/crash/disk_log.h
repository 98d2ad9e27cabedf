/* What remember writes down and rebuild reads: the log of a disk, an entry each for a write, a stretch that was given up, and
 * a flush, in the order in which the disk saw them. The bytes of a write follow its entry. Numbers as this machine has them: a
 * log does not travel. */
#ifndef CRASH_DISK_LOG_H
#define CRASH_DISK_LOG_H

#include <stdint.h>

enum disk_act {
	DISK_WRITE = 1,	/* LENGTH bytes follow */
	DISK_ZERO,	/* LENGTH bytes at OFFSET read as zeros from now on; nothing follows */
	DISK_FLUSH,	/* all before it is on the disk for good */
};

struct disk_entry {
	uint64_t time_us;	/* since 1970 */
	uint64_t offset;
	uint32_t length;
	uint32_t act;
};

/* How many entries there are: a file of eight bytes that others map. An entry counts before the file system above the disk
 * is told that it is done, so that what is known to be flushed lies below the number that is read afterwards. */
typedef uint64_t disk_sequence;

#endif
