"""What a program costs on a device before anything is built, and whether that fits."""
