"""Databases of Datums: LMDB and LevelDB, read and written."""

Value = bytes | memoryview  # of a record; a view where an LMDB lends its own memory
ENCODINGS = ("raw", "png", "jpg")  # of a patch in a Datum; here, where nothing heavy is imported
