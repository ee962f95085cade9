"""The regular expressions of a package, found in its source, and inputs that are expensive for them, made from the expressions themselves."""

from __future__ import annotations

import ast
import importlib
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from re import _constants as code
from re import _parser
from typing import Any

_CALLS = {"search", "match", "fullmatch", "split", "findall", "finditer", "sub", "subn"}
_CANDIDATES = "aA0 \t\n-._/:=@,\"'`[]{}()#?&$+*\\|<>~^%;!\x00é"
_MOST_MEMBERS = 4
_MOST_PATHS = 40
_SHORT = 200


@dataclass(frozen=True)
class Use:
    """A regular expression and a method that a package applies it by.

    Attributes:
        where: the module and the name or the line of the expression.
        method: of `re.Pattern`.
    """

    where: str
    pattern: re.Pattern[str]
    method: str

    def run(self, text: str) -> None:
        """Apply the expression to a text as the package does, to the end of what it finds."""
        if self.method in {"sub", "subn"}:
            getattr(self.pattern, self.method)("", text)
        elif self.method == "finditer":
            list(self.pattern.finditer(text))
        else:
            getattr(self.pattern, self.method)(text)


def uses_in(package: str) -> list[Use]:
    """Return every use of a text expression in a package; an expression that is compiled and never applied counts as searched for."""
    root = Path(str(importlib.import_module(package).__file__)).parent
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(root.rglob("*.py"))}
    methods: dict[str, set[str]] = defaultdict(set)
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in _CALLS and isinstance(node.value, ast.Name | ast.Attribute):
                methods[node.value.id if isinstance(node.value, ast.Name) else node.value.attr].add(node.attr)
    return [use for path, tree in trees.items() for use in _uses_of(path, _module_name(package, root, path), tree, methods)]


