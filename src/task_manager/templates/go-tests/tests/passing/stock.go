// Package stock counts what is there.
package stock

// Stock is how many there are of each thing.
type Stock map[string]int

// Take removes some of a thing, as far as there are any, and returns how many it took.
func (s Stock) Take(name string, wanted int) int {
	taken := min(wanted, s[name])
	s[name] -= taken
	return taken
}

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}
