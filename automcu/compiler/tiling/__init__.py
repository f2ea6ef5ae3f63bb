"""Row tiling: chains of operators that run some rows at a time, so that less memory is needed."""
