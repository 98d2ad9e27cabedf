/* Delivery by ~/.forward: see dotforward.h. */
#include "dotforward.h"
#include "common/address.h"
#include "forward.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum result check_file(int fd, const char *path, size_t *size, struct why *why)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return why_errno(why, RESULT_RETRY, "look at %s", path);
	if (!S_ISREG(st.st_mode))
		return why_set(why, RESULT_NEVER, "%s is no regular file", path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return why_set(why, RESULT_NEVER, "%s belongs to somebody else", path);
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return why_set(why, RESULT_NEVER, "%s can be written by others: chmod go-w", path);
	if (st.st_size > FORWARD_FILE_MAX)
		return why_set(why, RESULT_NEVER, "%s is larger than %d bytes", path, FORWARD_FILE_MAX);
	*size = (size_t)st.st_size;
	return RESULT_OK;
}

static enum result read_open_file(int fd, const char *path, char **text, size_t *length, struct why *why)
{
	size_t size = 0;
	ssize_t got;
	enum result result = check_file(fd, path, &size, why);

	if (result != RESULT_OK)
		return result;
	*text = malloc(size + 1);
	if (*text == NULL)
		return why_set(why, RESULT_RETRY, "read %s: out of memory", path);
	got = read(fd, *text, size);
	if (got < 0)
		return why_errno(why, RESULT_RETRY, "read %s", path);
	*length = (size_t)got;
	return RESULT_OK;
}

/* Sets *TEXT, *LENGTH bytes; the caller frees it whatever came out. RESULT_END: there is no file. */
static enum result read_file(const char *home, char **text, size_t *length, struct why *why)
{
	char path[WIRE_PATH_LENGTH_MAX + 16];
	enum result result;
	int fd;

	*text = NULL;
	snprintf(path, sizeof(path), "%s/.forward", home);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return RESULT_END;
	if (fd < 0)
		return why_errno(why, RESULT_NEVER, "open %s", path);
	result = read_open_file(fd, path, text, length, why);
	close(fd);
	return result;
}

static void merge(struct delivery *delivery, enum delivery_verdict verdict, const char *status, const char *words)
{
	struct outcome outcome = { 0 };

	outcome_set(&outcome, verdict, status, "%s", words);
	outcome_merge(&delivery->outcome, &outcome);
}

static bool send_frame(struct batch *batch, struct delivery *delivery, enum wire_type type, const char *text)
{
	struct wire_value values[FORWARD_FIELDS] = {
		[FORWARD_JOB] = WIRE_NUMBER(delivery->job),
		[FORWARD_INDEX] = WIRE_NUMBER(delivery->index),
		[FORWARD_ADDRESS] = WIRE_STRING(text),
	};
	struct why why = { 0 };

	if (channel_send(batch->channel, type, values, -1, &why) == RESULT_OK)
		return true;
	merge(delivery, DELIVERY_DEFERRED, "4.3.5", why.text);
	return false;
}

/* Does NAME, an address or a local part, mean the user whose file this is? */
static bool is_self(const struct target *target, const char *name)
{
	size_t local = strcspn(target->address, "@"), length = strlen(name);
	size_t bare = local - (target->extension[0] != '\0' ? strlen(target->extension) + 1 : 0);
	const char *domain = strchr(name, '@');

	if (bare > local)
		bare = local;
	if (domain == NULL)
		return text_equal_folded(name, length, target->address, local) || text_equal_folded(name, length, target->address, bare);
	if (!text_equal_folded(domain, strlen(domain), target->address + local, strlen(target->address + local)))
		return false;
	length = (size_t)(domain - name);
	return text_equal_folded(name, length, target->address, local) || text_equal_folded(name, length, target->address, bare);
}

/* Leaves out what an earlier attempt or another entry did. KEY names it among DONE. */
static void deliver_once(struct batch *batch, struct delivery *delivery, struct done *done, uint64_t key, struct target *target)
{
	if (done_has(done, key)) {
		merge(delivery, DELIVERY_DELIVERED, "2.0.0", "delivered before");
		return;
	}
	done_add(done, key);
	target->key = key;
	batch_deliver(batch, delivery, target);
}

