"""From the modules an author names to the activities in them."""

import ast
import hashlib
import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, cast

__all__ = ["ActivityModuleError", "FoundActivity", "find_activities", "load_module", "place"]

_OWN_FOLDERS = tuple(Path(__file__).resolve().parents[2] / name for name in ("dsl", "interpreter"))
_STDLIB = Path(os.__file__).resolve().parent

_folders: list[Path] = []
"""Folders that were put on `sys.path` here, in the order of their first use."""


class ActivityModuleError(Exception):
    """A module of activities cannot be used; the message is one line in the author's words."""


@dataclass(frozen=True, slots=True)
class FoundActivity:
    """A callable that `@activity.defn` marked.

    Attributes:
        name: Its Activity Type.
        fn: The function, bound method or object to call.
        is_async: Whether it runs on the event loop; else in a thread.
        no_thread_cancel_exception: As given to `@activity.defn`.
        where: `file:line` of its code.
    """

    name: str
    fn: Callable[..., Any]
    is_async: bool
    no_thread_cancel_exception: bool
    where: str


def show(path: str | Path) -> str:
    """A path as an author would write it: relative to the working directory if it lies in it."""
    resolved = Path(path).resolve()
    cwd = Path.cwd()
    return str(resolved.relative_to(cwd)) if resolved.is_relative_to(cwd) else str(resolved)


def place(fn: Any) -> str:
    """`file:line` of a callable's code."""
    inner: Any = inspect.unwrap(getattr(fn, "__func__", fn))
    if not inspect.isroutine(inner) and not inspect.isclass(inner):
        inner = type(inner).__call__
    code = getattr(inner, "__code__", None)
    return f"{show(code.co_filename)}:{code.co_firstlineno}" if code else "an unknown place"


# --- importing


def load_module(entry: str, base: Path | None = None) -> ModuleType:
    """Import one module of activities.

    The folder of a file, `base` and the working directory are put at the *end* of `sys.path`, so
    that whatever an author's folders are called (`dsl`, `schemas`), installed packages win.

    Args:
        entry: A dotted module name, or a path that ends in `.py`.
        base: The folder that a relative path starts from; default: the working directory.

    Raises:
        ActivityModuleError: There is no such module, or it fails while it is imported.
    """
    cwd = Path.cwd()
    base = (base or cwd).resolve()
    if entry.endswith(".py"):
        file = (base / Path(entry).expanduser()).resolve()
        if not file.is_file():
            raise ActivityModuleError(
                f"there is no file {show(file)} to take activities from{_py_files_beside(file)}"
            )
        root, name = _package_of(file)
        _append_to_path(file.parent if root == file.parent else root, base, cwd)
        return _import_file(file, name)
    folder = (base / entry).resolve()
    if not all(part.isidentifier() for part in entry.split(".")):
        hint = f"; name its files: {entry.rstrip('/')}/NAME.py" if folder.is_dir() else ""
        raise ActivityModuleError(
            f"`{entry}` is neither a module's dotted name nor the path of a .py file{hint}"
        )
    _append_to_path(base, cwd)
    return _import_name(entry, base)


def _append_to_path(*folders: Path) -> None:
    present = {os.path.realpath(entry or os.curdir) for entry in sys.path}
    for folder in folders:
        if str(folder) not in present:
            sys.path.append(str(folder))
            present.add(str(folder))
        if folder not in _folders:
            _folders.append(folder)
    importlib.invalidate_caches()


def _package_of(file: Path) -> tuple[Path, str]:
    """The folder to import from, and the dotted name there: `pkg.acts` for a file of a package."""
    parts = [] if file.stem == "__init__" else [file.stem]
    root = file.parent
    while (root / "__init__.py").is_file() and root != root.parent:
        parts.insert(0, root.name)
        root = root.parent
    return root, ".".join(parts)


def _loaded(file: Path) -> ModuleType | None:
    """The module that this file already is, under whatever name: nothing is imported twice."""
    for module in list(sys.modules.values()):
        # Lazy modules of other libraries may do anything when asked for an attribute.
        origin = vars(module).get("__file__") if isinstance(module, ModuleType) else None  # pyright: ignore[reportUnnecessaryIsInstance]
        if (
            isinstance(origin, str)
            and os.path.basename(origin) == file.name
            and Path(origin).resolve() == file
        ):
            return module
    return None


