"""YAML as people write it, without what can be made to hurt."""

from __future__ import annotations

from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """Plain values only, each written out where it stands."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        # Nine lists that each name the one before ten times are some hundred bytes, and 10^9 values.
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it refers to another part of itself (*name), which is not read")
        return super().compose_node(parent, index)


def load_yaml(text: str) -> Any:
    """The value in the text; None if it is empty. Raises ValueError that says what is wrong."""
    try:
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
        # The latter are how the parser ends on damaged dates and numbers, and on deep nesting.
        raise ValueError(str(error)) from error
