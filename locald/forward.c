/* ~/.forward: see forward.h. */
#include "forward.h"
#include <stdbool.h>
#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Up to the next entry: over blanks, commas, line ends, and comments, which begin where an entry would. */
static void skip_between(const char **at, const char *end)
{
	bool is_comment = false;

	for (; *at < end; (*at)++) {
		if (**at == '\n')
			is_comment = false;
		else if (**at == '#')
			is_comment = true;
		else if (!is_comment && **at != ',' && !is_blank(**at))
			return;
	}
}

/* "odd, name"@example.org: these quotes belong to the address (RFC 5321 4.1.2). */
static bool is_quoted_local(const char *at, const char *end)
{
	if (at == end || *at != '"')
		return false;
	for (at++; at < end && *at != '"' && *at != '\n'; at++)
		if (*at == '\\' && at + 1 < end)
			at++;
	return at + 1 < end && at[0] == '"' && at[1] == '@';
}

/* The bytes up to the comma or line end outside quotes; quotes go, "\" keeps the next byte inside them. */
static enum result take_text(const char **at, const char *end, char *out, size_t size, struct why *why)
{
	size_t length = 0;
	bool is_inside = false, keeps_quotes = is_quoted_local(*at, end);

	for (; *at < end && **at != '\n' && (is_inside || **at != ','); (*at)++) {
		char c = **at;

		if (c == '"') {
			is_inside = !is_inside;
			if (!keeps_quotes)
				continue;
		}
		if (is_inside && c == '\\' && *at + 1 < end && (*at)[1] != '\n' && length + 2 < size) {
			if (keeps_quotes)
				out[length++] = c;
			c = *++*at;
		}
		if (c == '\0' || length + 1 >= size)
			return why_set(why, RESULT_NEVER, c == '\0' ? "an entry holds a NUL" : "an entry is too long");
		out[length++] = c;
	}
	while (length > 0 && is_blank(out[length - 1]))
		length--;
	out[length] = '\0';
	return is_inside ? why_set(why, RESULT_NEVER, "a quote is not closed") : RESULT_OK;
}

static void drop_first(char *text)
{
	size_t blanks = 1 + strspn(text + 1, " \t");

	memmove(text, text + blanks, strlen(text + blanks) + 1);
}

static enum result classify(struct forward_entry *entry, struct why *why)
{
	char *text = entry->text;

	entry->kind = ENTRY_ADDRESS;
	if (text[0] == '|') {
		entry->kind = ENTRY_PROGRAM;
		drop_first(text);
		if (text[0] == '\0')
			return why_set(why, RESULT_NEVER, "a '|' without a program");
	} else if (text[0] == '\\') {
		entry->kind = ENTRY_MAILBOX;
		drop_first(text);
	} else if (text[0] == '/' || strncmp(text, "~/", 2) == 0 || strncmp(text, "./", 2) == 0) {
		entry->kind = ENTRY_PATH;
	} else if (strncmp(text, ":include:", 9) == 0) {
		return why_set(why, RESULT_NEVER, ":include: is not for ~/.forward");
	}
	if (strstr(text, "/../") != NULL && entry->kind == ENTRY_PATH)
		return why_set(why, RESULT_NEVER, "a path with \"..\"");
	return RESULT_OK;
}

enum result forward_next(const char **at, const char *end, struct forward_entry *entry, struct why *why)
{
	enum result result;

	for (;;) {
		skip_between(at, end);
		if (*at == end)
			return RESULT_END;
		result = take_text(at, end, entry->text, sizeof(entry->text), why);
		if (result != RESULT_OK)
			return result;
		if (entry->text[0] != '\0')
			return classify(entry, why);
	}
}
