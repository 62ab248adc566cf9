"""Modules by name: ``package.module:callable``, ``nets/mine.py:Net(10)``, built without filling a weight."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.util
import inspect
import itertools
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from stepladder.errors import SpecError
from stepladder.inspection.places import place_of, said, shown
from stepladder.inspection.references import Reference, parse_reference

if TYPE_CHECKING:
    from torch import nn

_numbers = itertools.count(1)


@contextmanager
def loaded(text: str) -> Iterator[nn.Module | Callable[[], nn.Module]]:
    """Give the module that the text names or, if it names a class or function, a function that builds it.

    Within the context what the module imports later is found as well; ``sys.path`` and ``sys.modules`` are afterwards
    as they were. What the code prints goes to the standard error, not into tables. Code is run: load only what you
    trust as much as a program.

    Args:
        text: ``package.module:callable``, ``nets/mine.py:Net(10)``; what is named can be a class, a function, or a
            module that is built already, at any depth: ``package.module:nets.small``.

    Raises:
        SpecError: if it cannot be read, found or called. What is given raises it as well, if it cannot be built or is
            no torch.nn.Module.
    """
    reference = parse_reference(text)
    with _importable(reference), contextlib.redirect_stdout(sys.stderr):
        code = _from_file(reference) if reference.is_file else _from_name(reference)
        found = _attribute(code, reference)
        yield _module(found, reference)


@contextmanager
def _importable(reference: Reference) -> Iterator[None]:
    """Let the current folder be imported from, as ``python -m`` does, or the file's own, for as long as this lasts."""
    root = _top(Path(reference.module).resolve()) if reference.is_file else Path.cwd()
    path, modules = list(sys.path), dict(sys.modules)
    sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = path
        for name, module in list(sys.modules.items()):
            # What is installed stays: to import compiled code twice in a process can crash it.
            if name not in modules and _lies_in(module, root):
                del sys.modules[name]
            elif name in modules and modules[name] is not module:
                sys.modules[name] = modules[name]


def _top(file: Path) -> Path:
    """Return the folder that a file is imported from: its own, or that of the outermost package it lies in."""
    folder = file.parent
    while (folder / "__init__.py").is_file() and folder.name.isidentifier():
        folder = folder.parent
    return folder


def _lies_in(module: ModuleType, root: Path) -> bool:
    place = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), None)
    if not isinstance(place, str):
        return False
    path = Path(place)
    return path.is_relative_to(root) and not {"site-packages", "dist-packages"} & set(path.parts)


