"""A module is run on tensors without values; what it calls becomes rows.

Three things watch. Modules are watched at their call, which says where we are. torch's functions are watched as the
author of the module calls them (``TorchFunctionMode``), which names the rows that are no modules. Elementary operations
are watched below that (``TorchDispatchMode``), which gives multiply-accumulates, receptive fields and the graph.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from stepladder.inspection import rules
from stepladder.inspection.failures import refuse
from stepladder.inspection.memory import Shadows, apart, key_of, laid_out, memory_of
from stepladder.inspection.placed import Placed
from stepladder.inspection.roles import function_name, is_layer, kind_of, role_of_function, role_of_module
from stepladder.inspection.rules.registry import Call, operations, tensors_in
from stepladder.inspection.shortcuts import shortcut
from stepladder.inspection.sight import Sight
from stepladder.inspection.steps import Memory, Span, Step, Stop, ValueNeededError, tensors_of
from stepladder.inspection.terms import Affine, Atom
from stepladder.inspection.watching import watched

aten = torch.ops.aten

_RECURRENT = frozenset(["lstm", "gru", "rnn_tanh", "rnn_relu"])
_QUIET = frozenset(
    operations("detach", "clone", "_to_copy", "contiguous", "alias", "lift_fresh", "copy_", "fill_", "zero_")
    + operations("_unsafe_view", "_reshape_alias", "unbind", "split", "split_with_sizes", "unsafe_split")
)
"""Operations that move values about: no rows of their own."""
_FRESH = frozenset(
    operations("empty_like", "zeros_like", "ones_like", "full_like", "rand_like", "randn_like", "randint_like")
    + operations("new_empty", "new_zeros", "new_ones", "new_full", "new_empty_strided")
)
"""Operations that take a tensor's shape or type and nothing of its values."""
_PIECES = "a map that is written piece by piece"


