#include "tls_opener.h"

#include "service.h"
#include "tls_files.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct seen { dev_t device; ino_t inode; off_t size; struct timespec modified, changed; };

struct row {
	unsigned char key_id[WIRE_KEY_ID_MAX];	/* of the certificate */
	int copy;		/* of the certificate file; -1: not usable */
	bool is_told;		/* keyd has answered, or will not be asked */
	bool fits;
};

struct rows { struct row *items; size_t count; uint64_t generation; };

static struct tls_opener {
	struct tls_pairs pairs;
	struct seen *seen;			/* two a pair */
	bool is_unsettled;
	struct rows tried, in_force;
	struct loop *loop;
	struct channel keyd, workers[SERVICE_INSTANCES_MAX];
	struct timer watch, rotate;
	unsigned char ticket_key[TLS_TICKET_KEY_SIZE];
} opener;

static void log_file(const char *event, const char *file, const struct why *why)
{
	struct log_line line;

	log_start(&line, event);
	log_text(&line, "file", file);
	log_why(&line, why);
	log_end(&line);
}

static void close_rows(struct rows *rows)
{
	size_t i;

	for (i = 0; i < rows->count; i++)
		if (rows->items[i].copy >= 0)
			close(rows->items[i].copy);
	free(rows->items);
	*rows = (struct rows){ .items = NULL };
}

/* ---- to the workers ---- */

static void send_certificates(struct channel *worker)
{
	struct why why = { 0 };
	size_t i, count = 0, index = 0;

	for (i = 0; i < opener.in_force.count; i++)
		count += opener.in_force.items[i].fits;
	for (i = 0; i < opener.in_force.count; i++) {
		const char *name = opener.pairs.items[i].certificate;
		const struct wire_value values[CERTIFICATE_FIELDS] = {
			[CERTIFICATE_GENERATION] = WIRE_NUMBER(opener.in_force.generation),
			[CERTIFICATE_INDEX] = WIRE_NUMBER(index),
			[CERTIFICATE_COUNT] = WIRE_NUMBER(count),
			[CERTIFICATE_NAME] = WIRE_STRING(name),
		};
		if (!opener.in_force.items[i].fits)
			continue;
		index++;
		int copy = fcntl(opener.in_force.items[i].copy, F_DUPFD_CLOEXEC, 0);
		if (copy < 0)
			why_errno(&why, RESULT_RETRY, "unable to pass it on");
		if (copy < 0 || channel_send(worker, FRAME_CERTIFICATE, values, copy, &why) != RESULT_OK)
			log_file("certificate-dropped", name, &why);
	}
}

static void send_ticket_key(struct channel *worker)
{
	const struct wire_value values[TICKET_KEY_FIELDS] = {
		[TICKET_KEY_SECRET] = WIRE_BYTES((const char *)opener.ticket_key, sizeof opener.ticket_key),
	};
	struct why why = { 0 };

	if (channel_send(worker, FRAME_TICKET_KEY, values, -1, &why) != RESULT_OK)
		log_failure("ticket-key-dropped", &why);
}

static void to_workers(void (*send)(struct channel *))
{
	size_t i;

	for (i = 0; i < SERVICE_INSTANCES_MAX; i++)
		if (opener.workers[i].loop && opener.workers[i].fd >= 0)
			send(&opener.workers[i]);
}

/* ---- a set of files is tried: each key goes to keyd, which says which one it is ---- */

/* Pairs that never fitted, a file that is missing since the start say, hold up no other. */
static bool loses_one(void)
{
	size_t i;

	for (i = 0; i < opener.in_force.count; i++)
		if (opener.in_force.items[i].fits && !opener.tried.items[i].fits)
			return true;
	return false;
}

static void decide(void)
{
	size_t i, fitting = 0;
	struct why why = { 0 };

	for (i = 0; i < opener.tried.count; i++) {
		if (!opener.tried.items[i].is_told)
			return;
		fitting += opener.tried.items[i].fits;
	}
	if (!opener.tried.count)
		return;
	/* What is served is not given up for less: files are often replaced one after the other. */
	if (fitting == 0 || loses_one()) {
		why_set(&why, RESULT_NEVER, opener.in_force.count ? "the certificates of before stay in force" : "there is no TLS");
		log_failure("certificates-refused", &why);
		close_rows(&opener.tried);
		return;
	}
	close_rows(&opener.in_force);
	opener.in_force = opener.tried;
	opener.tried = (struct rows){ .items = NULL };
	to_workers(send_certificates);
}

