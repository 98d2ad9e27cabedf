/* What maildir.c and maildir_folder.c share: an open folder. */
#ifndef COMMON_MAILDIR_PRIVATE_H
#define COMMON_MAILDIR_PRIVATE_H

#include "maildir.h"
#include <sys/stat.h>

struct maildir_folder {
	char *path;
	int tmp, new;
	dev_t device;			/* of new/, to see whether PATH is still the folder that is open */
	ino_t inode;
	uint64_t checked_ms;
	unsigned references;		/* the cache's one, and one for each item */
	uint64_t synced_in;		/* the batch that last synced new/, and how that went */
	int sync_errno;
};

/* Takes one reference away; the last one closes FOLDER. */
void maildir_folder_release(struct maildir_folder *folder);

#endif
