"""XML to a small tree, within bounds: expat with a handler that refuses every document type declaration.

Charset (GB/T 28181 6.10 and the field): octets that are valid UTF-8 and declared so, or not declared, or that are nothing
but whole Chinese characters in UTF-8, are UTF-8; all else is GB18030, the superset of GB2312 and GBK. The declaration is
taken off and the text handed to expat as UTF-8.
"""

from __future__ import annotations

import re
from xml.parsers import expat

MAX_BODY_BYTES = 65536
MAX_DEPTH = 8
MAX_ELEMENTS = 20000
MAX_ATTRIBUTES = 4
MAX_TEXT_CHARACTERS = 2048
MAX_NAME_CHARACTERS = 64
#: An XML declaration, and the charset that it names.
_DECLARATION = re.compile(
    rb"\s*<\?xml(?:[^>]{0,200}?encoding\s*=\s*[\"']([a-z0-9_\-]{1,20})[\"'])?[^>]{0,200}\?>", re.IGNORECASE
)
#: One tag: whether it ends an element, its name, and the rest.
_TAG = re.compile(r"<(/?)([A-Za-z_][A-Za-z0-9_.\-]{0,63})([^<>]{0,200})>")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_HIGH = re.compile(rb"[\x80-\xff]+")
#: U+3000 to U+9FFF and the full-width forms, as UTF-8 writes them.
_CHINESE = re.compile(rb"(?:[\xe3-\xe9][\x80-\xbf]{2}|\xef[\xbc-\xbd][\x80-\xbf])+")
_UTF8 = frozenset((b"utf-8", b"utf8"))
_GB = frozenset((b"gb2312", b"gbk", b"gb18030", b"gb-2312"))
_CHARSETS = _UTF8 | _GB


