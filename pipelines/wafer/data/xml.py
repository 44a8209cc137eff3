"""XML within limits: no entities, no external references, no deep nesting, no endless element lists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from .limits import DEFAULT, Limits, raise_it
from .record import WaferFileError


class _LimitedBuilder(TreeBuilder):
    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self._max_depth, self._max_elements = limits.max_xml_depth, limits.max_xml_elements
        self._depth = self._elements = 0

    def start(self, tag: Any, attrs: dict[Any, Any], /) -> Element:
        self._depth += 1
        self._elements += 1
        if self._depth > self._max_depth:
            raise WaferFileError(
                f"the XML is nested more than {self._max_depth} deep, which is the most that is "
                f"read: {raise_it('max_xml_depth')}"
            )
        if self._elements > self._max_elements:
            raise WaferFileError(
                f"the XML has more than {self._max_elements:,} elements, which is the most that is "
                f"read: {raise_it('max_xml_elements')}"
            )
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> Element:
        self._depth -= 1
        return super().end(tag)


def parse(data: bytes, limits: Limits = DEFAULT) -> Element:
    """The root element. Raises WaferFileError for damaged and for hostile XML."""
    if len(data) > limits.max_xml_bytes:
        raise WaferFileError(
            f"the XML has {len(data):,} bytes; at most {limits.max_xml_bytes:,} are read: "
            f"{raise_it('max_xml_bytes')}"
        )
    parser = DefusedXMLParser(target=_LimitedBuilder(limits))
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
