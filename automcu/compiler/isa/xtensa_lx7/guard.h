#if defined(__XCHAL_HAVE_MUL32_HIGH) && !__XCHAL_HAVE_MUL32_HIGH
#error "This network is for the ESP32-S3: this core has no 32-bit high product (MULSH). There is no code for it."
#endif