class RemoteManscdpError(Exception):
    """They sent what is no MANSCDP message; ``rule`` names why."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


class Element:
    """An element: its children in order, or its text. Names are in lower case: 2022 texts and devices differ."""

    __slots__ = ("_by_name", "children", "name", "text")

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = ""
        self.children: list[Element] = []
        self._by_name: dict[str, Element] = {}

    def add(self, child: Element) -> None:
        self.children.append(child)
        self._by_name[child.name] = _SEVERAL if child.name in self._by_name else child

    def one(self, name: str) -> Element | None:
        """Return the only child of that name, in lower case, or None.

        Raises:
            RemoteManscdpError: there are several.
        """
        found = self._by_name.get(name)
        if found is _SEVERAL:
            raise RemoteManscdpError("element_twice")
        return found

    def child_at(self, path: tuple[str, ...]) -> Element | None:
        """Return what stands below, name by name, or None."""
        found: Element | None = self
        for name in path:
            if found is None:
                return None
            found = found.one(name)
        return found

    def text_at(self, *path: str) -> str:
        """Return the text of what stands below, "" when there is nothing."""
        found = self.child_at(path)
        return found.text.strip() if found is not None else ""


_SEVERAL = Element("")


def decode_text(body: bytes, notes: list[str]) -> str:
    """Return the text of a body without its XML declaration; what is wrong with its charset is noted."""
    if len(body) > MAX_BODY_BYTES:
        raise RemoteManscdpError("body_long")
    body = body.removeprefix(b"\xef\xbb\xbf")
    declaration = _DECLARATION.match(body)
    declared = b""
    if declaration is not None:
        declared = (declaration[1] or b"").lower()
        body = body[declaration.end() :]
    if declared and declared not in _CHARSETS:
        raise RemoteManscdpError("charset_unknown")
    if not declared:
        notes.append("no_encoding")
    return _octets_to_text(body, declared, notes)


def _octets_to_text(body: bytes, declared: bytes, notes: list[str]) -> str:
    """Return the text in the charset it is in, which is not always the one it says.

    GB2312 text that reads as Chinese in UTF-8 begins with a rare character (level 2): none of 4,000,000 random texts of
    common ones did, and 89 in a million of any. So whole UTF-8 Chinese is believed even under a GB2312 declaration.
    """
    if body.isascii():
        return body.decode("ascii")
    utf8: str | None
    try:
        utf8 = body.decode("utf-8")
    except UnicodeDecodeError:
        utf8 = None
    if utf8 is not None and (not declared or declared in _UTF8 or _surely_utf8(body)):
        if declared in _GB:
            notes.append("charset_wrong")
        return utf8
    if declared in _UTF8:
        notes.append("charset_wrong")
    try:
        return body.decode("gb18030")
    except UnicodeDecodeError:
        raise RemoteManscdpError("charset_bytes") from None


def _surely_utf8(body: bytes) -> bool:
    """Whether every run of octets above 0x7F is made of whole three-octet sequences of Chinese, and there is one."""
    runs = _HIGH.findall(body)
    return bool(runs) and all(_CHINESE.fullmatch(run) for run in runs)


def read(body: bytes, notes: list[str]) -> Element:
    """Return the root element; what was read although it is no XML is noted.

    Raises:
        RemoteManscdpError: with the rule it breaks.
    """
    text = decode_text(body, notes)
    try:
        return _parse(text)
    except expat.ExpatError:
        printable = _CONTROL.sub("", text)
    if printable != text:
        notes.append("control_characters")
        try:
            return _parse(printable)
        except expat.ExpatError:
            pass
    try:
        root = _parse(_mend(printable))
    except expat.ExpatError:
        raise RemoteManscdpError("xml_syntax") from None
    notes.append("xml_mended")
    return root


def _parse(text: str) -> Element:
    builder = _Builder()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.words.append
    parser.StartDoctypeDeclHandler = builder.doctype
    parser.ProcessingInstructionHandler = builder.instruction
    parser.CommentHandler = builder.comment
    parser.Parse(text.encode("utf-8"), True)
    if builder.root is None:
        raise RemoteManscdpError("xml_empty")
    return builder.root


def _mend(text: str) -> str:
    """Return ``text`` with end tags that end nothing taken out, and elements that are not ended, ended.

    Recorders send an end tag too many, and lose the last ones. Which element the text of such a message belongs to may be
    read otherwise by others; nobody reads it but us, for what goes on is written anew from what was understood.
    """
    if "<!" in text or "<?" in text:
        raise RemoteManscdpError("xml_syntax")
    out: list[str] = []
    open_names: list[str] = []
    at = 0
    for tag in _TAG.finditer(text):
        out.append(text[at : tag.start()])
        at = tag.end()
        ends, name, rest = tag.groups()
        if not ends:
            out.append(tag[0])
            if not rest.endswith("/"):
                open_names.append(name)
        elif name in open_names:
            while (last := open_names.pop()) != name:
                out.append(f"</{last}>")
            out.append(tag[0])
    out.append(text[at:] if open_names else text[at:].strip())
    out += [f"</{name}>" for name in reversed(open_names)]
    return "".join(out)


class _Builder:
    def __init__(self) -> None:
        self.root: Element | None = None
        #: The text since the last tag: it is the standing element's.
        self.words: list[str] = []
        self._open: list[Element] = []
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if len(self._open) >= MAX_DEPTH or self._count > MAX_ELEMENTS:
            raise RemoteManscdpError("xml_deep")
        if len(attributes) > MAX_ATTRIBUTES or len(name) > MAX_NAME_CHARACTERS or ":" in name or "xmlns" in attributes:
            raise RemoteManscdpError("xml_element")
        made = Element(name.lower())
        if self._open:
            self._keep_words(self._open[-1])
            self._open[-1].add(made)
        else:
            self.root = made
        self._open.append(made)

    def end(self, name: str) -> None:
        self._keep_words(self._open.pop())

    def _keep_words(self, element: Element) -> None:
        if not self.words:
            return
        text = "".join(self.words)
        self.words.clear()
        if text.isspace():
            return
        element.text += text
        if len(element.text) > MAX_TEXT_CHARACTERS:
            raise RemoteManscdpError("xml_text_long")

    def doctype(self, *_: object) -> None:
        raise RemoteManscdpError("xml_doctype")

    def instruction(self, *_: object) -> None:
        raise RemoteManscdpError("xml_instruction")

    def comment(self, *_: object) -> None:
        raise RemoteManscdpError("xml_comment")
