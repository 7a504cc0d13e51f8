"""One question a file: each asks an opened artifact and gives rows of the report."""
