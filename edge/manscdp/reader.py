"""XML to a small tree, within bounds: expat with a handler that refuses every document type declaration.

Charset (GB/T 28181 6.10 and the field): bytes that are valid UTF-8 and declared so, or not declared, are UTF-8; all
else is GB18030, the superset of GB2312 and GBK. The declaration is taken off and the text handed to expat as UTF-8.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from xml.parsers import expat

MAX_BODY_BYTES = 65536
MAX_DEPTH = 8
MAX_ELEMENTS = 20000
MAX_ATTRIBUTES = 4
MAX_TEXT_CHARACTERS = 2048
MAX_NAME_CHARACTERS = 64
_DECLARATION = re.compile(rb"\A\s*<\?xml[^>]{0,200}\?>", re.IGNORECASE)
_ENCODING = re.compile(rb"encoding\s*=\s*[\"']([A-Za-z0-9_\-]{1,20})[\"']", re.IGNORECASE)
_UTF8 = frozenset((b"utf-8", b"utf8"))
_GB = frozenset((b"gb2312", b"gbk", b"gb18030", b"gb-2312"))


class RemoteManscdpError(Exception):
    """They sent what is no MANSCDP message; ``rule`` names why."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


@dataclass(slots=True)
class Element:
    """An element: its children in order, or its text."""

    name: str
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def one(self, name: str) -> Element | None:
        """Return the only child of that name (without case), or None.

        Raises:
            RemoteManscdpError: there are several.
        """
        wanted = name.lower()
        found = [child for child in self.children if child.name.lower() == wanted]
        if len(found) > 1:
            raise RemoteManscdpError("element_twice")
        return found[0] if found else None

    def value(self, name: str) -> str:
        """Return the text of the only child of that name, "" when there is none."""
        child = self.one(name)
        return child.text.strip() if child is not None else ""


def decode_text(body: bytes) -> str:
    """Return the text of a body without its XML declaration."""
    if len(body) > MAX_BODY_BYTES:
        raise RemoteManscdpError("body_long")
    body = body.removeprefix(b"\xef\xbb\xbf")
    declaration = _DECLARATION.match(body)
    declared = b""
    if declaration is not None:
        named = _ENCODING.search(declaration[0])
        declared = named[1].lower() if named is not None else b""
        body = body[declaration.end() :]
    if declared and declared not in _UTF8 | _GB:
        raise RemoteManscdpError("charset_unknown")
    if not declared or declared in _UTF8:
        try:
            return _clean(body.decode("utf-8"))
        except UnicodeDecodeError:
            pass  # declared wrongly, as some recorders do
    try:
        return _clean(body.decode("gb18030"))
    except UnicodeDecodeError:
        raise RemoteManscdpError("charset_bytes") from None


def _clean(text: str) -> str:
    return "".join(c for c in text if c >= " " or c in "\t\r\n")


def read(body: bytes) -> Element:
    """Return the root element.

    Raises:
        RemoteManscdpError: with the rule it breaks.
    """
    builder = _Builder()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.StartDoctypeDeclHandler = builder.doctype
    parser.ProcessingInstructionHandler = builder.instruction
    parser.CommentHandler = builder.comment
    try:
        parser.Parse(decode_text(body).encode("utf-8"), True)
    except expat.ExpatError:
        raise RemoteManscdpError("xml_syntax") from None
    if builder.root is None:
        raise RemoteManscdpError("xml_empty")
    return builder.root


class _Builder:
    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if len(self._open) >= MAX_DEPTH or self._count > MAX_ELEMENTS:
            raise RemoteManscdpError("xml_deep")
        if len(attributes) > MAX_ATTRIBUTES or len(name) > MAX_NAME_CHARACTERS or ":" in name or "xmlns" in attributes:
            raise RemoteManscdpError("xml_element")
        made = Element(name)
        if self._open:
            self._open[-1].children.append(made)
        else:
            self.root = made
        self._open.append(made)

    def end(self, name: str) -> None:
        self._open.pop()

    def text(self, text: str) -> None:
        element = self._open[-1]
        if len(element.text) + len(text) > MAX_TEXT_CHARACTERS:
            raise RemoteManscdpError("xml_text_long")
        element.text += text

    def doctype(self, *_: object) -> None:
        raise RemoteManscdpError("xml_doctype")

    def instruction(self, *_: object) -> None:
        raise RemoteManscdpError("xml_instruction")

    def comment(self, *_: object) -> None:
        raise RemoteManscdpError("xml_comment")
