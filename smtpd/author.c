#include "author.h"

#include <string.h>

/* Where in a tag list (RFC 6376 3.2) the bytes are. */
enum { IN_TAG_NAME, IN_SIGNED_NAMES, IN_OTHER_VALUE };

static const struct { const char *name; uint8_t bit; } repaired[] = {
	{ "date", HEADER_DATE }, { "from", HEADER_FROM }, { "message-id", HEADER_MESSAGE_ID },
};

/* The word at hand is over. */
static void signature_word(struct author *author)
{
	for (size_t i = 0; i < sizeof repaired / sizeof *repaired && author->state == IN_SIGNED_NAMES; i++)
		if (text_equal_folded(author->word, author->word_length, repaired[i].name, strlen(repaired[i].name)))
			author->signed_fields |= repaired[i].bit;
	author->word_length = 0;
}

static void signature_byte(struct author *author, char c)
{
	if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
		return;
	if (c == ';') {
		signature_word(author);
		author->state = IN_TAG_NAME;
	} else if (c == '=' && author->state == IN_TAG_NAME) {
		author->state = author->word_length == 1 && *author->word == 'h' ? IN_SIGNED_NAMES : IN_OTHER_VALUE;
		author->word_length = 0;
	} else if (c == ':') {
		signature_word(author);
	} else if (author->word_length < sizeof author->word) {
		author->word[author->word_length++] = c;
	}
}

static void author_keep(struct author *author, stralloc *value, const char *bytes, size_t length)
{
	if (value->len + length > AUTHOR_FIELD_MAX)
		author->is_too_long = true;
	else if (!text_append(value, bytes, length))
		author->is_short_of_memory = true;
}

static void author_begin(struct author *author, unsigned field)
{
	author->field = (uint8_t)field;
	author->state = IN_TAG_NAME;
	author->word_length = 0;
	author->from_count += field == HEADER_FROM;
	author->sender_count += field == HEADER_SENDER;
}

static void author_take(void *context, unsigned field, const char *bytes, size_t length)
{
	struct author *author = context;

	if (field == 0 && author->field == HEADER_DKIM_SIGNATURE)
		signature_word(author);
	else if (length == 0)
		author_begin(author, field);
	else if (field == HEADER_FROM && author->from_count == 1)
		author_keep(author, &author->from, bytes, length);
	else if (field == HEADER_SENDER && author->sender_count == 1)
		author_keep(author, &author->sender, bytes, length);
	else if (field == HEADER_DKIM_SIGNATURE)
		for (size_t i = 0; i < length; i++)
			signature_byte(author, bytes[i]);
}

void author_watch(struct author *author, struct header *header)
{
	header->take = author_take;
	header->context = author;
}

void author_free(struct author *author)
{
	stralloc_free(&author->from);
	stralloc_free(&author->sender);
	*author = (struct author){ .field = 0 };
}
