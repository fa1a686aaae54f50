"""The report of a study whose nets detect lesions, part by part."""
