package sums

import "testing"

func TestAdd(t *testing.T) {
	t.Run("nothing", func(t *testing.T) {
		if got := Add(1, 0); got != 1 {
			t.Errorf("Add(1, 0) = %d", got)
		}
	})
	t.Run("something", func(t *testing.T) {
		t.Log("a remark")
		if got := Add(1, 2); got != 3 {
			t.Errorf("Add(1, 2) = %d; want 3", got)
		}
	})
}

func TestPanics(t *testing.T) {
	var counts map[string]int
	counts["one"]++
}
