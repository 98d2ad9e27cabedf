#include "send.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

static bool compress_gzip(const char *text, size_t length, struct parcel *parcel)
{
	enum { WINDOW = 15, GZIP = 16, MEMORY = 8 };
	z_stream stream = { .next_in = (Bytef *)text, .avail_in = (uInt)length };
	uLong bound;
	bool is_done;

	if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, WINDOW + GZIP, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
		return false;
	bound = deflateBound(&stream, length);
	parcel->gzip = malloc(bound);
	stream.next_out = (Bytef *)parcel->gzip;
	stream.avail_out = (uInt)bound;
	is_done = parcel->gzip && deflate(&stream, Z_FINISH) == Z_STREAM_END;
	parcel->length = stream.total_out;
	deflateEnd(&stream);
	return is_done;
}

/* SENDER "!" POLICY-DOMAIN "!" BEGIN "!" END ".json.gz" */
static void write_name(struct parcel *parcel)
{
	struct tm tm = { 0 };
	long long begin;

	strptime(parcel->report->day, "%Y-%m-%d", &tm);
	begin = (long long)timegm(&tm);
	snprintf(parcel->name, sizeof parcel->name, "%s!%s!%lld!%lld.json.gz", parcel->report->organization, parcel->report->domain,
	         begin, begin + 86399);
}

enum result parcel_pack(struct parcel *parcel, const struct configuration *conf, const struct report *report, struct why *why)
{
	char *text = NULL;
	size_t length = 0;
	FILE *memory = open_memstream(&text, &length);
	bool is_fine = memory != NULL;

	*parcel = (struct parcel){ .conf = conf, .report = report };
	if (memory) {
		report_write_json(report, memory);
		is_fine = !ferror(memory) && fclose(memory) == 0;
	}
	is_fine = is_fine && compress_gzip(text, length, parcel);
	free(text);
	write_name(parcel);
	if (is_fine)
		return RESULT_OK;
	parcel_free(parcel);
	return why_set(why, RESULT_RETRY, "no memory for a report");
}

void parcel_free(struct parcel *parcel)
{
	free(parcel->gzip);
	parcel->gzip = NULL;
}
