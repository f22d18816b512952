package xcontent

import (
	"fmt"
	"math"
)

const (
	maxDepth    = 100       // arrays and objects inside of each other, in what a stranger sent
	maxOwnDepth = 1000      // the same, in what we wrote around it
	maxValues   = 1_000_000 // in what a stranger sent; two bytes of text become some 80 of a tree
)

// bounds is how much one text may still hold.
type bounds struct {
	depth  int
	values int // left
}

func strangers() bounds { return bounds{maxDepth, maxValues} }
func ours() bounds      { return bounds{maxOwnDepth, math.MaxInt} }

// take counts one value that lies inside of depth others, and returns why that
// is one too many, or "".
func (b *bounds) take(k Kind, depth int) string {
	if b.values--; b.values < 0 {
		return fmt.Sprintf("the body holds more than %d values", maxValues)
	}
	if depth >= b.depth && (k == Array || k == Object) {
		return tooDeep(b.depth)
	}
	return ""
}

func tooDeep(limit int) string { return fmt.Sprintf("the body nests deeper than %d levels", limit) }
