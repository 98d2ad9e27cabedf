/* The table of aliases: keys, members, included files. See update.h, dawk-aliases(5). */
#include "update.h"

#include <stdlib.h>
#include <string.h>

enum { MEMBER_MAX = 4096 };	/* bytes of a program or path */

/* An alias that is being read. Its record is one piece in the table, so it is one in memory. */
struct alias {
	struct source *source;		/* the aliases file: where faults of the entry are told */
	char key[ADDRESS_MAX + 1];
	stralloc members;
	critbit0_tree seen;		/* each member once */
	uint32_t count;
	bool has_programs, names_itself;
};

static void alias_reset(struct alias *alias)
{
	alias->members.len = 0;
	critbit0_clear(&alias->seen);
	alias->count = 0;
	alias->has_programs = alias->names_itself = false;
}

static const char *trim(const char *text, size_t *length)
{
	while (*length > 0 && (*text == ' ' || *text == '\t')) {
		text++;
		--*length;
	}
	while (*length > 0 && (text[*length - 1] == ' ' || text[*length - 1] == '\t'))
		--*length;
	return text;
}

static bool alias_add(struct alias *alias, struct source *where, const char *member)
{
	int was_new = critbit0_insert(&alias->seen, member);

	if (was_new == 1)
		return true;
	if (was_new == 0 || !text_append_string(&alias->members, member) || !text_append(&alias->members, "\n", 1)) {
		source_error(where, "no memory for this entry");
		return false;
	}
	alias->count++;
	if (strcmp(member, alias->key) == 0)
		alias->names_itself = true;
	return true;
}

/* An address in the form that resolve.h wants: with a domain, folded where it is local. */
static bool add_address(struct alias *alias, struct source *where, const char *text, size_t length)
{
	const struct configuration *conf = where->update->conf;
	struct address address;
	struct why why;
	char folded[2 * ADDRESS_MAX];
	const char *domain;

	if (address_parse(text, length, &address, &why) != RESULT_OK) {
		source_error(where, "expected an address, found \"%.*s\": %s", (int)(length > 200 ? 200 : length), text, why.text);
		return false;
	}
	length = address_fold(&address, folded);
	if (*address.domain == '\0')
		snprintf(folded + length, sizeof folded - length, "@%s", conf->domains.items[0]);
	domain = strrchr(folded, '@') + 1;
	if (configuration_is_local_domain(conf, domain, strlen(domain)))
		return alias_add(alias, where, folded);
	return alias_add(alias, where, address.text);
}

static bool path_is_safe(const char *path)
{
	return !strstr(path, "/../") && (strlen(path) < 3 || strcmp(path + strlen(path) - 3, "/..") != 0);
}

/* "|command" or "/path", NUL-ended. */
static bool add_program(struct alias *alias, struct source *where, const char *text)
{
	if (strlen(text) > MEMBER_MAX || !text_is_printable(text, strlen(text))) {
		source_error(where, "expected a program or path of at most %d printable bytes", MEMBER_MAX);
		return false;
	}
	if (*text == '/' ? !path_is_safe(text) : text[1 + strspn(text + 1, " \t")] == '\0') {
		source_error(where, "expected %s, found \"%.200s\"", *text == '/' ? "a path without \"..\"" : "a program after '|'", text);
		return false;
	}
	alias->has_programs = true;
	return alias_add(alias, where, text);
}

/* The item's own quotes are taken off: "|command, with comma" and |"command". */
static bool unquote(const char *text, size_t length, char *out, size_t size)
{
	bool is_quoted = false;
	size_t used = 0;

	for (size_t i = 0; i < length; i++) {
		if (text[i] == '"' && (i == 0 || i == length - 1 || (i == 1 && *text == '|'))) {
			is_quoted = !is_quoted;
			continue;
		}
		if (is_quoted && text[i] == '\\' && i + 1 < length && (text[i + 1] == '"' || text[i + 1] == '\\'))
			i++;
		if (used + 1 == size)
			return false;
		out[used++] = text[i];
	}
	out[used] = '\0';
	return !is_quoted;
}

static bool starts(const char *text, size_t length, const char *start)
{
	return length >= strlen(start) && memcmp(text, start, strlen(start)) == 0;
}

/* A program or path, with or without quotes around it? */
static bool is_program(const char *text, size_t length)
{
	return *text == '|' || *text == '/' || starts(text, length, "\"|") || starts(text, length, "\"/");
}

/* The next item of a list that is separated by commas, outside of quotes. */
static bool next_item(const char **at, const char *end, const char **item, size_t *length)
{
	while (*at < end) {
		bool is_quoted = false;
		*item = *at;
		for (; *at < end && (is_quoted || **at != ','); ++*at) {
			if (**at == '\\' && is_quoted && *at + 1 < end)
				++*at;
			else if (**at == '"')
				is_quoted = !is_quoted;
		}
		*length = (size_t)(*at - *item);
		if (*at < end)
			++*at;
		*item = trim(*item, length);
		if (*length > 0)
			return true;
	}
	return false;
}

/* A member of an included file: an address. A program there would be as safe as whoever keeps the
 * list, so the alias file itself has to name it. */
static bool add_included(struct alias *alias, struct source *where, const char *text, size_t length)
{
	if (!is_program(text, length) && !starts(text, length, ":include:"))
		return add_address(alias, where, text, length);
	source_error(where, "expected an address, found \"%.*s\": an included file holds addresses only",
	             (int)(length > 200 ? 200 : length), text);
	return false;
}

static bool include_open(struct source *include, struct alias *alias, const char *path)
{
	if (!source_open(include, alias->source->update, path, false, false))
		return false;
	if (include->file)
		return true;
	source_error(alias->source, "expected a file to include, found none at %s", path);
	source_close(include);
	return false;
}

