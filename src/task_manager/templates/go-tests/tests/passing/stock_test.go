package stock

import (
	"os"
	"testing"
)

func TestTake(t *testing.T) {
	for name, wanted := range map[string]int{"few": 2, "all": 3, "too many": 9} {
		t.Run(name, func(t *testing.T) {
			if taken := (Stock{"nail": 3}).Take("nail", wanted); taken > 3 {
				t.Errorf("took %d of 3", taken)
			}
		})
	}
}

func TestLevel(t *testing.T) {
	if os.Getenv("LEVEL") != "1" {
		t.Skip("LEVEL is not 1")
	}
}

func TestSlow(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
}