class Trace:
    """A run of a module: the rows and all that is known about its tensors.

    Args:
        module: what runs; a copy that may be changed.
        arguments: what it is given by place.
        named: what it is given by name.
        real: whether tensors have values.
    """

    def __init__(self, module: nn.Module, arguments: Sequence[Any], named: Mapping[str, Any], *, real: bool) -> None:
        self.module = module
        self.arguments, self.named = list(arguments), dict(named)
        self.real = real
        self.steps: list[Step] = []
        self.spans: list[Span] = []
        self.outputs: list[Tensor] = []
        self.stop: Stop | None = None
        self.called: set[nn.Module] = set()
        self.memory: dict[int, Memory] = {}
        self.channels: dict[int, int | None] = {}
        self.operations = 0
        self._paths = {each: path for path, each in module.named_modules()}
        self._strangers: set[nn.Module] = set()
        self.elsewhere = False
        self._thread = threading.get_ident()
        self._path: list[str] = []
        self._names: Counter[str] = Counter()
        self._step: Step | None = None
        self._pending: Step | None = None
        self._packed: list[Tensor] = []
        self._placed: dict[int, Placed] = {}
        self._makers: dict[int, tuple[int, ...]] = {}
        self._sharing: dict[int, list[Tensor]] = {}
        self._aliases: dict[int, int] = {}
        self._shadows = Shadows()
        self._written: dict[int, int] = {}
        self._alive: list[Any] = []
        self._counted: set[str] = set()
        self._weights: dict[int, str] = {}
        self._held: set[int] = set()
        for number, tensor in enumerate(tensors_of([self.arguments, self.named])):
            dims = tuple((Atom(size),) for size in tensor.shape)
            axes = {(number, index): Sight((Affine((0,), (0,), {atom: 1}),)) for index, (atom,) in enumerate(dims)}
            self._keep(tensor, Placed(dims, axes), (-1 - number,))

    # Running

    def run(self, *, gradients: bool) -> None:
        """Run the module; where it raises, ``stop`` says where.

        Args:
            gradients: whether what training would keep is found out as well.
        """
        self._learn_weights()
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.set_grad_enabled(gradients))
            if gradients:
                stack.enter_context(torch.autograd.graph.saved_tensors_hooks(self._pack, lambda packed: packed))
            stack.enter_context(watched(self))
            result = self.module(*self.arguments, **self.named)
        self.outputs = tensors_of(result)
        for tensor in self.outputs:
            self._adopt(tensor)
            memory = self.memory.get(self._place_of(tensor))
            if memory is not None:
                memory.last = self.operations + 1  # whoever called the net reads it

    def finish(self) -> None:
        """Count for each step the memory of what it gives, where that is new and is read later or given by the net."""
        held = {self._place_of(tensor) for tensor in tensors_of([self.arguments, self.named])}
        for step in self.steps:
            for tensor in step.given:
                place = self._place_of(tensor)
                if place in self.memory and place not in held and self._makers.get(id(tensor), ())[:1] != ():
                    held.add(place)
                    step.output_bytes += self.memory[place].size

    def makers(self, tensor: Tensor) -> tuple[int, ...]:
        """Return the numbers of the steps that made a tensor; -1 for the first input, -2 for the second."""
        return self._makers.get(id(tensor), ())

    @property
    def counted(self) -> Set[str]:
        """Return the names of the parameters that some step used."""
        return self._counted

    def _learn_weights(self) -> None:
        for name, parameter in self.module.named_parameters():
            if not isinstance(parameter, UninitializedParameter | UninitializedBuffer):
                self._weights.setdefault(self._key(parameter), name)
        for _, buffer in self.module.named_buffers():
            if not isinstance(buffer, UninitializedParameter | UninitializedBuffer):
                self._held.add(self._key(buffer))
        self._held |= self._weights.keys()

    # Modules

    def call(self, module: nn.Module, original: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Run a module's call and make a step or a span of it."""
        if threading.get_ident() != self._thread:
            self.called.add(module)
            self.elsewhere = True
            return original(module, *args, **kwargs)
        path = self._path_of(module)
        if path is None:
            return original(module, *args, **kwargs)
        if self._step is not None:
            self.called.add(module)
            return original(module, *args, **kwargs)
        repeated = module in self.called
        self.called.add(module)
        step = Step(path or kind_of(module), kind_of(module), role_of_module(module), len(self._path), module)
        step.taken = tensors_of([args, kwargs])
        for tensor in step.taken:
            self._adopt(tensor)
        if is_layer(module):
            step.repeated = repeated

            def work() -> Any:
                if not self.real:
                    refuse(module, [tuple(one.shape) for one in step.taken], [_dtype(one) for one in step.taken])
                return original(module, *args, **kwargs)

            return self._worked(step, work, opened=True)
        span = None
        if module is not self.module:
            span = Span(path, kind_of(module), len(self._path), len(self.steps), 0, step.taken, [])
            self.spans.append(span)
            self._path.append(path)
        try:
            result = original(module, *args, **kwargs)
        except Exception as error:
            self._stopped(error, step)
            raise
        finally:
            if span is not None:
                span.last = len(self.steps)
                self._path.pop()
        if span is not None:
            span.given = tensors_of(result)
        return result

    def _path_of(self, module: nn.Module) -> str | None:
        """Return where a module is, if it is one of the net's; forward may have made it a moment ago."""
        if module not in self._paths and module not in self._strangers:
            self._paths |= {each: path for path, each in self.module.named_modules() if each not in self._paths}
            if module not in self._paths:
                self._strangers.add(module)
        return self._paths.get(module)

    # Functions

    def function(self, function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Run one of torch's functions that the module calls and make a step of it, unless it only moves values."""
        if self._step is not None or self._pending is not None or threading.get_ident() != self._thread:
            if "dropout" in getattr(function, "__name__", ""):
                return self._dropped(function, args, kwargs)
            return function(*args, **kwargs)
        name = function_name(getattr(function, "__name__", "function"))
        if name == "get":
            return function(*args, **kwargs)  # an attribute of a tensor
        taken = [tensor for tensor in tensors_of([args, kwargs]) if self._adopt(tensor)]
        step = Step("", name, role_of_function(name), len(self._path), None, taken)
        if "dropout" in name and taken:
            return self._worked(step, lambda: self._dropped(function, args, kwargs), opened=True)
        return self._worked(step, lambda: function(*args, **kwargs), opened=name == "flatten" and bool(taken))

    def _worked(self, step: Step, work: Callable[[], Any], *, opened: bool) -> Any:
        """Do the work of a step; it becomes a row at once, or when an operation in it does more than move values."""
        if opened:
            self._open(step)
        else:
            self._pending = step
        try:
            result = work()
            if opened and any(result is tensor for tensor in step.taken):
                # What hands on its input gets a tensor of its own, so that it can be told who reads which.
                result = result.view(result.shape)
        except Exception as error:
            self._stopped(error, step)
            if self._step is step:
                self.steps.pop()
            raise
        finally:
            opened = self._step is step
            self._step = self._pending = None
        if opened:
            self._close(step, result)
        elif _flattens(step.taken, result):
            # A view that lays maps out in a row is what people know as a flattening.
            step.role = "flatten"
            self._open(step)
            self._step = None
            self._close(step, result)
        return result

    def _open(self, step: Step) -> None:
        if not step.name:
            path = f"{self._path[-1]}.{step.kind}" if self._path else step.kind
            count = self._names[path]
            self._names[path] += 1
            step.name = f"{path}_{count}" if count else path
        self._step, self._pending = step, None
        self.steps.append(step)
        step.fields_in = [self._placed[id(tensor)] for tensor in step.taken if id(tensor) in self._placed]
        for tensor in step.taken:
            step.sources.update(dict.fromkeys(self.makers(tensor)))

    def _close(self, step: Step, result: Any) -> None:
        number = len(self.steps) - 1
        step.given = tensors_of(result)
        if step.module is not None:
            # A lazy module has become another.
            step.kind, step.buffers = kind_of(step.module), 0 if step.repeated else _buffers(step.module)
        if step.kind in _RECURRENT or step.role == "recurrent":
            self._spread_over_time(step)
        for tensor in step.given:
            placed = self._placed.get(id(tensor))
            if placed is None:
                continue
            step.fields.append(placed)
            if step.role == "flatten" or step.role == "dropout":
                self._makers[id(tensor)] = (number,)
        for tensor in self._packed:
            key = self._key(tensor)
            if key not in self._held:
                self._held.add(key)
                step.kept_bytes += memory_of(tensor)
        self._packed.clear()

    def _stopped(self, error: Exception, step: Step) -> None:
        if self.stop is None or self.stop.error is not error:
            name = step.name or (f"{self._path[-1]}.{step.kind}" if self._path else step.kind)
            function = "" if step.module is not None else step.kind
            self.stop = Stop(error, name, step.kind, step.module, function, step.taken)

    def _dropped(self, function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Drop nothing, as in evaluation, but keep what training would: a new tensor and a mask, one byte a value."""
        values = dict(zip(("input", "p"), args, strict=False)) | kwargs
        source = values["input"]
        if not values.get("p", 0.5) or id(source) not in self._placed or self._step is None:
            return source
        result = source.clone()
        self._aliases[self._key(result)] = self._place_of(source)
        self._step.kept_bytes += source.numel() if torch.is_grad_enabled() and result.requires_grad else 0
        return result

    def _spread_over_time(self, step: Step) -> None:
        """Let what a recurrent layer gives see every moment of what it takes."""
        source = next((self._placed[id(one)] for one in step.taken if id(one) in self._placed), None)
        if source is None:
            return
        whole = source.mixed(range(len(source.dims)))
        for tensor in step.given:
            constant = Placed.constant(tensor.shape)
            self._placed[id(tensor)] = Placed(constant.dims, whole.sights)

    # Operations

    def operation(self, call: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Run an elementary operation and note what it does."""
        sources = tensors_in((*args, *kwargs.values()))
        if any(isinstance(tensor, UninitializedParameter | UninitializedBuffer) for tensor in sources):
            return call(*args, **kwargs)  # a lazy module learns its shapes
        valued: list[Tensor] = []
        if not self.real and any(tensor.is_meta or self._key(tensor) in self._written for tensor in sources):
            if call is aten._local_scalar_dense.default:
                raise ValueNeededError
            valued = [tensor for tensor in sources if not tensor.is_meta]
            if valued:
                args, kwargs = self._shadows.bare(args), self._shadows.bare(kwargs)
                sources = tensors_in((*args, *kwargs.values()))
        if call.overloadpacket in _FRESH:
            return call(*args, **kwargs)
        for tensor in valued:
            if isinstance(tensor, nn.Parameter):
                # One that forward has just made; what stands in for it is known by its name.
                if self._key(tensor) not in self._weights:
                    self._learn_weights()
                if name := self._weights.get(self._key(tensor)):
                    self._weights[self._key(self._shadows.bare(tensor))] = name
        tracked = [tensor for tensor in sources if self._adopt(tensor) or self._key(tensor) in self._weights]
        weights = [tensor for tensor in sources if isinstance(tensor, nn.Parameter)]
        made = bool(weights) and weights[0] is args[0] and call.overloadpacket.__name__.endswith("_")
        if not tracked and (not weights or made):  # to fill the weights of a new module is no work of the net's
            return call(*args, **kwargs)
        self.operations += 1
        alone = False
        quiet = call.is_view or call.overloadpacket in _QUIET
        if self._step is None and not quiet:
            alone = self._pending is None
            name = function_name(call.overloadpacket.__name__)
            inputs = [tensor for tensor in sources if id(tensor) in self._placed]
            self._open(self._pending or Step("", name, role_of_function(name), len(self._path), None, inputs))
        step = self._step
        result = None if self.real else shortcut(call, args, kwargs)
        if result is None:
            result = call(*args, **kwargs)
        given = tensors_in(result if isinstance(result, list | tuple) else [result])
        for tensor in valued:
            shadow = self._shadows.bare(tensor)
            if any(shadow is one for one in given):
                self._written[self._key(tensor)] = self._key(shadow)
        self._note(call, args, kwargs, sources, given, step)
        if alone and step is not None:
            self._step = None
            self._close(step, result)
        return result

    def _note(
        self,
        call: Any,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        sources: list[Tensor],
        given: list[Tensor],
        step: Step | None,
    ) -> None:
        makers: dict[int, None] = {}
        for tensor in sources:
            key = self._key(tensor)
            if isinstance(tensor, nn.Parameter) and key not in self._weights:
                self._learn_weights()  # a lazy module has just made it
            name = self._weights.get(key)
            if name is not None:
                if step is not None:
                    self._use(name, step)
                else:
                    self._weights.update((self._key(one), name) for one in given)
                continue
            memory = self.memory.get(self._aliases.get(key, key))
            if memory is not None:
                memory.last = self.operations
            makers.update(dict.fromkeys(self.makers(tensor)))
        if step is not None:
            number = len(self.steps) - 1
            step.sources.update((maker, None) for maker in makers if maker != number)
            step.macs += rules.macs(call, args, given)
            window = rules.window_of(call, args, kwargs)
            if window is not None and step.window is None:
                step.window, step.groups, step.transposed = window
            made: tuple[int, ...] = (number,)
        else:
            made = tuple(makers)
        self._find_channels(call, args)
        placed = rules.placed_after(Call(call, args, kwargs, given, self.lookup))
        for tensor, where in zip(given, placed, strict=True):
            if any(tensor is source for source in sources):
                self._overwritten(tensor, where, made)
            self._keep(tensor, where, made)

    def lookup(self, tensor: Tensor) -> Placed:
        """Return how a tensor is placed; without dependence on any input where it comes from none."""
        placed = self._placed.get(id(tensor))
        return Placed.constant(tensor.shape) if placed is None else placed

    def _use(self, name: str, step: Step) -> None:
        if name not in self._counted:
            self._counted.add(name)
            step.parameters[name] = None
        elif name not in step.parameters:
            step.shared[name] = None

    def _find_channels(self, call: Any, args: Sequence[Any]) -> None:
        """Note which dimension of each input the first weights weigh: its channels, where the others are places."""
        packet = call.overloadpacket
        if packet in (aten.convolution, aten._convolution):
            placed, dimension = self.lookup(args[0]), args[0].dim() - (args[1].dim() - 1)
        elif packet in (aten.mm, aten.addmm, aten.bmm, aten.linear):
            left = args[1] if packet is aten.addmm else args[0]
            placed, dimension = self.lookup(left), left.dim() - 1
        else:
            return
        for number in {number for number, _ in placed.sights} - self.channels.keys():
            atoms = placed.dims[dimension]
            found = [
                index
                for (source, index), sight in placed.sights.items()
                if source == number and any(sight.depends_on(atom) for atom in atoms)
            ]
            self.channels[number] = found[0] if len(found) == 1 else None

    def _overwritten(self, tensor: Tensor, where: Placed, made: tuple[int, ...]) -> None:
        """Note what an operation that writes into its argument does to other tensors in the same memory."""
        before = self.lookup(tensor)
        same = before.dims == where.dims and before.sights == where.sights
        for other in self._sharing.get(self._key(tensor), ()):
            if other is tensor or apart(other, tensor):
                continue
            self._makers[id(other)] = tuple(dict.fromkeys((*self.makers(other), *made)))
            if same:
                continue
            if laid_out(other) == laid_out(tensor):
                self._placed[id(other)] = where
            elif other.numel() == tensor.numel() and other.is_contiguous() and tensor.is_contiguous():
                self._placed[id(other)] = where.reshaped(other.shape)
            else:
                known = self.lookup(other)
                together = Placed(known.dims, {**where.sights, **known.sights})
                self._placed[id(other)] = together.unknown(known.dims, _PIECES)

    # Tensors

    def _keep(self, tensor: Tensor, placed: Placed, makers: tuple[int, ...]) -> None:
        self._placed[id(tensor)] = placed
        self._makers[id(tensor)] = makers
        self._alive.append(tensor)
        key = self._key(tensor)
        self._sharing.setdefault(key, []).append(tensor)
        place = self._aliases.get(key, key)
        if place not in self.memory and key not in self._weights:
            self.memory[place] = Memory(memory_of(tensor), self.operations, self.operations)

    def _adopt(self, tensor: Tensor) -> bool:
        """Return whether a tensor comes from an input; also one that comes from none, but was written into since."""
        if id(tensor) in self._placed:
            return True
        key = self._key(tensor)
        key = self._written.get(key, key)
        sharing = self._sharing.get(key)
        if not sharing or key in self._weights:
            return False
        constant = Placed.constant(tensor.shape)
        sights = {axis: sight for one in sharing for axis, sight in self._placed[id(one)].sights.items()}
        whole = next((one for one in sharing if laid_out(one) == laid_out(tensor)), None)
        if whole is not None:
            placed = self._placed[id(whole)]
        else:
            placed = Placed(constant.dims, sights).unknown(constant.dims, _PIECES)
        self._placed[id(tensor)] = placed
        self._makers[id(tensor)] = tuple(dict.fromkeys(maker for one in sharing for maker in self.makers(one)))
        self._alive.append(tensor)
        sharing.append(tensor)
        return True

    def _key(self, tensor: Tensor) -> int:
        key = key_of(tensor)
        if key == id(tensor):
            self._alive.append(tensor)
        return key

    def _place_of(self, tensor: Tensor) -> int:
        key = self._key(tensor)
        return self._aliases.get(key, key)

    def _pack(self, tensor: Tensor) -> Tensor:
        self._packed.append(tensor)
        return tensor


def _buffers(module: nn.Module) -> int:
    return sum(one.numel() for one in module.buffers() if not isinstance(one, UninitializedBuffer))


def _flattens(taken: Sequence[Tensor], result: Any) -> bool:
    if not taken or not isinstance(result, Tensor):
        return False
    before, after = taken[0], result
    return (
        before.dim() > 2
        and after.dim() == 2
        and before.shape[0] == after.shape[0]
        and before.numel() == after.numel()
        and max(before.shape[2:]) > 1
    )


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
