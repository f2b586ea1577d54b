/* Declarations. Compile this file by itself; for its types and functions include it in another file, in C or C++, by
     #define WINOGRAD_DECLARATIONS_ONLY
     #include "FILE.c" */
#ifndef NAME_DECLARED
#define NAME_DECLARED
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef REAL_TYPE NAME_real; /* what is computed with */
typedef STORED_TYPE NAME_stored; /* what inputs, filters and outputs are stored in */

PROTOTYPES
#ifdef __cplusplus
}
#endif
#endif

#ifndef WINOGRAD_DECLARATIONS_ONLY
