/* The tables of mailboxes and secrets. See update.h, dawk-users(5), dawk-secrets(5). */
#include "password.h"
#include "update.h"
#include "authd/scram.h"
#include "common/maildir.h"

#include <stdlib.h>
#include <string.h>

enum { ADDRESS, HASH, UID, GID, MAILDIR, QUOTA, USER_FIELDS };

struct user_fields { const char *at[USER_FIELDS]; size_t length[USER_FIELDS]; };

/* ADVICE: the command that makes another. */
static bool judge_hash(struct source *source, const char *hash, size_t length, const char *advice)
{
	switch (password_judge_hash(hash, length)) {
	case HASH_WRONG:
		source_error(source, "expected a password hash as crypt(3) writes it, found something else (`dawk user %s` sets one)", advice);
		return false;
	case HASH_WEAK:
		update_warning(source->update, source->path, source->line, "a password hash of this method is too weak, and "
		               "lets nobody log in (`dawk user %s` sets another)", advice);
		return true;
	default:
		return true;
	}
}

static bool read_id(struct source *source, const struct user_fields *fields, int field, const char *name, uint64_t preset, uint64_t *id)
{
	*id = preset;
	if (fields->length[field] > 0 && (!text_to_number(fields->at[field], fields->length[field], id) || *id >= UINT32_MAX)) {
		source_error(source, "expected a number as %s, found \"%.*s\"", name,
		             (int)(fields->length[field] > 60 ? 60 : fields->length[field]), fields->at[field]);
		return false;
	}
	if (*id != 0)
		return true;
	source_error(source, "expected a %s above 0, found 0: nothing is ever delivered as root", name);
	return false;
}

static bool has_parent_step(const char *path, size_t length)
{
	const char *at = path, *end = path + length;

	while (at < end) {
		const char *slash = memchr(at, '/', (size_t)(end - at));
		size_t part = (size_t)((slash ? slash : end) - at);
		if (part == 2 && at[0] == '.' && at[1] == '.')
			return true;
		at += part + 1;
	}
	return false;
}

/* FOLDED as the folder DOMAIN/LOCAL; a '/' in a local part would be another folder's. */
static bool put_default_maildir(struct source *source, const char *folded, stralloc *out)
{
	const char *at = strrchr(folded, '@');
	size_t local = (size_t)(at - folded);

	if (memchr(folded, '/', local) || *folded == '.') {
		source_error(source, "expected a MAILDIR for %s, found none: its name can't be a folder's", folded);
		return false;
	}
	return text_append_string(out, at + 1) && text_append(out, "/", 1) && text_append(out, folded, local);
}

static bool put_maildir(struct source *source, const struct user_fields *fields, const char *folded, stralloc *out)
{
	const char *path = fields->at[MAILDIR];
	size_t length = fields->length[MAILDIR], start = out->len;

	while (length > 1 && path[length - 1] == '/')
		length--;
	if (has_parent_step(path, length)) {
		source_error(source, "expected a MAILDIR without \"..\", found \"%.*s\"", (int)(length > 200 ? 200 : length), path);
		return false;
	}
	if (length == 0 || *path != '/') {
		text_append_string(out, source->update->conf->mailboxes);
		text_append(out, "/", 1);
	}
	if (length == 0 ? !put_default_maildir(source, folded, out) : !text_append(out, path, length))
		return false;
	if (out->len - start < PATH_MAX - 64)	/* tmp/ and a file's name have to fit behind it */
		return true;
	source_error(source, "expected a MAILDIR of at most %d bytes, found a longer one", PATH_MAX - 64);
	return false;
}

static bool put_quota(struct source *source, const struct user_fields *fields, stralloc *out)
{
	char text[64];
	struct quota quota;
	size_t length = fields->length[QUOTA];

	if (length > 0) {
		if (length < sizeof text) {
			memcpy(text, fields->at[QUOTA], length);
			text[length] = '\0';
		}
		if (length >= sizeof text || !quota_parse(text, &quota)) {
			source_error(source, "expected a QUOTA like 50M or 50M,1000 (messages), found \"%.*s\"",
			             (int)(length > 60 ? 60 : length), fields->at[QUOTA]);
			return false;
		}
	}
	return text_append(out, ":", 1) && text_append(out, fields->at[QUOTA], length);
}

