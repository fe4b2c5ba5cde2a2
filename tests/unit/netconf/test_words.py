"""Whatever a program can say, refuse with or write down has a sentence in both languages.

The codes are read out of the source: each argument named ``rule``, ``reason``, ``code`` or ``trouble`` of any class or
function of ours is followed back, through variables, choices, tables and returned values, to the words it can be.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from string import Formatter

import pytest

from edge.records.types import REASONS
from netconf import words

ROOT = Path(__file__).parents[3]
NAMES = frozenset(("rule", "reason", "code"))
#: What a peer does otherwise than the standards say is collected in lists of these names.
NOTES = frozenset(("notes", "deviations"))
#: Only counted, by programs that tell nobody: what a DHCP or DNS server, a media packet or a torn record broke.
COUNTED = frozenset(("RemoteDhcpError", "RemoteDnsError", "RemoteRtpError", "RemoteRtcpError", "RemoteRecordError"))
#: What is no code of ours: options of DHCP, digits of an organisation, the page's one-time code.
OTHERS = frozenset(("__init__", "_one", "_number", "_addresses", "_level", "set_first"))
#: The lab has its own words; so has the verifier of receipts, which stands alone. What is taken out of a stream of
#: pictures is counted in octets, and nobody is refused for it.
ELSEWHERE = ("lab", "verify_receipts.py", "inspection.py", "es.py", "units.py")
CODE = re.compile(r"[a-z][a-z0-9-]*(?:_[a-z0-9-]+)*")
#: Values of an enumeration that are no refusals; the sets in which the rules note what they drop; and an answer that was
#: not taken, of which ``edge.faults`` makes what is said.
NO_CODES = frozenset(("good", "strays", "fragments", "moved", "refusals", "answer_refused"))
Function = ast.FunctionDef | ast.AsyncFunctionDef


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


class Source:
    """All modules, and what any expression in them can be."""

    def __init__(self) -> None:
        self.home: dict[ast.AST, Path] = {}
        self.inside: dict[ast.AST, Function | None] = {}
        self.functions: dict[str, list[Function]] = defaultdict(list)
        self.constants: dict[tuple[Path, str], ast.expr] = {}
        self.places: dict[str, set[tuple[int, str]]] = defaultdict(set)
        #: The values of enumerations and the defaults of fields, by class and name.
        self.members: dict[tuple[str, str], ast.expr] = {}
        for room in ("city", "edge", "netconf", "firewall", "webui"):
            for path in sorted((ROOT / room).rglob("*.py")):
                if not set(ELSEWHERE) & set(path.parts):
                    self._read(path)

    def _read(self, path: Path) -> None:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        self._mark(tree, None, path)
        for node in tree.body:
            target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            if isinstance(target, ast.Name) and isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                self.constants[path, target.id] = node.value
        for node in ast.walk(tree):
            if isinstance(node, Function):
                self.functions[node.name].append(node)
                self._place(node.name, [a.arg for a in (*node.args.args, *node.args.kwonlyargs)])
            elif isinstance(node, ast.ClassDef):
                self._place(node.name, _fields(node))
                for each in node.body:
                    target = each.targets[0] if isinstance(each, ast.Assign) else getattr(each, "target", None)
                    if isinstance(each, ast.Assign | ast.AnnAssign) and isinstance(target, ast.Name) and each.value:
                        self.members[node.name, target.id] = each.value

    def _mark(self, node: ast.AST, within: Function | None, path: Path) -> None:
        self.home[node], self.inside[node] = path, within
        for child in ast.iter_child_nodes(node):
            self._mark(child, node if isinstance(node, Function) else within, path)

    def _place(self, called: str, names: list[str]) -> None:
        if names[:1] == ["self"] or names[:1] == ["cls"]:
            names = names[1:]
        self.places[called] |= {(at, name) for at, name in enumerate(names) if name in NAMES}

    # -- what an expression can be -------------------------------------------------------------------------------

    def words(self, node: ast.expr, seen: frozenset[tuple[object, str]] = frozenset()) -> set[str]:
        """Return the texts that an expression can be; "*" stands for a part that nobody can know."""
        if isinstance(node, ast.Constant):
            return {node.value} if isinstance(node.value, str) else set()
        if isinstance(node, ast.JoinedStr):
            made = {""}
            for part in node.values:
                ends = self.words(part, seen) if isinstance(part, ast.Constant | ast.FormattedValue) else set()
                made = {begin + end for begin in made for end in ends or {"*"}}
            return made
        if isinstance(node, ast.Name):
            return self._variable(node, seen)
        if isinstance(node, ast.Call):
            return self._called(node, seen)
        if isinstance(node, ast.Attribute):
            member = self.members.get((ast.unparse(node.value), node.attr))
            return self.words(member, seen) if member is not None else set()  # else it was given where it was made
        if isinstance(node, ast.Dict):
            return self._all(node.values, seen)
        if isinstance(node, ast.GeneratorExp):
            return self._all((node.elt, *(each.iter for each in node.generators)), seen)
        if isinstance(node, ast.IfExp):
            return self._all((node.body, node.orelse), seen)
        parts = (each for each in ast.iter_child_nodes(node) if isinstance(each, ast.expr))
        if isinstance(node, ast.Subscript):
            parts = iter((node.value,))
        return self._all(parts, seen)

    def _all(self, nodes: Iterable[ast.expr], seen: frozenset[tuple[object, str]]) -> set[str]:
        return set().union(*(self.words(each, seen) for each in nodes))

    def _variable(self, node: ast.Name, seen: frozenset[tuple[object, str]]) -> set[str]:
        within = self.inside[node]
        if (within, node.id) in seen:
            return set()
        seen |= {(within, node.id)}
        given = list(_givings(within, node.id))
        constant = self.constants.get((self.home[node], node.id))
        if not given and constant is not None:
            given = [constant]
        return self._all(given, seen)

    def _called(self, node: ast.Call, seen: frozenset[tuple[object, str]]) -> set[str]:
        called = _name(node)
        if called in ("get", "items") and isinstance(node.func, ast.Attribute):
            table = self._table(node.func.value) if called == "items" else None
            return self._all(table.keys if table is not None else (node.func.value, *node.args[1:]), seen)
        if called in ("str", "next", "sorted", "tuple", "iter"):
            return self._all(node.args, seen)
        if ("call", called) in seen:
            return set()
        found: set[str] = set()
        for function in self.functions.get(called, ()):
            ends = [n for n in ast.walk(function) if isinstance(n, ast.Return | ast.Yield) and n.value is not None]
            found |= self._all((n.value for n in ends if n.value is not None), seen | {("call", called)})
        return found

    def _table(self, node: ast.expr) -> ast.Dict | None:
        """Return the table whose keys a generator looks through."""
        given = list(_givings(self.inside[node], node.id)) if isinstance(node, ast.Name) else []
        return given[0] if len(given) == 1 and isinstance(given[0], ast.Dict) else None

    # -- where codes are given -----------------------------------------------------------------------------------

    def codes(self) -> dict[str, set[str]]:
        """Return each code with the places it comes from."""
        found: dict[str, set[str]] = defaultdict(set)
        for (_, name), value in self.members.items():
            if name in NAMES and isinstance(value, ast.Constant) and value.value:
                found[str(value.value)].add(f"{self.home[value].relative_to(ROOT)}:{value.lineno}")
        for node, path in self.home.items():
            for text in self._all(self._given(node), frozenset()):
                if (CODE.fullmatch(text) or "*" in text) and text not in NO_CODES:
                    found[text].add(f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}")
        return found

    def _given(self, node: ast.AST) -> Iterator[ast.expr]:
        if isinstance(node, ast.AugAssign) and ast.unparse(node.target) in NOTES:
            yield node.value
        if not isinstance(node, ast.Call):
            return
        called = _name(node)
        called = "Refused" if called == "SipRefused" else called
        if called == "append" and isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) in NOTES:
            yield from node.args
        if called in COUNTED | OTHERS:
            return
        for at, name in self.places.get(called, ()):
            yield from (node.args[at : at + 1])
            yield from (keyword.value for keyword in node.keywords if keyword.arg == name)


def _fields(kind: ast.ClassDef) -> list[str]:
    for node in kind.body:
        if isinstance(node, Function) and node.name == "__init__":
            return [a.arg for a in node.args.args]
    fields = [n for n in kind.body if isinstance(n, ast.AnnAssign) and "ClassVar" not in ast.unparse(n.annotation)]
    return [node.target.id for node in fields if isinstance(node.target, ast.Name)]


def _givings(function: Function | None, name: str) -> Iterator[ast.expr]:
    """Yield what a variable is given in a function."""
    if function is None:
        return
    for node in ast.walk(function):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = node.iter if isinstance(node, ast.For | ast.comprehension) else getattr(node, "value", None)
        if not isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr | ast.For | ast.comprehension):
            continue
        for target in targets:
            bound = target.elts if isinstance(target, ast.Tuple) else [target]
            if isinstance(value, ast.expr) and any(isinstance(b, ast.Name) and b.id == name for b in bound):
                yield value


@pytest.fixture(scope="module")
def codes() -> dict[str, set[str]]:
    return Source().codes()


def known(code: str) -> bool:
    """Whether a code has words; of one with a part that nobody can know, whether its family has."""
    if "*" in code:
        begin, _, end = code.partition("*")
        families = (*words.FAMILIES, "call_")
        return begin in families or any(each.startswith(begin) and each.endswith(end) for each in words.TABLE)
    return words.of(code) is not None


def test_every_code_that_the_source_gives_has_words(codes: dict[str, set[str]]) -> None:
    """Each line that this prints is a code without a sentence, and where it is given."""
    missing = {code: places for code, places in codes.items() if not known(code)}
    assert not missing, "\n".join(f"{code}: {min(places)}" for code, places in sorted(missing.items()))
    assert len(codes) > 330


@pytest.mark.parametrize(
    ("code", "way"),
    [
        ("verify_digits", "an argument"),
        ("control_denied", "a tuple that a function returns"),
        ("no_max_forwards", "a generator's value, added to a list of deviations"),
        ("charset_wrong", "appended to a list of deviations"),
        ("no_call-id", "a text made of a table's"),
        ("city_unreached", "a table's value"),
        ("pin_rate", "a table's key"),
        ("wrong_password", "an enumeration's value"),
        ("device_id", "a field's default"),
        ("too_many_calls", "one of two"),
        ("strict_*", "a family"),
    ],
)
def test_the_reading_of_the_source_follows(codes: dict[str, set[str]], code: str, way: str) -> None:
    assert code in codes, way


def test_every_reason_that_a_record_can_carry_has_words() -> None:
    assert not [reason for reason in REASONS if reason not in words.TABLE]


def test_what_a_strict_peer_is_refused_for_says_what_it_was() -> None:
    for language in ("en", "zh-CN"):
        assert words.reason("no_subject", language) in words.reason("strict_no_subject", language)
        assert words.reason("strict_no_subject", language) != words.reason("no_subject", language)
        assert "no_such_rule" in words.reason("strict_no_such_rule", language)


@pytest.mark.parametrize("code", sorted(words.TABLE))
def test_words_are_whole_in_both_languages(code: str) -> None:
    said = words.TABLE[code]
    assert said.en.endswith((".", "?")), said.en
    assert said.zh.endswith(("。", "？")), said.zh
    assert bool(said.en_advice) == bool(said.zh_advice)
    assert re.search("[\u4e00-\u9fff]", said.zh)
    fields = [{name for _, name, _, _ in Formatter().parse(text) if name} for text in (said.en, said.zh)]
    assert fields[0] == fields[1]
