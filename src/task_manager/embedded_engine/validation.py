"""Whether a query fits the schema."""

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLArgument,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    get_named_type,
    is_input_object_type,
    is_leaf_type,
    is_required_argument,
    validate,
    value_from_ast,
)
from graphql.pyutils import Undefined
from graphql.validation import (
    FieldsOnCorrectTypeRule,
    KnownArgumentNamesRule,
    ProvidedRequiredArgumentsRule,
    ScalarLeafsRule,
    ValuesOfCorrectTypeRule,
)

# What a wrong query is told; the other rules of the specification cost time and change no answer.
_RULES = (
    FieldsOnCorrectTypeRule,
    KnownArgumentNamesRule,
    ProvidedRequiredArgumentsRule,
    ScalarLeafsRule,
    ValuesOfCorrectTypeRule,
)


def check_query(schema: GraphQLSchema, document: DocumentNode) -> None:
    """Check that a query fits the schema.

    Raises:
        GraphQLError: The first thing that does not.
    """
    if _is_plainly_valid(schema, document):
        return
    if errors := validate(schema, document, _RULES):
        raise errors[0]


def _is_plainly_valid(schema: GraphQLSchema, document: DocumentNode) -> bool:
    """Return whether a query is one of those that SDKs send and fits; the general rules take many times as long."""
    operation, *others = document.definitions
    if others or not isinstance(operation, OperationDefinitionNode) or schema.query_type is None:
        return False
    is_plain = operation.operation is OperationType.QUERY and not operation.variable_definitions
    return is_plain and not operation.directives and _selected(schema, operation.selection_set, schema.query_type)


def _selected(schema: GraphQLSchema, chosen: SelectionSetNode, kind: GraphQLObjectType | GraphQLInterfaceType) -> bool:
    return all(_fits(schema, selection, kind) for selection in chosen.selections)


def _fits(schema: GraphQLSchema, selection: SelectionNode, kind: GraphQLObjectType | GraphQLInterfaceType) -> bool:
    if selection.directives:
        return False
    if isinstance(selection, FieldNode):
        return _field_fits(schema, selection, kind)
    if not isinstance(selection, InlineFragmentNode) or selection.type_condition is None:
        return False
    wanted = schema.type_map.get(selection.type_condition.name.value)
    if not isinstance(wanted, GraphQLObjectType | GraphQLInterfaceType):
        return False
    return _selected(schema, selection.selection_set, wanted)


def _field_fits(schema: GraphQLSchema, node: FieldNode, kind: GraphQLObjectType | GraphQLInterfaceType) -> bool:
    field = kind.fields.get(node.name.value)
    if field is None or not _arguments_fit(node, field.args):
        return False
    result = get_named_type(field.type)
    if node.selection_set is None:
        return is_leaf_type(result)
    if not isinstance(result, GraphQLObjectType | GraphQLInterfaceType):
        return False
    return _selected(schema, node.selection_set, result)


def _arguments_fit(node: FieldNode, known: dict[str, GraphQLArgument]) -> bool:
    given = {argument.name.value: argument.value for argument in node.arguments}
    if any(is_required_argument(argument) and name not in given for name, argument in known.items()):
        return False
    for name, value in given.items():
        argument = known.get(name)
        if argument is None or is_input_object_type(get_named_type(argument.type)):
            return False
        if value_from_ast(value, argument.type) is Undefined:
            return False
    return True
