package wordcount

import "testing"

func TestCount(t *testing.T) {
	for text, words := range map[string]int{"": 0, "one": 1, " two  words\n": 2} {
		if got := Count(text); got != words {
			t.Errorf("Count(%q) = %d, not %d", text, got, words)
		}
	}
}
