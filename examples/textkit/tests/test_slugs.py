import pytest

from textkit import slugify


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Hello, World!", "hello-world"),
        ("  Crème brûlée  ", "creme-brulee"),
        ("Straße Nº 5", "strasse-no-5"),
        ("Don't panic", "dont-panic"),
        ("!!!", ""),
    ],
)
def test_titles_become_slugs(title: str, slug: str) -> None:
    assert slugify(title) == slug


def test_the_separator_can_be_chosen() -> None:
    assert slugify("One two", separator="_") == "one_two"


def test_a_short_slug_ends_with_a_whole_word() -> None:
    assert slugify("a quick brown fox", max_length=12) == "a-quick"


def test_a_long_first_word_is_cut() -> None:
    assert slugify("incomprehensible", max_length=5) == "incom"
