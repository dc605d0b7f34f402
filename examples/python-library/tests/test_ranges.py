import pytest

from ranges import parse, render


@pytest.mark.parametrize(
    ("text", "numbers"), [("7", [7]), ("1-3,7", [1, 2, 3, 7]), (" 2 , 4-5", [2, 4, 5])]
)
def test_texts_become_numbers(text, numbers):
    assert parse(text) == numbers


def test_numbers_become_the_shortest_text():
    assert render([3, 1, 2, 7, 7]) == "1-3,7"


def test_nonsense_is_an_error():
    with pytest.raises(ValueError):
        parse("one")
