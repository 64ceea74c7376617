"""The report's figures, one file per kind. Each takes plain data and returns matplotlib figures; none knows pyplot."""
