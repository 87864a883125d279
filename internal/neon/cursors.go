package neon

import "fmt"

// cursors are those of one list, whose next page each of them leads to. One that comes again would lead round for ever.
type cursors map[string]bool

func (c cursors) next(cursor string) error {
	if c[cursor] {
		return fmt.Errorf("the cursor %q was returned twice, so the list would never end", cursor)
	}
	c[cursor] = true
	return nil
}
