#include "common/frame.h"
#include "unit.h"
#include <stdlib.h>

static const struct wire_value job[LOCAL_JOB_FIELDS] = {
	[LOCAL_JOB_JOB] = WIRE_NUMBER(7),
	[LOCAL_JOB_ID] = WIRE_BYTES("01234567890123456789", 20),
	[LOCAL_JOB_REVERSE_PATH] = WIRE_BYTES("bob@client.example", 18),
	[LOCAL_JOB_COUNT] = WIRE_NUMBER(2),
};

static void a_frame_comes_back_whole(void)
{
	struct why why = { 0 };
	stralloc out = { 0 };
	struct frame f;
	size_t used, i;

	CHECK(frame_append(&out, FRAME_LOCAL_JOB, job, true, &why) == RESULT_OK);
	for (i = 0; i < out.len; i++)
		CHECK(frame_take(out.s, i, &f, &used, &why) == RESULT_RETRY);
	CHECK(frame_take(out.s, out.len, &f, &used, &why) == RESULT_OK);
	CHECK(used == out.len && f.type == FRAME_LOCAL_JOB && f.has_descriptor);
	CHECK(f.value[LOCAL_JOB_JOB].number == 7 && f.value[LOCAL_JOB_COUNT].number == 2);
	CHECK(frame_value_is(&f, LOCAL_JOB_REVERSE_PATH, "bob@client.example"));
	CHECK(f.value[LOCAL_JOB_LENGTH].number == 0);
	stralloc_free(&out);
}

static void what_does_not_fit_is_refused(void)
{
	struct wire_value values[QUEUE_COMMAND_FIELDS] = {
		[QUEUE_COMMAND_VERB] = WIRE_BYTES("much longer than sixteen", 24),
	};
	struct why why = { 0 };
	stralloc out = { 0 };

	CHECK(frame_append(&out, FRAME_QUEUE_COMMAND, values, false, &why) == RESULT_NEVER);
	CHECK(out.len == 0);
	CHECK(frame_append(&out, FRAME_LOCAL_JOB, job, false, &why) == RESULT_NEVER);
	CHECK(out.len == 0);
	stralloc_free(&out);
}

/* Every single byte of a good frame, set to every value: taken, not complete, or refused; the
 * sanitizers watch that nothing is read beyond. */
static void no_byte_breaks_the_decoder(void)
{
	struct why why = { 0 };
	stralloc out = { 0 };
	size_t i, used, refused = 0;
	struct frame f;
	int value;

	frame_append(&out, FRAME_LOCAL_JOB, job, true, &why);
	for (i = 0; i < out.len; i++)
		for (value = 0; value < 256; value++) {
			char was = out.s[i];
			char *copy = malloc(out.len);
			out.s[i] = (char)value;
			memcpy(copy, out.s, out.len);
			if (frame_take(copy, out.len, &f, &used, &why) == RESULT_PEER)
				refused++;
			free(copy);
			out.s[i] = was;
		}
	CHECK(refused > 500);
	stralloc_free(&out);
}

int main(void)
{
	UNIT_RUN(a_frame_comes_back_whole);
	UNIT_RUN(what_does_not_fit_is_refused);
	UNIT_RUN(no_byte_breaks_the_decoder);
	return unit_end();
}
