"""Writes protocol2.bin and protocol4.bin: CPython's own pickler and zipfile, with empty stand-ins for torch's names.

    python3 -I make_fixtures.py OUTPUT_DIRECTORY

The pickles name and call what torch.save makes them name and call; values are fixed, so the files are reproducible.
"""
import io
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict

torch = types.ModuleType("torch")
torch._utils = types.ModuleType("torch._utils")
torch.storage = types.ModuleType("torch.storage")
sys.modules.update({m.__name__: m for m in (torch, torch._utils, torch.storage)})


def function(name):
    def stand_in(*args):
        raise RuntimeError("never called: only the name is pickled")

    stand_in.__module__, stand_in.__name__, stand_in.__qualname__ = "torch._utils", name, name
    setattr(torch._utils, name, stand_in)
    return stand_in


def storage_type(module, name):
    made = type(name, (), {"__module__": module.__name__, "__qualname__": name})
    setattr(module, name, made)
    return made


class Dtype:
    __module__ = "torch"

    def __init__(self, name):
        self.name = name
        setattr(torch, name, self)

    def __reduce__(self):
        return self.name


class Storage:
    def __init__(self, key, kind, count, data):
        self.key, self.kind, self.count, self.data = key, kind, count, data


class Tensor:
    def __init__(self, storage, offset, shape, strides, dtype=None):
        self.arguments, self.dtype = (storage, offset, shape, strides, False, OrderedDict()), dtype

    def __reduce__(self):
        return (rebuild_v3, self.arguments + (self.dtype,)) if self.dtype else (rebuild_v2, self.arguments)


class Parameter:
    def __init__(self, tensor):
        self.tensor = tensor

    def __reduce__(self):
        return rebuild_parameter, (self.tensor, True, OrderedDict())


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        return ("storage", value.kind, value.key, "cpu", value.count) if isinstance(value, Storage) else None


rebuild_v2, rebuild_v3 = function("_rebuild_tensor_v2"), function("_rebuild_tensor_v3")
rebuild_parameter = function("_rebuild_parameter")
floats = Storage("0", storage_type(torch, "FloatStorage"), 6, struct.pack("<6f", 0, 1, 2, 3, 4, 5))
halves = Storage("1", storage_type(torch, "HalfStorage"), 4, struct.pack("<4e", 1, 2, 3, 4))
longs = Storage("2", storage_type(torch, "LongStorage"), 1, struct.pack("<q", -7))
bools = Storage("3", storage_type(torch, "BoolStorage"), 3, b"\1\0\1")
untyped = Storage("4", storage_type(torch.storage, "UntypedStorage"), 4, b"\x38\x40\x44\x48")
embedding = Tensor(floats, 0, (2, 3), (3, 1))
state = OrderedDict(
    [
        ("embed.weight", embedding),
        ("lm_head.weight", Parameter(embedding)),
        ("transposed", Tensor(floats, 0, (3, 2), (1, 3))),
        ("expanded", Tensor(halves, 1, (2, 2), (0, 1))),
        ("tail", Tensor(halves, 2, (2,), (1,))),
        ("step", Tensor(longs, 0, (), ())),
        ("mask", Tensor(bools, 0, (3,), (1,))),
        ("empty", Tensor(floats, 0, (0, 4), (4, 1))),
        ("float8", Tensor(untyped, 0, (2, 2), (2, 1), Dtype("float8_e4m3fn"))),
    ]
)
state._metadata = OrderedDict([("", {"version": 1})])

for protocol in (2, 4):
    pickled = io.BytesIO()
    Pickler(pickled, protocol=protocol).dump(state)
    with zipfile.ZipFile(f"{sys.argv[1]}/protocol{protocol}.bin", "w", zipfile.ZIP_STORED) as archive:
        entries = {"data.pkl": pickled.getvalue(), "byteorder": b"little", "version": b"3\n"}
        entries.update({"data/" + s.key: s.data for s in (floats, halves, longs, bools, untyped)})
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo("archive/" + name, (1980, 1, 1, 0, 0, 0)), data)
