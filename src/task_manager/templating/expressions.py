"""The strings of a definition: text with jinja expressions, evaluated in a sandbox, with native results.

A string that is one expression (`"{{ epochs }}"`) becomes the expression's value: a number, a list, a boolean, null.
Any other string stays text, into which values are written as `as_text` says. Values are never evaluated themselves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias

import jinja2
from jinja2 import meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import JsonValue

Evaluation: TypeAlias = Callable[[Mapping[str, JsonValue]], JsonValue]

_RESULT: Final = "expression_result"


class ExpressionError(Exception):
    """A string of a definition that cannot be evaluated; the text says why.

    Attributes:
        line: Within the string, counted from 1; none when unknown.
    """

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.line = line


def as_text(value: object) -> str:
    """A value as text: the one conversion for environment variables, arguments and text around expressions.

    Text stays as it is, `true` and `false` are lower case, null is empty, numbers are written as in Python, lists and
    mappings as JSON.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | list | tuple | dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def evaluate(text: str, values: Mapping[str, JsonValue]) -> JsonValue:
    """The text with its expressions evaluated.

    Args:
        text: A string of a definition.
        values: What the expressions may name.

    Raises:
        ExpressionError: It is not valid, names something unknown, does what the sandbox forbids, or fails.
    """
    if "{" not in text:
        return text
    try:
        return _compiled(text)(values)
    except jinja2.TemplateSyntaxError as error:
        raise ExpressionError(f"This is not a valid expression: {error.message}.", error.lineno) from error
    except SecurityError as error:
        raise ExpressionError(f"The sandbox forbids this: {error}.") from error
    except jinja2.UndefinedError as error:
        raise ExpressionError(f"Something in this expression is unknown: {error}.") from error
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
        raise ExpressionError(f"This expression cannot be evaluated: {error}.") from error


def unknown_names(text: str, known: frozenset[str]) -> frozenset[str]:
    """The names that the text's expressions use and that are neither known nor jinja's own.

    Raises:
        ExpressionError: The text is not valid.
    """
    try:
        used = meta.find_undeclared_variables(_ENVIRONMENT.parse(text))
    except jinja2.TemplateSyntaxError as error:
        raise ExpressionError(f"This is not a valid expression: {error.message}.", error.lineno) from error
    return frozenset(used) - known - set(_ENVIRONMENT.globals)


_ENVIRONMENT: Final = ImmutableSandboxedEnvironment(
    undefined=jinja2.StrictUndefined, finalize=as_text, keep_trailing_newline=True, autoescape=False
)
# Jinja's own filter escapes for HTML; here JSON goes into arguments and environment variables.
_ENVIRONMENT.filters["tojson"] = lambda value: json.dumps(_plain(value), ensure_ascii=False)


@lru_cache(maxsize=4096)
def _compiled(text: str) -> Evaluation:
    expression = _sole_expression(text)
    if expression is None:
        return _ENVIRONMENT.from_string(text).render
    assignment = nodes.Assign(nodes.Name(_RESULT, "store"), expression, lineno=1)
    template = _ENVIRONMENT.from_string(nodes.Template([assignment], lineno=1))
    return lambda values: _plain(getattr(template.make_module(dict(values)), _RESULT))


def _sole_expression(text: str) -> nodes.Expr | None:
    """The expression that the text consists of, white space around it aside."""
    match _ENVIRONMENT.parse(text.strip()).body:
        case [nodes.Output(nodes=[nodes.TemplateData()])]:
            return None
        case [nodes.Output(nodes=[expression])]:
            return expression
    return None


def _plain(value: Any) -> JsonValue:
    """The value as JSON-like data; generators become lists.

    Raises:
        TypeError: It is something else, such as a function.
        jinja2.UndefinedError: It is undefined.
    """
    if isinstance(value, jinja2.Undefined):
        str(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(below) for key, below in value.items()}
    if isinstance(value, list | tuple | Iterator):
        return [_plain(below) for below in value]
    raise TypeError(f"its value is a {type(value).__name__}, which a definition cannot hold")
