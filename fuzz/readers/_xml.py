"""What hostile XML is made of."""

from __future__ import annotations

from typing import Final

WORDS: Final = (
    *(b"<!DOCTYPE a [", b'<!ENTITY a "aaaa">', b"]>", b"&a;", b"&lt;", b"&#0;", b"&#x110000;"),
    *(b"<![CDATA[", b"]]>", b"<?xml version='1.0' encoding='utf-16'?>", b'encoding="utf-7"'),
    *(b'encoding="rot13"', b'<!ENTITY x SYSTEM "file:///etc/passwd">', b"xmlns:a='b'", b"<a>" * 40),
    *(b"</a>" * 40, b"<!--", b"-->", b"<a/>", b"\xff\xfe", b"xi:include"),
)
