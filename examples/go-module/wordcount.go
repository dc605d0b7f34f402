// Package wordcount counts words.
package wordcount

// Count tells how many words a text has; words are parted by spaces.
func Count(text string) int {
	words, inside := 0, false
	for _, letter := range text {
		space := letter == ' ' || letter == '\n' || letter == '\t'
		if !space && !inside {
			words++
		}
		inside = !space
	}
	return words
}
