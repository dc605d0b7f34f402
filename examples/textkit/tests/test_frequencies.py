from textkit import frequencies, keywords

DOCUMENTS = (
    "The cat sat. The cat slept on the warm roof.",
    "The dog sat. The dog barked at the roof.",
    "Rain fell on the roof.",
)


def test_words_are_counted_without_stop_words() -> None:
    assert frequencies(DOCUMENTS[0])["cat"] == 2
    assert "the" not in frequencies(DOCUMENTS[0])


def test_stop_words_can_be_chosen() -> None:
    assert frequencies("the cat", stop_words={"cat"}) == {"the": 1}


def test_keywords_set_a_document_apart() -> None:
    assert keywords(DOCUMENTS, 1, count=2)[0][0] == "dog"


def test_a_word_of_all_documents_tells_nothing() -> None:
    assert dict(keywords(DOCUMENTS, 2))["roof"] == 0
