"""Run by the genuine Caffe's Python 3.9: what its own C++ text parser makes of many snippets, in one process.

Arguments: a folder and a kind of message (Net, Solver).  Each file NAME.txt in the folder that is read gets a
NAME.bin, the message in binary; a file that is refused gets none, and its reason goes to standard error.
"""

import ctypes
import glob
import os
import sys

import caffe  # noqa: F401 - loads libcaffe, with everything it needs

FOLDER, KIND = sys.argv[1:]
with open("/proc/self/maps") as maps:
    LIBRARY = ctypes.CDLL(next(line.split()[-1] for line in maps if "libcaffe.so" in line))
CLASS = f"{len(KIND) + 9}{KIND}Parameter"


def function(name):
    return getattr(LIBRARY, f"_ZN5caffe{name}")


def convert(source, target):
    message = ctypes.create_string_buffer(1 << 14)  # larger than any message object
    function(f"{CLASS}C1EPN6google8protobuf5ArenaE")(message, None)
    if function("21ReadProtoFromTextFileEPKcPN6google8protobuf7MessageE")(source.encode(), message) & 0xFF:
        function("22WriteProtoToBinaryFileERKN6google8protobuf7MessageEPKc")(message, target.encode())


for path in sorted(glob.glob(os.path.join(FOLDER, "*.txt"))):
    print(f"--- {os.path.basename(path)}", file=sys.stderr, flush=True)
    convert(path, path[:-4] + ".bin")
