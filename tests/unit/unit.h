/* A small harness for the C drivers: TAP on standard output. Each driver is one program. */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <stdio.h>
#include <string.h>

static int unit_count, unit_failed;

#define CHECK(condition) unit_check((condition) ? 1 : 0, #condition, __FILE__, __LINE__)
#define CHECK_STRING(a, b) unit_check_string((a), (b), #a, __FILE__, __LINE__)
/* Names what follows in the output. */
#define UNIT_RUN(function) do { printf("# %s\n", #function); function(); } while (0)

static inline void unit_check(int is_true, const char *what, const char *file, int line)
{
	unit_count++;
	if (!is_true)
		unit_failed++;
	printf("%s %d - %s:%d %s\n", is_true ? "ok" : "not ok", unit_count, file, line, what);
}

static inline void unit_check_string(const char *a, const char *b, const char *what, const char *file, int line)
{
	int is_equal = a && b && !strcmp(a, b);
	if (!is_equal)
		printf("# got \"%s\", wanted \"%s\"\n", a ? a : "(null)", b ? b : "(null)");
	unit_check(is_equal, what, file, line);
}

static inline int unit_end(void)
{
	printf("1..%d\n", unit_count);
	return unit_failed != 0;
}

#endif
