import pytest

from textkit import count_syllables, readability


@pytest.mark.parametrize(
    ("word", "syllables"),
    [("cat", 1), ("table", 2), ("make", 1), ("wanted", 2), ("jumped", 1), ("readability", 5)],
)
def test_syllables_are_counted(word: str, syllables: int) -> None:
    assert count_syllables(word) == syllables


def test_short_words_are_easier_than_long_ones() -> None:
    easy = readability("The cat sat on the mat. It was warm.")
    hard = readability("Institutional considerations necessitate comprehensive documentation.")
    assert easy.reading_ease > 90 > 0 > hard.reading_ease
    assert easy.grade < hard.grade


def test_means_are_taken_over_words_and_sentences() -> None:
    result = readability("One two. Three four.")
    assert result.words_per_sentence == 2
    assert result.letters_per_word == 3.75
    assert result.long_words == 0


def test_a_text_without_words_is_refused() -> None:
    with pytest.raises(ValueError, match="without words"):
        readability("123 ...")
