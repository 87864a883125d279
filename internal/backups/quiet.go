package backups

import "time"

// Quiet is proof that a backup holds everything that a database server had committed by a moment: no transaction got an
// id between a look before the dump and one after it, and none with an id was open at either.
type Quiet struct {
	Until time.Time `json:"until"`            // of the look after the dump, by the server's clock
	Next  string    `json:"next_transaction"` // the id after the last completed transaction's, of the whole server
}

// Look is what a look at a server's transactions shows.
type Look struct {
	Quiet
	Open bool // a transaction that has an id is open
}

// Proof returns the proof that nothing was written between two looks; nil if there is none.
func Proof(before, after Look) *Quiet {
	if before.Next == "" || before.Next != after.Next || before.Open || after.Open {
		return nil
	}
	return &after.Quiet
}
