"""One module for each command of `pycaffe-ext`, with `main(arguments)`: it parses, calls, prints and writes.

`command_line.commands` has their rows. Heavy libraries are imported inside `main`, after the arguments were read.
"""
