"""The result for people: tables in the terminal and a self-contained HTML page."""
