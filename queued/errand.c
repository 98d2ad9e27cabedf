#include "queued/errand.h"

#include <stdlib.h>
#include <string.h>

void errand_free(struct errand *errand)
{
	stralloc_free(&errand->record.lines);
	free(errand);
}

static size_t bucket_of(const char *id)
{
	return load_hash(id) % ERRAND_BUCKETS;
}

struct errand *errand_find(const struct scheduler *s, const char *id)
{
	struct errand *errand;

	for (errand = s->errands[bucket_of(id)]; errand && memcmp(errand->record.id, id, QUEUE_ID_LENGTH) != 0; errand = errand->next)
		;
	return errand;
}

static void unlist(struct errand *errand)
{
	struct errand **at = &errand->scheduler->errands[bucket_of(errand->record.id)];

	while (*at != errand)
		at = &(*at)->next;
	*at = errand->next;
}

static void done(struct record *record)
{
	struct errand *errand = container_of(record, struct errand, record);

	unlist(errand);
	if (record->result != RESULT_OK)
		scheduler_log("unable-to-record", record->id, &record->why);
	if (errand->is_awaited)
		scheduler_add_retry(errand->scheduler, record->id, 0, 0);
	if (errand->then)
		errand->then(errand);
	errand_free(errand);
}

struct errand *errand_make(struct scheduler *s, const char *id, enum queue_place from, enum queue_place to)
{
	struct errand *errand = calloc(1, sizeof *errand);

	if (!errand)
		return NULL;
	errand->scheduler = s;
	memcpy(errand->record.id, id, QUEUE_ID_LENGTH);
	errand->record.from = from;
	errand->record.to = to;
	errand->record.done = done;
	return errand;
}

void errand_submit(struct errand *errand)
{
	struct errand **bucket = &errand->scheduler->errands[bucket_of(errand->record.id)];

	errand->next = *bucket;
	*bucket = errand;
	recorder_submit(errand->scheduler->recorder, &errand->record);
}
