"""Data as YAML that people read."""

from __future__ import annotations

import yaml


class _Dumper(yaml.SafeDumper):
    """One that writes texts of several lines as such."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def yaml_text(data: object) -> str:
    """JSON-like data as YAML, its keys in their order, no line broken for its length."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
    return text
