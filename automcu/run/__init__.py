"""A whole run, from a brief to a report, and the records that it leaves in its folder."""