/* "UID:GID:MAILDIR:QUOTA", all filled in. */
static bool put_user(struct source *source, const struct user_fields *fields, const char *folded, stralloc *out)
{
	uint64_t uid, gid;

	out->len = 0;
	if (!read_id(source, fields, UID, "UID", source->update->mailbox_uid, &uid) ||
	    !read_id(source, fields, GID, "GID", source->update->mailbox_gid, &gid))
		return false;
	return text_append_number(out, uid) && text_append(out, ":", 1) && text_append_number(out, gid) &&
	       text_append(out, ":", 1) && put_maildir(source, fields, folded, out) && put_quota(source, fields, out);
}

static void trim(const char **text, size_t *length)
{
	for (; *length > 0 && (**text == ' ' || **text == '\t'); ++*text)
		--*length;
	while (*length > 0 && ((*text)[*length - 1] == ' ' || (*text)[*length - 1] == '\t'))
		--*length;
}

static bool take_user(struct source *source, struct table_writer *users, struct table_writer *hashes, stralloc *value)
{
	struct user_fields fields = { { NULL }, { 0 } };
	char folded[ADDRESS_MAX + 1];
	size_t count = update_split(source->text.s, source->text.len, ':', fields.at, fields.length, USER_FIELDS);

	for (size_t i = 0; i < USER_FIELDS; i++) {
		if (i >= count)
			fields.at[i] = "";
		trim(&fields.at[i], &fields.length[i]);
	}
	if (memchr(fields.at[QUOTA], ':', fields.length[QUOTA])) {
		source_error(source, "expected ADDRESS:HASH:UID:GID:MAILDIR:QUOTA, found more fields");
		return false;
	}
	return update_local_address(source, fields.at[ADDRESS], fields.length[ADDRESS], folded) &&
	       judge_hash(source, fields.at[HASH], fields.length[HASH], "passwd") &&
	       put_user(source, &fields, folded, value) &&
	       update_add(source, users, folded, value->s, value->len) &&
	       (password_judge_hash(fields.at[HASH], fields.length[HASH]) == HASH_NONE ||
	        update_add(source, hashes, folded, fields.at[HASH], fields.length[HASH]));
}

void update_users(struct update *update, struct table_writer *users, struct table_writer *hashes, uint64_t *count)
{
	struct source source;
	stralloc value = { 0 };

	if (!source_open(&source, update, update->conf->users, true, false))
		return;
	while (source_next(&source)) {
		take_user(&source, users, hashes, &value);
		update_progress(update, "users", ++*count);
	}
	stralloc_free(&value);
	source_close(&source);
}

/* Secrets of one address come together under one key: collected, sorted, written. */
enum { ROUTE_USER_MAX = 320, ROUTE_PASSWORD_MAX = 500 };	/* what remoted takes */

struct secret { char *key, *value; unsigned line; };
struct secret_list { struct secret *items; size_t count; };

static void secrets_free(struct secret_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].key);
		free(list->items[i].value);
	}
	free(list->items);
}

static bool secrets_append(struct source *source, struct secret_list *list, const char *key, const char *value, size_t length)
{
	struct secret *items = reallocarray(list->items, list->count + 1, sizeof *items);

	if (items) {
		list->items = items;
		items += list->count;
		*items = (struct secret){ strdup(key), strndup(value, length), source->line };
		if (items->key && items->value) {
			list->count++;
			return true;
		}
		free(items->key);
		free(items->value);
	}
	source_error(source, "no memory for this entry");
	return false;
}

static bool is_name(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", text[i]))
			return false;
	return length > 0 && length <= 64;
}

static bool is_scheme(const char *text, size_t length)
{
	static const char *const schemes[] = { "crypt", "apop", "scram-sha-1", "scram-sha-256" };

	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
		if (text_equal_folded(text, length, schemes[i], strlen(schemes[i])))
			return true;
	return false;
}

