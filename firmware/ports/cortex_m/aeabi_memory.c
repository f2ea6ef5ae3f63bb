/* The names under which LLVM calls the memory functions on Arm (Run-time ABI for the Arm
 * Architecture, IHI 0043, section 5.3.4: Memory copying, clearing, and setting). The numbered
 * variants promise alignment, which the plain functions find out by themselves. */
#include "memory.h"

void __aeabi_memcpy(void *destination, const void *source, size_t length);
void __aeabi_memmove(void *destination, const void *source, size_t length);
void __aeabi_memset(void *destination, size_t length, int value);
void __aeabi_memclr(void *destination, size_t length);

void __aeabi_memcpy(void *destination, const void *source, size_t length) {
    memcpy(destination, source, length);
}

void __aeabi_memmove(void *destination, const void *source, size_t length) {
    memmove(destination, source, length);
}

/* Length and value are the other way round than in memset. */
void __aeabi_memset(void *destination, size_t length, int value) {
    memset(destination, value, length);
}

void __aeabi_memclr(void *destination, size_t length) {
    memset(destination, 0, length);
}

#define SAME_AS(function) __attribute__((alias(#function)))

void __aeabi_memcpy4(void *destination, const void *source, size_t length) SAME_AS(__aeabi_memcpy);
void __aeabi_memcpy8(void *destination, const void *source, size_t length) SAME_AS(__aeabi_memcpy);
void __aeabi_memmove4(void *destination, const void *source, size_t length)
    SAME_AS(__aeabi_memmove);
void __aeabi_memmove8(void *destination, const void *source, size_t length)
    SAME_AS(__aeabi_memmove);
void __aeabi_memset4(void *destination, size_t length, int value) SAME_AS(__aeabi_memset);
void __aeabi_memset8(void *destination, size_t length, int value) SAME_AS(__aeabi_memset);
void __aeabi_memclr4(void *destination, size_t length) SAME_AS(__aeabi_memclr);
void __aeabi_memclr8(void *destination, size_t length) SAME_AS(__aeabi_memclr);
