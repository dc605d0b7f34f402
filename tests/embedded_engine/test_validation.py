"""Queries are held to the schema, the plain ones of SDKs by a shorter way, with the same outcome."""

import pytest
from graphql import GraphQLError, GraphQLSchema, parse, validate

from task_manager.embedded_engine.schema.build import build_schema
from task_manager.embedded_engine.validation import check_query

GOOD = [
    "{version}",
    "query {container {id}}",
    '{container {from(address: "a") {withExec(args: ["b", "c"], expect: ANY, redirectStdout: "/d") {stdout}}}}',
    '{node(id: "a") {... on Container {exitCode __typename}}}',
    "query q($a: String!) {container {from(address: $a) {id}}}",
    "{...f} fragment f on Query {version}",
    '{container {withExec(args: ["a"], useEntrypoint: null) {id}}}',
    "{container @include(if: true) {id}}",
]
BAD = [
    "{versions}",
    "{container}",
    "{version {id}}",
    '{container {from(adress: "a") {id}}}',
    "{container {from {id}}}",
    "{container {from(address: 1) {id}}}",
    "{container {from(address: null) {id}}}",
    '{container {withExec(args: ["a"], expect: "ANY") {id}}}',
    '{container {withExec(args: ["a"], expect: NEVER) {id}}}',
    '{container {withExec(args: ["a", 2]) {id}}}',
    '{container {withExec(args: ["a"], useEntrypoint: "yes") {id}}}',
    '{container {withExec(args: ["a"], nothing: 1) {id}}}',
    '{node(id: "a") {... on Container {nothing}}}',
    '{node(id: "a") {exitCode}}',
    "{container {withExposedPort(port: 1.5) {id}}}",
]


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    """The served schema."""
    return build_schema()


@pytest.mark.parametrize("query", GOOD)
def test_what_the_specification_takes_is_taken(schema: GraphQLSchema, query: str) -> None:
    assert validate(schema, parse(query)) == []
    check_query(schema, parse(query, no_location=True))


@pytest.mark.parametrize("query", BAD)
def test_what_the_specification_refuses_is_refused_in_its_words(schema: GraphQLSchema, query: str) -> None:
    with pytest.raises(GraphQLError) as refused:
        check_query(schema, parse(query, no_location=True))
    assert refused.value.message in {error.message for error in validate(schema, parse(query))}
