#include "queued/errand.h"

#include <stdlib.h>
#include <string.h>

void errand_free(struct errand *errand)
{
	stralloc_free(&errand->record.lines);
	free(errand);
}

static void done(struct record *record)
{
	struct errand *errand = container_of(record, struct errand, record);

	if (record->result != RESULT_OK)
		scheduler_log("unable-to-record", record->id, &record->why);
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
	recorder_submit(errand->scheduler->recorder, &errand->record);
}