static void forward_to(struct batch *batch, struct delivery *delivery, struct target *target, const char *text)
{
	char whole[WIRE_PATH_LENGTH_MAX + WIRE_ADDRESS_MAX + 2];
	struct address address;
	struct why why = { 0 };

	if (is_self(target, text)) {
		deliver_once(batch, delivery, &target->done, done_key("\\", 1), target);
		return;
	}
	snprintf(whole, sizeof(whole), "%s%s", text, strchr(text, '@') != NULL ? "" : target->address + strcspn(target->address, "@"));
	if (address_parse(whole, strlen(whole), &address, &why) != RESULT_OK) {
		merge(delivery, DELIVERY_DEFERRED, "4.3.5", why.text);
		return;
	}
	if (send_frame(batch, delivery, FRAME_FORWARD, address.text))
		merge(delivery, DELIVERY_FORWARDED, "2.0.0", "forwarded");
}

/* "~/x" and "./x" lie in the home; a trailing '/' makes a maildir. */
static void deliver_path(struct batch *batch, struct delivery *delivery, struct target *target, const char *text)
{
	static struct target other;
	size_t length;
	int wanted;

	if (strcmp(text, "/dev/null") == 0) {
		merge(delivery, DELIVERY_DELIVERED, "2.0.0", "discarded");
		return;
	}
	other = *target;
	other.quota[0] = other.extension[0] = '\0';
	if (text[0] == '/')
		wanted = snprintf(other.path, sizeof(other.path), "%s", text);
	else
		wanted = snprintf(other.path, sizeof(other.path), "%s/%s", target->home, text + 2);
	if (wanted >= (int)sizeof(other.path)) {
		merge(delivery, DELIVERY_DEFERRED, "4.3.5", "a path is too long");
		return;
	}
	length = strlen(other.path);
	other.kind = other.path[length - 1] == '/' ? DELIVER_MAILDIR : DELIVER_MBOX;
	while (length > 1 && other.path[length - 1] == '/')
		other.path[--length] = '\0';
	deliver_once(batch, delivery, &target->done, done_key(other.path, length), &other);
}

static void take_entry(struct batch *batch, struct delivery *delivery, struct target *target, const struct forward_entry *entry)
{
	switch (entry->kind) {
	case ENTRY_ADDRESS:
	case ENTRY_MAILBOX:
		forward_to(batch, delivery, target, entry->text);
		break;
	case ENTRY_PROGRAM:
		send_frame(batch, delivery, FRAME_RUN, entry->text);
		break;
	case ENTRY_PATH:
		deliver_path(batch, delivery, target, entry->text);
		break;
	}
}

/* All of it must be understood before anything of it is done. */
static enum result check_text(const char *text, size_t length, unsigned *count, struct why *why)
{
	static struct forward_entry entry;
	const char *at = text;
	unsigned programs = 0;
	enum result result;

	*count = 0;
	while ((result = forward_next(&at, text + length, &entry, why)) == RESULT_OK) {
		if (++*count > FORWARD_ENTRIES_MAX)
			return why_set(why, RESULT_NEVER, "more than %d entries", FORWARD_ENTRIES_MAX);
		if (entry.kind == ENTRY_PROGRAM && ++programs > FORWARD_PROGRAMS_MAX)
			return why_set(why, RESULT_NEVER, "more than %d programs", FORWARD_PROGRAMS_MAX);
	}
	return result == RESULT_END ? RESULT_OK : result;
}

void dotforward_deliver(struct batch *batch, struct delivery *delivery, struct target *target)
{
	static struct forward_entry entry;
	char *text = NULL, words[WHY_MAX + 32];
	const char *at;
	size_t length = 0;
	unsigned count = 0;
	struct why why = { 0 };
	enum result result = read_file(target->home, &text, &length, &why);

	if (result == RESULT_OK)
		result = check_text(text, length, &count, &why);
	if (result == RESULT_END || (result == RESULT_OK && count == 0)) {
		batch_deliver(batch, delivery, target);
	} else if (result == RESULT_OK) {
		at = text;
		while (forward_next(&at, text + length, &entry, &why) == RESULT_OK)
			take_entry(batch, delivery, target, &entry);
	} else {
		snprintf(words, sizeof(words), "~/.forward: %s", why.text);
		merge(delivery, DELIVERY_DEFERRED, "4.3.5", words);
	}
	free(text);
}