def _from_file(reference: Reference) -> ModuleType:
    path = Path(reference.module).resolve()
    if not path.is_file():
        names = [one.name for one in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise SpecError(
            "there is no such file" if not path.exists() else "this is no file",
            given=reference.module,
            repair=_hint(path.name, names) + "name a Python file, from the current folder or in full",
        )
    packages = path.parent.relative_to(_top(path)).parts
    # A name that no import statement says shadows nothing; in a package it still makes relative imports work.
    name = ".".join([*packages, f"_stepladder_{next(_numbers)}_{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}"])
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look classes up there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise _import_failed(error, reference) from None
    return module


def _from_name(reference: Reference) -> ModuleType:
    try:
        return importlib.import_module(reference.module)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing != reference.module and not reference.module.startswith(f"{missing}."):
            raise _import_failed(error, reference) from None
    except (Exception, SystemExit) as error:
        raise _import_failed(error, reference) from None
    parent, _, last = missing.rpartition(".")
    paths = getattr(sys.modules.get(parent), "__path__", ()) if parent else None
    names = [one.name for one in pkgutil.iter_modules(None if paths is None else list(paths))]
    nearest = difflib.get_close_matches(last, names, n=1, cutoff=0.7)
    where = f"in the package '{parent}'" if parent else "in the current folder or installed"
    raise SpecError(
        f"there is no Python module '{last}' {where}",
        given=reference.text,
        repair=(f"did you mean '{nearest[0]}'? " if nearest else "")
        + "start in the folder that holds it, install it, or name its file: nets/mine.py:Net",
    )


def _import_failed(error: BaseException, reference: Reference) -> SpecError:
    place = place_of(error)
    if isinstance(error, SyntaxError):
        what = f"this is not Python that can be read: {error.msg}" + (place and f" ({place})")
        repair = "correct that line" if place else "name a file of Python code"
    elif isinstance(error, ModuleNotFoundError):
        what = f"the Python module was found, but it imports '{error.name}', which was not" + (place and f" ({place})")
        repair = f"install '{(error.name or '').partition('.')[0]}', or start where it can be imported from"
    elif isinstance(error, SystemExit):
        what = "the file ended the program while it was imported" + (place and f" ({place})")
        repair = "put what it does as a program under: if __name__ == '__main__'"
    else:
        what = f"importing it failed: {said(error)}" + (place and f" ({place})")
        repair = "make it importable: python -c 'import …' must work"
    return SpecError(what, given=reference.text, repair=repair)


def _attribute(code: ModuleType, reference: Reference) -> object:
    found: object = code
    for index, name in enumerate(reference.path):
        try:
            found = getattr(found, name)
        except AttributeError:
            names = [one for one in dir(found) if not one.startswith("_")]
            holder = ".".join([shown(Path(reference.module)) if reference.is_file else reference.module])
            if index:
                holder = ".".join(reference.path[:index])
            raise SpecError(
                f"there is no '{name}' in {holder}",
                given=reference.text,
                repair=_hint(name, names) + _offers(code, reference),
            ) from None
    return found


def _offers(code: ModuleType, reference: Reference) -> str:
    """Return what of the Python module could be named instead: its own modules, classes before instances."""
    from torch import nn

    own = [
        name
        for name, value in vars(code).items()
        if not name.startswith("_")
        and (
            isinstance(value, nn.Module)
            or (isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == code.__name__)
        )
    ]
    known = f"; there are {', '.join(own[:8])}{' and others' if len(own) > 8 else ''}" if own else ""
    return f"name a class, a function or a module that it holds{known}"


def _hint(name: str, names: Sequence[str]) -> str:
    nearest = difflib.get_close_matches(name, names, n=1)
    return f"did you mean '{nearest[0]}'? " if nearest else ""


def _module(found: object, reference: Reference) -> nn.Module | Callable[[], nn.Module]:
    from torch import nn

    name = ".".join(reference.path)
    if isinstance(found, nn.Module):
        if reference.called:
            raise SpecError(
                f"'{name}' is a module already and takes no arguments to be built",
                given=reference.text,
                repair=f"name it without brackets: {name}",
            )
        return found
    if not callable(found):
        raise SpecError(
            f"'{name}' is {_kind(found)}: neither a torch.nn.Module nor something that can be called to build one",
            given=reference.text,
            repair="name a class, a function or a module",
        )
    _check_arguments(found, name, reference)
    return partial(_build, found, name, reference)


def _build(found: Callable[..., object], name: str, reference: Reference) -> nn.Module:
    from torch import nn

    from stepladder.inspection.unfilled import filled

    try:
        try:
            built = found(*reference.arguments, **reference.keywords)
        except Exception:
            # Some code reads its weights while it builds.
            with filled():
                built = found(*reference.arguments, **reference.keywords)
    except (Exception, SystemExit) as error:
        place = place_of(error)
        raise SpecError(
            f"'{name}' could not be built: {said(error)}" + (place and f" ({place})"),
            given=reference.text,
            repair=f"call it as its signature says: {name}{_signature(found)}",
        ) from None
    if not isinstance(built, nn.Module):
        raise SpecError(
            f"'{name}' gives {_kind(built)}, not a torch.nn.Module",
            given=reference.text,
            repair="name a class or a function that gives the module itself",
        )
    return built


def _check_arguments(found: Callable[..., object], name: str, reference: Reference) -> None:
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):
        return  # compiled code has none to check against
    try:
        signature.bind(*reference.arguments, **reference.keywords)
    except TypeError as error:
        wrong = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        raise SpecError(
            f"'{name}' cannot be called like that: {error}",
            given=reference.text,
            repair=(_hint(wrong[1], list(signature.parameters)) if wrong else "")
            + f"its signature is {name}{_signature(found)}",
        ) from None


def _signature(found: Callable[..., object]) -> str:
    try:
        return re.sub(r" -> .*$", "", str(inspect.signature(found)))
    except (TypeError, ValueError):
        return "(…)"


def _kind(value: object) -> str:
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
