#include "tls_opener.h"

#include "channel.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CERTIFICATES_MAX = 100000 };

/* The set that is coming in; one opener a worker. */
static struct worker {
	struct channel channel;
	struct tls_server *server;
	struct tls_file *files;
	size_t count, wanted;
	uint64_t generation;
	struct loop *loop;
	struct timer patience;
	void (*ready)(void);		/* NULL: nobody waits */
} worker;

static void drop_files(void)
{
	size_t i;

	for (i = 0; i < worker.count; i++) {
		free((char *)(uintptr_t)worker.files[i].name);
		free((char *)(uintptr_t)worker.files[i].pem);
	}
	free(worker.files);
	worker.files = NULL;
	worker.count = worker.wanted = 0;
}

static char *read_copy(int fd, size_t *length)
{
	char *bytes = malloc(TLS_CERTIFICATE_FILE_MAX + 1);
	ssize_t n = bytes ? pread(fd, bytes, TLS_CERTIFICATE_FILE_MAX + 1, 0) : -1;

	if (n < 0 || n > TLS_CERTIFICATE_FILE_MAX) {
		free(bytes);
		return NULL;
	}
	*length = (size_t)n;
	return bytes;
}

/* The descriptors of one set come in order. false: it can't be used. */
static bool add_file(const struct frame *f)
{
	const struct wire_value *name = &f->value[CERTIFICATE_NAME];
	uint64_t index = f->value[CERTIFICATE_INDEX].number, count = f->value[CERTIFICATE_COUNT].number;

	if (index == 0) {
		drop_files();
		worker.generation = f->value[CERTIFICATE_GENERATION].number;
		worker.files = count && count <= CERTIFICATES_MAX ? calloc(count, sizeof *worker.files) : NULL;
		worker.wanted = worker.files ? count : 0;
	}
	if (!worker.wanted || index != worker.count || index >= worker.wanted || f->value[CERTIFICATE_GENERATION].number != worker.generation)
		return false;
	struct tls_file *file = &worker.files[index];
	file->name = strndup(name->length ? name->bytes : "", name->length);
	file->pem = read_copy(f->descriptor, &file->length);
	worker.count++;
	return file->name && file->pem;
}

static void be_ready(void)
{
	void (*ready)(void) = worker.ready;

	if (!ready)
		return;
	worker.ready = NULL;
	loop_unset_timer(worker.loop, &worker.patience);
	ready();
}

static void patience_over(struct timer *timer)
{
	(void)timer;
	be_ready();
}

void tls_worker_await(struct loop *loop, void (*ready)(void))
{
	worker.loop = loop;
	worker.ready = ready;
	if (!loop_set_timer(loop, &worker.patience, TLS_FIRST_MS, patience_over))
		be_ready();
}

static void replace(void)
{
	struct why why = { 0 };
	struct log_line line;

	if (tls_server_replace(worker.server, worker.files, worker.count, &why) != RESULT_OK) {
		log_failure("certificates-refused", &why);
	} else {
		log_start(&line, "certificates");
		log_number(&line, "count", worker.count);
		log_end(&line);
		be_ready();
	}
	drop_files();
}

static void told(struct channel *channel, struct frame *f)
{
	(void)channel;
	if (f->type == FRAME_CERTIFICATE && !add_file(f))
		drop_files();
	else if (f->type == FRAME_CERTIFICATE && worker.count == worker.wanted)
		replace();
	else if (f->type == FRAME_TICKET_KEY && f->value[TICKET_KEY_SECRET].length == TLS_TICKET_KEY_SIZE)
		tls_server_set_ticket_key(worker.server, (const unsigned char *)f->value[TICKET_KEY_SECRET].bytes);
	if (f->descriptor >= 0)
		close(f->descriptor);
}

static void lost(struct channel *channel, const struct why *why)
{
	(void)channel;
	(void)why;	/* the opener ends: the control pipe says so too */
	drop_files();
}

enum result tls_worker_join(struct tls_server *server, struct loop *loop, int fd, struct why *why)
{
	worker.server = server;
	return channel_open(&worker.channel, loop, fd, told, lost, why);
}
