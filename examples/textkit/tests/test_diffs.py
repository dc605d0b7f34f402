from textkit import summarise_diff


def test_equal_texts_do_not_differ() -> None:
    assert str(summarise_diff("One two.", "one, two")) == "+0 -0 words, 100% alike"


def test_added_and_removed_words_are_named() -> None:
    summary = summarise_diff("The old cat slept", "The young cat slept well")
    assert summary.removed == ("old",)
    assert summary.added == ("young", "well")


def test_texts_without_a_common_word_are_not_alike() -> None:
    assert summarise_diff("one two", "three four").similarity == 0
