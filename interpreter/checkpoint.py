"""A run written down, to go on as a new one: its journal, its saga log, its mailbox.

The live objects are written as they are, each once: acts, the records of an activation, groups
and entries of the saga log, variables. Whoever is at work in an open step is not: the new run
walks the definition from the top, passes by what has ended, and each open step finds in its
record what it kept (`Rec.held`). Written at rest only: nothing in flight, nothing being undone,
nothing stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar, cast

from interpreter.definitions.packed import MOST_UNPACKED, pack, unpack
from interpreter.errors import Answered, Fault, LoopExit, Returning, StepError
from interpreter.execution import Execution, Origin
from interpreter.handlers import HandlerNode, Handlers
from interpreter.messages import Mailbox, Message
from interpreter.nodes import Node
from interpreter.payloads import LARGEST_STORED, json_size
from interpreter.program import Program
from interpreter.saga import Entry, Group
from interpreter.scope import NOTHING, Act, Rec
from interpreter.steps.foreach import ForeachNode
from interpreter.steps.join import Join, JoinState
from interpreter.steps.parallel import ParallelNode

__all__ = ["MOST_PACKED", "Data", "Writer", "packed", "restore"]

T = TypeVar("T")
Data = dict[str, Any]
MOST_PACKED = 1024 * 1024
"""The largest state without external storage, packed."""
_SMALL = 512
"""How large an output may be, in bytes, that is kept although nothing reads it: another revision,
under which the run is resumed or redriven, may."""
_MOST_SHOWN = 2048
"""How large a payload of a handler that ended may be, in bytes, that is kept to be shown."""
_TIMES = ("started", "ended")


def packed(data: Data, most: int = MOST_PACKED, unpacked: int = MOST_UNPACKED) -> str | None:
    """A state, packed; None where it is larger than it may be.

    Args:
        data: The state.
        most: How many characters it may have, packed.
        unpacked: How many bytes it may have as it is.
    """
    text = json.dumps(data, ensure_ascii=False)
    if len(text.encode()) > unpacked:
        return None
    state = pack(text)
    return state if len(state) <= most else None


def restore(
    program: Program,
    input: Any,
    mailbox: Mailbox,
    state: str,
    origin: Origin,
) -> Execution:
    """A run that goes on where another one was written down.

    Args:
        program: The same definition.
        input: The same input.
        mailbox: The new run's mailbox; what was kept stands before what has come since.
        state: What was written.
        origin: What the new run is of.
    """
    data = json.loads(unpack(state, LARGEST_STORED))
    names = data["workflow"] | {"revision": program.revision, "digest": program.digest}
    mailbox.restore(data["mailbox"])  # before what has come since is delivered
    execution = Execution(program, input, mailbox, origin, names)
    return _Reader(program, data).fill(execution)


class Writer:
    """Writes the state of a run at rest. `restore` makes one of it that goes on from there.

    Args:
        execution: The run.
        whole: Whether all outputs are kept, also those that nothing reads.
        shows: Whether it keeps what is only shown: iterations and handlers that have ended.
    """

    def __init__(self, execution: Execution, *, whole: bool = False, shows: bool = True) -> None:
        self.execution = execution
        self.program = execution.program
        self.tables: dict[str, list[Any]] = {
            name: [] for name in ("acts", "recs", "groups", "entries", "vars")
        }
        self.known: dict[int, int] = {}
        self.whole = whole
        self.shows = shows

    def data(self) -> Data:
        """The state, as JSON."""
        execution = self.execution
        self.act(execution.act)  # the first
        names = execution.act.names
        assert names is not None
        return {
            "workflow": names["workflow"],
            "rec": self.rec(execution.rec),
            "behind": [self.behind(join) for join in execution.behind],
            "places": execution.places,
            **self.handlers(execution.handlers),
            "bursts": execution.bursts,
            "saga": execution.saga,
            "answers": execution.answers,
            "mailbox": execution.mailbox.state(),
            **self.tables,
        }

    def handlers(self, handlers: Handlers | None) -> Data:
        if handlers is None:
            return {}
        past = [(node.address, self.shown(act)) for act, node in handlers.past if self.shows]
        return {"handled": handlers.count, "past_handlers": past}

    def shown(self, act: Act) -> int:
        """A handler that ended. What it was given is read again only where it may be undone."""
        kept = id(act) in self.known  # by an entry of the saga log
        number = self.act(act)
        if not kept:
            given = (act.names or {}).get("payload")
            self.tables["acts"][number]["names"] = {"payload": _noted(given)}
        return number

    def once(self, table: str, item: object, make: Callable[[], Any]) -> int:
        """The number of an object in its table."""
        number = self.known.get(id(item))
        if number is None:
            rows = self.tables[table]
            number = self.known[id(item)] = len(rows)
            rows.append(None)
            rows[number] = make()
        return number

    def act(self, act: Act) -> int:
        return self.once("acts", act, lambda: self.new_act(act))

    def new_act(self, act: Act) -> Data:
        data: Data = {
            "recs": self.once("recs", act.recs, lambda: self.records(act.recs)),
            "prefix": act.prefix,
            "group": self.group(act.group),
        }
        if act.parent is not None:
            data["parent"] = self.act(act.parent)
            if act.names is not None:
                data["names"] = act.names
        if act.variables is not None:
            data["vars"] = self.variables(act.variables)
        return data

    def variables(self, variables: Data) -> int:
        return self.once("vars", variables, lambda: variables)

    def records(self, recs: dict[str, Rec]) -> Data:
        return {key: self.rec(rec) for key, rec in recs.items()}

    def rec(self, rec: Rec) -> Data:
        data: Data = {"node": rec.node.address, "path": rec.path, "status": rec.status}
        if rec.output is not NOTHING and (self.whole or rec.node.is_read or _small(rec.output)):
            data["output"] = rec.output
        for name in ("error", "fault", "child", *_TIMES):
            value = getattr(rec, name)
            if value is not None:
                data[name] = value
        if rec.attempt > 1:
            data["attempt"] = rec.attempt
        if rec.held and rec.ended is None:
            data["held"] = self.held(rec.held)
        if rec.acts:
            data["acts"] = [(index, self.act(act)) for index, act in rec.acts.items()]
        if rec.past and self.shows:
            data["past"] = [(index, self.act(act)) for index, act in rec.past]
        return data

    def held(self, held: Data) -> Data:
        return {
            name: {"vars": self.variables(value)} if name == "vars" else self.value(value)
            for name, value in held.items()
        }

    def value(self, value: Any) -> Any:
        """Something that an open step keeps: data, or one of ours."""
        match value:
            case Group():
                return {"group": self.group(value)}
            case Entry():
                return {"entry": self.entry(value)}
            case Join():
                return {"join": self.held(value.state())}
            case JoinState():  # of an earlier run, and the walk has not come to it
                return {"join": self.held(value)}
            case StepError():
                return {"error": (value.type, value.message, value.details, value.step,
                                  value.final, value.new)}  # fmt: skip
            case Fault():
                return {"fault": (value.type, value.message, value.ran)}
            case Returning():
                return {"return": value.value}
            case LoopExit():
                return {"exit": value.ends}
            case Answered():
                assert isinstance(value.rec, Rec)
                return {"answered": (value.rec.path, value.done, value.output)}
            case Message():
                return {"message": (value.number, value.name, value.payload, value.size)}
            case tuple():
                return {"tuple": [self.value(one) for one in cast("tuple[Any, ...]", value)]}
            case list() if value and isinstance(value[0], Message):
                return {"list": [self.value(one) for one in cast("list[Message]", value)]}
            case _:
                return {"data": value}  # pyright: ignore[reportUnknownVariableType]

    def group(self, group: Group) -> int:
        return self.once("groups", group, lambda: self.new_group(group))

    def new_group(self, group: Group) -> tuple[Any, ...]:
        members = [
            {"group": self.group(one)} if isinstance(one, Group) else {"entry": self.entry(one)}
            for one in group.members
        ]
        return group.parallel, group.limit, members

    def entry(self, entry: Entry) -> int:
        return self.once("entries", entry, lambda: self.new_entry(entry))

    def new_entry(self, entry: Entry) -> Data:
        return {
            "node": entry.node.address,
            "act": self.act(entry.act),
            "group": self.group(entry.group),
            "vars": entry.variables,
        } | {name: getattr(entry, name) for name in ("path", "input", "status", "output", "error")}

    def behind(self, join: Join) -> Data:
        return {
            "act": self.act(join.act),
            "rec": self.rec(join.rec),
            "held": self.held(join.held or {}),
        }


def _small(output: Any) -> bool:
    return len(json.dumps(output)) <= _SMALL


def _noted(payload: Any) -> Any:
    """A payload that is only shown; a note of its size where that is large."""
    size = json_size(payload)
    return payload if size <= _MOST_SHOWN else f"(the payload had {size:,} bytes)"


def _at(rows: list[T], number: int) -> T:
    return rows[number]


class _Reader:
    def __init__(self, program: Program, data: Data) -> None:
        self.program = program
        self.data = data
        self.groups: list[Group] = [Group(parallel, limit) for parallel, limit, _ in data["groups"]]
        self.entries: list[Entry] = [object.__new__(Entry) for _ in data["entries"]]
        self.recs: list[dict[str, Rec]] = [{} for _ in data["recs"]]
        self.paths: dict[str, Rec] = {}
        self.answered: dict[str, Answered] = {}
        self.acts: list[Act] = []

    def fill(self, execution: Execution) -> Execution:
        data = self.data
        execution.saga, execution.answers = data["saga"], data["answers"]
        execution.places, execution.bursts = data["places"], data["bursts"]
        self.acts += [
            Act(
                execution,
                None,
                _at(self.recs, row["recs"]),
                row["prefix"],
                execution.token,
                _at(self.groups, row["group"]) if "group" in row else Group(),
                row.get("names"),
                data["vars"][row["vars"]] if "vars" in row else None,
            )
            for row in data["acts"]
        ]
        for act, row in zip(self.acts, data["acts"], strict=True):
            if "parent" in row:
                act.parent = _at(self.acts, row["parent"])
        handlers = execution.handlers
        if handlers is not None and "handled" in data:
            handlers.count = data["handled"]
            for address, act in data["past_handlers"]:
                node = self.node(address)
                assert isinstance(node, HandlerNode)
                handlers.past.append((_at(self.acts, act), node))
        root = self.acts[0]
        root.names = execution.act.names
        execution.act = root
        for group, (_, _, members) in zip(self.groups, data["groups"], strict=True):
            group.members = [cast("Entry | Group", self.value(one)) for one in members]
        for entry, row in zip(self.entries, data["entries"], strict=True):
            self.fill_entry(entry, row)
        for recs, rows in zip(self.recs, data["recs"], strict=True):
            recs |= {key: self.rec(row) for key, row in rows.items()}
        execution.rec = self.rec(data["rec"])
        execution.rec.resumed = False
        for path, answered in self.answered.items():
            answered.rec = self.paths[path]
        for row in data["behind"]:
            execution.leave_behind(self.behind(row))
        return execution

    def node(self, address: str) -> Node:
        return self.program.places[address]

    def fill_entry(self, entry: Entry, row: Data) -> None:
        entry.node = self.node(row["node"])
        assert entry.node.undo is not None
        entry.undo = entry.node.undo
        entry.act = _at(self.acts, row["act"])
        entry.group = _at(self.groups, row["group"])
        entry.variables = row["vars"]
        for name in ("path", "input", "status", "output", "error"):
            setattr(entry, name, row[name])
        entry.freeze_names()

    def rec(self, row: Data) -> Rec:
        rec = self.paths[row["path"]] = Rec(self.node(row["node"]), row["path"])
        rec.resumed = True
        rec.status = row["status"]
        rec.output = row.get("output", NOTHING)
        rec.attempt = row.get("attempt", 1)
        for name in ("error", "fault", "child", *_TIMES):
            if name in row:
                setattr(rec, name, row[name])
        if "held" in row:
            rec.held = self.held(row["held"])
        if "acts" in row:
            rec.acts = {index: _at(self.acts, act) for index, act in row["acts"]}
        if "past" in row:
            rec.show([(index, _at(self.acts, act)) for index, act in row["past"]])
        return rec

    def held(self, row: Data) -> Data:
        return {name: self.value(value) for name, value in row.items()}

    def value(self, row: Data) -> Any:
        kind, value = next(iter(row.items()))
        match kind:
            case "vars":
                return self.data["vars"][value]
            case "group":
                return _at(self.groups, value)
            case "entry":
                return _at(self.entries, value)
            case "join":
                return JoinState(self.held(value))
            case "error":
                error = StepError(*value[:4], final=value[4])
                error.new = value[5]
                return error
            case "fault":
                return Fault(value[0], value[1], ran=value[2])
            case "return":
                return Returning(value)
            case "exit":
                return LoopExit(value)
            case "answered":
                return self.answered.setdefault(value[0], Answered(None, value[1], value[2]))
            case "message":
                return Message(*value)
            case "tuple":
                return tuple(self.value(one) for one in value)
            case "list":
                return [self.value(one) for one in value]
            case _:
                return value

    def behind(self, row: Data) -> Join:
        act, rec = _at(self.acts, row["act"]), self.rec(row["rec"])
        node = rec.node
        assert isinstance(node, ParallelNode | ForeachNode)
        known = act.recs.get(node.key, rec)
        known.held = self.held(row["held"])
        join = node.join(act, known)
        if known.ended is not None:
            known.held = None
        return join
