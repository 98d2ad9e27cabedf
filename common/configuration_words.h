/* Values of dawk.conf that are words of a list: how each is read. Used by configuration_value.c alone. */
#ifndef COMMON_CONFIGURATION_WORDS_H
#define COMMON_CONFIGURATION_WORDS_H

#include "configuration_value.h"

/* As value_read, for the types of these names. */
bool words_read_yes_no(struct value *value, void *field);
bool words_read_bare_newline(struct value *value, void *field);
bool words_read_quota_policy(struct value *value, void *field);
bool words_read_relay_check(struct value *value, void *field);
bool words_read_relay_away(struct value *value, void *field);
bool words_read_sync(struct value *value, void *field);
bool words_read_listener_names(struct value *value, void *field);
bool words_read_mechanisms(struct value *value, void *field);
bool words_read_submission_from(struct value *value, void *field);

/* Says of VALUE which LENGTH bytes at FOUND are wrong; false. */
bool value_wrong(struct value *value, const char *found, size_t length);

#endif
