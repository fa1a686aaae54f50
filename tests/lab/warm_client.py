"""Stands for `python -m pycaffe_ext ARGUMENTS`: has a fork of the warm server run it, and ends as that does.

It is run by `python -S -E`, so it imports little. argv: the server's socket, then the arguments. Files beyond the
first three that it has inherited are held open by the fork, too.
"""

import json
import os
import signal
import socket
import sys

with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    asked = {"cwd": os.getcwd(), "environment": dict(os.environ), "arguments": sys.argv[2:]}
    inherited = [int(name) for name in os.listdir("/proc/self/fd") if int(name) > 2]
    held = [
        number for number in inherited if number != connection.fileno() and os.path.exists(f"/proc/self/fd/{number}")
    ]
    message = json.dumps(asked).encode() + b"\n"
    sent = socket.send_fds(connection, [message], [0, 1, 2, *held])
    connection.sendall(message[sent:])
    answers = connection.makefile()
    pid = int(answers.readline())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: os.kill(pid, number))
    status = int(answers.readline())
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
sys.exit(status)
