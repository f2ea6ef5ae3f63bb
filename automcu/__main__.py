"""`python -m automcu` is the same as `automcu`."""

from automcu.cli import main

# Surveys start processes, which import this module again under another name.
if __name__ == "__main__":
    main()
