"""NAS-Bench-201 cells in skeletons that are scaled to the board."""
