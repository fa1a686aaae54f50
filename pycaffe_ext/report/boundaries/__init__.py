"""The report of a study that finds boundaries: figures, tables and pages."""
