"""Frames, candidates, patches and the LMDB that holds them."""

ENCODINGS = ("raw", "png", "jpg")  # of a patch in a Datum; here, where nothing heavy is imported
