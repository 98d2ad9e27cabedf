/* remember IMAGE LOG SEQUENCE FOLDER MICROSECONDS: a disk that remembers. FOLDER/disk is IMAGE by FUSE, for a loop device; each
 * write and each flush goes to LOG, see disk_log.h; SEQUENCE holds their number. A flush takes MICROSECONDS, so that writes
 * gather between them. In the foreground, until FOLDER is unmounted.
 *
 * One thread serves one request after the other, and the loop device sends a flush as an fsync of its file: what LOG has
 * before a flush was done before it, and nothing else is taken for durable.
 *
 * Memory that it needs must not be won by writing to that very disk: see PR_SET_IO_FLUSHER in prctl(2). */
#define FUSE_USE_VERSION 31
#include "disk_log.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum { SECTOR = 512 };
static struct { int image, log; off_t size; disk_sequence *sequence; useconds_t flush_us; } disk;
static const char disk_path[] = "/disk";

static void die(const char *what)
{
	fprintf(stderr, "remember: unable to %s: %s\n", what, strerror(errno));
	exit(EX_OSERR);
}

/* A log with a gap would prove nothing: better no disk at all. */
static void note(enum disk_act act, off_t offset, const char *bytes, size_t length)
{
	struct timespec now;
	struct disk_entry entry = { .offset = (uint64_t)offset, .length = (uint32_t)length, .act = act };
	struct iovec parts[2] = { { &entry, sizeof entry }, { (void *)bytes, act == DISK_WRITE ? length : 0 } };
	size_t whole = parts[0].iov_len + parts[1].iov_len;

	clock_gettime(CLOCK_REALTIME, &now);
	entry.time_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	if (writev(disk.log, parts, 2) != (ssize_t)whole)
		die("write the log");
	__atomic_add_fetch(disk.sequence, 1, __ATOMIC_SEQ_CST);
}

static bool is_disk(const char *path)
{
	return strcmp(path, disk_path) == 0;
}

static int disk_getattr(const char *path, struct stat *status, struct fuse_file_info *file)
{
	(void)file;
	*status = (struct stat){ .st_mode = S_IFDIR | 0700, .st_nlink = 2 };
	if (is_disk(path))
		*status = (struct stat){ .st_mode = S_IFREG | 0600, .st_nlink = 1, .st_size = disk.size };
	else if (strcmp(path, "/") != 0)
		return -ENOENT;
	return 0;
}

static int disk_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset, struct fuse_file_info *file,
                        enum fuse_readdir_flags flags)
{
	(void)path, (void)offset, (void)file, (void)flags;
	fill(buffer, disk_path + 1, NULL, 0, 0);
	return 0;
}

static int disk_open(const char *path, struct fuse_file_info *file)
{
	(void)file;
	return is_disk(path) ? 0 : -ENOENT;
}

static int disk_read(const char *path, char *bytes, size_t length, off_t offset, struct fuse_file_info *file)
{
	ssize_t got = pread(disk.image, bytes, length, offset);

	(void)path, (void)file;
	return got < 0 ? -errno : (int)got;
}

static int disk_write(const char *path, const char *bytes, size_t length, off_t offset, struct fuse_file_info *file)
{
	(void)path, (void)file;
	if (offset < 0 || offset + (off_t)length > disk.size)
		return -ENOSPC;
	if (length % SECTOR || offset % SECTOR)	/* no disk knows less */
		return -EINVAL;
	if (pwrite(disk.image, bytes, length, offset) != (ssize_t)length)
		return -EIO;
	note(DISK_WRITE, offset, bytes, length);
	return (int)length;
}

static int disk_fsync(const char *path, int is_data_only, struct fuse_file_info *file)
{
	(void)path, (void)is_data_only, (void)file;
	usleep(disk.flush_us);
	note(DISK_FLUSH, 0, NULL, 0);
	return 0;
}

/* What a discard leaves is for the disk to choose: zeros, so that nobody relies on what was there. */
static int disk_fallocate(const char *path, int mode, off_t offset, off_t length, struct fuse_file_info *file)
{
	(void)path, (void)file;
	if (!(mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)))
		return -EOPNOTSUPP;
	for (off_t part; length > 0; offset += part, length -= part) {
		part = length < 1 << 30 ? length : 1 << 30;
		if (fallocate(disk.image, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, part))
			return -errno;
		note(DISK_ZERO, offset, NULL, (size_t)part);
	}
	return 0;
}

static const struct fuse_operations operations = {
	.getattr = disk_getattr, .readdir = disk_readdir, .open = disk_open, .read = disk_read,
	.write = disk_write, .fsync = disk_fsync, .fallocate = disk_fallocate,
};

static void open_all(const char *image, const char *log, const char *sequence)
{
	struct stat status;
	int fd;

	disk.image = open(image, O_RDWR | O_CLOEXEC);
	if (disk.image < 0 || fstat(disk.image, &status))
		die("open the image");
	disk.size = status.st_size;
	disk.log = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (disk.log < 0)
		die("make the log");
	fd = open(sequence, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || ftruncate(fd, sizeof *disk.sequence))
		die("make the sequence");
	disk.sequence = mmap(NULL, sizeof *disk.sequence, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (disk.sequence == MAP_FAILED)
		die("map the sequence");
	close(fd);
}

int main(int argc, char **argv)
{
	char *arguments[] = { argv[0], "-f", "-s", NULL, NULL };

	if (argc != 6) {
		fprintf(stderr, "usage: remember IMAGE LOG SEQUENCE FOLDER MICROSECONDS\n");
		return EX_USAGE;
	}
	disk.flush_us = (useconds_t)strtoul(argv[5], NULL, 10);
	prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);	/* a container's root may not */
	open_all(argv[1], argv[2], argv[3]);
	arguments[3] = argv[4];
	return fuse_main(4, arguments, &operations, NULL) ? EX_OSERR : EX_OK;
}
