"""Databases of Datums: LMDB and LevelDB, read and written."""

ENCODINGS = ("raw", "png", "jpg")  # of a patch in a Datum; here, where nothing heavy is imported
