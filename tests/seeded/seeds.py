"""Faults that are put into the code: where one can be, and which ones a seed draws."""

import ast
import copy
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("spanishgas", "pipelines")

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
}
OPPOSITES = {"min": "max", "max": "min", "any": "all", "all": "any", "ceil": "floor", "floor": "ceil"}


@dataclass(frozen=True)
class Fault:
    """One change of one expression.

    Attributes:
        file: File, from the root of the project.
        line: Line of the expression, from one.
        start: Place of its first byte in the file.
        end: Place after its last byte.
        kind: What is done.
        before: Its text.
        after: What stands there instead.
        statement: Line before which a probe can stand: it runs when the statement with the expression does.
        indent: Blanks before that statement.
    """

    file: str
    line: int
    start: int
    end: int
    kind: str
    before: str
    after: str
    statement: int
    indent: int

    @property
    def room(self) -> str:
        """The room that it is in."""
        parts = Path(self.file).with_suffix("").parts
        return parts[0] if parts[0] == "pipelines" else parts[1]

    @property
    def name(self) -> str:
        """One line that tells it."""
        old, new = (" ".join(text.split()) for text in (self.before, self.after))
        return f"{self.file}:{self.line} {self.kind}: {old} -> {new}"

    def put_into(self, root: Path) -> None:
        """Changes the file of a copy of the project; one that has moved is looked for by its text.

        Raises:
            LookupError: The text is not there, or more than once.
        """
        file = root / self.file
        source = file.read_bytes()
        old, start = self.before.encode(), self.start
        if source[self.start : self.end] != old:
            if source.count(old) != 1:
                raise LookupError(f"{self.name}: the text is there {source.count(old)} times")
            start = source.index(old)
        changed = source[:start] + self.after.encode() + source[start + len(old) :]
        ast.parse(changed)
        file.write_bytes(changed)

    def as_dict(self) -> dict[str, object]:
        """For a JSON file."""
        return asdict(self)


def draw(seed: int, count: int, root: Path = ROOT) -> list[Fault]:
    """Faults over all rooms: one in each, then more where there is more code.

    Args:
        seed: Of the random choice; the same code and seed give the same faults.
        count: How many.
        root: The project.
    """
    rng = random.Random(seed)
    rooms: dict[str, list[Fault]] = {}
    for package in PACKAGES:
        for file in sorted((root / package).rglob("*.py")):
            for fault in faults_of(file, root):
                rooms.setdefault(fault.room, []).append(fault)
    names = sorted(rooms)
    rng.shuffle(names)
    chosen = [rooms[name].pop(rng.randrange(len(rooms[name]))) for name in names][:count]
    rest = [fault for name in sorted(rooms) for fault in rooms[name]]
    return chosen + rng.sample(rest, count - len(chosen))


def faults_of(file: Path, root: Path = ROOT) -> list[Fault]:
    """All faults that can be put into a file."""
    source = file.read_bytes()
    lines = source.splitlines(keepends=True)
    begins = [0]
    for line in lines:
        begins.append(begins[-1] + len(line))
    found = []
    for statement, node in _expressions(ast.parse(source), None):
        start = begins[node.lineno - 1] + node.col_offset
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        end = begins[node.end_lineno - 1] + node.end_col_offset
        decorators = [one.lineno for one in getattr(statement, "decorator_list", [])]
        for kind, text in _changes(node):
            found.append(
                Fault(
                    str(file.relative_to(root)),
                    node.lineno,
                    start,
                    end,
                    kind,
                    source[start:end].decode(),
                    text,
                    min([statement.lineno, *decorators]),
                    statement.col_offset,
                )
            )
    return found


def _expressions(node: ast.AST, statement: ast.stmt | None) -> Iterator[tuple[ast.stmt, ast.expr]]:
    """Expressions in which a fault can be, with the statement that they are part of."""
    if isinstance(node, ast.stmt):
        # An `elif` is a statement of the tree and not of the text: nothing can stand before it.
        statement = node
        if isinstance(node, (ast.Raise, ast.Import, ast.ImportFrom, ast.Assert)):  # texts of errors, names
            return
        if isinstance(node, ast.If) and any(
            (isinstance(inner, (ast.Name, ast.Attribute)) and "TYPE_CHECKING" in ast.unparse(inner))
            or (isinstance(inner, ast.Name) and inner.id == "__name__")
            for inner in ast.walk(node.test)
        ):  # fmt: skip
            return
    if isinstance(node, ast.JoinedStr):
        return
    if isinstance(node, ast.expr) and statement is not None:
        yield statement, node
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "type_params", "keywords" if _is_text(node) else ""):
            continue
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, ast.AST):
                if isinstance(node, ast.If) and field == "orelse" and _is_elif(node, inner):
                    yield from ((statement or node, one) for _, one in _expressions(inner, statement))
                else:
                    yield from _expressions(inner, statement)
    if isinstance(node, ast.If) and not node.orelse and len(node.body) == 1 and statement is not None:
        (only,) = node.body
        if isinstance(only, (ast.Raise, ast.Return, ast.Continue, ast.Break)):
            yield statement, _Guard(node.test)


class _Guard(ast.expr):
    """The question of a guard, as a whole."""

    def __init__(self, test: ast.expr) -> None:
        super().__init__()
        self.lineno, self.col_offset = test.lineno, test.col_offset
        self.end_lineno, self.end_col_offset = test.end_lineno, test.end_col_offset


def _is_elif(node: ast.If, inner: ast.AST) -> bool:
    return isinstance(inner, ast.If) and len(node.orelse) == 1 and inner.col_offset == node.col_offset


def _is_text(node: ast.AST) -> bool:
    """Whether a call only tells something: `ConfigError(...)`, `console.print(...)`."""
    return isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("Error", "print", "say", "tell"))


def _changes(node: ast.expr) -> Iterator[tuple[str, str]]:
    """What can be done to one expression: kind and new text."""
    if isinstance(node, _Guard):
        yield "guard removed", "False"
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        for other in COMPARISONS[type(node.ops[0])]:
            yield "comparison", _with(node, ops=[other()])
    elif isinstance(node, ast.BoolOp):
        yield "and/or", _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not removed", f"({ast.unparse(node.operand)})"
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS and not _of_texts(node):
        yield "arithmetic", _with(node, op=OPERATORS[type(node.op)]())
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "constant", str(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield "off by one", str(node.value + 1)
    elif isinstance(node, ast.Constant) and isinstance(node.value, float):
        yield "constant", repr(node.value * 2 if node.value else 1.0)
    elif isinstance(node, ast.Name) and node.id in OPPOSITES and isinstance(node.ctx, ast.Load):
        yield "opposite", OPPOSITES[node.id]
    elif isinstance(node, ast.Attribute) and node.attr in OPPOSITES and isinstance(node.ctx, ast.Load):
        yield "opposite", _with(node, attr=OPPOSITES[node.attr])


def _with(node: ast.expr, **changes: object) -> str:
    other = copy.deepcopy(node)
    for name, value in changes.items():
        setattr(other, name, value)
    return f"({ast.unparse(other)})"


def _of_texts(node: ast.BinOp) -> bool:
    """Whether texts or paths are put together, where the other operator would be no code that anybody writes."""
    return any(
        isinstance(inner, ast.JoinedStr) or (isinstance(inner, ast.Constant) and isinstance(inner.value, str))
        for side in (node.left, node.right)
        for inner in ([side, *ast.iter_child_nodes(side)] if isinstance(side, ast.BinOp) else [side])
    )
