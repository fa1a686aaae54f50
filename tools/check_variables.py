"""Print why make refuses variables of its command line, or nothing: check_variables.py [GOAL...] -- NAME...

It runs on any Python 3, before anything is installed.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pycaffe_ext.command_line.variables import refusal

if __name__ == "__main__":
    words = sys.argv[1:]
    end = words.index("--")
    sys.stdout.reconfigure(errors="surrogateescape")
    print(refusal(words[:end], words[end + 1 :]))
