import pytest

from textkit import ngrams, sentences, words


def test_words_are_lower_case_and_without_marks() -> None:
    assert words("The cat, the CAT!") == ["the", "cat", "the", "cat"]


def test_apostrophes_and_hyphens_join_words() -> None:
    assert words("Don't stop a well-known song") == ["don't", "stop", "a", "well-known", "song"]


def test_numbers_are_no_words() -> None:
    assert words("42 is 1 answer") == ["is", "answer"]


def test_the_case_can_be_kept() -> None:
    assert words("Ada wrote it", lower=False) == ["Ada", "wrote", "it"]


def test_sentences_end_in_marks() -> None:
    assert sentences("Wait! Is it you? Yes.") == ["Wait!", "Is it you?", "Yes."]


def test_a_text_without_words_has_no_sentences() -> None:
    assert sentences(" ... 12. ") == []


def test_ngrams_are_neighbours() -> None:
    assert ngrams(["a", "b", "c"], 2) == [("a", "b"), ("b", "c")]


def test_ngrams_longer_than_the_text_are_none() -> None:
    assert ngrams(["a"], 2) == []


def test_an_ngram_needs_a_token() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        ngrams(["a"], 0)
