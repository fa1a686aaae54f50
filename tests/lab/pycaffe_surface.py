"""Print, as JSON, the names that a pycaffe shows: run on the genuine one and on this project's."""

import json
import sys
import types
from importlib import import_module

sys.modules.setdefault("pydot", types.ModuleType("pydot"))  # only so that the genuine caffe.draw can be imported
caffe = import_module("caffe")
for name in ("coord_map", "draw", "io", "net_spec"):
    import_module("caffe." + name)

with open("surface.prototxt", "w") as file:
    file.write("""layer { name: "a" type: "Input" top: "a" input_param { shape { dim: 1 dim: 1 } } }
        layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" inner_product_param { num_output: 1 } }
        layer { name: "c" type: "Reduction" bottom: "b" top: "c" loss_weight: 1 }""")
with open("surface_solver.prototxt", "w") as file:
    file.write('net: "surface.prototxt" base_lr: 0.1 lr_policy: "fixed" snapshot_prefix: "surface"')

net = caffe.Net("surface.prototxt", caffe.TEST)
solver = caffe.get_solver("surface_solver.prototxt")
things = {
    "caffe": caffe,
    "caffe.io": caffe.io,
    "caffe.draw": caffe.draw,
    "caffe.net_spec": caffe.net_spec,
    "caffe.coord_map": caffe.coord_map,
    "caffe.pycaffe": caffe.pycaffe,
    "Net": net,
    "Blob": net.blobs["a"],
    "layer": net.layers[1],
    "solver": solver,
    "param": solver.param,
    "Timer": caffe.Timer(),
    "Layer": caffe.Layer,
    "NetSpec": caffe.NetSpec(),
    "NCCL": caffe.NCCL,
    "Transformer": caffe.io.Transformer({}),
    "Top": caffe.net_spec.Top,
    "Function": caffe.net_spec.Function,
    "proto": caffe.proto.caffe_pb2,
}
for name in ("SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"):
    things[name + "Solver"] = getattr(caffe, name + "Solver")("surface_solver.prototxt")
names = {name: [word for word in dir(thing) if not word.startswith("__")] for name, thing in things.items()}
for name in ("Classifier", "Detector"):
    names[name] = sorted(set(dir(getattr(caffe, name))) - set(dir(caffe.Net)))
names["layer types"] = list(caffe.layer_type_list())
names["version"] = [caffe.__version__]
print(json.dumps(names))