static enum result copy_certificate(const char *bytes, size_t length, int *copy, struct why *why)
{
	*copy = memfd_create("certificate", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*copy < 0)
		return why_errno(why, RESULT_RETRY, "unable to copy it");
	if (write(*copy, bytes, length) == (ssize_t)length &&
	    !fcntl(*copy, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return RESULT_OK;
	why_errno(why, RESULT_RETRY, "unable to copy it");
	close(*copy);
	*copy = -1;
	return RESULT_RETRY;
}

static enum result ask_keyd(size_t index, struct why *why)
{
	const struct tls_pair *pair = &opener.pairs.items[index];
	const struct wire_value values[KEY_OPEN_FIELDS] = {
		[KEY_OPEN_GENERATION] = WIRE_NUMBER(opener.tried.generation),
		[KEY_OPEN_KEEP] = WIRE_NUMBER(opener.in_force.generation),
		[KEY_OPEN_PURPOSE] = WIRE_NUMBER(KEY_TLS),
		[KEY_OPEN_INDEX] = WIRE_NUMBER(index),
		[KEY_OPEN_NAME] = WIRE_STRING(pair->key),
	};
	int fd = open(pair->key, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return why_errno(why, result_of_errno(errno), "unable to open %s", pair->key);
	return channel_send(&opener.keyd, FRAME_KEY_OPEN, values, fd, why);
}

static void try_pair(size_t index)
{
	const struct tls_pair *pair = &opener.pairs.items[index];
	struct row *row = &opener.tried.items[index];
	struct tls_certificate facts;
	struct why why = { 0 };
	char *bytes;
	size_t length;
	enum result result = tls_file_certificate(pair->certificate, &bytes, &length, &facts, &why);

	*row = (struct row){ .copy = -1 };
	if (result == RESULT_OK) {
		memcpy(row->key_id, facts.key_id, sizeof row->key_id);
		result = copy_certificate(bytes, length, &row->copy, &why);
		free(bytes);
	}
	if (result == RESULT_OK)
		result = ask_keyd(index, &why);
	row->is_told = result != RESULT_OK;
	opener.is_unsettled |= result == RESULT_RETRY;
	if (result != RESULT_OK)
		log_file("certificate-refused", pair->certificate, &why);
}

/* What may pass by itself, no memory, no descriptor, is tried again after the next look at the files. */
static void try_all(void)
{
	static uint64_t generation;
	size_t i;

	close_rows(&opener.tried);
	opener.tried.items = calloc(opener.pairs.count, sizeof *opener.tried.items);
	opener.is_unsettled = !opener.tried.items;
	if (!opener.tried.items)
		return;
	opener.tried.generation = ++generation;
	opener.tried.count = opener.pairs.count;
	for (i = 0; i < opener.pairs.count; i++)
		try_pair(i);
	decide();
}

static void key_told(struct channel *channel, struct frame *f)
{
	static const char is_other[] = "this key belongs to another certificate";
	uint64_t index = f->value[KEY_TELL_INDEX].number;
	const struct wire_value *id = &f->value[KEY_TELL_KEY], *words = &f->value[KEY_TELL_WORDS];
	struct why why = { 0 };

	(void)channel;
	if (f->descriptor >= 0)
		close(f->descriptor);
	if (f->type != FRAME_KEY_TELL || f->value[KEY_TELL_GENERATION].number != opener.tried.generation || index >= opener.tried.count)
		return;
	struct row *row = &opener.tried.items[index];
	row->is_told = true;
	row->fits = f->value[KEY_TELL_VERDICT].number == SIGN_OK && id->length == sizeof row->key_id &&
	            !memcmp(id->bytes, row->key_id, sizeof row->key_id);
	if (!row->fits) {
		why_set(&why, RESULT_NEVER, "%s: %.*s", opener.pairs.items[index].key,
		        words->length ? (int)words->length : (int)sizeof is_other - 1, words->length ? words->bytes : is_other);
		log_file("certificate-refused", opener.pairs.items[index].certificate, &why);
	}
	decide();
}

/* ---- watching the files ---- */

static void look_at(const char *path, struct seen *seen)
{
	struct stat st = { .st_size = -1 };

	stat(path, &st);	/* one that is gone looks different too */
	*seen = (struct seen){ st.st_dev, st.st_ino, st.st_size, st.st_mtim, st.st_ctim };
}

static bool has_changed(const struct seen *a, const struct seen *b)
{
	return a->device != b->device || a->inode != b->inode || a->size != b->size ||
	       a->modified.tv_sec != b->modified.tv_sec || a->modified.tv_nsec != b->modified.tv_nsec ||
	       a->changed.tv_sec != b->changed.tv_sec || a->changed.tv_nsec != b->changed.tv_nsec;
}

static bool look(void)
{
	bool changed = false;
	size_t i;

	for (i = 0; i < 2 * opener.pairs.count; i++) {
		const struct tls_pair *pair = &opener.pairs.items[i / 2];
		struct seen now;
		look_at(i % 2 ? pair->key : pair->certificate, &now);
		changed |= has_changed(&now, &opener.seen[i]);
		opener.seen[i] = now;
	}
	return changed;
}

/* Files are taken once two looks have found them the same: certificate and key come one after the other. */
static void watch_fired(struct timer *timer)
{
	bool changed = look();

	if (changed)
		opener.is_unsettled = true;
	else if (opener.is_unsettled)
		try_all();
	loop_set_timer(opener.loop, timer, TLS_WATCH_MS, watch_fired);
}

static void rotate_fired(struct timer *timer)
{
	random_bytes(opener.ticket_key, sizeof opener.ticket_key);
	to_workers(send_ticket_key);
	loop_set_timer(opener.loop, timer, TLS_TICKET_KEY_MS, rotate_fired);
}

/* ---- the parts come and go ---- */

static void nothing_told(struct channel *channel, struct frame *f)
{
	(void)channel;
	if (f->descriptor >= 0)
		close(f->descriptor);
}

static void part_lost(struct channel *channel, const struct why *why)
{
	(void)channel;
	(void)why;	/* its death is logged */
}

void tls_opener_keyd(unsigned index, struct loop *loop, int fd)
{
	struct why why = { 0 };

	(void)index;
	opener.loop = loop;
	if (channel_open(&opener.keyd, loop, fd, key_told, part_lost, &why) != RESULT_OK) {
		log_failure("link-failed", &why);
		return;
	}
	look();
	try_all();
	loop_set_timer(loop, &opener.watch, TLS_WATCH_MS, watch_fired);
	loop_set_timer(loop, &opener.rotate, TLS_TICKET_KEY_MS, rotate_fired);
}

void tls_opener_worker(unsigned index, struct loop *loop, int fd)
{
	struct why why = { 0 };

	if (index >= SERVICE_INSTANCES_MAX) {
		close(fd);
		return;
	}
	if (opener.workers[index].loop)
		channel_close(&opener.workers[index]);	/* its predecessor's, where its end is not seen yet */
	if (channel_open(&opener.workers[index], loop, fd, nothing_told, part_lost, &why) != RESULT_OK) {
		log_failure("link-failed", &why);
		return;
	}
	send_ticket_key(&opener.workers[index]);
	send_certificates(&opener.workers[index]);
}

static void leave_channel(struct channel *channel)
{
	if (!channel->loop)
		return;		/* never opened */
	channel->loop = NULL;	/* the parent's, gone in this process */
	channel_close(channel);
}

void tls_opener_leave(void)
{
	size_t i;

	leave_channel(&opener.keyd);
	for (i = 0; i < SERVICE_INSTANCES_MAX; i++)
		leave_channel(&opener.workers[i]);
	close_rows(&opener.tried);
	close_rows(&opener.in_force);
	explicit_bzero(opener.ticket_key, sizeof opener.ticket_key);
}

bool tls_opener_has_files(void)
{
	return opener.pairs.count > 0;
}

bool tls_opener_can_serve(const char *name, const struct listener_list *list)
{
	struct log_line line;
	struct why why = { 0 };

	if (list->count == 0 || tls_opener_has_files())
		return list->count > 0;
	why_set(&why, RESULT_NEVER, "there is no certificate: `dawk cert make` makes one, tls-certificate and tls-key name others");
	log_start(&line, "listener-closed");
	log_text(&line, "listener", name);
	log_why(&line, &why);
	log_end(&line);
	return false;
}

enum result tls_opener_find(const struct configuration *conf, struct why *why)
{
	enum result result = tls_pairs_find(conf, &opener.pairs, why);

	random_bytes(opener.ticket_key, sizeof opener.ticket_key);
	if (result == RESULT_OK && !(opener.seen = calloc(2 * opener.pairs.count, sizeof *opener.seen)))
		result = why_errno(why, RESULT_RETRY, "no memory for certificates");
	return result == RESULT_END ? RESULT_OK : result;
}