/* "route:NAME:USER:PASSWORD": the login NAME at a next hop, in a table of its own, which remoted is given. */
static void take_route_secret(struct source *source, struct table_writer *logins)
{
	const char *part[4];
	size_t length[4];
	char key[80];

	if (update_split(source->text.s, source->text.len, ':', part, length, 4) < 4 || !is_name(part[1], length[1]) || length[2] == 0 ||
	    length[2] > ROUTE_USER_MAX || length[3] > ROUTE_PASSWORD_MAX) {
		source_error(source, "expected route:NAME:USER:PASSWORD");
		return;
	}
	snprintf(key, sizeof key, "%.*s", (int)length[1], part[1]);
	if (critbit0_insert(&source->update->logins, key) == 0)
		source_error(source, "no memory for this entry");
	update_add(source, logins, key, part[2], length[2] + 1 + length[3]);
}

static bool take_secret(struct source *source, struct secret_list *list, struct table_writer *logins)
{
	const char *part[4];
	size_t length[4];
	char folded[ADDRESS_MAX + 1];

	if (strncmp(source->text.s, "route:", 6) == 0) {
		take_route_secret(source, logins);
		return true;
	}
	if (update_split(source->text.s, source->text.len, ':', part, length, 4) < 4 || !is_name(part[1], length[1]) ||
	    !is_scheme(part[2], length[2]) || length[3] == 0) {
		source_error(source, "expected ADDRESS:NAME:SCHEME:VALUE, SCHEME crypt, apop, scram-sha-1 or scram-sha-256");
		return false;
	}
	struct scram_key key;
	if (text_equal_folded(part[2], length[2], "scram-sha-256", strlen("scram-sha-256")) && !scram_key_parse(part[3], length[3], &key)) {
		source_error(source, "expected ITERATIONS,SALT,STOREDKEY,SERVERKEY of scram-sha-256, %d iterations at least", SCRAM_ITERATIONS_LEAST);
		return false;
	}
	if (!update_local_address(source, part[0], length[0], folded) ||
	    (text_equal_folded(part[2], length[2], "crypt", strlen("crypt")) && !judge_hash(source, part[3], length[3], "app-password add")))
		return false;
	text_lower(source->text.s + (part[2] - source->text.s), length[2]);
	return secrets_append(source, list, folded, part[1], source->text.len - length[0] - 1);
}

static int compare_secrets(const void *a, const void *b)
{
	const struct secret *x = a, *y = b;
	int order = strcmp(x->key, y->key);

	return order ? order : x->line < y->line ? -1 : x->line > y->line;
}

/* Lines of one key from FIRST on, each ended by a newline; returns the place behind them. */
static size_t write_secrets(struct source *source, const struct secret_list *list, size_t first, struct table_writer *writer)
{
	stralloc value = { 0 };
	size_t i = first;
	bool whole = true;

	for (; i < list->count && strcmp(list->items[i].key, list->items[first].key) == 0; i++)
		whole = whole && text_append_string(&value, list->items[i].value) && text_append(&value, "\n", 1);
	source->line = list->items[first].line;
	if (whole)
		update_add(source, writer, list->items[first].key, value.s, value.len);
	else
		source_error(source, "no memory for this entry");
	stralloc_free(&value);
	return i;
}

void update_secrets(struct update *update, struct table_writer *writer, struct table_writer *logins, uint64_t *count)
{
	struct source source;
	struct secret_list list = { NULL, 0 };

	if (!source_open(&source, update, update->conf->secrets, true, false))
		return;
	while (source_next(&source)) {
		take_secret(&source, &list, logins);
		update_progress(update, "secrets", ++*count);
	}
	if (list.count > 0)
		qsort(list.items, list.count, sizeof list.items[0], compare_secrets);
	for (size_t i = 0; i < list.count; )
		i = write_secrets(&source, &list, i, writer);
	secrets_free(&list);
	source_close(&source);
}
