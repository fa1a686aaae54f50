"""Every command and option, once: `options` and `commands` are the tables; parsers and help texts are made from them.

The tables and the texts need the standard library only: `make help` works before anything is installed.
"""
