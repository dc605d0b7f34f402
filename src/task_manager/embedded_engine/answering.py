"""From the text of a query to the object that is sent back."""

import functools
import hashlib
import inspect
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionContext,
    ExecutionResult,
    FieldNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLResolveInfo,
    execute,
    parse,
)
from graphql.language import parser as graphql_parser
from graphql.pyutils import AwaitableOrValue, Path, Undefined

from task_manager.embedded_engine.api.objects import ApiObject, expect, python_name, unsupported
from task_manager.embedded_engine.api.query import Query
from task_manager.embedded_engine.errors import ApiError, EngineError
from task_manager.embedded_engine.schema.build import build_schema, schema_digest
from task_manager.embedded_engine.session import Session
from task_manager.embedded_engine.validation import check_query

# A chain of SDK calls is as many levels deep; the parser's own limit is meant for strangers.
_DEEPEST = 2000
_INTROSPECTION = "__schema"
# Reading a query takes longer than answering it from the store, and programs ask the same again.
_DOCUMENTS_KEPT = 64
_LONGEST_KEPT = 16_384
_LOAD_PREFIX, _LOAD_SUFFIX = "load", "FromID"
_logger = logging.getLogger("task_manager.embedded_engine")


@dataclass(frozen=True)
class Request:
    """A GraphQL request."""

    query: str
    variables: Mapping[str, Any] | None
    operation: str | None


class FieldError(Exception):
    """An error with the path of the field that it came from, by field names."""

    def __init__(self, error: Exception, path: tuple[str | int, ...]) -> None:
        super().__init__(str(error))
        self.error = error
        self.path = path


class _Execution(ExecutionContext):
    """Follows chains of single fields, which is what SDKs send, without a task for each field."""

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        fields: dict[str, list[FieldNode]],
    ) -> AwaitableOrValue[dict[str, Any]]:
        """Return the values of an object's fields."""
        if len(fields) != 1:
            return super().execute_fields(parent_type, source_value, path, fields)
        ((name, nodes),) = fields.items()
        result = self.execute_field(parent_type, source_value, nodes, Path(path, name, parent_type.name))
        if result is Undefined:
            return {}
        return _awaited_field(name, result) if self.is_awaitable(result) else {name: result}


async def _awaited_field(name: str, result: Any) -> dict[str, Any]:
    return {name: await result}


class Answerer:
    """Answers requests of one session."""

    def __init__(self, session: Session) -> None:
        graphql_parser.MAX_NESTING_DEPTH = _DEEPEST
        self._session = session
        self._schema = build_schema()
        self._schema_digest = schema_digest()
        self._known = functools.lru_cache(_DOCUMENTS_KEPT)(self._checked)

    async def answer(self, request: Request) -> dict[str, Any]:
        """Return the answer: `data`, or `data` null and the first error."""
        if _INTROSPECTION not in request.query or request.variables:
            return await self._answer(request)
        # Every client begins with this question, the answer is large, and it is always the same.
        key = hashlib.sha256(f"{self._schema_digest}{request.operation}{request.query}".encode()).hexdigest()
        return await self._session.answers.get(key, lambda: self._answer(request))

    async def _answer(self, request: Request) -> dict[str, Any]:
        try:
            document = (self._known if len(request.query) <= _LONGEST_KEPT else self._checked)(request.query)
        except GraphQLError as error:
            return _failed(error.message)
        result = execute(
            self._schema,
            document,
            root_value=Query(self._session),
            variable_values=dict(request.variables or {}),
            operation_name=request.operation,
            field_resolver=_resolve,
            execution_context_class=_Execution,
        )
        finished = await result if inspect.isawaitable(result) else result
        return self._formatted(finished)

    def _checked(self, query: str) -> DocumentNode:
        """Return a query's document.

        Raises:
            GraphQLError: It is not a query of this schema.
        """
        # No error tells a place in the query.
        document = parse(query, no_location=True)
        check_query(self._schema, document)
        return document

    @staticmethod
    def _formatted(result: ExecutionResult) -> dict[str, Any]:
        if not result.errors:
            return {"data": result.data}
        return _described(result.errors[0])


def _resolve(source: ApiObject, info: GraphQLResolveInfo, /, **arguments: Any) -> Any:
    path = (*source.field_path, info.field_name)
    try:
        result = _call(source, info.field_name, arguments)
    except EngineError as error:
        raise FieldError(error, path) from error
    if inspect.isawaitable(result):
        return _awaited(result, path)
    return _placed(result, path)


async def _awaited(result: Any, path: tuple[str | int, ...]) -> Any:
    try:
        return _placed(await result, path)
    except EngineError as error:
        raise FieldError(error, path) from error


def _placed(result: Any, path: tuple[str | int, ...]) -> Any:
    """Note on objects where in the query they came from."""
    if isinstance(result, ApiObject):
        result.field_path = path
    elif isinstance(result, list):
        for index, item in enumerate(result):
            _placed(item, (*path, index))
    return result


def _call(source: ApiObject, name: str, arguments: dict[str, Any]) -> Any:
    if name == "id":
        return source.id()
    method = source.fields.get(python_name(name))
    if method is not None:
        return method(source, **arguments)
    if isinstance(source, Query) and name.startswith(_LOAD_PREFIX) and name.endswith(_LOAD_SUFFIX):
        return _loaded(source, name, arguments["id"])
    raise unsupported(source.type_name, name)


def _loaded(query: Query, name: str, identifier: str) -> ApiObject:
    found = expect(query.session, identifier, ApiObject)
    wanted = name[len(_LOAD_PREFIX) : -len(_LOAD_SUFFIX)]
    if found.type_name != wanted:
        raise ApiError(f"the id belongs to a {found.type_name}, not to a {wanted}")
    return found


def _described(error: GraphQLError) -> dict[str, Any]:
    original = error.original_error
    if isinstance(original, FieldError):
        extensions = dict(original.error.extensions) if isinstance(original.error, ApiError) else {}
        return _failed(str(original), list(original.path), extensions)
    if original is not None:
        _logger.error("a request failed unexpectedly", exc_info=original)
        return _failed(f"internal error: {type(original).__name__}: {original}", error.path)
    return _failed(error.message, error.path)


def _failed(
    message: str, path: list[str | int] | None = None, extensions: Mapping[str, object] | None = None
) -> dict[str, Any]:
    error: dict[str, Any] = {"message": message}
    if path:
        error["path"] = path
    if extensions:
        error["extensions"] = dict(extensions)
    return {"data": None, "errors": [error]}
