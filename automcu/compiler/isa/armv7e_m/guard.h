#if !defined(__ARM_FEATURE_DSP) || __ARM_ARCH_PROFILE != 'M'
#error "This network is for a Cortex-M with the DSP extension (M4, M7, M33). On a PC compile the files in portable/ instead; for another board compile the model again: automcu compile --device."
#endif