def _import_file(file: Path, name: str) -> ModuleType:
    if (module := _loaded(file)) is not None:
        return module
    _check_siblings(file)
    with _translated(str(show(file)), file):
        if all(part.isidentifier() for part in name.split(".")):
            spec = _find_spec(name)
            if spec is not None and spec.origin and Path(spec.origin).resolve() == file:
                return importlib.import_module(name)
        if "." in name:
            raise ActivityModuleError(
                f"{show(file)} is `{name}` of a package, but `{name.split('.')[0]}` is already "
                f"another package here: rename its folder"
            )
        # Another module has this name (two projects may both call it `activities`).
        unique = f"{name}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
        spec = importlib.util.spec_from_file_location(unique, file)
        assert spec is not None and spec.loader is not None, file
        module = importlib.util.module_from_spec(spec)
        sys.modules[unique] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            sys.modules.pop(unique, None)
            raise
        return module


def _import_name(name: str, base: Path) -> ModuleType:
    if (module := sys.modules.get(name)) is not None:
        return module
    with _translated(f"module `{name}`", None):
        spec = _find_spec(name)
        if spec is not None:
            if spec.origin and (module := _loaded(Path(spec.origin).resolve())) is not None:
                return module
            return importlib.import_module(name)
    top = name.split(".")[0]
    taken = getattr(sys.modules.get(top), "__file__", None)
    for hidden in (base / top, Path.cwd() / top) if taken else ():
        if hidden.is_dir() and not Path(taken or "").resolve().is_relative_to(hidden):
            raise ActivityModuleError(
                f"there is no module `{name}`: `{top}` is {show(taken or '')}, which hides "
                f"{show(hidden)}; give the path of the .py file instead"
            )
    raise ActivityModuleError(
        f"there is no module `{name}` in {show(base) if base != Path.cwd() else 'this folder'} "
        f"or among the installed packages{_py_files_beside(base / f'{top}.py')}"
    )


def _find_spec(name: str) -> ModuleSpec | None:
    """Find a module; only its parents are imported.

    Returns:
        None where it, or one of its parents, does not exist.
    """
    try:
        return importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        # A parent that is not there, or that is a module and no package; anything else is an
        # import inside the author's code that failed.
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            return None
        raise
    except ValueError:
        # A module without a spec, such as `__main__`.
        return None


def _py_files_beside(file: Path) -> str:
    found = sorted(entry.name for entry in file.parent.glob("*.py")) if file.parent.is_dir() else []
    if not found:
        return ""
    listed = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
    return f"; beside it there is {listed}" if file.suffix == ".py" else ""


def _check_siblings(file: Path) -> None:
    """Refuse a file that would get another project's module in the place of its own sibling."""
    try:
        tree = ast.parse(file.read_bytes(), filename=str(file))
    except (SyntaxError, ValueError):
        return  # reported when it is imported
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module]
        for top in (name.split(".")[0] for name in names):
            sibling = file.parent / f"{top}.py"
            if not sibling.is_file():
                continue
            spec = _find_spec(top)
            origin = Path(spec.origin).resolve() if spec is not None and spec.origin else None
            if origin is None or origin == sibling.resolve():
                continue
            if origin.parent in _folders:
                raise ActivityModuleError(
                    f"{show(file)}:{getattr(node, 'lineno', 1)}: imports `{top}`, which is "
                    f"{show(origin)} here and not the {top}.py beside it; rename one of them, or "
                    f"load the two projects in workers of their own"
                )


# --- errors in the author's code, in one line


class _translated:
    """Turns what an import raises into one line about the author's code."""

    def __init__(self, what: str, file: Path | None) -> None:
        self._what = what
        self._file = file

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None or isinstance(error, (ActivityModuleError, KeyboardInterrupt)):
            return
        raise ActivityModuleError(self._line(error)) from error

    def _line(self, error: BaseException) -> str:
        if isinstance(error, SyntaxError) and error.filename:
            return f"{show(error.filename)}:{error.lineno or 1}: {error.msg}"
        frame = _author_frame(error)
        where = f"{show(frame.filename)}:{frame.lineno}" if frame else self._what
        if isinstance(error, SystemExit):
            return (
                f"{where}: the module ends the program while it is imported; put that under "
                f'`if __name__ == "__main__":`'
            )
        if isinstance(error, ModuleNotFoundError) and error.name:
            return f"{where}: imports `{error.name}`, which is not installed here"
        text = " ".join(str(error).split())
        if isinstance(error, ImportError) and text:
            return f"{where}: {text}"
        return f"{where}: {type(error).__name__}" + (f": {text[:300]}" if text else "")


