"""XML within limits: no entities, no external references, no deep nesting, no endless element lists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from .record import WaferFileError

MAX_DEPTH: Final = 32
MAX_ELEMENTS: Final = 500_000
MAX_BYTES: Final = 16 * 2**20


class _LimitedBuilder(TreeBuilder):
    def __init__(self) -> None:
        super().__init__()
        self._depth = self._elements = 0

    def start(self, tag: Any, attrs: dict[Any, Any], /) -> Element:
        self._depth += 1
        self._elements += 1
        if self._depth > MAX_DEPTH:
            raise WaferFileError(f"the XML is nested more than {MAX_DEPTH} deep, which no wafer map is")
        if self._elements > MAX_ELEMENTS:
            raise WaferFileError(f"the XML has more than {MAX_ELEMENTS:,} elements, which no wafer map has")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> Element:
        self._depth -= 1
        return super().end(tag)


def parse(data: bytes) -> Element:
    """The root element. Raises WaferFileError for damaged and for hostile XML."""
    if len(data) > MAX_BYTES:
        raise WaferFileError(f"the XML has {len(data):,} bytes; at most {MAX_BYTES:,} are read")
    parser = DefusedXMLParser(target=_LimitedBuilder())
    try:
        parser.feed(data)
        root = parser.close()
    except ParseError as error:
        raise WaferFileError(f"the XML is cut short or damaged: {error}") from error
    except DefusedXmlException as error:
        raise WaferFileError(
            "the XML defines entities or refers to other files, which is not allowed"
        ) from error
    except WaferFileError:
        raise
    except (LookupError, ValueError) as error:
        raise WaferFileError(f"the XML is in an encoding that is not read: {error}") from error
    if not isinstance(root, Element):
        raise WaferFileError("the XML is empty")
    return root


def local(tag: object) -> str:
    """A tag without its namespace; the versions of a standard differ in it."""
    return str(tag).rpartition("}")[2].rpartition(":")[2]


def descendants(element: Element, name: str) -> Iterator[Element]:
    """The elements below this one, and itself, with this local name in any case."""
    return (found for found in element.iter() if local(found.tag).lower() == name.lower())


def attributes(element: Element | None) -> dict[str, str]:
    """The attributes by their local names in lower case: tools differ in their capitals."""
    return {} if element is None else {local(name).lower(): value for name, value in element.attrib.items()}
