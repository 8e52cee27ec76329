// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The headers that belong to a compiler, as far as other headers need them. libclang comes without:
 * clang has them in a package of its own, which need not be there. They are in memory only.
 *
 * @module
 */

/** The folder where clang finds them, after all that there are. */
export const FOLDER = "/fringe_headers";

const define = (names: readonly string[]): string =>
  names.map((name) => `#undef ${name}\n#define ${name} __${name}__\n`).join("");

const ofFloats = ["FLT", "DBL", "LDBL"].flatMap((type) =>
  ["MANT_DIG", "DIG", "MIN_EXP", "MAX_EXP", "MIN_10_EXP", "MAX_10_EXP", "MAX", "MIN", "EPSILON"]
    .map((name) => `${type}_${name}`)
);

/** By their names: what they have in C11, sections 5.2.4.2, 7.16, 7.18 and 7.19. */
export const headers: Readonly<Record<string, string>> = {
  "stddef.h": `
typedef __SIZE_TYPE__ size_t;
typedef __PTRDIFF_TYPE__ ptrdiff_t;
typedef __WCHAR_TYPE__ wchar_t;
typedef __WINT_TYPE__ wint_t;
#undef NULL
#define NULL ((void *)0)
#define offsetof(type, member) __builtin_offsetof(type, member)
`,
  "stdarg.h": `
typedef __builtin_va_list va_list;
typedef __builtin_va_list __gnuc_va_list;
#define va_start(list, last) __builtin_va_start(list, last)
#define va_end(list) __builtin_va_end(list)
#define va_arg(list, type) __builtin_va_arg(list, type)
#define va_copy(to, from) __builtin_va_copy(to, from)
`,
  "stdbool.h": "#define bool _Bool\n#define true 1\n#define false 0\n",
  "limits.h": `
${define(["SCHAR_MAX", "INT_MAX", "LONG_MAX"])}
#define CHAR_BIT __CHAR_BIT__
#define SCHAR_MIN (-SCHAR_MAX - 1)
#define UCHAR_MAX (SCHAR_MAX * 2 + 1)
#define SHRT_MAX __SHRT_MAX__
#define SHRT_MIN (-SHRT_MAX - 1)
#define USHRT_MAX (SHRT_MAX * 2 + 1)
#define INT_MIN (-INT_MAX - 1)
#define UINT_MAX (INT_MAX * 2U + 1)
#define LONG_MIN (-LONG_MAX - 1L)
#define ULONG_MAX (LONG_MAX * 2UL + 1)
#define LLONG_MAX __LONG_LONG_MAX__
#define LLONG_MIN (-LLONG_MAX - 1LL)
#define ULLONG_MAX (LLONG_MAX * 2ULL + 1)
#ifdef __CHAR_UNSIGNED__
#define CHAR_MIN 0
#define CHAR_MAX UCHAR_MAX
#else
#define CHAR_MIN SCHAR_MIN
#define CHAR_MAX SCHAR_MAX
#endif
`,
  "float.h": define(ofFloats) + "#define FLT_RADIX __FLT_RADIX__\n",
};
