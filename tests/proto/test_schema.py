"""The schema is the genuine one: every message, number, type, label, default, enum value and packed flag."""

import json

import genuine_python
import numpy as np
import pytest
from google.protobuf import descriptor_pb2, json_format

from pycaffe_ext.proto import caffe_pb2

DUMP = """
import json
from caffe.proto import caffe_pb2
from google.protobuf import descriptor_pb2, json_format
schema = descriptor_pb2.FileDescriptorProto()
caffe_pb2.DESCRIPTOR.CopyToProto(schema)
print(json.dumps(json_format.MessageToDict(schema)))
"""


def own_schema() -> dict:
    schema = descriptor_pb2.FileDescriptorProto()
    caffe_pb2.DESCRIPTOR.CopyToProto(schema)
    return json_format.MessageToDict(schema)


def enums(holder: dict, prefix: str) -> dict:
    return {
        f"{prefix}{enum['name']}.{value['name']}": value.get("number", 0)
        for enum in holder.get("enumType", [])
        for value in enum["value"]
    }


def flat(schema: dict) -> dict:
    """Everything a schema says, by dotted name; order and file name aside."""
    facts = {"package": schema["package"], "syntax": schema.get("syntax", "proto2")} | enums(schema, "")
    for message in schema["messageType"]:
        facts[message["name"]] = "message"
        facts |= enums(message, message["name"] + ".")
        for field in message.get("field", []):
            fact = {key: field.get(key) for key in ("number", "type", "typeName", "label", "defaultValue")}
            fact["packed"] = field.get("options", {}).get("packed", False)
            if field["type"] in ("TYPE_FLOAT", "TYPE_DOUBLE") and fact["defaultValue"] is not None:
                fact["defaultValue"] = float(np.float32(fact["defaultValue"]))
            facts[f"{message['name']}.{field['name']}"] = fact
    return facts


@pytest.mark.genuine
def test_every_field_is_the_genuine_one():
    run = genuine_python.run("-c", DUMP)
    theirs, ours = flat(json.loads(run.stdout)), flat(own_schema())
    assert sorted(ours) == sorted(theirs)
    assert {name: ours[name] for name in ours if ours[name] != theirs[name]} == {}
    assert len(ours) == 599


def test_the_facts_most_files_rest_on():
    facts = flat(own_schema())
    assert facts["NetParameter.layer"]["number"] == 100
    assert facts["NetParameter.layers"]["number"] == 2
    assert facts["BlobProto.data"] | {"packed": True} == facts["BlobProto.data"]
    assert facts["Datum.label"]["number"] == 5
    assert facts["V1LayerParameter.LayerType.CONVOLUTION"] == 4
