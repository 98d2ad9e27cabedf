/* Included before each file that clang-tidy reads: why_set and why_errno return the result they
 * are given, which the analyzer can't see across files. */
#include "common/result.h"
#define why_set(why, result, ...) (why_set(why, result, __VA_ARGS__), (result))
#define why_errno(why, result, ...) (why_errno(why, result, __VA_ARGS__), (result))