def _author_frame(error: BaseException) -> traceback.FrameSummary | None:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_authors(frame.filename)]
    return own[-1] if own else None


def _is_authors(filename: str) -> bool:
    if filename.startswith("<"):
        return False
    path = Path(filename).resolve()
    if "site-packages" in path.parts or path.is_relative_to(_STDLIB):
        return False
    return not any(path.is_relative_to(folder) for folder in _OWN_FOLDERS)


# --- finding activities in a module


def find_activities(module: ModuleType) -> list[FoundActivity]:
    """All activities of a module: its functions, and what its list `activities` names.

    Raises:
        ActivityModuleError: There are none, or one cannot be used.
    """
    file = show(getattr(module, "__file__", None) or module.__name__)
    found: dict[tuple[int, int], FoundActivity] = {}
    for value in vars(module).values():
        if inspect.isroutine(value) and (one := describe(value)) is not None:
            found.setdefault(_identity(value), one)
    listed: Any = vars(module).get("activities")
    if isinstance(listed, (list, tuple)):
        for index, value in enumerate(cast(Sequence[Any], listed)):
            one = describe(value)
            if one is None:
                raise ActivityModuleError(
                    f"{file}: `activities[{index}]` ({_called(value)}) is no activity: decorate "
                    f"its function with @activity.defn(name=...)"
                )
            found.setdefault(_identity(value), one)
    if not found:
        methods = next(_unbound(module), None)
        hint = (
            f"; the methods of `{methods}` become activities when a list names them: "
            f"activities = [{methods.lower()}.METHOD, ...] with an instance"
            if methods
            else "; decorate functions with @activity.defn(name=...)"
        )
        raise ActivityModuleError(f"{file}: there are no activities in it{hint}")
    return list(found.values())


def _called(value: object) -> str:
    return str(getattr(value, "__qualname__", None) or repr(value))[:60]


def _identity(value: Any) -> tuple[int, int]:
    # A bound method is a new object at every access: it is its function and its instance.
    return id(getattr(value, "__func__", value)), id(getattr(value, "__self__", None))


def same(one: FoundActivity, other: FoundActivity) -> bool:
    """Whether two finds are the same callable."""
    return _identity(one.fn) == _identity(other.fn)


def describe(value: Any) -> FoundActivity | None:
    """What `@activity.defn` wrote on a callable, or None where it is no activity.

    Raises:
        ActivityModuleError: It is one that cannot be registered.
    """
    if not callable(value):
        return None
    # The SDK has no public way to ask; this attribute is what its own Worker reads.
    definition = getattr(value, "__temporal_activity_definition", None)
    if definition is None:
        return None
    where = place(value)
    if inspect.isclass(value):
        raise ActivityModuleError(
            f"{where}: `{value.__name__}` is a class: put an instance of it in `activities`"
        )
    name: str | None = definition.name
    if not name:
        raise ActivityModuleError(
            f"{where}: a dynamic activity has no name that a definition could use: "
            f"write @activity.defn(name=...)"
        )
    if inspect.isfunction(value) and next(iter(inspect.signature(value).parameters), "") == "self":
        raise ActivityModuleError(
            f"{where}: {name} is a method without its object: name it from an instance in "
            f"`activities`"
        )
    return FoundActivity(
        name=name,
        fn=value,
        is_async=bool(definition.is_async),
        no_thread_cancel_exception=bool(definition.no_thread_cancel_exception),
        where=where,
    )


def _unbound(module: ModuleType) -> Iterator[str]:
    """Classes of this module with activities among their methods."""
    for value in vars(module).values():
        if inspect.isclass(value) and value.__module__ == module.__name__:
            for member in vars(value).values():
                if hasattr(member, "__temporal_activity_definition"):
                    yield value.__name__
                    break
