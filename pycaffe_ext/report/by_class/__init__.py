"""The report of a study of nets that classify images."""