def _module_name(package: str, root: Path, path: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join([package, *(part for part in parts if part != "__init__")])


def _uses_of(path: Path, module: str, tree: ast.Module, methods: dict[str, set[str]]) -> Iterator[Use]:
    names = {
        id(node.value): target.id for node in tree.body if isinstance(node, ast.Assign) for target in node.targets if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_re(node.func.value) and node.args):
            continue
        text = _text_of(node.args[0], module)
        if text is None:
            continue
        flags = [argument for argument in [*node.args[1:], *(keyword.value for keyword in node.keywords)] if "re." in ast.unparse(argument)]
        pattern = re.compile(text, eval(ast.unparse(flags[0]), {"re": re}) if flags else 0)
        where = f"{module}:{names.get(id(node), node.lineno)}"
        if node.func.attr == "compile":
            for method in sorted(methods.get(names.get(id(node), ""), {"search"})):
                yield Use(where, pattern, method)
        elif node.func.attr in _CALLS:
            yield Use(where, pattern, node.func.attr)


def _is_re(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "re"


def _text_of(node: ast.expr, module: str) -> str | None:
    """Return the expression that a node writes; what only a running program knows in it is ``h``, and a whole expression of it alone is None."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(_text_of(value, module) or "h" for value in node.values)
    if isinstance(node, ast.FormattedValue):
        return _text_of(node.value, module)
    if isinstance(node, ast.BinOp):
        left, right = _text_of(node.left, module), _text_of(node.right, module)
        return left + right if left is not None and right is not None else None
    value = getattr(importlib.import_module(module), node.id, None) if isinstance(node, ast.Name) else None
    return value if isinstance(value, str) else None


# --- inputs ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Piece:
    """A part of a text that matches: a shortest form of it, and texts that may be repeated there."""

    text: str
    pumps: tuple[str, ...] = ()


def is_short(pattern: re.Pattern[str]) -> bool:
    """Say whether an expression matches short texts only, and looks no further: then it takes linear time, whatever it is given."""
    longest = _parser.parse(pattern.pattern, pattern.flags).getwidth()[1]
    return longest <= _SHORT and not re.search(r"\(\?<?[=!]", pattern.pattern)


def worst_inputs(pattern: re.Pattern[str], size: int) -> list[str]:
    """Return texts of `size` characters that are expensive for an expression that can be expensive.

    They are its own characters over and over, beginnings of a match over and over, and beginnings of a match followed by
    much of what may be repeated there; each as it is, and followed by what ends the match.
    """
    seeds: dict[tuple[str, str], None] = {}
    for path in list(_paths(list(_parser.parse(pattern.pattern, pattern.flags))))[:_MOST_PATHS]:
        prefix = ""
        for piece in path:
            for pump in piece.pumps:
                seeds[prefix, pump] = None
                seeds["", prefix + pump] = None
                seeds["", "\n" + prefix + pump] = None
                for other in (pump for later in path for pump in later.pumps):
                    seeds["", prefix + pump * 20 + other] = None
            prefix += piece.text
            seeds["", prefix] = None
            seeds["", prefix + " "] = None
    repeated = [(begin + unit * (size // len(unit) + 1))[: size - 1] for begin, unit in seeds if unit]
    return [text + end for text in repeated for end in (text[-1], "\x00", "\n")]


def _paths(items: Sequence[tuple[Any, Any]]) -> Iterator[list[Piece]]:
    """Yield ways through a parsed expression: every alternative appears in one, beside the first of the others."""
    ways = [list(_ways(operation, argument)) or [[]] for operation, argument in items]
    yield [piece for way in ways for piece in way[0]]
    for at, several in enumerate(ways):
        for chosen in several[1:]:
            yield [piece for number, way in enumerate(ways) for piece in (chosen if number == at else way[0])]


def _ways(operation: Any, argument: Any) -> Iterator[list[Piece]]:
    if operation is code.BRANCH:
        for branch in argument[1]:
            yield from _paths(list(branch))
    elif operation is code.SUBPATTERN:
        yield from _paths(list(argument[3]))
    elif operation is code.ATOMIC_GROUP:
        yield from _paths(list(argument))
    elif operation in {code.MAX_REPEAT, code.MIN_REPEAT, code.POSSESSIVE_REPEAT}:
        yield from _repeats(argument)
    elif operation not in {code.AT, code.ASSERT, code.ASSERT_NOT, code.GROUPREF}:
        yield [Piece(member) for member in _members(operation, argument)[:1]]


def _repeats(argument: tuple[int, Any, Any]) -> Iterator[list[Piece]]:
    least, most, inner = argument
    items = list(inner)
    many = most is code.MAXREPEAT or most > 50
    if len(items) == 1 and items[0][0] in {code.IN, code.LITERAL, code.NOT_LITERAL, code.ANY}:
        members = _members(*items[0])
        yield [Piece((members[0] if members else "") * least, tuple(members) if many else ())]
        return
    for way in _paths(items):
        text = "".join(piece.text for piece in way)
        if many:
            yield [*(way if least else []), Piece("", (text,) if text else ()), *(Piece("", piece.pumps) for piece in way if piece.pumps)]
        else:
            yield way


def _members(operation: Any, argument: Any) -> list[str]:
    """Return some characters that a part of an expression that is one character matches."""
    if operation is code.LITERAL:
        return [chr(argument)]
    own = [chr(value) for kind, value in argument if kind is code.LITERAL] if operation is code.IN else []
    found = [character for character in [*_CANDIDATES, *own] if _matches(operation, argument, character)]
    return found[:_MOST_MEMBERS]


def _matches(operation: Any, argument: Any, character: str) -> bool:
    if operation is code.ANY:
        return character != "\n"
    if operation is code.NOT_LITERAL:
        return character != chr(argument)
    if operation is not code.IN:
        return False
    negated = argument[0][0] is code.NEGATE
    return negated != any(_one_matches(kind, value, character) for kind, value in argument)


def _one_matches(kind: Any, value: Any, character: str) -> bool:
    if kind is code.LITERAL:
        return chr(value) == character
    if kind is code.RANGE:
        return value[0] <= ord(character) <= value[1]
    if kind is code.CATEGORY:
        classes = {"SPACE": r"\s", "NOT_SPACE": r"\S", "DIGIT": r"\d", "NOT_DIGIT": r"\D", "WORD": r"\w", "NOT_WORD": r"\W"}
        return re.match(classes[str(value).removeprefix("CATEGORY_")], character) is not None
    return False
