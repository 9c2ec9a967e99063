"""Tensors and random generators of torch, with what their own pickles drop.

The memory of a CPU tensor is written as an array of bytes: so tensors, and numpy arrays, that share memory
still do after they are loaded, and a large one is read without a copy.
"""

from __future__ import annotations

import pickle
import sys
from typing import Any

from kale_magics.step_runtime.reducers import runtime_reference


class Tensors:
    """The tensors of one artifact.

    Attributes:
        memories: By address and size in bytes: the memory of a tensor as an array, and its owner.
    """

    def __init__(self) -> None:
        self.memories: dict[tuple[int, int], tuple[Any, Any]] = {}

    def reduce(self, obj: Any) -> Any:
        """Reduce a tensor, or a generator that torch cannot pickle yet; None to leave it to pickle.

        Raises:
            PicklingError: The tensor belongs to the graph of a computation.
        """
        torch = sys.modules.get("torch")
        if torch is None or not hasattr(torch, "Tensor"):
            return None
        if isinstance(obj, torch.Generator):
            made = type(obj), (str(obj.device),), obj.get_state(), None, None, runtime_reference("set_state")
            return None if "__reduce__" in vars(type(obj)) else made
        if not isinstance(obj, torch.Tensor):
            return None
        if obj.grad_fn is not None:
            raise pickle.PicklingError("cannot pickle the graph of its computation; .detach() leaves it")
        plain = type(obj) in (torch.Tensor, torch.nn.Parameter) and obj.layout is torch.strided
        if not plain or obj.device.type != "cpu" or obj.is_quantized:
            return None
        how = obj.dtype, obj.storage_offset(), tuple(obj.shape), obj.stride(), obj.is_conj(), obj.is_neg()
        state = obj.requires_grad, obj.grad, vars(obj)
        make, fill = runtime_reference("make_tensor"), runtime_reference("fill_tensor")
        return make, (type(obj), self.memory(obj), how), state, None, None, fill

    def memory(self, tensor: Any) -> Any:
        """Return the memory of a tensor, as one array of bytes for all tensors that share it."""
        torch = sys.modules["torch"]
        storage = bytes_of(tensor)
        at = storage.data_ptr(), storage.nbytes()
        if at not in self.memories:
            array = torch.empty(0, dtype=torch.uint8).set_(storage).numpy()
            self.memories[at] = array, storage
        return self.memories[at][0]

    def memory_of_array(self, array: Any) -> Any:
        """Return the memory that an array shares with a tensor, in its written form; else None.

        Args:
            array: It owns its memory, or views that of an object that is not an array.
        """
        torch = sys.modules.get("torch")
        if torch is None or not (array.flags.c_contiguous or array.flags.f_contiguous) or not array.size:
            return None
        at = array.__array_interface__["data"][0], array.nbytes
        if isinstance(array.base, torch.Tensor):
            found = self.memory(array.base)
        else:
            found = array if array.dtype.hasobject else self.memories.setdefault(at, (array, array))[0]
        return None if found is array else found


def bytes_of(tensor: Any) -> Any:
    """Return the storage of a tensor."""
    return tensor.untyped_storage() if hasattr(tensor, "untyped_storage") else tensor.storage().untyped()


class TensorBuilders:
    """Rebuilds tensors from their reduced form."""

    def make_tensor(self, kind: Any, memory: Any, how: Any) -> Any:
        """Rebuild a tensor of `Tensors.reduce`."""
        torch = sys.modules["torch"]
        dtype, offset, shape, strides, conjugated, negated = how
        storage = bytes_of(torch.from_numpy(memory.ravel(order="K").view("u1")))
        tensor = torch.empty(0, dtype=dtype).set_(storage, offset, shape, strides)
        tensor = torch._conj(tensor) if conjugated else tensor
        tensor = torch._neg_view(tensor) if negated else tensor
        return tensor if kind is torch.Tensor else kind(tensor, False)

    def fill_tensor(self, tensor: Any, state: Any) -> None:
        """Set a state of `Tensors.reduce`."""
        needs_gradient, gradient, attributes = state
        tensor.requires_grad_(needs_gradient)
        tensor.grad = gradient
        vars(tensor).update(attributes)

    def set_state(self, generator: Any, state: Any) -> None:
        """Set the state of a generator of `Tensors.reduce`."""
        generator.set_state(state)
