"""Shared by all tests."""

import signal

# A shell that starts tests in the background has them ignore SIGINT, and every process that they start inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)