static bool add_include(struct alias *alias, const char *name, size_t length)
{
	const char *aliases = alias->source->path, *slash = strrchr(aliases, '/');
	char path[PATH_MAX];
	struct source include;
	int written;

	name = trim(name, &length);
	written = *name == '/' ? snprintf(path, sizeof path, "%.*s", (int)length, name)
	                       : snprintf(path, sizeof path, "%.*s/%.*s", (int)(slash - aliases), aliases, (int)length, name);
	if (length == 0 || written < 0 || (size_t)written >= sizeof path) {
		source_error(alias->source, "expected a path after :include:");
		return false;
	}
	if (!include_open(&include, alias, path))
		return false;
	while (source_next(&include)) {
		const char *at = include.text.s, *end = at + include.text.len, *item;
		size_t item_length;
		while (next_item(&at, end, &item, &item_length))
			add_included(alias, &include, item, item_length);
		update_progress(include.update, "members", alias->count);
	}
	source_close(&include);
	return true;
}

static bool add_item(struct alias *alias, const char *item, size_t length)
{
	static const char include[] = ":include:";
	char text[MEMBER_MAX + 2];

	if (starts(item, length, include))
		return add_include(alias, item + sizeof include - 1, length - (sizeof include - 1));
	if (starts(item, length, "\":include:") && item[length - 1] == '"')
		return add_include(alias, item + sizeof include, length - sizeof include - 1);
	if (!is_program(item, length))
		return add_address(alias, alias->source, item, length);
	if (unquote(item, length, text, sizeof text))
		return add_program(alias, alias->source, text);
	source_error(alias->source, "expected a program or path of at most %d bytes, its quotes closed", MEMBER_MAX);
	return false;
}

/* "info@example.org", "info" in every local domain, "@example.org" for all the rest. */
static bool read_key(struct alias *alias, const char *text, size_t length)
{
	struct source *source = alias->source;
	const struct configuration *conf = source->update->conf;
	struct address address;
	const char *domain;

	text = trim(text, &length);
	if (length > 1 && *text == '@') {
		alias->key[0] = '@';
		if (domain_to_ascii(text + 1, length - 1, alias->key + 1, NULL) != RESULT_OK) {
			source_error(source, "expected @domain, found \"%.*s\"", (int)(length > 200 ? 200 : length), text);
			return false;
		}
	} else if (length == 0 || address_parse(text, length, &address, NULL) != RESULT_OK) {
		source_error(source, "expected NAME@DOMAIN, NAME or @DOMAIN before the ':', found \"%.*s\"", (int)(length > 200 ? 200 : length), text);
		return false;
	} else {
		address_fold(&address, alias->key);
	}
	domain = strrchr(alias->key, '@');
	if (!domain || configuration_is_local_domain(conf, domain + 1, strlen(domain + 1)))
		return true;
	source_error(source, "expected a domain that lives here, found \"%s\" (is it missing in `domains`?)", domain + 1);
	return false;
}

/* The ':' behind the key; a quoted local part may hold one itself. */
static const char *find_colon(const char *text, const char *end)
{
	bool is_quoted = false;

	for (; text < end; text++) {
		if (*text == '\\' && is_quoted && text + 1 < end)
			text++;
		else if (*text == '"')
			is_quoted = !is_quoted;
		else if (*text == ':' && !is_quoted)
			return text;
	}
	return NULL;
}

static bool read_alias(struct alias *alias)
{
	const char *text = alias->source->text.s, *end = text + alias->source->text.len, *colon = find_colon(text, end), *item;
	size_t length;
	bool is_right;

	if (!colon) {
		source_error(alias->source, "expected NAME: MEMBER, MEMBER ..., found no ':'");
		return false;
	}
	is_right = read_key(alias, text, (size_t)(colon - text));
	for (colon++; next_item(&colon, end, &item, &length); )
		is_right = add_item(alias, item, length) && is_right;
	if (is_right && alias->count == 0) {
		source_error(alias->source, "expected members of %s behind the ':', found none", alias->key);
		return false;
	}
	return is_right;
}

/* "COUNT FLAGS\n", then the members: resolve.h. */
static bool write_alias(struct alias *alias, struct table_writer *aliases, struct table_writer *lines, stralloc *value)
{
	char flags[3], line[16];
	size_t flag = 0;

	if (alias->has_programs)
		flags[flag++] = 'p';
	if (alias->names_itself)
		flags[flag++] = 's';
	if (flag == 0)
		flags[flag++] = '-';
	value->len = 0;
	if (!text_append_number(value, alias->count) || !text_append(value, " ", 1) || !text_append(value, flags, flag) ||
	    !text_append(value, "\n", 1) || !text_append(value, alias->members.s, alias->members.len)) {
		source_error(alias->source, "no memory for this entry");
		return false;
	}
	snprintf(line, sizeof line, "%u", alias->source->line);
	return update_add(alias->source, aliases, alias->key, value->s, value->len) &&
	       update_add(alias->source, lines, alias->key, line, strlen(line));
}

void update_aliases(struct update *update, struct table_writer *aliases, struct table_writer *lines, uint64_t *count)
{
	struct source source;
	struct alias alias = { .source = &source };
	stralloc value = { 0 };

	if (!source_open(&source, update, update->conf->aliases, false, true))
		return;
	while (source_next(&source)) {
		if (read_alias(&alias))
			write_alias(&alias, aliases, lines, &value);
		alias_reset(&alias);
		update_progress(update, "aliases", ++*count);
	}
	stralloc_free(&value);
	stralloc_free(&alias.members);
	source_close(&source);
}
