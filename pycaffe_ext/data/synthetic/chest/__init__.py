"""A phantom of the chest in CT angiography: arteries with clots that are known exactly, veins, look-alikes.

`tree.py` grows vessels by Murray's law, `emboli.py` draws clots as they are in patients, `body.py` what lies around,
`artefacts.py` what looks like a clot and is none, `scanner.py` makes a CT of it.  The volumes are for trying the
programs, not for medicine.
"""

from pycaffe_ext.data.synthetic.chest.phantom import Phantom, Size, draw_phantom, write_phantom

__all__ = ["Phantom", "Size", "draw_phantom", "write_phantom"]
