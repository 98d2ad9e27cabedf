#include "frame.h"

#include <assert.h>
#include <string.h>

enum field_kind { KIND_NUMBER, KIND_BYTES };
enum { FRAME_LENGTH_SIZE = 4, FRAME_HEAD = FRAME_LENGTH_SIZE + 3, FRAME_BYTES_HEAD = 4, FRAME_NUMBER_SIZE = 8 };

struct field_rule { enum field_kind kind; uint32_t limit; };
struct message_rule {
	const char *name;
	enum frame_descriptor descriptor;
	int field_count;
	struct field_rule field[WIRE_FIELDS_MAX];
};

#define RULE_FIELD(type, field, kind, limit) { KIND_##kind, limit },
#define RULE_MESSAGE(type, value, name, way, descriptor) \
	[value] = { name, DESCRIPTOR_##descriptor, type##_FIELDS, { WIRE_##type(RULE_FIELD) } },
static const struct message_rule rules[WIRE_TYPES_END] = { WIRE_MESSAGES(RULE_MESSAGE) };

#define CHECK_FIELDS(type, value, name, way, descriptor) \
	_Static_assert((int)type##_FIELDS <= (int)WIRE_FIELDS_MAX, "too many fields in " name);
WIRE_MESSAGES(CHECK_FIELDS)

static const struct message_rule *rule_of(unsigned type)
{
	return type < WIRE_TYPES_END && rules[type].name ? &rules[type] : NULL;
}

const char *frame_name(enum wire_type type)
{
	const struct message_rule *rule = rule_of(type);

	return rule ? rule->name : "unknown";
}

enum frame_descriptor frame_wants_descriptor(enum wire_type type)
{
	const struct message_rule *rule = rule_of(type);

	return rule ? rule->descriptor : DESCRIPTOR_NONE;
}

static enum result frame_size(const struct message_rule *rule, const struct wire_value *values, size_t *size, struct why *why)
{
	int i;

	*size = FRAME_HEAD;
	for (i = 0; i < rule->field_count; i++) {
		if (rule->field[i].kind == KIND_NUMBER) {
			*size += FRAME_NUMBER_SIZE;
			continue;
		}
		if (values[i].length > rule->field[i].limit)
			return why_set(why, RESULT_NEVER, "field %d of a %s frame is %zu bytes long, at most %u fit",
			               i, rule->name, values[i].length, rule->field[i].limit);
		*size += FRAME_BYTES_HEAD + values[i].length;
	}
	if (*size > FRAME_MAX)
		return why_set(why, RESULT_NEVER, "a %s frame of %zu bytes is too long", rule->name, *size);
	return RESULT_OK;
}

static char *put_number32(char *at, uint32_t number)
{
	memcpy(at, &number, sizeof number);
	return at + sizeof number;
}

static bool descriptor_fits(const struct message_rule *rule, bool has_descriptor)
{
	return rule->descriptor == DESCRIPTOR_MAYBE || has_descriptor == (rule->descriptor == DESCRIPTOR_ONE);
}

enum result frame_append(stralloc *out, enum wire_type type, const struct wire_value *values,
                         bool has_descriptor, struct why *why)
{
	const struct message_rule *rule = rule_of(type);
	enum result result;
	size_t size;
	char *at;
	int i;

	assert(rule);
	if (!descriptor_fits(rule, has_descriptor))
		return why_set(why, RESULT_NEVER, "a descriptor too many or too few for a %s frame", rule->name);
	result = frame_size(rule, values, &size, why);
	if (result != RESULT_OK)
		return result;
	if (!stralloc_readyplus(out, size))
		return why_set(why, RESULT_RETRY, "no memory for a %s frame", rule->name);
	at = put_number32(out->s + out->len, (uint32_t)(size - FRAME_LENGTH_SIZE));
	*at++ = WIRE_VERSION;
	*at++ = (char)type;
	*at++ = has_descriptor;
	for (i = 0; i < rule->field_count; i++) {
		if (rule->field[i].kind == KIND_NUMBER) {
			memcpy(at, &values[i].number, FRAME_NUMBER_SIZE);
			at += FRAME_NUMBER_SIZE;
			continue;
		}
		at = put_number32(at, (uint32_t)values[i].length);
		if (values[i].length)
			memcpy(at, values[i].bytes, values[i].length);
		at += values[i].length;
	}
	out->len += size;
	return RESULT_OK;
}

static enum result take_fields(const struct message_rule *rule, const char *at, const char *end, struct frame *f, struct why *why)
{
	int i;

	for (i = 0; i < rule->field_count; i++) {
		struct wire_value *value = &f->value[i];
		uint32_t length;

		*value = (struct wire_value){ 0 };
		if (rule->field[i].kind == KIND_NUMBER) {
			if (end - at < FRAME_NUMBER_SIZE)
				return why_set(why, RESULT_PEER, "a %s frame ends inside field %d", rule->name, i);
			memcpy(&value->number, at, FRAME_NUMBER_SIZE);
			at += FRAME_NUMBER_SIZE;
			continue;
		}
		if (end - at < FRAME_BYTES_HEAD)
			return why_set(why, RESULT_PEER, "a %s frame ends inside field %d", rule->name, i);
		memcpy(&length, at, sizeof length);
		at += FRAME_BYTES_HEAD;
		if (length > rule->field[i].limit || length > (size_t)(end - at))
			return why_set(why, RESULT_PEER, "field %d of a %s frame claims %u bytes", i, rule->name, length);
		value->bytes = at;
		value->length = length;
		at += length;
	}
	if (at != end)
		return why_set(why, RESULT_PEER, "%zu bytes too many in a %s frame", (size_t)(end - at), rule->name);
	return RESULT_OK;
}

enum result frame_take(const void *bytes, size_t length, struct frame *f, size_t *used, struct why *why)
{
	const char *at = bytes;
	const struct message_rule *rule;
	uint32_t size;

	if (length < FRAME_LENGTH_SIZE)
		return RESULT_RETRY;
	memcpy(&size, at, sizeof size);
	if (size < FRAME_HEAD - FRAME_LENGTH_SIZE || size > FRAME_MAX - FRAME_LENGTH_SIZE)
		return why_set(why, RESULT_PEER, "a frame claims %u bytes", size);
	if (length < FRAME_LENGTH_SIZE + (size_t)size)
		return RESULT_RETRY;
	if (at[4] != WIRE_VERSION)
		return why_set(why, RESULT_PEER, "a frame of version %d, this is %d: restart the service", at[4], WIRE_VERSION);
	rule = rule_of((unsigned char)at[5]);
	if (!rule)
		return why_set(why, RESULT_PEER, "a frame of unknown type %d", (unsigned char)at[5]);
	f->type = (unsigned char)at[5];
	f->descriptor = -1;
	f->has_descriptor = at[6] == 1;
	if ((at[6] & ~1) || !descriptor_fits(rule, f->has_descriptor))
		return why_set(why, RESULT_PEER, "a descriptor too many or too few with a %s frame", rule->name);
	*used = FRAME_LENGTH_SIZE + (size_t)size;
	return take_fields(rule, at + FRAME_HEAD, at + *used, f, why);
}

bool frame_value_is(const struct frame *f, int i, const char *string)
{
	size_t length = strlen(string);

	return f->value[i].length == length && (!length || !memcmp(f->value[i].bytes, string, length));
}

bool frame_value_copy(const struct frame *f, int i, char *out, size_t size)
{
	const struct wire_value *value = &f->value[i];

	if (value->length >= size || (value->length && memchr(value->bytes, 0, value->length)))
		return false;
	if (value->length)
		memcpy(out, value->bytes, value->length);
	out[value->length] = 0;
	return true;
}
