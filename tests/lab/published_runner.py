"""Run test modules that Caffe publishes against pycaffe_ext.caffe: published_runner.py FOLDER MODULE ...

`import caffe` in them, and in everything they import, means this project's module.  The last line is JSON:
for each module the numbers of tests run, failures, errors, skipped.
"""

import json
import sys
import unittest

from pycaffe_ext.caffe import alias

OLD_NAMES = {"assertEquals": "assertEqual", "assertRaisesRegexp": "assertRaisesRegex"}  # gone since Python 3.12


def run(module: str) -> dict[str, int]:
    suite = unittest.defaultTestLoader.loadTestsFromName(module)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    return {
        "run": result.testsRun,
        "failures": len(result.failures),
        "errors": len(result.errors),
        "skipped": len(result.skipped),
    }


def main(folder: str, *modules: str) -> None:
    alias.install()
    sys.path.insert(0, folder)
    for old, new in OLD_NAMES.items():
        if not hasattr(unittest.TestCase, old):
            setattr(unittest.TestCase, old, getattr(unittest.TestCase, new))
    print(json.dumps({module: run(module) for module in modules}))


main(*sys.argv[1:])
